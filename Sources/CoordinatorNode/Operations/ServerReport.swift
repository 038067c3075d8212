// What `conf`, `envi`, `dump` and the words about watches say.

import Platform
import Values
import ZooKeeperProtocol
import Znodes

extension Coordinator {
  var configText: String {
    var text = "clientPort=\(config.clientPort)\n"
    text += "secureClientPort=\(config.security.securePort.map { Int($0) } ?? -1)\n"
    text += "dataDir=\(store.directory.snapshots)\n"
    text += "dataDirSize=\(dataDirectorySize)\n"
    text += "dataLogDir=\(store.directory.logs)\n"
    text += "dataLogSize=\(logDirectorySize)\n"
    text += "tickTime=\(config.tickTimeMs)\nmaxClientCnxns=\(config.maxClientConnections)\n"
    text += "minSessionTimeout=\(config.minSessionTimeoutMs)\n"
    text += "maxSessionTimeout=\(config.maxSessionTimeoutMs)\n"
    text += "clientPortListenBacklog=\(config.limits.backlog)\nserverId=\(config.serverID)\n"
    guard config.isEnsemble else { return text }
    text += "initLimit=\(config.initLimit)\nsyncLimit=\(config.syncLimit)\nelectionAlg=3\n"
    text += "electionPort=\(config.ownServer?.electionPort ?? 0)\n"
    text += "quorumPort=\(config.ownServer?.quorumPort ?? 0)\n"
    text += "peerType=\(config.isObserver ? 1 : 0)\n"
    // Without a line's end behind it, as ZooKeeper prints it.
    return text + "membership: \n" + membership.text
  }

  /// What a process knows of its surroundings, by the names of a Java machine's properties.
  var environment: [(name: String, value: String)] {
    let system = ProcessInformation.system
    func variable(_ name: String) -> String { ProcessInformation.environment(name) ?? "" }
    return [
      ("zookeeper.version", Self.fullVersion),
      ("host.name", Hosts.localName),
      ("os.name", system.name),
      ("os.arch", system.machine),
      ("os.version", system.release),
      ("user.name", variable("USER")),
      ("user.home", variable("HOME")),
      ("user.dir", ProcessInformation.currentDirectory),
      ("os.memory.resident", "\(ProcessInformation.residentBytes >> 20)MB"),
    ]
  }

  // MARK: dump

  var sessionsText: String {
    var text = "SessionTracker dump:\n"
    if let tracker = leadership?.tracker {
      let buckets = tracker.expiryBuckets
      text += "Session Sets (\(buckets.count))/(\(tracker.count)):\n"
      for bucket in buckets {
        text += "\(bucket.sessions.count) expire at \(date(of: bucket.time)):\n"
        for session in bucket.sessions { text += "\t0x\(zxidText(session))\n" }
      }
    } else {
      text += "Global Sessions(\(database.sessions.count)):\n"
      for session in database.sessions.keys.sorted() {
        text += "0x\(zxidText(session))\t\(database.sessions[session] ?? 0)ms\n"
      }
    }
    text += "ephemeral nodes dump:\n"
    let owners = database.tree.ephemeralOwners
    text += "Sessions with Ephemerals (\(owners.count)):\n"
    for owner in owners {
      text += "0x\(zxidText(owner)):\n"
      for path in database.tree.ephemerals(of: owner) { text += "\t\(path)\n" }
    }
    return text + connectionsText
  }

  /// Connections by the time at which their silence would end them.
  private var connectionsText: String {
    var byTime: [Int64: [ClientConnection]] = [:]
    for id in connections.keys.sorted() {
      guard let client = connections[id] else { continue }
      byTime[client.silenceDeadline.milliseconds, default: []].append(client)
    }
    var text = "Connections dump:\nConnections Sets (\(byTime.count))/(\(connections.count)):\n"
    for time in byTime.keys.sorted() {
      let clients = byTime[time] ?? []
      text += "\(clients.count) expire at \(date(of: Instant(milliseconds: time))):\n"
      for client in clients {
        text += "\tip: /\(client.connection.peer) sessionId: 0x\(zxidText(client.session))\n"
      }
    }
    return text
  }

  /// A monotonic instant as a date of the calendar.
  private func date(of instant: Instant) -> String {
    let milliseconds = loop.wallNow.milliseconds + instant.milliseconds(since: loop.now)
    return CalendarDate(WallTime(milliseconds: milliseconds)).text
  }

  // MARK: Watches

  private func session(of watcher: WatcherID) -> Int64 { connections[watcher]?.session ?? 0 }

  var watchesBySession: String {
    watches.byWatcher.map { entry in
      "0x\(zxidText(session(of: entry.watcher)))\n" + entry.paths.map { "\t\($0)\n" }.joined()
    }.joined()
  }

  var watchesByPath: String {
    watches.byPath.map { entry in
      entry.path + "\n"
        + entry.watchers.map { "\t0x\(zxidText(session(of: $0)))\n" }.joined()
    }.joined()
  }

  /// Sessions with the paths whose data they watch.
  var watchedPaths: [(session: Int64, paths: [String])] {
    watches.byWatcher.map { (session(of: $0.watcher), $0.paths) }
  }

  /// Paths with the sessions that watch their data.
  var watchingSessions: [(path: String, sessions: [Int64])] {
    watches.byPath.map { entry in (entry.path, entry.watchers.map { session(of: $0) }) }
  }
}

/// A date as Java prints it: `Tue Nov 24 06:03:42 UTC 2026`. Always UTC: a server's time zone is
/// no business of those who compare servers.
struct CalendarDate {
  let text: String

  init(_ time: WallTime) {
    let seconds = time.milliseconds.quotientAndRemainder(dividingBy: 1000).quotient
    let (days, rest) = seconds.quotientAndRemainder(dividingBy: 86_400)
    // Days to a date: Howard Hinnant's civil_from_days, for days since 1970.
    let shifted = days + 719_468
    let era = shifted / 146_097
    let dayOfEra = shifted - era * 146_097
    let yearOfEra =
      (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
    let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    func two(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }
    let weekday = Self.weekdays[Int((days % 7 + 4 + 7) % 7)]
    let clock = "\(two(rest / 3600)):\(two(rest / 60 % 60)):\(two(rest % 60))"
    text = "\(weekday) \(Self.months[Int(month - 1)]) \(two(day)) \(clock) UTC \(year)"
  }

  private static let weekdays = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
  private static let months = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
  ]
}
