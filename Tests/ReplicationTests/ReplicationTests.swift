import Replication
import Testing
import Values

private let b1 = BrokerID(1)
private let b2 = BrokerID(2)
private let b3 = BrokerID(3)

private func assignment(
  leader: BrokerID = b1, epoch: Int32 = 0, version: Int32 = 0, isr: [BrokerID] = [b1, b2, b3]
) -> PartitionAssignment {
  PartitionAssignment(
    leader: leader, leaderEpoch: LeaderEpoch(epoch), partitionEpoch: PartitionEpoch(version),
    isr: isr, replicas: [b1, b2, b3])
}

/// A machine with its clock and the effects of the last step.
private struct Bench {
  var replica: PartitionReplica
  var now = Instant(milliseconds: 1_000)
  var effects: [PartitionReplica.Effect] = []

  init(minInSync: Int = 2) {
    replica = PartitionReplica(
      localID: b1, limits: .init(maxLagMs: 100, minInSyncReplicas: minInSync))
  }
  mutating func step(_ event: PartitionReplica.Event) {
    effects = []
    replica.step(event, at: now, into: &effects)
  }
  mutating func fetch(_ broker: BrokerID, _ offset: Offset, brokerEpoch: Int64 = 5) {
    step(
      .fetched(
        FollowerFetch(
          replica: broker, brokerEpoch: BrokerEpoch(brokerEpoch), offset: offset,
          logStartOffset: 0, leaderEndOffset: replica.logEndOffset)))
  }
}

@Suite struct PartitionReplicaTests {
  @Test func `the high watermark follows the slowest of the ISR`() {
    var bench = Bench()
    bench.step(.assigned(assignment(), logEndOffset: 0))
    #expect(bench.effects == [.becameLeader(epoch: LeaderEpoch(0), startOffset: 0)])
    bench.step(.appended(logEndOffset: 10))
    #expect(bench.effects.isEmpty)
    bench.fetch(b2, 10)
    #expect(bench.effects.isEmpty)
    bench.fetch(b3, 4)
    #expect(bench.effects == [.highWatermarkAdvanced(4)])
    bench.fetch(b3, 10)
    #expect(bench.replica.highWatermark == 10)
  }

  @Test func `a silent follower is proposed out, and counts until the controller agrees`() throws {
    var bench = Bench()
    bench.step(.assigned(assignment(), logEndOffset: 0))
    bench.step(.appended(logEndOffset: 5))
    bench.now = bench.now.advanced(milliseconds: 90)
    bench.fetch(b2, 5)
    bench.now = bench.now.advanced(milliseconds: 50)
    bench.step(.tick)
    guard case .proposeISR(let proposal) = bench.effects.first else {
      Issue.record("no proposal: \(bench.effects)")
      return
    }
    #expect(proposal.isr.map(\.broker) == [b1, b2])
    #expect(proposal.isr.map(\.epoch) == [.none, BrokerEpoch(5)])
    #expect(bench.replica.highWatermark == 0)
    bench.step(
      .isrAnswered(
        .stored(leaderEpoch: LeaderEpoch(0), partitionEpoch: PartitionEpoch(1), isr: [b1, b2]),
        to: proposal))
    #expect(bench.effects == [.isrChanged(grew: false), .highWatermarkAdvanced(5)])
    #expect(try bench.replica.checkReplicated(upTo: 5, epoch: LeaderEpoch(0)))
    #expect(bench.replica.isUnderReplicated)
    #expect(bench.replica.isAtMinISR)

    // Back again: it has reached the high watermark and the leader's term.
    bench.step(.appended(logEndOffset: 6))
    bench.fetch(b3, 5)
    guard case .proposeISR(let growth) = bench.effects.first else {
      Issue.record("no proposal: \(bench.effects)")
      return
    }
    #expect(growth.partitionEpoch == PartitionEpoch(1))
    // While the answer is out the newcomer holds the high watermark back already.
    bench.fetch(b2, 6)
    #expect(bench.replica.highWatermark == 5)
    bench.step(.isrAnswered(.refused, to: growth))
    #expect(bench.replica.isr == [b1, b2])
    // Refused as it was, within the lag limit it is still waited for.
    bench.step(.eligibleBrokers([b1, b2]))
    bench.step(.tick)
    #expect(bench.replica.highWatermark == 6)
  }

  @Test func `too few in sync: nothing is appended or shown`() {
    var bench = Bench()
    bench.step(.assigned(assignment(isr: [b1]), logEndOffset: 0))
    #expect(throws: ReplicaRefusal.notEnoughReplicas) { try bench.replica.checkAppend(acks: -1) }
    #expect(throws: Never.self) { try bench.replica.checkAppend(acks: 1) }
    bench.step(.appended(logEndOffset: 3))
    #expect(bench.replica.highWatermark == 0)
    var effects: [PartitionReplica.Effect] = []
    bench.replica.setLimits(
      .init(maxLagMs: 100, minInSyncReplicas: 1), at: bench.now, into: &effects)
    #expect(effects == [.highWatermarkAdvanced(3)])
  }

  @Test func `stale assignments and stale fetchers are ignored`() {
    var bench = Bench()
    bench.step(.assigned(assignment(epoch: 4, version: 7), logEndOffset: 0))
    bench.step(.assigned(assignment(leader: b2, epoch: 3, version: 9), logEndOffset: 0))
    #expect(bench.effects == [.ignoredAssignment])
    bench.step(.assigned(assignment(epoch: 4, version: 7), logEndOffset: 0))
    #expect(bench.effects == [.ignoredAssignment])
    bench.fetch(b2, 0, brokerEpoch: 9)
    bench.fetch(b2, 0, brokerEpoch: 8)
    #expect(bench.effects == [.rejectedFetch(.staleBrokerEpoch)])
    #expect(throws: ReplicaRefusal.fencedLeaderEpoch) {
      try bench.replica.check(leaderEpoch: LeaderEpoch(3))
    }
    #expect(throws: ReplicaRefusal.unknownLeaderEpoch) {
      try bench.replica.check(leaderEpoch: LeaderEpoch(5))
    }
    bench.step(.assigned(assignment(leader: b2, epoch: 5, version: 8), logEndOffset: 0))
    #expect(bench.effects == [.becameFollower(leader: b2, epoch: LeaderEpoch(5))])
    #expect(throws: ReplicaRefusal.notLeaderOrFollower) {
      try bench.replica.checkReplicated(upTo: 0, epoch: LeaderEpoch(4))
    }
  }
}

@Suite struct ReplicaSelectionTests {
  private func candidate(_ id: Int32, _ rack: String, end: Offset) -> ReplicaSelection.Candidate {
    .init(
      broker: BrokerID(id), rack: rack, logStartOffset: 0, logEndOffset: end, lastCaughtUp: nil)
  }

  @Test func `the freshest replica in the client's rack that has the offset`() {
    let followers = [
      candidate(2, "b", end: 5), candidate(3, "b", end: 9), candidate(4, "c", end: 9),
    ]
    func preferred(_ rack: String, _ offset: Offset) -> BrokerID? {
      ReplicaSelection.preferred(
        rack: rack, offset: offset, leaderRack: "a", followers: followers)
    }
    #expect(preferred("b", 7) == b3)
    #expect(preferred("a", 7) == nil)
    #expect(preferred("b", 10) == nil)
  }
}
