import Values
import Zab
import ZooKeeperProtocol

// Random runs: first safety under faults, then liveness when the faults stop.

/// What a run came to.
public struct ZabOutcome: Hashable, Sendable {
  public var digest: UInt64
  /// Writes that a leader acknowledged, and what the one history holds.
  public var acknowledged: Int
  public var committed: Int
  /// Changes of the ensemble among them.
  public var reconfigured: Int
  /// Empty if all invariants held and the ensemble came back.
  public var violations: [String]
}

extension ZabCluster {
  /// Runs one seed: the ensemble's size, its observers, whether it is changed while it runs, the
  /// load and all faults follow from it.
  public static func run(
    seed: UInt64, sabotage: ZabSabotage? = nil, recording: Bool = false,
    faultsMs: Int64 = 4000, calmMs: Int64 = 6000
  ) -> (outcome: ZabOutcome, trace: [String]) {
    var random = SplitMix(seed: seed)
    let size = random.next() % 4 == 0 ? 5 : 3
    let observers = Int(random.next() % 3) / 2
    let isChangeable = random.next() % 2 == 0
    let spares = isChangeable ? Int(random.next() % 2) : 0
    let chance = random.next()
    let isProxied = random.next() % 4 == 0
    var cluster = ZabCluster(
      servers: size, observers: observers, spares: spares, seed: chance,
      isChangeable: isChangeable, observersKeepLogs: random.next() % 2 == 0, sabotage: sabotage,
      recording: recording)
    cluster.isProxied = isProxied
    if isChangeable { cluster.schedule(.reconfigure, inMs: 600) }
    cluster.schedule(.client, inMs: 10)
    cluster.schedule(.fault, inMs: 400)
    cluster.advance(to: Instant(milliseconds: faultsMs))
    cluster.mend()
    // Liveness is not owed to a broken protocol, and takes its time.
    cluster.advance(to: Instant(milliseconds: faultsMs + calmMs)) { $0.isSettled }
    var violations = cluster.violations
    if violations.isEmpty, !cluster.isSettled {
      violations.append("liveness: \(cluster.states)")
    }
    let outcome = ZabOutcome(
      digest: cluster.trace.digest, acknowledged: cluster.acknowledged,
      committed: cluster.committedCount, reconfigured: cluster.reconfigured,
      violations: violations)
    return (outcome, cluster.trace.lines)
  }

  mutating func advance(to end: Instant, until isDone: (ZabCluster) -> Bool = { _ in false }) {
    while violations.isEmpty, !isDone(self), runOne(until: end) {}
  }

  var states: String {
    servers.map { server in
      guard let peer = server.peer else { return "\(server.id) down" }
      let why = peer.lastEndOfRole ?? "-"
      return "\(server.id) \(peer.state)\(peer.isServing ? " serving" : "") (\(why))"
    }.joined(separator: ", ")
  }

  /// All serve, under one leader, and a write of after the faults is everywhere.
  var isSettled: Bool {
    let epochs = Set(servers.map { $0.peer?.epochs.current ?? -1 })
    guard epochs.count == 1, servers.allSatisfy(\.isServing) else { return false }
    guard let last = servers[0].tree.last, last.zxid.epoch == epochs.first,
      last.zxid.counter >= 3
    else { return false }
    return servers.allSatisfy { $0.tree.last == last }
  }

  // MARK: Faults

  mutating func injectFault() {
    schedule(.fault, inMs: Int64.random(in: 30...500, using: &random))
    let victim = Int(random.next() % UInt64(servers.count))
    let other = Int(random.next() % UInt64(servers.count))
    switch random.next() % 11 {
    case 10:
      step(victim, .resign)
    case 0, 1, 2:
      crashSoon(victim)
    case 3:
      // A whole quorum at once, as when the power fails.
      for index in servers.indices { crashSoon(index) }
    case 4, 5:
      let open = network.openConnections
      if let id = open.randomElement(using: &random) { cut(id) }
    case 6, 7:
      if victim != other { network.block(victim, other) }
      trace.note(now, "\(servers[victim].id) and \(servers[other].id) are parted")
    case 8:
      for index in servers.indices where index != victim { network.block(victim, index) }
      trace.note(now, "\(servers[victim].id) is isolated")
    default:
      network.healAll()
      trace.note(now, "all partitions heal")
    }
    if random.next() % 3 == 0 { network.healAll() }
  }

  /// The crash comes after some more effects, so also in the middle of a step; a server that has
  /// nothing to do crashes at the next fault.
  private mutating func crashSoon(_ index: Int) {
    guard servers[index].isUp else { return }
    if servers[index].crashCountdown == nil, random.next() % 4 != 0 {
      servers[index].crashCountdown = Int(random.next() % 12)
      return
    }
    crash(index)
    let back = Int64.random(in: 20...1500, using: &random)
    schedule(.restart(server: index, life: servers[index].life), inMs: back)
  }

  /// Ends all faults: partitions heal, nobody crashes any more, everybody comes back.
  private mutating func mend() {
    network.healAll()
    network.slowPercent = 0
    for index in servers.indices {
      servers[index].crashCountdown = nil
      if !servers[index].isUp { start(index) }
    }
    // Whatever fault was still scheduled must find nothing to do.
    var rest = EventQueue<ZabEvent>()
    while let (at, event) = events.next() {
      if case .fault = event { continue }
      if case .reconfigure = event { continue }
      rest.schedule(event, at: at)
    }
    events = rest
  }
}
