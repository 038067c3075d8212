import Raft
import Values

// Random runs: first safety under faults, then liveness when the faults stop.

/// What a run came to.
public struct RaftOutcome: Hashable, Sendable {
  public var digest: UInt64
  /// Writes that a leader acknowledged, and the length of the one history.
  public var acknowledged: Int
  public var committed: Int
  public var counts: RaftCounts
  /// Empty if all invariants held and the quorum came back.
  public var violations: [String]
}

extension RaftCluster {
  /// Runs one seed: the quorum's size and kind, the load and all faults follow from it.
  public static func run(
    seed: UInt64, sabotage: RaftSabotage? = nil, recording: Bool = false,
    faultsMs: Int64 = 15_000, calmMs: Int64 = 30_000
  ) -> (outcome: RaftOutcome, trace: [String]) {
    var random = SplitMix(seed: seed)
    let isDynamic = random.next() % 3 != 0
    let voters = random.next() % 4 == 0 ? 5 : 3
    let spare = isDynamic ? 2 : 1
    let brokers = 1
    var cluster = RaftCluster(
      servers: voters + spare + brokers, voters: voters, brokers: brokers, isDynamic: isDynamic,
      seed: random.next(), sabotage: sabotage, recording: recording)
    cluster.lossPermille = [0, 5, 50][Int(random.next() % 3)]
    cluster.snapshotInterval = [0, 20, 60][Int(random.next() % 3)]
    if random.next() % 4 == 0 { cluster.flushMs = 1...60 }
    cluster.joinsAutomatically = random.next() % 4 == 0
    for index in cluster.servers.indices { cluster.start(index) }
    cluster.schedule(.client, inMs: 10)
    cluster.schedule(.fault, inMs: 2500)
    if isDynamic { cluster.schedule(.operate, inMs: 2000) }
    cluster.advance(to: Instant(milliseconds: faultsMs))
    var violations = cluster.violations
    // Liveness is not owed to a broken protocol, and takes its time.
    if violations.isEmpty, sabotage == nil {
      cluster.mend()
      cluster.advance(to: Instant(milliseconds: faultsMs + calmMs)) { $0.isSettled }
      violations = cluster.violations
      if violations.isEmpty, !cluster.isSettled {
        violations.append("liveness: \(cluster.states)")
      }
    }
    let outcome = RaftOutcome(
      digest: cluster.trace.digest, acknowledged: cluster.acknowledged,
      committed: cluster.committedCount, counts: cluster.counts, violations: violations)
    return (outcome, cluster.trace.lines)
  }

  mutating func advance(to end: Instant, until isDone: (RaftCluster) -> Bool = { _ in false }) {
    while violations.isEmpty, !isDone(self), runOne(until: end) {}
  }

  var states: String {
    servers.map { server in
      guard let machine = server.machine else { return "\(server.name) down" }
      return "\(server.name) \(machine.state.rawValue) \(machine.epoch.rawValue) "
        + "\(machine.log.endOffset)/\(server.applied.count)"
    }.joined(separator: ", ")
  }

  /// Everybody has applied the whole log of one leader, and that leader's epoch is in it.
  var isSettled: Bool {
    guard faultsAreOver, let leader = currentLeader else {
      return false
    }
    guard let machine = servers[leader].machine, let last = servers[leader].applied.last,
      last.epoch == machine.epoch, case .value = last.record
    else { return false }
    return servers.allSatisfy { server in
      server.applied.count == servers[leader].applied.count
        && server.machine?.epoch == machine.epoch
        && server.machine?.currentLeader.id == servers[leader].key.id
    }
  }

  /// Who leads in the greatest epoch that anybody is in.
  var currentLeader: Int? {
    let newest = servers.compactMap { $0.machine?.epoch }.max()
    return servers.firstIndex { $0.isLeader && $0.machine?.epoch == newest }
  }

  // MARK: Clients

  /// One write to whoever believes to lead.
  mutating func offerWrites() {
    schedule(.client, inMs: Int64.random(in: 20...200, using: &random))
    for index in servers.indices where servers[index].isLeader { write(at: index) }
  }

  mutating func write(at index: Int) {
    guard let epoch = servers[index].machine?.epoch else { return }
    offered += 1
    step(index, .append(Token(offered), count: 1, bytes: 10, epoch: epoch))
  }

  // MARK: Operators

  /// A voter is added or removed, or a leader told to go. An operator does not take away the
  /// majority: dead replicas count for nothing.
  mutating func operate() {
    schedule(.operate, inMs: Int64.random(in: 100...1200, using: &random))
    guard let leader = currentLeader,
      let voters = servers[leader].machine?.voters
    else { return }
    requests += 1
    let id = RequestID(requests)
    switch random.next() % 5 {
    case 0, 1:
      let candidates = servers.filter { !$0.isBroker && voters[$0.key.id] == nil }
      guard let chosen = candidates.randomElement(using: &random) else { return }
      add(chosen.key, at: leader, id)
    case 2, 3:
      // A replica whose disk was lost goes first.
      let dead = voters.keys.filter { key in !servers.contains { $0.key == key } }
      guard let victim = dead.first ?? voters.keys.randomElement(using: &random),
        let rest = voters.removing(victim), hasMajority(rest), rest.count >= 2
      else { return }
      step(
        leader, .request(.removeVoter(RemoveVoterRequest(clusterID: nil, voter: victim)), id: id))
    default:
      guard let epoch = servers[leader].machine?.epoch else { return }
      step(leader, .resign(epoch: epoch))
    }
  }

  mutating func add(_ key: ReplicaKey, at leader: Int, _ id: RequestID) {
    let request = AddVoterRequest(
      clusterID: Self.clusterID, timeoutMs: 5000, voter: key, endpoints: Self.endpoints(of: key.id))
    step(leader, .request(.addVoter(request), id: id))
  }

  mutating func noteOperation(_ response: RaftResponse, _ index: Int) {
    switch response {
    case .addVoter(let answer), .removeVoter(let answer):
      trace.note(
        now,
        "\(servers[index].name) answers \(answer.error)"
          + (answer.message.map { ": \($0)" } ?? ""))
    default: break
    }
  }

  /// Whether enough of these voters still exist.
  private func hasMajority(_ voters: VoterSet) -> Bool {
    voters.keys.filter { key in servers.contains { key.means($0.key) } }.count >= voters.majority
  }

  // MARK: Faults

  mutating func injectFault() {
    schedule(.fault, inMs: Int64.random(in: 50...1300, using: &random))
    let victim = Int(random.next() % UInt64(servers.count))
    let other = Int(random.next() % UInt64(servers.count))
    switch random.next() % 12 {
    case 0, 1, 2:
      crashSoon(victim)
    case 3:
      // All at once, as when the power fails.
      for index in servers.indices { crashSoon(index) }
    case 4:
      if let leader = currentLeader { crashSoon(leader) }
    case 5, 6:
      if victim != other { network.block(victim, other) }
      trace.note(now, "\(servers[victim].name) and \(servers[other].name) are parted")
    case 7, 8:
      isolate(victim)
    case 9:
      mayLoseDisk(victim)
    default:
      network.healAll()
      trace.note(now, "all partitions heal")
    }
    if random.next() % 3 == 0 { network.healAll() }
  }

  mutating func isolate(_ index: Int) {
    for other in servers.indices where other != index { network.block(index, other) }
    trace.note(now, "\(servers[index].name) is isolated")
  }

  /// The crash comes after some more effects, so also in the middle of a step.
  private mutating func crashSoon(_ index: Int) {
    guard servers[index].isUp else { return }
    if servers[index].crashCountdown == nil, random.next() % 4 != 0 {
      servers[index].crashCountdown = Int(random.next() % 12)
      return
    }
    crashForAWhile(index)
  }

  /// One disk at a time may be lost, and none of a static quorum, whose replicas have no names of
  /// their own to lose.
  private mutating func mayLoseDisk(_ index: Int) {
    guard staticVoters.isEmpty else { return }
    let sets = servers.compactMap { $0.machine?.voters }
    let known = Set(servers.map(\.key))
    let hasLostOne = sets.contains { set in set.keys.contains { !known.contains($0) } }
    guard sets.count == servers.count, !hasLostOne, sets.allSatisfy({ $0 == sets[0] }),
      sets[0].count >= 3
    else { return }
    counts.lostDisks += 1
    loseDisk(index)
    let back = Int64.random(in: 20...1500, using: &random)
    schedule(.restart(server: index, life: servers[index].life), inMs: back)
  }

  private var faultsAreOver: Bool { !servers.contains { !$0.isUp } && lossPermille == 0 }

  /// Ends all faults: partitions heal, nobody crashes any more, everybody comes back.
  private mutating func mend() {
    network.healAll()
    network.slowPercent = 0
    lossPermille = 0
    for index in servers.indices {
      servers[index].crashCountdown = nil
      if !servers[index].isUp { start(index) }
    }
    // Whatever was still scheduled must find nothing to do.
    var rest = EventQueue<RaftSimulationEvent>()
    while let (at, event) = events.next() {
      switch event {
      case .fault, .operate: continue
      default: rest.schedule(event, at: at)
      }
    }
    events = rest
  }
}
