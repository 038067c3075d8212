import KafkaProtocol
import Values

@testable import Raft

/// A replica under test: three voters named 1 to 3 unless said otherwise, and it is the first.
struct Replica {
  static let cluster = "cluster"
  static let listener = "CONTROLLER"

  var machine: RaftMachine
  var now = Instant.zero
  var requests: UInt64 = 0
  /// Of the last step.
  var effects: [RaftEffect] = []

  static func key(_ id: Int32) -> ReplicaKey {
    ReplicaKey(BrokerID(id), directory: Uuid(high: 7, low: UInt64(bitPattern: Int64(id))))
  }

  static func endpoints(_ id: Int32) -> [Endpoint] {
    [Endpoint(listener: listener, host: "host\(id)", port: 9093)]
  }

  static func voters(_ ids: [Int32]) -> VoterSet {
    VoterSet(ids.map { Voter(key($0), endpoints: endpoints($0)) })
  }

  /// A log in which the voters stand before the first record, as `storage format` leaves it.
  static func log(
    voters ids: [Int32] = [1, 2, 3], end: Offset = 0, epochs: [EpochStart] = [],
    start: Offset = 0, snapshots: [Snapshot] = []
  ) -> RaftLog {
    RaftLog(
      startOffset: start, endOffset: end, epochs: epochs,
      snapshots: [Snapshot(RaftLog.bootstrapSnapshot, size: 100)] + snapshots,
      votersEntries: [VotersEntry(offset: -1, voters: voters(ids))],
      kraftVersionEntries: [KRaftVersionEntry(offset: -1, level: 1)])
  }

  init(
    _ id: Int32 = 1, log: RaftLog = Replica.log(), election: ElectionState? = nil,
    staticVoters: VoterSet = .empty, starting: Bool = true,
    _ adjust: (inout RaftConfiguration) -> Void = { _ in }
  ) {
    var configuration = RaftConfiguration(
      own: Self.key(id), clusterID: Self.cluster, endpoints: Self.endpoints(id),
      staticVoters: staticVoters)
    configuration.bootstrapServers = [(host: "boot", port: 9093)]
    adjust(&configuration)
    machine = RaftMachine(configuration, election: election, log: log, seed: 1)
    if starting { step(.start) }
  }

  @discardableResult
  mutating func step(_ event: RaftEvent) -> [RaftEffect] {
    effects = []
    machine.step(event, at: now, into: &effects)
    return effects
  }

  /// Lets time pass, deadline by deadline.
  @discardableResult
  mutating func run(_ milliseconds: Int64) -> [RaftEffect] {
    let end = now.advanced(milliseconds: milliseconds)
    var all: [RaftEffect] = []
    while machine.nextDeadline <= end {
      now = max(now, machine.nextDeadline)
      all += step(.timer)
    }
    now = end
    effects = all
    return all
  }

  // MARK: Messages

  /// Asks, and returns the answer if there is one at once.
  @discardableResult
  mutating func ask(_ request: RaftRequest) -> RaftResponse? {
    requests += 1
    step(.request(request, id: RequestID(requests)))
    return answer(to: requests)
  }

  func answer(to id: UInt64) -> RaftResponse? {
    for case .respond(let request, let response) in effects where request.rawValue == id {
      return response
    }
    return nil
  }

  /// What the last step sent to a node.
  func sent(to id: Int32) -> [(request: RaftRequest, correlation: CorrelationID)] {
    effects.compactMap { effect in
      guard case .send(let request, let node, let correlation) = effect, node.id == BrokerID(id)
      else { return nil }
      return (request, correlation)
    }
  }

  var epoch: Int32 { machine.epoch.rawValue }

  func vote(
    from id: Int32 = 2, epoch: Int32, end: OffsetAndEpoch = OffsetAndEpoch(0, 0),
    to voter: ReplicaKey? = Replica.key(1)
  ) -> RaftRequest {
    .vote(
      VoteRequest(
        clusterID: Self.cluster, voter: voter, candidate: Self.key(id),
        candidateEpoch: LeaderEpoch(epoch), logEnd: end))
  }

  func begin(from id: Int32 = 2, epoch: Int32) -> RaftRequest {
    .beginQuorumEpoch(
      BeginQuorumEpochRequest(
        clusterID: Self.cluster, voter: Self.key(1), leader: BrokerID(id),
        epoch: LeaderEpoch(epoch), leaderEndpoints: Self.endpoints(id)))
  }

  func fetch(
    from id: Int32 = 2, epoch: Int32? = nil, offset: Offset, last: Int32 = 0,
    maxWaitMs: Int32 = 500, directory: Uuid? = nil
  ) -> RaftRequest {
    .fetch(
      FetchRequest(
        clusterID: Self.cluster,
        replica: ReplicaKey(BrokerID(id), directory: directory ?? Self.key(id).directory),
        currentLeaderEpoch: LeaderEpoch(epoch ?? self.epoch), fetchOffset: offset,
        lastFetchedEpoch: LeaderEpoch(last), maxWaitMs: maxWaitMs, maxBytes: 1000))
  }

  // MARK: Roads to a role

  /// Through an election in which node 2 votes for this replica; its first record is synced.
  mutating func lead() {
    run(2000)
    if machine.state != .candidate {
      for id in [2, 3] as [Int32] {
        guard machine.state != .candidate, let probe = sent(to: id).last else { continue }
        let response = FetchResponse(
          error: .notLeaderOrFollower, leader: machine.currentLeader, highWatermark: -1,
          logStartOffset: 0)
        step(.response(.fetch(response), to: probe.correlation))
      }
    }
    guard let ballot = sent(to: 2).last else { return }
    let response = VoteResponse(leader: machine.currentLeader, voteGranted: true)
    step(.response(.vote(response), to: ballot.correlation))
  }

  /// As `lead`, and node 2 has everything.
  mutating func leadCommitted() {
    lead()
    sync()
    ask(fetch(offset: machine.log.endOffset, last: epoch))
  }

  mutating func sync() { step(.flushed(upTo: machine.log.endOffset)) }

  /// Follows node 2.
  mutating func follow(epoch: Int32 = 1) { ask(begin(epoch: epoch)) }
}

extension OffsetAndEpoch {
  init(_ offset: Offset, _ epoch: Int32) {
    self.init(offset: offset, epoch: LeaderEpoch(epoch))
  }
}

extension EpochStart {
  init(_ epoch: Int32, _ start: Offset) {
    self.init(epoch: LeaderEpoch(epoch), startOffset: start)
  }
}

extension RaftResponse {
  var vote: VoteResponse? { if case .vote(let response) = self { response } else { nil } }
  var fetch: FetchResponse? { if case .fetch(let response) = self { response } else { nil } }
  var snapshot: FetchSnapshotResponse? {
    if case .fetchSnapshot(let response) = self { response } else { nil }
  }
  var begin: QuorumEpochResponse? {
    if case .beginQuorumEpoch(let response) = self { response } else { nil }
  }
  var end: QuorumEpochResponse? {
    if case .endQuorumEpoch(let response) = self { response } else { nil }
  }
  var change: VoterChangeResponse? {
    switch self {
    case .addVoter(let response), .removeVoter(let response): response
    default: nil
    }
  }
  var update: UpdateVoterResponse? {
    if case .updateVoter(let response) = self { response } else { nil }
  }
}
