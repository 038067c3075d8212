import Values
import Zab
import ZooKeeperProtocol

// An ensemble led by hand (see `ScenarioScript`). The commands:
//
//     servers 3          an ensemble of so many, none of them up
//     servers 3 1 1      one that may be changed: voters, observers, servers that are not in it
//     observers-without-log   observers that are started from here on keep no log
//     start 1 2 3        starts servers from their disks
//     crash 3            ends servers; what they had not flushed is lost
//     run 500            lets so many milliseconds pass
//     write 1 x          a client of server 1 writes
//     isolate 3          parts a server from all others
//     heal               ends all partitions
//     proxied            from here on something takes connections for servers that do not listen
//     slow-disk 40       flushes take so many milliseconds from here on
//     resign 3           tells a server to stop: a leader finishes what it has proposed first
//     config 1 2 o4      asks the leader for an ensemble of these servers, observers with an o
//     status             the state of every server

/// Plays scenario scripts.
public struct ZabScenario {
  private var cluster: ZabCluster?
  private var shown = 0

  private init() {}

  /// The script with its outputs as they are now.
  public static func play(_ script: String) -> String {
    var scenario = ZabScenario()
    return ScenarioScript.play(script) { scenario.perform($0) }
  }

  private mutating func perform(_ words: [String]) -> [String] {
    let arguments = words.dropFirst().compactMap(Int.init)
    if words[0] == "servers" {
      cluster = ZabCluster(scripted: arguments)
      return []
    }
    guard cluster != nil else { return ["no servers yet"] }
    // Servers are numbered from 1; a number that is none is left out.
    let indices = arguments.map { $0 - 1 }.filter { cluster?.servers.indices.contains($0) == true }
    switch words[0] {
    case "start":
      for index in indices where cluster?.servers[index].isUp == false { cluster?.start(index) }
    case "crash":
      for index in indices { cluster?.crash(index) }
    case "run":
      let end = (cluster?.now ?? .zero).advanced(milliseconds: Int64(arguments.first ?? 0))
      cluster?.advance(to: end)
    case "write":
      if let index = indices.first { cluster?.write(at: index, words.last ?? "") }
    case "isolate":
      if let index = indices.first { cluster?.isolate(index) }
    case "resign":
      if let index = indices.first { cluster?.step(index, .resign) }
    case "config":
      if cluster?.reconfigure(to: Array(words.dropFirst())) != true { return ["refused"] }
    case "heal":
      cluster?.network.healAll()
    case "observers-without-log":
      cluster?.observersKeepLogs = false
    case "proxied":
      cluster?.isProxied = true
    case "slow-disk":
      let delay = Int64(arguments.first ?? 1)
      cluster?.flushMs = delay...delay
    case "status":
      return cluster?.status ?? []
    default:
      return ["unknown command"]
    }
    return news()
  }

  private mutating func news() -> [String] {
    guard let cluster else { return [] }
    let lines = Array(cluster.trace.lines.dropFirst(shown))
    shown = cluster.trace.lines.count
    return lines + cluster.violations.map { "VIOLATED \($0)" }
  }
}

extension ZabCluster {
  /// An ensemble without chance: every message takes a millisecond, every flush two.
  ///
  /// - Parameter counts: Voters; or voters, observers and others of one that may be changed.
  init(scripted counts: [Int]) {
    self.init(
      servers: counts.first ?? 3, observers: counts.count > 1 ? counts[1] : 0,
      spares: counts.count > 2 ? counts[2] : 0, seed: 1, isChangeable: counts.count > 1,
      recording: true, starting: false)
    trace.limit = 100_000
    network.delaysMs = 1...1
    network.slowPercent = 0
    flushMs = 2...2
  }

  /// False where a leader's server would refuse it.
  mutating func reconfigure(to names: [String]) -> Bool {
    guard let leader = servers.indices.first(where: { servers[$0].isLeading }),
      let peer = servers[leader].peer, let zxid = peer.nextZxid, peer.membership.next == nil
    else { return false }
    let members = names.compactMap { name -> EnsembleServer? in
      let isObserver = name.hasPrefix("o")
      guard let id = Int(name.drop { $0 == "o" }), servers.indices.contains(id - 1) else {
        return nil
      }
      var member = Self.member(id)
      member.isObserver = isObserver
      return member
    }
    let config = EnsembleConfig(servers: members, version: zxid.rawValue)
    guard peer.hasSyncedQuorum(of: config) else { return false }
    propose(config, zxid, by: leader)
    return true
  }

  mutating func isolate(_ index: Int) {
    for other in servers.indices where other != index { network.block(index, other) }
  }

  var status: [String] {
    servers.map { server in
      guard let peer = server.peer else { return "\(server.id) down, \(server.disk.epochs.text)" }
      let role = peer.state == .looking ? "looking" : "\(peer.state) \(peer.vote.leader)"
      return "\(server.id) \(role)\(peer.isServing ? ", serves" : ""), \(peer.epochs.text), "
        + "\(server.tree.count) applied, log ends at \(peer.history.lastLogged)"
    }
  }
}

extension Epochs {
  var text: String { "accepted epoch \(accepted), current epoch \(current)" }
}
