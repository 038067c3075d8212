import KafkaProtocol
import Testing
import Values

@testable import Raft

@Suite struct RaftFollowerTests {
  static func response(
    _ epoch: Int32 = 1, highWatermark: Offset = -1, diverging: OffsetAndEpoch? = nil,
    snapshot: SnapshotID? = nil, batches: [FetchedBatch] = []
  ) -> RaftResponse {
    .fetch(
      FetchResponse(
        leader: CurrentLeader(
          id: BrokerID(2), epoch: LeaderEpoch(epoch), endpoints: Replica.endpoints(2)),
        highWatermark: highWatermark, logStartOffset: 0, divergingEpoch: diverging,
        snapshotID: snapshot, records: .batches(batches)))
  }

  static func batch(_ base: Offset, _ last: Offset, _ epoch: Int32 = 1, token: Token = 0)
    -> FetchedBatch
  {
    FetchedBatch(baseOffset: base, lastOffset: last, epoch: LeaderEpoch(epoch), token: token)
  }

  /// A follower of node 2 whose fetch is under way.
  static func follower(
    _ log: RaftLog = Replica.log(), epoch: Int32 = 1,
    _ adjust: (inout RaftConfiguration) -> Void = { _ in }
  ) throws -> (Replica, CorrelationID) {
    var replica = Replica(log: log, adjust)
    replica.follow(epoch: epoch)
    let fetch = try #require(replica.sent(to: 2).first)
    return (replica, fetch.correlation)
  }

  @Test func nothingIsFetchedBeforeTheDiskHasWhatCame() throws {
    var (replica, fetch) = try Self.follower()
    let batches = [Self.batch(0, 2, token: 5), Self.batch(3, 3, token: 6)]
    replica.step(.response(Self.response(highWatermark: 2, batches: batches), to: fetch))
    #expect(replica.effects == [.append(batches), .flush])
    #expect(replica.machine.highWatermark == 0)
    // However long the disk takes, that is not the leader's fault.
    replica.run(10_000)
    #expect(replica.machine.state == .follower)
    replica.step(.flushed(upTo: 4))
    #expect(replica.effects.first == .committed(upTo: 2))
    guard case .fetch(let next)? = replica.sent(to: 2).first?.request else {
      Issue.record("no fetch")
      return
    }
    #expect(next.fetchOffset == 4 && next.lastFetchedEpoch == LeaderEpoch(1))
  }

  @Test func aBrokerDoesNotWaitForItsDisk() throws {
    var replica = Replica(9) {
      $0.flushesAsObserver = false
      $0.endpoints = []
    }
    let fetch = try #require(replica.sent(to: -2).first)
    replica.step(
      .response(
        Self.response(0, highWatermark: 1, batches: [Self.batch(0, 1, 0)]), to: fetch.correlation))
    #expect(replica.machine.state == .observer)
    #expect(replica.effects.contains(.append([Self.batch(0, 1, 0)])))
    #expect(!replica.effects.contains(.flush))
    #expect(replica.effects.contains(.committed(upTo: 1)))
    #expect(replica.sent(to: 2).count == 1)
  }

  @Test func batchesMustFollowTheLog() throws {
    for batches in [
      [Self.batch(1, 2)], [Self.batch(0, 2), Self.batch(4, 5)], [Self.batch(0, -1)],
      [Self.batch(0, 0, 2)], [Self.batch(0, 0, 1), Self.batch(1, 1, 0)],
    ] {
      var (replica, fetch) = try Self.follower()
      replica.step(.response(Self.response(batches: batches), to: fetch))
      #expect(replica.machine.log.endOffset == 0)
      #expect(
        replica.effects.contains {
          if case .log(let line) = $0 { line.level == .error } else { false }
        })
      // It is not asked again at once, or the log would fill.
      replica.run(900)
      #expect(replica.sent(to: 2).isEmpty)
    }
  }

  @Test func aDivergingTailIsCutOff() throws {
    let log = Replica.log(end: 8, epochs: [EpochStart(1, 0), EpochStart(2, 4)])
    var (replica, fetch) = try Self.follower(log, epoch: 5)
    replica.step(.response(Self.response(5, diverging: OffsetAndEpoch(6, 1)), to: fetch))
    #expect(replica.effects.contains(.truncate(to: 4)))
    guard case .fetch(let next)? = replica.sent(to: 2).first?.request else {
      Issue.record("no fetch")
      return
    }
    #expect(next.fetchOffset == 4 && next.lastFetchedEpoch == LeaderEpoch(1))
  }

  @Test func whatIsCommittedIsNeverCutOff() throws {
    let log = Replica.log(end: 8, epochs: [EpochStart(1, 0), EpochStart(2, 4)])
    var (replica, first) = try Self.follower(log, epoch: 5)
    replica.step(.response(Self.response(5, highWatermark: 6), to: first))
    let fetch = try #require(replica.sent(to: 2).first)
    replica.step(
      .response(Self.response(5, diverging: OffsetAndEpoch(6, 1)), to: fetch.correlation))
    #expect(replica.machine.log.endOffset == 8)
    #expect(!replica.effects.contains(.truncate(to: 4)))
  }

  @Test func votersOfTheLogAreInForceUntilCutOff() throws {
    let log = Replica.log(end: 2, epochs: [EpochStart(1, 0)])
    var (replica, fetch) = try Self.follower(log, epoch: 3)
    var batch = Self.batch(2, 2, 3)
    batch.voters = VotersEntry(offset: 2, voters: Replica.voters([1, 2, 3, 4]))
    replica.step(.response(Self.response(3, batches: [batch]), to: fetch))
    #expect(replica.effects.contains(.votersChanged(Replica.voters([1, 2, 3, 4]), offset: 2)))
    #expect(replica.machine.voters.count == 4)
    replica.sync()
    replica.ask(replica.begin(from: 3, epoch: 4))
    let next = try #require(replica.sent(to: 3).first)
    let answer = FetchResponse(
      leader: CurrentLeader(id: BrokerID(3), epoch: LeaderEpoch(4)), highWatermark: -1,
      logStartOffset: 0, divergingEpoch: OffsetAndEpoch(2, 1))
    replica.step(.response(.fetch(answer), to: next.correlation))
    #expect(replica.effects.contains(.votersChanged(Replica.voters([1, 2, 3]), offset: -1)))
  }

  @Test func aClosedPortIsADeadLeader() throws {
    var (replica, fetch) = try Self.follower()
    replica.step(.requestFailed(fetch, isRefused: false))
    replica.run(1500)
    #expect(replica.sent(to: 3).isEmpty)
    let again = try #require(replica.sent(to: 2).last)
    replica.step(.requestFailed(again.correlation, isRefused: true))
    replica.run(201)
    #expect(!replica.sent(to: 3).isEmpty)
  }

  /// With Kafka's timings (`jackdaw.failure.detection=session`) the fetch timeout alone counts.
  @Test func aClosedPortMayBeWaitedFor() throws {
    var (replica, fetch) = try Self.follower { $0.options.electsOnRefusal = false }
    replica.step(.requestFailed(fetch, isRefused: false))
    replica.run(1500)
    let again = try #require(replica.sent(to: 2).last)
    replica.step(.requestFailed(again.correlation, isRefused: true))
    replica.run(201)
    #expect(replica.sent(to: 3).isEmpty)
    replica.run(2000)
    #expect(!replica.sent(to: 3).isEmpty)
  }

  @Test func anObserverLooksElsewhereWhenItsLeaderFails() throws {
    var replica = Replica(9)
    let first = try #require(replica.sent(to: -2).first)
    let answer = FetchResponse(
      error: .fencedLeaderEpoch,
      leader: CurrentLeader(
        id: BrokerID(2), epoch: LeaderEpoch(4), endpoints: Replica.endpoints(2)),
      highWatermark: -1, logStartOffset: 0)
    replica.step(.response(.fetch(answer), to: first.correlation))
    #expect(replica.machine.state == .observer && replica.epoch == 4)
    let fetch = try #require(replica.sent(to: 2).first)
    replica.step(.requestFailed(fetch.correlation, isRefused: false))
    #expect(replica.sent(to: -2).count == 1)
  }

  @Test func theAnswerToAnOldQuestionMeansNothing() throws {
    var (replica, fetch) = try Self.follower()
    replica.ask(replica.begin(from: 3, epoch: 2))
    replica.step(.response(Self.response(2, batches: [Self.batch(0, 1)]), to: fetch))
    #expect(replica.machine.log.endOffset == 0 && replica.effects.isEmpty)
  }
}

@Suite struct RaftSnapshotTests {
  static let id = SnapshotID(10, 3)

  static func leader() -> Replica {
    let log = Replica.log(
      end: 12, epochs: [EpochStart(1, 0), EpochStart(3, 5)],
      snapshots: [Snapshot(id, size: 2500)])
    var replica = Replica(log: log)
    replica.lead()
    return replica
  }

  static func request(
    _ id: SnapshotID = id, position: Int64 = 0, epoch: Int32 = 4, clusterID: String? = nil
  ) -> RaftRequest {
    .fetchSnapshot(
      FetchSnapshotRequest(
        clusterID: clusterID, replica: Replica.key(3), maxBytes: 1000,
        currentLeaderEpoch: LeaderEpoch(epoch), snapshotID: id, position: position))
  }

  @Test func aLeaderServesSnapshotsInPieces() {
    var replica = Self.leader()
    for (position, count) in [(0, 1000), (1000, 1000), (2000, 500)] as [(Int64, Int32)] {
      let answer = replica.ask(Self.request(position: position))?.snapshot
      #expect(answer?.error == ErrorCode.none && answer?.snapshotID == Self.id)
      #expect(answer?.size == 2500 && answer?.position == position)
      #expect(answer?.chunk == .read(count: count))
    }
  }

  @Test func whatIsWrongWithASnapshotRequest() {
    var replica = Self.leader()
    func error(_ request: RaftRequest) -> ErrorCode? { replica.ask(request)?.snapshot?.error }
    #expect(error(Self.request(position: 2500)) == .positionOutOfRange)
    #expect(error(Self.request(position: -1)) == .positionOutOfRange)
    #expect(error(Self.request(SnapshotID(11, 3))) == .snapshotNotFound)
    #expect(error(Self.request(RaftLog.bootstrapSnapshot)) == .snapshotNotFound)
    #expect(error(Self.request(epoch: 3)) == .fencedLeaderEpoch)
    #expect(error(Self.request(epoch: 5)) == .unknownLeaderEpoch)
    let foreign = replica.ask(Self.request(clusterID: "another"))?.snapshot
    #expect(foreign?.topLevelError == .inconsistentClusterID)
  }

  @Test func fetchingASnapshotKeepsTheLeaderInOffice() {
    var replica = Self.leader()
    for _ in 0..<3 {
      replica.run(2000)
      replica.ask(Self.request())
    }
    #expect(replica.machine.state == .leader)
  }

  /// A follower that has been told to fetch the snapshot.
  static func follower() throws -> (Replica, CorrelationID) {
    var (replica, fetch) = try RaftFollowerTests.follower(
      Replica.log(end: 2, epochs: [EpochStart(1, 0)]), epoch: 4)
    replica.step(.response(RaftFollowerTests.response(4, snapshot: id), to: fetch))
    #expect(replica.effects.contains(.beginSnapshot(id)))
    guard case .fetchSnapshot(let request)? = replica.sent(to: 2).first?.request else {
      throw Missing()
    }
    #expect(request.position == 0 && request.snapshotID == id)
    return (replica, replica.sent(to: 2)[0].correlation)
  }

  struct Missing: Error {}

  static func piece(_ position: Int64, _ count: Int64, size: Int64 = 150) -> RaftResponse {
    .fetchSnapshot(
      FetchSnapshotResponse(
        leader: CurrentLeader(id: BrokerID(2), epoch: LeaderEpoch(4)), snapshotID: id, size: size,
        position: position, chunk: .bytes(token: 9, count: count)))
  }

  @Test func aFollowerPutsThePiecesTogether() throws {
    var (replica, first) = try Self.follower()
    replica.step(.response(Self.piece(0, 100), to: first))
    #expect(replica.effects.first == .writeSnapshotChunk(Self.id, position: 0, 9))
    let second = try #require(replica.sent(to: 2).first)
    replica.step(.response(Self.piece(100, 50), to: second.correlation))
    #expect(
      replica.effects == [
        .writeSnapshotChunk(Self.id, position: 100, 9), .installSnapshot(Self.id, size: 150),
      ])
    // While the log is replaced there is nothing to fetch, and nothing to stand for.
    replica.run(60_000)
    #expect(replica.sent(to: 2).isEmpty && replica.machine.state == .follower)
    let voters = Replica.voters([1, 2])
    replica.step(
      .snapshotInstalled(Snapshot(Self.id, size: 150), voters: voters, kraftVersion: 1))
    #expect(replica.effects.contains(.committed(upTo: 10)))
    #expect(replica.effects.contains(.votersChanged(voters, offset: 9)))
    guard case .fetch(let next)? = replica.sent(to: 2).first?.request else {
      throw Missing()
    }
    #expect(next.fetchOffset == 10 && next.lastFetchedEpoch == LeaderEpoch(3))
  }

  @Test func aWrongPieceMeansToBeginAnew() throws {
    for piece in [Self.piece(10, 100), Self.piece(0, 0), Self.piece(0, 151)] {
      var (replica, first) = try Self.follower()
      replica.step(.response(piece, to: first))
      #expect(replica.effects.contains(.discardSnapshot(Self.id)))
      replica.run(1001)
      guard case .fetch? = replica.sent(to: 2).first?.request else { throw Missing() }
    }
  }

  @Test func aDeletedSnapshotMeansToAskAgain() throws {
    var (replica, first) = try Self.follower()
    let gone = FetchSnapshotResponse(
      error: .snapshotNotFound, leader: CurrentLeader(id: BrokerID(2), epoch: LeaderEpoch(4)))
    replica.step(.response(.fetchSnapshot(gone), to: first))
    #expect(replica.effects.contains(.discardSnapshot(Self.id)))
    replica.run(21)
    guard case .fetch? = replica.sent(to: 2).first?.request else { throw Missing() }
  }

  @Test func whoeverFindsItselfAVoterInASnapshotMayCallAnElection() throws {
    var replica = Replica(log: Replica.log(voters: [2, 3]))
    replica.follow(epoch: 4)
    let fetch = try #require(replica.sent(to: 2).first)
    replica.step(
      .response(RaftFollowerTests.response(4, snapshot: Self.id), to: fetch.correlation))
    let piece = try #require(replica.sent(to: 2).first)
    replica.step(.response(Self.piece(0, 150), to: piece.correlation))
    // While the snapshot is put in place, its leader is gone.
    replica.ask(replica.vote(from: 3, epoch: 5, end: OffsetAndEpoch(9, 3)))
    #expect(replica.epoch == 5)
    replica.run(5000)
    replica.step(
      .snapshotInstalled(
        Snapshot(Self.id, size: 150), voters: Replica.voters([1, 2, 3]), kraftVersion: 1))
    replica.run(2001)
    guard case .fetch(let probe)? = replica.sent(to: 3).last?.request else { throw Missing() }
    #expect(probe.maxWaitMs == 0)
  }

  @Test func aNewEpochEndsTheFetch() throws {
    var (replica, _) = try Self.follower()
    replica.ask(replica.begin(from: 3, epoch: 5))
    #expect(replica.effects.contains(.discardSnapshot(Self.id)))
  }

  @Test func aSnapshotBelowWhatIsCommittedIsRefused() throws {
    let log = Replica.log(end: 20, epochs: [EpochStart(1, 0)])
    var (replica, first) = try RaftFollowerTests.follower(log, epoch: 4)
    replica.step(.response(RaftFollowerTests.response(4, highWatermark: 15), to: first))
    let fetch = try #require(replica.sent(to: 2).first)
    replica.step(
      .response(RaftFollowerTests.response(4, snapshot: Self.id), to: fetch.correlation))
    #expect(!replica.effects.contains(.beginSnapshot(Self.id)))
  }
}
