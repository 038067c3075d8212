// Four-letter words: what an operator asks over the client port with nc.

import Platform
import ZooKeeperProtocol
import Znodes

enum FourLetterWord: String, CaseIterable, Sendable {
  case conf, cons, crst, dirs, dump, envi, gtmk, isro, mntr, ruok, srst, srvr, stat, stmk
  case wchc, wchp, wchs
}

extension Coordinator {
  static let version = "3.8.0-jackdaw"
  private static let notServing = "This ZooKeeper instance is not currently serving requests\n"

  /// The text that a word is answered with.
  func answer(to word: FourLetterWord) -> String {
    guard config.allowedWords.contains(word) else {
      return "\(word.rawValue) is not executed because it is not in the whitelist.\n"
    }
    switch word {
    case .ruok: return "imok"
    case .conf: return configText
    case .envi: return environmentText
    case .gtmk, .stmk: return "0\n"
    case .dirs:
      return "datadir_size: \(DataDirectory.size(of: store.directory.snapshots))\n"
        + "logdir_size: \(DataDirectory.size(of: store.directory.logs))\n"
    case _ where !isServing: return Self.notServing
    case .srvr: return serverText(withClients: false)
    case .stat: return serverText(withClients: true)
    case .mntr: return metrics.map { "\($0.name)\t\($0.value)\n" }.joined()
    case .isro: return "rw"
    case .cons: return clientsText(detailed: true) + "\n"
    case .crst:
      for client in connections.values { client.statistics.reset(at: loop.now) }
      return "Connection stats reset.\n"
    case .srst:
      statistics = ServerStatistics()
      return "Server stats reset.\n"
    case .dump: return sessionsText
    case .wchs:
      return "\(watches.watcherCount) connections watching \(watches.watchedPathCount) paths\n"
        + "Total watches:\(watches.dataWatchCount)\n"
    case .wchc: return watchesBySession
    case .wchp: return watchesByPath
    }
  }

  // MARK: srvr, stat, cons

  private func serverText(withClients: Bool) -> String {
    var text = "Zookeeper version: \(Self.version), built on 2026-01-01 00:00 UTC\n"
    if withClients { text += "Clients:\n" + clientsText(detailed: false) + "\n" }
    let latency = statistics.latencyMs
    text += "Latency min/avg/max: \(latency.min)/\(decimal(latency.average))/\(latency.max)\n"
    text += "Received: \(statistics.packetsReceived)\nSent: \(statistics.packetsSent)\n"
    text += "Connections: \(connections.count)\nOutstanding: \(outstanding)\n"
    text += "Zxid: 0x\(zxidText(database.lastZxid))\n"
    let status = replicator?.status ?? ReplicationStatus(mode: .standalone)
    text += "Mode: \(status.mode.rawValue)\nNode count: \(shownZnodeCount)\n"
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
      text += " /\(client.connection.peer)[1](queued=\(client.queuedCount)"
      text += ",recved=\(counts.received),sent=\(counts.sent)"
      if detailed, client.session != 0 {
        text += ",sid=0x\(zxidText(client.session)),lop=\(counts.lastOperation.shortName)"
        text += ",est=\(counts.established.milliseconds),to=\(client.timeoutMs)"
        text += ",lcxid=0x\(String(UInt32(bitPattern: counts.lastXid), radix: 16))"
        text += ",lzxid=0x\(zxidText(counts.lastZxid)),lresp=\(counts.lastResponse.milliseconds)"
        text += ",llat=\(counts.lastLatencyMs),minlat=\(counts.latencyMs.min)"
        text += ",avglat=\(Int64(counts.latencyMs.average)),maxlat=\(counts.latencyMs.max)"
      }
      text += ")\n"
    }
    return text
  }

  /// ZooKeeper counts the root twice, under both of its names.
  private var shownZnodeCount: Int { database.tree.count + 1 }

  // MARK: mntr

  /// Names and values of `mntr`; without their prefix also those of the Prometheus endpoint.
  var metrics: [(name: String, value: String)] {
    let status = replicator?.status ?? ReplicationStatus(mode: .standalone)
    var metrics: [(name: String, value: String)] = []
    func add(_ name: String, _ value: some CustomStringConvertible) {
      metrics.append(("zk_" + name, value.description))
    }
    add("version", "\(Self.version), built on 2026-01-01 00:00 UTC")
    add("server_state", status.mode.rawValue)
    if let peerState = status.peerState { add("peer_state", peerState) }
    add("avg_latency", decimal(statistics.latencyMs.average))
    add("min_latency", statistics.latencyMs.min)
    add("max_latency", statistics.latencyMs.max)
    add("packets_received", statistics.packetsReceived)
    add("packets_sent", statistics.packetsSent)
    add("num_alive_connections", connections.count)
    add("outstanding_requests", outstanding)
    add("znode_count", shownZnodeCount)
    add("watch_count", watches.count)
    add("ephemerals_count", database.tree.ephemeralCount)
    add("approximate_data_size", database.tree.approximateDataSize)
    add("global_sessions", database.sessions.count)
    add("local_sessions", 0)
    add("open_file_descriptor_count", ProcessInformation.openDescriptors)
    add("max_file_descriptor_count", ProcessInformation.descriptorLimit)
    add("last_client_response_size", statistics.lastResponseBytes)
    add("max_client_response_size", max(-1, statistics.responseBytes.max))
    add("min_client_response_size", max(-1, statistics.responseBytes.min))
    add("uptime", loop.now.milliseconds(since: started))
    add("auth_failed_count", statistics.authFailures)
    add("stale_sessions_expired", statistics.expiredSessions)
    add("digest_mismatches_count", statistics.digestMismatches)
    add("cnt_fsynctime", store.flushCount)
    add("sum_fsynctime", store.flushNanoseconds / 1_000_000)
    let average = Double(store.flushNanoseconds) / 1_000_000 / Double(max(1, store.flushCount))
    add("avg_fsynctime", decimal(average))
    if status.mode != .standalone { add("quorum_size", status.quorumSize) }
    if status.mode == .leader {
      add("learners", status.learners)
      add("synced_followers", status.syncedFollowers)
      add("synced_non_voting_followers", 0)
      add("synced_observers", status.syncedObservers)
      add("pending_syncs", status.pendingSyncs)
      add("last_proposal_size", status.proposalSizes.last)
      add("min_proposal_size", status.proposalSizes.min)
      add("max_proposal_size", status.proposalSizes.max)
    }
    return metrics
  }

  /// At most four digits after the point, as ZooKeeper rounds.
  private func decimal(_ value: Double) -> String {
    let scaled = Int64((value * 10_000).rounded())
    var digits = String(scaled % 10_000)
    digits = String(repeating: "0", count: 4 - digits.utf8.count) + digits
    while digits.utf8.count > 1, digits.hasSuffix("0") { digits.removeLast() }
    return "\(scaled / 10_000).\(digits)"
  }

  // MARK: conf, envi, dump, watches

  private var configText: String {
    var text = "clientPort=\(config.clientPort)\nsecureClientPort=-1\n"
    text += "dataDir=\(store.directory.snapshots)\n"
    text += "dataDirSize=\(DataDirectory.size(of: store.directory.snapshots))\n"
    text += "dataLogDir=\(store.directory.logs)\n"
    text += "dataLogSize=\(DataDirectory.size(of: store.directory.logs))\n"
    text += "tickTime=\(config.tickTimeMs)\nmaxClientCnxns=\(config.maxClientConnections)\n"
    text += "minSessionTimeout=\(config.minSessionTimeoutMs)\n"
    text += "maxSessionTimeout=\(config.maxSessionTimeoutMs)\n"
    text += "clientPortListenBacklog=-1\nserverId=\(config.serverID)\n"
    if config.isEnsemble {
      text += "initLimit=\(config.initLimit)\nsyncLimit=\(config.syncLimit)\nelectionAlg=3\n"
      text += "electionPort=\(config.ownServer?.electionPort ?? 0)\n"
      text += "quorumPort=\(config.ownServer?.quorumPort ?? 0)\npeerType=0\n"
      text += "membership: \n" + config.membership.text
    }
    return text
  }

  private var environmentText: String {
    var text = "Environment:\nzookeeper.version=\(Self.version)\n"
    text += "host.name=\(Hosts.localName)\nos.name=Linux\n"
    text += "user.dir=\(ProcessInformation.environment("PWD") ?? "")\n"
    return text
  }

  private var sessionsText: String {
    var text = "SessionTracker dump:\n"
    if let tracker = leadership?.tracker {
      text += "Sessions (\(tracker.count)):\n"
      for id in tracker.ids { text += "\t0x\(zxidText(id))\n" }
    }
    text += "ephemeral nodes dump:\n"
    let owners = database.tree.ephemeralOwners
    text += "Sessions with Ephemerals (\(owners.count)):\n"
    for owner in owners {
      text += "0x\(zxidText(owner)):\n"
      for path in database.tree.ephemerals(of: owner) { text += "\t\(path)\n" }
    }
    text += "Connections dump:\nConnections (\(connections.count)):\n"
    for id in connections.keys.sorted() {
      guard let client = connections[id] else { continue }
      text += "\tip: /\(client.connection.peer) sessionId: 0x\(zxidText(client.session))\n"
    }
    return text
  }

  private func sessionText(_ watcher: WatcherID) -> String {
    "0x\(zxidText(connections[watcher]?.session ?? 0))"
  }

  private var watchesBySession: String {
    watches.byWatcher.map { entry in
      sessionText(entry.watcher) + "\n" + entry.paths.map { "\t\($0)\n" }.joined()
    }.joined()
  }

  private var watchesByPath: String {
    watches.byPath.map { entry in
      entry.path + "\n" + entry.watchers.map { "\t\(sessionText($0))\n" }.joined()
    }.joined()
  }
}
