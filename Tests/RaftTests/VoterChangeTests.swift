import KafkaProtocol
import Testing
import Values

@testable import Raft

@Suite struct RaftVoterChangeTests {
  static func add(
    _ id: Int32 = 4, directory: Uuid? = nil, endpoints: [Endpoint]? = nil, cluster: String? = nil
  ) -> RaftRequest {
    .addVoter(
      AddVoterRequest(
        clusterID: cluster, timeoutMs: 30_000,
        voter: ReplicaKey(BrokerID(id), directory: directory ?? Replica.key(id).directory),
        endpoints: endpoints ?? Replica.endpoints(id)))
  }

  static func remove(_ id: Int32, directory: Uuid? = nil) -> RaftRequest {
    .removeVoter(
      RemoveVoterRequest(
        clusterID: nil,
        voter: ReplicaKey(BrokerID(id), directory: directory ?? Replica.key(id).directory)))
  }

  static func levels(_ range: ClosedRange<Int16>?, _ error: ErrorCode = .none) -> RaftResponse {
    .apiVersions(ApiVersionsResponse(error, kraftVersions: range))
  }

  /// A leader whose observer 4 has everything.
  static func leader() -> Replica {
    var replica = Replica()
    replica.leadCommitted()
    replica.ask(replica.fetch(from: 4, offset: replica.machine.log.endOffset, last: 1))
    return replica
  }

  /// Asks for voter 4 and answers for it; returns the number of the request.
  static func askToAdd(_ replica: inout Replica, _ answer: RaftResponse = levels(0...1)) throws
    -> UInt64
  {
    #expect(replica.ask(add()) == nil)
    let request = replica.requests
    let question = try #require(replica.sent(to: 4).first)
    #expect(question.request == .apiVersions)
    replica.step(.response(answer, to: question.correlation))
    return request
  }

  @Test func aVoterIsAddedWhenItsRecordIsCommitted() throws {
    var replica = Self.leader()
    let base = replica.machine.log.endOffset
    let request = try Self.askToAdd(&replica)
    let four = Replica.voters([1, 2, 3, 4])
    #expect(
      replica.effects.contains(
        .writeControl([.voters(four)], baseOffset: base, epoch: LeaderEpoch(1))))
    // It is in force at once, and the majority is three now.
    #expect(replica.machine.voters == four)
    #expect(replica.answer(to: request) == nil)
    replica.sync()
    replica.ask(replica.fetch(from: 2, offset: base + 1, last: 1))
    #expect(replica.answer(to: request) == nil)
    replica.ask(replica.fetch(from: 4, offset: base + 1, last: 1))
    #expect(replica.answer(to: request)?.change?.error == ErrorCode.none)
  }

  @Test func whatStandsAgainstANewVoter() throws {
    var follower = Replica()
    #expect(follower.ask(Self.add())?.change?.error == .notLeaderOrFollower)
    var early = Replica()
    early.lead()
    #expect(early.ask(Self.add())?.change?.error == .requestTimedOut)

    var replica = Self.leader()
    func error(_ request: RaftRequest) -> ErrorCode? { replica.ask(request)?.change?.error }
    #expect(error(Self.add(cluster: "another")) == .inconsistentClusterID)
    #expect(error(Self.add(directory: .zero)) == .invalidRequest)
    #expect(error(Self.add(-1)) == .invalidRequest)
    #expect(error(Self.add(endpoints: [])) == .invalidRequest)
    #expect(error(Self.add(3, directory: .one)) == .duplicateVoter)
  }

  @Test func aNewVoterMustBeThereFitAndCaughtUp() throws {
    var absent = Self.leader()
    let first = try Self.askToAdd(&absent, Self.levels(nil, .brokerNotAvailable))
    #expect(absent.answer(to: first)?.change?.error == .requestTimedOut)

    for range in [nil, 0...0, 2...3] as [ClosedRange<Int16>?] {
      var unfit = Self.leader()
      let request = try Self.askToAdd(&unfit, Self.levels(range))
      #expect(unfit.answer(to: request)?.change?.error == .invalidRequest)
    }

    var behind = Replica()
    behind.leadCommitted()
    behind.ask(behind.fetch(from: 4, offset: 0))
    let request = try Self.askToAdd(&behind)
    #expect(behind.answer(to: request)?.change?.error == .requestTimedOut)
    #expect(behind.machine.voters.count == 3)

    var silent = Self.leader()
    #expect(silent.ask(Self.add()) == nil)
    let waiting = silent.requests
    silent.run(2001)
    #expect(silent.answer(to: waiting)?.change?.error == .requestTimedOut)
  }

  @Test func oneChangeAtATime() throws {
    var replica = Self.leader()
    _ = try Self.askToAdd(&replica)
    #expect(replica.ask(Self.remove(3))?.change?.error == .requestTimedOut)
    let update = UpdateVoterRequest(
      clusterID: nil, currentLeaderEpoch: LeaderEpoch(1), voter: Replica.key(2),
      endpoints: Replica.endpoints(8), minKRaftVersion: 0, maxKRaftVersion: 1)
    #expect(replica.ask(.updateVoter(update))?.update?.error == .requestTimedOut)
    #expect(replica.machine.voters.count == 4)
    // Even when the tool has given up, the record is there and has to be committed first.
    replica.sync()
    for _ in 0..<16 {
      replica.run(2000)
      replica.ask(replica.fetch(from: 2, offset: 1, last: 1))
      replica.ask(replica.fetch(from: 3, offset: 1, last: 1))
    }
    #expect(replica.ask(Self.remove(3))?.change?.error == .requestTimedOut)
  }

  @Test func aVoterIsRemoved() {
    var replica = Self.leader()
    let base = replica.machine.log.endOffset
    #expect(replica.ask(Self.remove(9))?.change?.error == .voterNotFound)
    #expect(replica.ask(Self.remove(3, directory: .one))?.change?.error == .voterNotFound)
    #expect(replica.ask(Self.remove(3, directory: .zero))?.change?.error == .invalidRequest)
    #expect(replica.ask(Self.remove(3)) == nil)
    let request = replica.requests
    #expect(replica.machine.voters == Replica.voters([1, 2]))
    replica.sync()
    replica.ask(replica.fetch(from: 3, offset: base + 1, last: 1))
    #expect(replica.answer(to: request) == nil)
    replica.ask(replica.fetch(from: 2, offset: base + 1, last: 1))
    #expect(replica.answer(to: request)?.change?.error == ErrorCode.none)
    #expect(replica.machine.state == .leader)
  }

  @Test func aRemovedLeaderLeadsUntilThatIsCommittedWithoutIt() {
    var replica = Self.leader()
    let base = replica.machine.log.endOffset
    #expect(replica.ask(Self.remove(1)) == nil)
    let request = replica.requests
    replica.sync()
    replica.ask(replica.fetch(from: 2, offset: base + 1, last: 1))
    #expect(replica.machine.state == .leader)
    replica.ask(replica.fetch(from: 3, offset: base + 1, last: 1))
    #expect(replica.answer(to: request)?.change?.error == ErrorCode.none)
    #expect(replica.machine.state == .resigned)
    // Not a voter: it does not stand again, but ends the epoch that names it.
    replica.run(3000)
    #expect(replica.machine.state == .observer && replica.epoch == 2)
  }

  @Test func aRemovedLeaderThatTheLastVoterLeavesAloneResigns() {
    var replica = Replica(log: Replica.log(voters: [1, 2]))
    replica.leadCommitted()
    #expect(replica.ask(Self.remove(1)) == nil)
    #expect(replica.machine.voters == Replica.voters([2]))
    replica.run(3001)
    #expect(replica.machine.state == .resigned)
  }

  @Test func aChangeUnderWayEndsWithTheLeadership() throws {
    var replica = Self.leader()
    let request = try Self.askToAdd(&replica)
    replica.ask(replica.begin(from: 3, epoch: 2))
    #expect(replica.answer(to: request)?.change?.error == .notLeaderOrFollower)
    #expect(replica.machine.voters.count == 4)
  }

  @Test func staticVotersStay() {
    let voters = VoterSet(
      [1, 2, 3].map { Voter(ReplicaKey(BrokerID($0)), endpoints: Replica.endpoints($0)) })
    var replica = Replica(log: RaftLog(), staticVoters: voters)
    replica.leadCommitted()
    #expect(replica.machine.log.endOffset == 1)
    #expect(replica.ask(Self.add())?.change?.error == .unsupportedVersion)
    #expect(replica.ask(Self.remove(3))?.change?.error == .unsupportedVersion)
  }
}

@Suite struct RaftVoterUpdateTests {
  static func update(_ id: Int32 = 2, epoch: Int32 = 1, levels: (Int16, Int16) = (0, 1))
    -> RaftRequest
  {
    .updateVoter(
      UpdateVoterRequest(
        clusterID: nil, currentLeaderEpoch: LeaderEpoch(epoch), voter: Replica.key(id),
        endpoints: Replica.endpoints(8), minKRaftVersion: levels.0, maxKRaftVersion: levels.1))
  }

  @Test func aVoterMoves() {
    var replica = Replica()
    replica.leadCommitted()
    #expect(replica.ask(Self.update())?.update?.error == ErrorCode.none)
    #expect(replica.machine.voters.endpoints(of: BrokerID(2)) == Replica.endpoints(8))
    // The answer does not wait for the record; the next change does.
    #expect(replica.ask(Self.update(3))?.update?.error == .requestTimedOut)
  }

  @Test func whatStandsAgainstAnUpdate() {
    var replica = Replica()
    replica.leadCommitted()
    func error(_ request: RaftRequest) -> ErrorCode? { replica.ask(request)?.update?.error }
    #expect(error(Self.update(epoch: 0)) == .fencedLeaderEpoch)
    #expect(error(Self.update(epoch: 2)) == .unknownLeaderEpoch)
    #expect(error(Self.update(levels: (1, 0))) == .invalidRequest)
    #expect(error(Self.update(levels: (-1, 0))) == .invalidRequest)
    #expect(error(Self.update(levels: (0, 0))) == .invalidRequest)
    #expect(error(Self.update(9)) == .voterNotFound)
  }

  @Test func aFollowerThatHasMovedSaysSo() throws {
    let moved = Replica.endpoints(11)
    var replica = Replica { $0.endpoints = moved }
    replica.follow()
    var correlation = try #require(replica.sent(to: 2).first).correlation
    var update: UpdateVoterRequest?
    for _ in 0..<20 where update == nil {
      replica.run(400)
      replica.step(.response(RaftFollowerTests.response(), to: correlation))
      let next = try #require(replica.sent(to: 2).first)
      correlation = next.correlation
      if case .updateVoter(let request) = next.request { update = request }
    }
    #expect(update?.endpoints == moved && update?.voter == Replica.key(1))
  }

  @Test func aLeaderThatHasMovedWritesItself() {
    let log = Replica.log(end: 5, epochs: [EpochStart(1, 0)])
    var written = log
    written.noteVoters(Replica.voters([1, 2, 3]), at: 2)
    var replica = Replica(log: written) { $0.endpoints = Replica.endpoints(11) }
    replica.lead()
    #expect(replica.machine.voters.endpoints(of: BrokerID(1)) == Replica.endpoints(11))
    // One that has not has nothing to say.
    var same = Replica(log: written)
    same.lead()
    #expect(same.machine.log.endOffset == 6)
  }
}

@Suite struct RaftJoiningTests {
  /// An observer that has all that its leader had committed.
  static func observer(_ id: Int32, joins: Bool) throws -> Replica {
    var replica = Replica(id) { $0.joinsAutomatically = joins }
    replica.ask(replica.begin(epoch: 1))
    let fetch = try #require(replica.sent(to: 2).first)
    replica.step(
      .response(
        RaftFollowerTests.response(highWatermark: 3, batches: [RaftFollowerTests.batch(0, 2)]),
        to: fetch.correlation))
    replica.sync()
    return replica
  }

  /// What it asks for within ten seconds of good answers to its fetches.
  static func asked(_ replica: inout Replica) -> [RaftRequest] {
    var requests: [RaftRequest] = []
    for _ in 0..<25 {
      for effect in replica.run(400) {
        guard case .send(let request, let node, _) = effect, node.id == BrokerID(-1) else {
          continue
        }
        #expect(node.host == "host2")
        requests.append(request)
      }
      guard let fetch = replica.machine.connections.busyWith(BrokerID(2)) else { continue }
      replica.step(.response(RaftFollowerTests.response(highWatermark: 3), to: fetch))
    }
    return requests
  }

  @Test func anObserverAsksToBecomeAVoterOnlyIfItIsToldTo() throws {
    var silent = try Self.observer(4, joins: false)
    #expect(Self.asked(&silent).isEmpty)
    var replica = try Self.observer(4, joins: true)
    let request = AddVoterRequest(
      clusterID: Replica.cluster, timeoutMs: 2000, voter: Replica.key(4),
      endpoints: Replica.endpoints(4))
    #expect(Self.asked(&replica).first == .addVoter(request))
  }

  @Test func whatItWasBeforeIsRemovedFirst() throws {
    var voters = Replica.voters([1, 2, 3]).voters
    voters.append(
      Voter(
        ReplicaKey(BrokerID(4), directory: .one), endpoints: Replica.endpoints(4)))
    var replica = try Self.observer(4, joins: true)
    var batch = RaftFollowerTests.batch(3, 3)
    batch.voters = VotersEntry(offset: 3, voters: VoterSet(voters))
    let fetch = try #require(replica.machine.connections.busyWith(BrokerID(2)))
    replica.step(
      .response(RaftFollowerTests.response(highWatermark: 3, batches: [batch]), to: fetch))
    replica.sync()
    let request = RemoveVoterRequest(
      clusterID: Replica.cluster, voter: ReplicaKey(BrokerID(4), directory: .one))
    #expect(Self.asked(&replica).first == .removeVoter(request))
  }
}

extension Connections {
  /// The request under way to a node.
  func busyWith(_ node: BrokerID) -> CorrelationID? {
    (1...1000).lazy.map { CorrelationID(Int64($0)) }
      .last { inflight($0)?.node.id == node }
  }
}
