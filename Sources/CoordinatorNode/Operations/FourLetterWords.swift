// Four-letter words: what an operator asks over the client port with nc.

import Platform
import ZooKeeperProtocol
import Znodes

enum FourLetterWord: String, CaseIterable, Sendable {
  case conf, cons, crst, dirs, dump, envi, gtmk, hash, isro, mntr, ruok, srst, srvr, stat, stmk
  case wchc, wchp, wchs

  /// Bytes that follow the word.
  var argumentLength: Int { self == .stmk ? 8 : 0 }
}

extension Coordinator {
  static let version = "3.8.0-jackdaw"
  /// As `Zookeeper version:` shows it, in ZooKeeper's form.
  static let fullVersion = "\(version), built on 2026-01-01 00:00 UTC"
  static let notServing = "This ZooKeeper instance is not currently serving requests"

  /// The text that a word is answered with.
  ///
  /// - Parameter argument: What follows `stmk`: a mask.
  func answer(to word: FourLetterWord, argument: Int64 = 0) -> String {
    guard config.allowedWords.contains(word) else {
      return "\(word.rawValue) is not executed because it is not in the whitelist.\n"
    }
    switch word {
    case .ruok: return "imok"
    case .envi:
      return "Environment:\n" + environment.map { "\($0.name)=\($0.value)\n" }.joined()
    case .gtmk: return "\(traceMask)"
    case .stmk:
      traceMask = argument
      return "\(argument)"
    case .isro: return isServing ? (isReadOnly ? "ro" : "rw") : "null"
    case _ where !isServing: return Self.notServing + "\n"
    case .conf: return configText
    case .dirs:
      return "datadir_size: \(dataDirectorySize)\nlogdir_size: \(logDirectorySize)\n"
    case .srvr: return serverText(withClients: false)
    case .stat: return serverText(withClients: true)
    case .mntr: return monitorText
    case .cons: return clientsText(detailed: true) + "\n"
    case .hash:
      return digestLog.map { "\(zxidText($0.zxid)): \($0.digest)\n" }.joined()
    case .crst:
      resetConnectionStatistics()
      return "Connection stats reset.\n"
    case .srst:
      resetServerStatistics()
      return "Server stats reset.\n"
    case .dump: return sessionsText
    case .wchs:
      return "\(watches.watcherCount) connections watching \(watches.watchedPathCount) paths\n"
        + "Total watches:\(watches.dataWatchCount)\n"
    case .wchc: return watchesBySession + "\n"
    case .wchp: return watchesByPath + "\n"
    }
  }

  func resetConnectionStatistics() {
    for client in connections.values { client.statistics.reset() }
  }

  /// What loading the data took stays known: it happens once.
  func resetServerStatistics() {
    let startup = statistics.startup
    statistics = ServerStatistics()
    statistics.startup = startup
    replicator?.resetStatistics()
  }

  var dataDirectorySize: Int64 { DataDirectory.size(of: store.directory.snapshots) }
  var logDirectorySize: Int64 { DataDirectory.size(of: store.directory.logs) }

  /// ZooKeeper counts the root twice, under both of its names.
  var shownZnodeCount: Int { database.tree.count + 1 }
}

// MARK: srvr, stat, cons

extension Coordinator {
  private func serverText(withClients: Bool) -> String {
    var text = "Zookeeper version: \(Self.fullVersion)\n"
    if isReadOnly { text += "READ-ONLY mode; serving only read-only clients\n" }
    if withClients { text += "Clients:\n" + clientsText(detailed: false) + "\n" }
    let latency = statistics.latencyMs
    let average = ServerMetric.decimal(latency.average)
    text += "Latency min/avg/max: \(latency.min)/\(average)/\(latency.max)\n"
    text += "Received: \(statistics.packetsReceived)\nSent: \(statistics.packetsSent)\n"
    text += "Connections: \(connections.count)\nOutstanding: \(outstanding)\n"
    text += "Zxid: 0x\(zxidText(database.lastZxid))\n"
    let status = replicator?.status ?? ReplicationStatus(mode: .standalone)
    text += "Mode: \(stateName(status))\nNode count: \(shownZnodeCount)\n"
    if status.mode == .leader {
      let sizes = status.proposalSizes
      text += "Proposal sizes last/min/max: \(sizes.last)/\(sizes.min)/\(sizes.max)\n"
    }
    return text
  }

  private func clientsText(detailed: Bool) -> String {
    var text = ""
    for id in connections.keys.sorted() {
      guard let client = connections[id] else { continue }
      let counts = client.statistics
      text += " /\(client.connection.peer)[\(String(client.connection.interestOps, radix: 16))]"
      text += "(queued=\(client.queuedCount)"
      text += ",recved=\(counts.received),sent=\(counts.sent)"
      if detailed, client.session != 0 {
        text += ",sid=0x\(zxidText(client.session)),lop=\(counts.lastOperation.shortName)"
        text += ",est=\(counts.established.milliseconds),to=\(client.timeoutMs)"
        if counts.lastXid >= 0 { text += ",lcxid=0x\(String(counts.lastXid, radix: 16))" }
        text += ",lzxid=0x\(zxidText(counts.lastZxid)),lresp=\(counts.lastResponse.milliseconds)"
        text += ",llat=\(counts.lastLatencyMs),minlat=\(counts.latencyMs.min)"
        text += ",avglat=\(Int64(counts.latencyMs.average)),maxlat=\(counts.latencyMs.max)"
      }
      text += ")\n"
    }
    return text
  }
}
