import Testing
import Values

@testable import Raft

@Suite struct RaftLogTests {
  /// Epochs 1, 3 and 4, beginning at 0, 5 and 10; the log ends at 12.
  static let log = RaftLog(
    endOffset: 12, epochs: [EpochStart(1, 0), EpochStart(3, 5), EpochStart(4, 10)])

  @Test func epochsEndWhereTheNextBegins() {
    for (epoch, end) in [
      (0, OffsetAndEpoch(0, 0)), (1, OffsetAndEpoch(5, 1)), (2, OffsetAndEpoch(5, 1)),
      (3, OffsetAndEpoch(10, 3)), (4, OffsetAndEpoch(12, 4)), (9, OffsetAndEpoch(12, 4)),
    ] as [(Int32, OffsetAndEpoch)] {
      #expect(Self.log.end(of: LeaderEpoch(epoch)) == end, "epoch \(epoch)")
    }
  }

  @Test func aFetchIsValidWhereTheEpochsAgree() {
    #expect(Self.log.position(of: 0, epoch: LeaderEpoch(0)) == .valid)
    #expect(Self.log.position(of: 5, epoch: LeaderEpoch(1)) == .valid)
    #expect(Self.log.position(of: 12, epoch: LeaderEpoch(4)) == .valid)
    #expect(Self.log.position(of: 6, epoch: LeaderEpoch(1)) == .diverging(OffsetAndEpoch(5, 1)))
    #expect(Self.log.position(of: 6, epoch: LeaderEpoch(2)) == .diverging(OffsetAndEpoch(5, 1)))
    #expect(Self.log.position(of: 13, epoch: LeaderEpoch(4)) == .diverging(OffsetAndEpoch(12, 4)))
  }

  @Test func whoeverIsBehindTheStartNeedsASnapshot() {
    var log = Self.log
    let snapshot = SnapshotID(7, 3)
    log.add(Snapshot(snapshot, size: 10))
    log.raiseStart(to: 7)
    #expect(log.startOffset == 7)
    #expect(log.epochs == [EpochStart(3, 7), EpochStart(4, 10)])
    #expect(log.position(of: 0, epoch: LeaderEpoch(0)) == .snapshot(snapshot))
    #expect(log.position(of: 6, epoch: LeaderEpoch(3)) == .snapshot(snapshot))
    // At the start itself, but with another record before it.
    #expect(log.position(of: 7, epoch: LeaderEpoch(1)) == .snapshot(snapshot))
    #expect(log.position(of: 7, epoch: LeaderEpoch(3)) == .valid)
    #expect(log.position(of: 9, epoch: LeaderEpoch(2)) == .snapshot(snapshot))
  }

  @Test func anEmptyFollowerGetsASnapshotEvenIfTheRecordsAreThere() {
    var log = Self.log
    #expect(log.position(of: 0, epoch: LeaderEpoch(0)) == .valid)
    log.add(Snapshot(RaftLog.bootstrapSnapshot, size: 10))
    #expect(log.position(of: 0, epoch: LeaderEpoch(0)) == .valid)
    log.add(Snapshot(SnapshotID(7, 3), size: 10))
    #expect(log.position(of: 0, epoch: LeaderEpoch(0)) == .snapshot(SnapshotID(7, 3)))
  }

  @Test func aFollowerCutsWhereBothLogsAgree() {
    // The leader ends epoch 3 sooner, later, or does not have it.
    #expect(Self.log.truncationPoint(for: OffsetAndEpoch(7, 3)) == 7)
    #expect(Self.log.truncationPoint(for: OffsetAndEpoch(11, 3)) == 10)
    #expect(Self.log.truncationPoint(for: OffsetAndEpoch(8, 2)) == 5)
    #expect(Self.log.truncationPoint(for: OffsetAndEpoch(3, 0)) == 3)
  }

  @Test func truncationTakesVotersAndEpochsAlong() {
    var log = Self.log
    log.noteVoters(Replica.voters([1, 2]), at: 4)
    log.noteVoters(Replica.voters([1, 2, 3]), at: 11)
    log.noteKRaftVersion(1, at: 11)
    #expect(log.voters(below: 11) == Replica.voters([1, 2]))
    #expect(log.voters(below: 12) == Replica.voters([1, 2, 3]))
    log.truncate(to: 10)
    #expect(log.lastVoters?.offset == 4)
    #expect(log.kraftVersion == 0)
    #expect(log.lastEpoch == LeaderEpoch(3))
    #expect(log.durableEnd == 10)
    // What is gone cannot become durable any more.
    log.flushed(upTo: 12)
    #expect(log.durableEnd == 10)
  }

  @Test func anInstalledSnapshotIsTheWholeLog() {
    var log = Self.log
    log.install(
      Snapshot(SnapshotID(20, 6), size: 10), voters: Replica.voters([1]), kraftVersion: 1)
    #expect(log.startOffset == 20 && log.endOffset == 20 && log.durableEnd == 20)
    #expect(log.end == OffsetAndEpoch(20, 6))
    #expect(log.lastVoters == VotersEntry(offset: 19, voters: Replica.voters([1])))
    #expect(log.kraftVersion == 1)
    #expect(log.position(of: 20, epoch: LeaderEpoch(6)) == .valid)
  }

  @Test func theLaterEpochIsMoreUpToDate() {
    #expect(OffsetAndEpoch(1, 2) > OffsetAndEpoch(9, 1))
    #expect(OffsetAndEpoch(2, 2) > OffsetAndEpoch(1, 2))
  }
}

@Suite struct VoterSetTests {
  @Test func idsAreUnique() {
    let voters = Replica.voters([3, 1, 2])
    #expect(voters.ids == [1, 2, 3].map { BrokerID($0) })
    #expect(voters.majority == 2)
    let other = Voter(ReplicaKey(BrokerID(2), directory: .one), endpoints: [])
    #expect(voters.adding(other) == nil)
    #expect(voters.adding(Voter(Replica.key(4), endpoints: []))?.majority == 3)
  }

  @Test func onlyTheExactKeyIsRemovedAndNeverTheLast() {
    let voters = Replica.voters([1, 2])
    #expect(voters.removing(ReplicaKey(BrokerID(2), directory: .one)) == nil)
    #expect(voters.removing(ReplicaKey(BrokerID(2))) == nil)
    let one = voters.removing(Replica.key(2))
    #expect(one == Replica.voters([1]))
    #expect(one?.removing(Replica.key(1)) == nil)
  }

  @Test func aVoterWithoutDirectoryIsItsIdAlone() {
    let voters = VoterSet([Voter(ReplicaKey(BrokerID(1)), endpoints: [])])
    #expect(voters.isVoter(Replica.key(1)))
    #expect(!Replica.voters([1]).isVoter(ReplicaKey(BrokerID(1), directory: .one)))
    #expect(voters.isOnlyVoter(Replica.key(1)))
  }

  @Test func updatesAreSeenByKeyAndContent() {
    let voters = Replica.voters([1, 2])
    let same = Voter(Replica.key(2), endpoints: Replica.endpoints(2))
    let moved = Voter(Replica.key(2), endpoints: Replica.endpoints(9))
    let stranger = Voter(
      ReplicaKey(BrokerID(2), directory: .one), endpoints: Replica.endpoints(9))
    #expect(!voters.needsUpdate(same))
    #expect(voters.needsUpdate(moved))
    #expect(!voters.needsUpdate(stranger))
    #expect(voters.updating(moved)?.endpoints(of: BrokerID(2)) == Replica.endpoints(9))
    #expect(voters.updating(stranger) == nil)
  }

  @Test func setsThatDifferByOneOverlap() {
    let three = Replica.voters([1, 2, 3])
    #expect(three.overlaps(Replica.voters([1, 2, 3, 4])))
    #expect(three.overlaps(Replica.voters([1, 2])))
    #expect(three.overlaps(Replica.voters([1, 2, 4])))
    #expect(!three.overlaps(Replica.voters([1, 4, 5])))
  }
}
