import KafkaProtocol
import Testing
import Values

@testable import Raft

@Suite struct RaftAppendTests {
  @Test func appendsLingerThenAreSyncedAndShown() {
    var replica = Replica()
    replica.leadCommitted()
    let base = replica.machine.log.endOffset
    #expect(replica.machine.nextAppendOffset == base)
    replica.ask(replica.fetch(offset: base, last: 1))
    let parked = replica.requests
    replica.step(.append(7, count: 3, bytes: 30, epoch: LeaderEpoch(1)))
    #expect(replica.effects == [.write(7, baseOffset: base, epoch: LeaderEpoch(1))])
    replica.run(24)
    #expect(replica.effects.isEmpty)
    replica.run(2)
    #expect(replica.effects.contains(.flush))
    #expect(
      replica.answer(to: parked)?.fetch?.records
        == .read(from: base, to: base + 3, maxBytes: 1000))
  }

  @Test func muchDoesNotLinger() {
    var replica = Replica { $0.options.maxUndrainedBytes = 100 }
    replica.leadCommitted()
    replica.step(.append(7, count: 1, bytes: 99, epoch: LeaderEpoch(1)))
    #expect(!replica.effects.contains(.flush))
    replica.step(.append(8, count: 1, bytes: 1, epoch: LeaderEpoch(1)))
    #expect(replica.effects.contains(.flush))
    replica.step(.append(9, count: 1, bytes: 1, epoch: LeaderEpoch(1)))
    replica.step(.drain)
    #expect(replica.effects == [.flush])
  }

  @Test func onlyTheLeaderOfTheEpochAppends() {
    var replica = Replica()
    let refusal: [RaftEffect] = [.refuse(7, .notLeaderOrFollower)]
    #expect(replica.step(.append(7, count: 1, bytes: 1, epoch: LeaderEpoch(0))) == refusal)
    replica.leadCommitted()
    #expect(replica.step(.append(7, count: 1, bytes: 1, epoch: LeaderEpoch(2))) == refusal)
    #expect(replica.step(.append(7, count: 0, bytes: 1, epoch: LeaderEpoch(1))) == refusal)
  }
}

@Suite struct RaftHighWatermarkTests {
  @Test func aMajorityHasToHaveItOnDisk() {
    var replica = Replica()
    replica.lead()
    let end = replica.machine.log.endOffset
    // A follower has it, this leader's own disk not yet.
    replica.ask(replica.fetch(offset: end, last: 1))
    #expect(replica.machine.highWatermark == nil)
    replica.sync()
    #expect(replica.effects.contains(.committed(upTo: end)))
    #expect(replica.machine.highWatermark == end)
  }

  /// Raft, figure 8: what a majority has of an earlier epoch is not committed by that.
  @Test func onlyARecordOfTheOwnEpochCommits() {
    let log = Replica.log(end: 5, epochs: [EpochStart(1, 0)])
    var replica = Replica(log: log)
    replica.lead()
    #expect(replica.epoch == 2)
    replica.sync()
    replica.ask(replica.fetch(offset: 5, last: 1))
    #expect(replica.machine.highWatermark == nil)
    replica.ask(replica.fetch(offset: 6, last: 2))
    #expect(replica.machine.highWatermark == 6)
  }

  @Test func observersDoNotCount() {
    var replica = Replica()
    replica.lead()
    replica.sync()
    let end = replica.machine.log.endOffset
    replica.ask(replica.fetch(from: 9, offset: end, last: 1))
    // The right id with another directory is an observer, too.
    replica.ask(replica.fetch(from: 2, offset: end, last: 1, directory: .one))
    #expect(replica.machine.highWatermark == nil)
    replica.ask(replica.fetch(from: 3, offset: end, last: 1))
    #expect(replica.machine.highWatermark == end)
  }

  @Test func itNeverFalls() {
    var replica = Replica()
    replica.leadCommitted()
    let end = replica.machine.log.endOffset
    // A follower that has lost what it had does not take it back.
    replica.ask(replica.fetch(offset: 1, last: 1))
    #expect(replica.machine.highWatermark == end)
    #expect(!replica.effects.contains { if case .committed = $0 { true } else { false } })
  }
}

@Suite struct RaftServingTests {
  @Test func whatIsWrongWithAFetch() {
    var replica = Replica()
    func error(_ request: RaftRequest) -> ErrorCode? { replica.ask(request)?.fetch?.error }
    #expect(error(replica.fetch(epoch: 0, offset: 0)) == .notLeaderOrFollower)
    replica.leadCommitted()
    #expect(error(replica.fetch(epoch: 0, offset: 0)) == .fencedLeaderEpoch)
    #expect(error(replica.fetch(epoch: 2, offset: 0)) == .unknownLeaderEpoch)
    #expect(error(replica.fetch(offset: -1)) == .invalidRequest)
    #expect(error(replica.fetch(offset: 0, last: -1)) == .invalidRequest)
    #expect(error(replica.fetch(offset: 0, last: 2)) == .invalidRequest)
    #expect(error(replica.fetch(offset: 0, maxWaitMs: -1)) == .invalidRequest)
    #expect(error(replica.fetch(from: 1, offset: 0)) == .invalidRequest)
  }

  @Test func aFetchWaitsForItsTimeAtMost() {
    var replica = Replica()
    replica.leadCommitted()
    let end = replica.machine.log.endOffset
    // The first answer has the high watermark, which is news.
    #expect(replica.ask(replica.fetch(from: 3, offset: end, last: 1))?.fetch?.highWatermark == end)
    #expect(replica.ask(replica.fetch(from: 3, offset: end, last: 1)) == nil)
    let parked = replica.requests
    replica.run(499)
    #expect(replica.answer(to: parked) == nil)
    replica.run(2)
    #expect(replica.answer(to: parked)?.fetch?.records == FetchResponse.Records.none)
    #expect(replica.ask(replica.fetch(from: 3, offset: end, last: 1, maxWaitMs: 0)) != nil)
  }

  @Test func aHigherHighWatermarkWakesFetches() {
    var replica = Replica()
    replica.leadCommitted()
    replica.ask(replica.fetch(from: 9, offset: replica.machine.log.endOffset, last: 1))
    replica.step(.append(7, count: 1, bytes: 1, epoch: LeaderEpoch(1)))
    replica.step(.drain)
    replica.sync()
    let end = replica.machine.log.endOffset
    // The broker has the record, but does not know yet that it is committed.
    #expect(replica.ask(replica.fetch(from: 9, offset: end, last: 1)) == nil)
    let parked = replica.requests
    replica.ask(replica.fetch(from: 3, offset: end, last: 1))
    #expect(replica.answer(to: parked)?.fetch?.highWatermark == end)
  }

  @Test func aReplicaWaitsOnceOnly() {
    var replica = Replica()
    replica.leadCommitted()
    let end = replica.machine.log.endOffset
    replica.ask(replica.fetch(offset: end, last: 1))
    replica.ask(replica.fetch(offset: end, last: 1))
    let first = replica.requests
    replica.ask(replica.fetch(offset: end, last: 1))
    #expect(replica.answer(to: first) != nil)
    #expect(replica.machine.parkedFetches.count == 1)
    replica.step(.requestCancelled(RequestID(replica.requests)))
    #expect(replica.machine.parkedFetches.isEmpty)
  }

  @Test func logsThatPartAreToldWhere() {
    let log = Replica.log(end: 5, epochs: [EpochStart(1, 0), EpochStart(3, 4)])
    var replica = Replica(log: log)
    replica.lead()
    let answer = replica.ask(replica.fetch(offset: 8, last: 2))?.fetch
    #expect(answer?.divergingEpoch == OffsetAndEpoch(4, 1))
    #expect(answer?.records == FetchResponse.Records.none)
  }

  @Test func aLeaderThatGoesSendsItsFollowersAway() {
    var replica = Replica()
    replica.leadCommitted()
    let end = replica.machine.log.endOffset
    replica.ask(replica.fetch(offset: end, last: 1))
    replica.ask(replica.fetch(offset: end, last: 1))
    let parked = replica.requests
    replica.step(.resign(epoch: LeaderEpoch(1)))
    #expect(replica.answer(to: parked)?.fetch?.error == .notLeaderOrFollower)
    #expect(replica.machine.state == .resigned)
    // Who is furthest comes first.
    guard case .endQuorumEpoch(let request) = replica.sent(to: 3).first?.request else {
      Issue.record("nobody is told")
      return
    }
    #expect(request.preferredCandidates == [Replica.key(2), Replica.key(3)])
  }
}

@Suite struct RaftResignationTests {
  @Test func aLeaderWithoutFollowersResigns() {
    var replica = Replica()
    replica.leadCommitted()
    replica.run(2999)
    #expect(replica.machine.state == .leader)
    replica.run(2)
    #expect(replica.machine.state == .resigned)
  }

  @Test func fetchesOfAMajorityKeepItInOffice() {
    var replica = Replica()
    replica.leadCommitted()
    for _ in 0..<4 {
      replica.run(2000)
      replica.ask(replica.fetch(from: 3, offset: replica.machine.log.endOffset, last: 1))
    }
    #expect(replica.machine.state == .leader)
    // An observer's fetches do not.
    for _ in 0..<4 {
      replica.run(2000)
      replica.ask(replica.fetch(from: 9, offset: replica.machine.log.endOffset, last: 1))
    }
    #expect(replica.machine.state == .resigned)
  }

  @Test func anOrderOfAnEarlierEpochMeansNothing() {
    var replica = Replica()
    replica.leadCommitted()
    replica.step(.resign(epoch: LeaderEpoch(0)))
    #expect(replica.machine.state == .leader)
  }

  @Test func followersElectInTheOrderGiven() {
    for (position, delay) in [(0, 0), (1, 250), (2, 500)] as [(Int, Int64)] {
      var preferred = [Replica.key(2), Replica.key(3)]
      preferred.insert(Replica.key(1), at: position)
      var replica = Replica()
      replica.follow()
      replica.ask(
        .endQuorumEpoch(
          EndQuorumEpochRequest(
            clusterID: nil, leader: BrokerID(2), epoch: LeaderEpoch(1),
            preferredCandidates: preferred, leaderEndpoints: [])))
      #expect(
        replica.effects.contains {
          if case .respond(_, .endQuorumEpoch) = $0 { true } else { false }
        })
      // The election begins with the question who is there.
      let asks = replica.sent(to: 3).isEmpty ? replica.run(delay) : replica.effects
      #expect(!replica.sent(to: 3).isEmpty, "position \(position) \(asks)")
    }
  }

  @Test func shutdownHandsOver() {
    var replica = Replica()
    replica.leadCommitted()
    replica.step(.shutdown(timeoutMs: 5000))
    #expect(replica.machine.state == .resigned)
    #expect(!replica.machine.isStopped)
    replica.ask(replica.begin(from: 3, epoch: 2))
    #expect(replica.effects.contains(.shutdownCompleted))
    #expect(replica.machine.isStopped)
    // Whoever still asks is told.
    #expect(replica.ask(replica.fetch(offset: 0))?.fetch?.topLevelError == .brokerNotAvailable)
  }

  @Test func shutdownDoesNotWaitForEver() {
    var replica = Replica()
    replica.leadCommitted()
    replica.step(.shutdown(timeoutMs: 5000))
    replica.run(5001)
    #expect(replica.effects.contains(.shutdownCompleted))
  }

  @Test func followersAndObserversStopAtOnce() {
    var follower = Replica()
    follower.follow()
    #expect(follower.step(.shutdown(timeoutMs: 5000)).contains(.shutdownCompleted))
    var observer = Replica(9)
    #expect(observer.step(.shutdown(timeoutMs: 5000)).contains(.shutdownCompleted))
  }

  @Test func theQuorumIsDescribed() {
    var replica = Replica()
    #expect(
      replica.ask(.describeQuorum)
        == .describeQuorum(
          DescribeQuorumResponse(
            error: .notLeaderOrFollower, leader: CurrentLeader(id: nil, epoch: LeaderEpoch(0)))))
    replica.leadCommitted()
    let end = replica.machine.log.endOffset
    replica.ask(replica.fetch(from: 9, offset: 0))
    replica.requests += 1
    replica.step(.request(.describeQuorum, id: RequestID(replica.requests)))
    guard case .describeQuorum(let answer)? = replica.answer(to: replica.requests) else {
      Issue.record("no answer")
      return
    }
    #expect(answer.voters.map(\.logEndOffset) == [end, end, -1])
    #expect(answer.voters[1].lastCaughtUp == replica.now)
    #expect(answer.observers.map(\.key) == [Replica.key(9)])
    #expect(answer.highWatermark == end)
    // Observers that stay away are forgotten; this leader would resign before that otherwise.
    for _ in 0..<151 {
      replica.run(2000)
      replica.ask(replica.fetch(offset: end, last: 1))
    }
    guard case .describeQuorum(let later)? = replica.ask(.describeQuorum) else { return }
    #expect(later.observers.isEmpty)
  }
}
