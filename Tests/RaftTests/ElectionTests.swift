import KafkaProtocol
import Testing
import Values

@testable import Raft

@Suite struct RaftVoteTests {
  @Test func aVoteIsOnDiskBeforeItIsGiven() throws {
    var replica = Replica()
    let answer = try #require(replica.ask(replica.vote(epoch: 3))?.vote)
    #expect(answer.error == .none && answer.voteGranted && answer.leader.epoch == LeaderEpoch(3))
    #expect(replica.machine.state == .voted)
    let promise = ElectionState(epoch: LeaderEpoch(3), voted: Replica.key(2), dataVersion: 1)
    let persisted = try #require(replica.effects.firstIndex(of: .persist(promise)))
    let answered = try #require(
      replica.effects.firstIndex { if case .respond = $0 { true } else { false } })
    #expect(persisted < answered)
  }

  @Test func oneVotePerEpoch() {
    var replica = Replica()
    #expect(replica.ask(replica.vote(from: 2, epoch: 3))?.vote?.voteGranted == true)
    #expect(replica.ask(replica.vote(from: 3, epoch: 3))?.vote?.voteGranted == false)
    // The same candidate may ask again, its first answer may have been lost.
    #expect(replica.ask(replica.vote(from: 2, epoch: 3))?.vote?.voteGranted == true)
    #expect(replica.ask(replica.vote(from: 3, epoch: 4))?.vote?.voteGranted == true)
  }

  @Test func theVoteIsKeptOverARestart() {
    let election = ElectionState(epoch: LeaderEpoch(3), voted: Replica.key(2), dataVersion: 1)
    var replica = Replica(election: election)
    #expect(replica.machine.state == .voted)
    #expect(replica.ask(replica.vote(from: 3, epoch: 3))?.vote?.voteGranted == false)
    #expect(replica.ask(replica.vote(from: 2, epoch: 3))?.vote?.voteGranted == true)
  }

  @Test func noVoteForAnOlderLog() {
    let log = Replica.log(end: 5, epochs: [EpochStart(1, 0), EpochStart(2, 3)])
    for (end, isGranted) in [
      (OffsetAndEpoch(4, 2), false), (OffsetAndEpoch(9, 1), false), (OffsetAndEpoch(5, 2), true),
      (OffsetAndEpoch(1, 3), true),
    ] {
      var replica = Replica(log: log)
      let answer = replica.ask(replica.vote(epoch: 4, end: end))?.vote
      #expect(answer?.voteGranted == isGranted, "\(end)")
      // The epoch is taken over in any case.
      #expect(replica.epoch == 4)
    }
  }

  @Test func whatIsWrongWithAVoteRequest() {
    var replica = Replica(election: ElectionState(epoch: LeaderEpoch(5)))
    func error(_ request: RaftRequest) -> ErrorCode? { replica.ask(request)?.vote?.error }
    #expect(error(replica.vote(epoch: 4)) == .fencedLeaderEpoch)
    #expect(error(replica.vote(epoch: 6, end: OffsetAndEpoch(1, 6))) == .invalidRequest)
    #expect(error(replica.vote(epoch: 6, end: OffsetAndEpoch(-1, 1))) == .invalidRequest)
    #expect(error(replica.vote(from: -1, epoch: 6)) == .invalidRequest)
    #expect(replica.epoch == 5)
    let stranger = ReplicaKey(BrokerID(1), directory: .one)
    #expect(error(replica.vote(epoch: 6, to: stranger)) == .invalidVoterKey)
    #expect(error(replica.vote(epoch: 6, to: Replica.key(3))) == .invalidVoterKey)
    #expect(replica.machine.state == .unattached)
    // Version 0 does not name the voter.
    #expect(error(replica.vote(epoch: 6, to: nil)) == ErrorCode.none)
    let foreign = VoteRequest(
      clusterID: "another", voter: nil, candidate: Replica.key(2), candidateEpoch: LeaderEpoch(9),
      logEnd: OffsetAndEpoch(0, 0))
    #expect(replica.ask(.vote(foreign))?.vote?.topLevelError == .inconsistentClusterID)
    #expect(replica.epoch == 6)
  }

  @Test func aFollowerThatHearsItsLeaderLetsCandidatesWait() throws {
    var replica = Replica()
    replica.follow()
    let fetch = try #require(replica.sent(to: 2).first)
    let good = FetchResponse(
      leader: CurrentLeader(id: BrokerID(2), epoch: LeaderEpoch(1)), highWatermark: -1,
      logStartOffset: 0)
    replica.step(.response(.fetch(good), to: fetch.correlation))
    #expect(replica.ask(replica.vote(from: 3, epoch: 2)) == nil)
    let parked = replica.requests
    #expect(replica.epoch == 1)
    // The leader stays silent: once patience with it is over, the vote is given.
    replica.run(1001)
    #expect(replica.answer(to: parked)?.vote?.voteGranted == true)
    #expect(replica.epoch == 2)
  }

  @Test func aFollowerWhoseLeaderGoesOnRejects() throws {
    var replica = Replica()
    replica.follow()
    func answerFetch() throws {
      let fetch = try #require(replica.sent(to: 2).last)
      let good = FetchResponse(
        leader: CurrentLeader(id: BrokerID(2), epoch: LeaderEpoch(1)), highWatermark: -1,
        logStartOffset: 0)
      replica.step(.response(.fetch(good), to: fetch.correlation))
    }
    try answerFetch()
    let next = replica.sent(to: 2)
    replica.ask(replica.vote(from: 3, epoch: 2))
    let parked = replica.requests
    replica.run(600)
    let fetch = try #require(next.last)
    let good = FetchResponse(
      leader: CurrentLeader(id: BrokerID(2), epoch: LeaderEpoch(1)), highWatermark: -1,
      logStartOffset: 0)
    replica.step(.response(.fetch(good), to: fetch.correlation))
    replica.run(500)
    let answer = try #require(replica.answer(to: parked)?.vote)
    #expect(!answer.voteGranted && answer.error == .none)
    #expect(answer.leader.id == BrokerID(2) && answer.leader.epoch == LeaderEpoch(1))
    #expect(replica.machine.state == .follower && replica.epoch == 1)
  }

  @Test func aLeaderWithAMajorityLetsCandidatesWait() {
    var replica = Replica()
    replica.leadCommitted()
    #expect(replica.ask(replica.vote(from: 3, epoch: 9)) == nil)
    #expect(replica.machine.isLeader)
    replica.run(1100)
    #expect(replica.epoch == 9)
    #expect(!replica.machine.isLeader)
  }
}

@Suite struct RaftCandidateTests {
  @Test func noEpochIsRaisedBeforeAMajorityAnswers() throws {
    var replica = Replica()
    replica.run(10_000)
    #expect(replica.epoch == 0)
    let probe = try #require(replica.sent(to: 3).last)
    guard case .fetch(let fetch) = probe.request else {
      Issue.record("the probe is no fetch")
      return
    }
    #expect(fetch.maxWaitMs == 0)
    let answer = FetchResponse(
      error: .notLeaderOrFollower, leader: CurrentLeader(id: nil, epoch: LeaderEpoch(0)),
      highWatermark: -1, logStartOffset: 0)
    replica.step(.response(.fetch(answer), to: probe.correlation))
    #expect(replica.machine.state == .candidate && replica.epoch == 1)
    #expect(replica.sent(to: 3).count == 1)
  }

  @Test func aMajorityMakesALeader() {
    var replica = Replica()
    replica.lead()
    #expect(replica.machine.state == .leader && replica.epoch == 1)
    #expect(replica.effects.contains(.becameLeader(epoch: LeaderEpoch(1), startOffset: 0)))
    // The voters stood before the first record: the log gets them now.
    let first: [ControlRecord] = [
      .leaderChange(
        leader: BrokerID(1), voters: [1, 2, 3].map { BrokerID($0) },
        grantingVoters: [1, 2].map { BrokerID($0) }),
      .kraftVersion(1), .voters(Replica.voters([1, 2, 3])),
    ]
    #expect(
      replica.effects.contains(.writeControl(first, baseOffset: 0, epoch: LeaderEpoch(1))))
    #expect(replica.sent(to: 2).count == 1 && replica.sent(to: 3).count == 1)
  }

  @Test func aLostElectionIsFollowedByABackoff() throws {
    var replica = Replica()
    replica.run(2000)
    let probe = try #require(replica.sent(to: 2).last)
    let answer = FetchResponse(
      error: .notLeaderOrFollower, leader: CurrentLeader(id: nil, epoch: LeaderEpoch(0)),
      highWatermark: -1, logStartOffset: 0)
    replica.step(.response(.fetch(answer), to: probe.correlation))
    let ballots = replica.sent(to: 2) + replica.sent(to: 3)
    for ballot in ballots {
      let response = VoteResponse(
        leader: CurrentLeader(id: nil, epoch: LeaderEpoch(1)), voteGranted: false)
      replica.step(.response(.vote(response), to: ballot.correlation))
    }
    // Both answered just now, so the next election needs no questions.
    replica.run(200)
    #expect(replica.epoch >= 2 && replica.machine.state == .candidate)
  }

  @Test func aHigherEpochEndsTheCandidacy() {
    var replica = Replica()
    replica.lead()
    #expect(replica.ask(replica.begin(from: 3, epoch: 4))?.begin?.error == ErrorCode.none)
    #expect(replica.machine.state == .follower && replica.epoch == 4)
    #expect(replica.effects.contains(.resigned(epoch: LeaderEpoch(1))))
    #expect(replica.ask(replica.begin(from: 2, epoch: 3))?.begin?.error == .fencedLeaderEpoch)
    // Two leaders in one epoch cannot be.
    #expect(replica.ask(replica.begin(from: 2, epoch: 4))?.begin?.error == .invalidRequest)
  }

  @Test func aSingleVoterElectsItself() {
    let replica = Replica(log: Replica.log(voters: [1]))
    #expect(replica.machine.state == .leader && replica.epoch == 1)
  }

  @Test func anObserverNeverCallsAnElection() {
    var replica = Replica(7)
    #expect(replica.machine.state == .observer)
    replica.run(20_000)
    #expect(replica.epoch == 0)
    #expect(!replica.sent(to: -2).isEmpty)
  }
}

@Suite struct RaftRestartTests {
  @Test func aLeaderStartsAgainAsResigned() {
    let election = ElectionState(epoch: LeaderEpoch(3), leader: BrokerID(1), dataVersion: 1)
    var replica = Replica(election: election)
    #expect(replica.machine.state == .resigned)
    #expect(replica.sent(to: 2).count == 1 && replica.sent(to: 3).count == 1)
    #expect(replica.ask(replica.vote(epoch: 3))?.vote?.voteGranted == false)
  }

  @Test func aCandidateStartsAgainInItsEpoch() {
    let election = ElectionState(epoch: LeaderEpoch(3), voted: Replica.key(1), dataVersion: 1)
    var replica = Replica(election: election)
    #expect(replica.machine.state == .candidate && replica.epoch == 3)
    #expect(replica.ask(replica.vote(epoch: 3))?.vote?.voteGranted == false)
  }

  @Test func aVoteOfTheLostDiskIsNotItsOwn() {
    let election = ElectionState(
      epoch: LeaderEpoch(3), voted: ReplicaKey(BrokerID(1), directory: .one), dataVersion: 1)
    #expect(Replica(election: election).machine.state == .voted)
  }

  @Test func aFollowerStartsAgainAsFollower() {
    let election = ElectionState(epoch: LeaderEpoch(3), leader: BrokerID(2), dataVersion: 1)
    let replica = Replica(election: election)
    #expect(replica.machine.state == .follower)
    #expect(replica.sent(to: 2).count == 1)
  }

  @Test func aLeaderThatIsNoVoterHasToBeFound() {
    let election = ElectionState(epoch: LeaderEpoch(3), leader: BrokerID(9), dataVersion: 1)
    var replica = Replica(election: election)
    #expect(replica.machine.state == .unattached)
    // The leader is known all the same: no vote against it.
    #expect(replica.ask(replica.vote(epoch: 3))?.vote?.voteGranted == false)
    replica.ask(replica.begin(from: 9, epoch: 3))
    #expect(replica.machine.state == .follower)
  }

  @Test func aLogAheadOfTheFileOutdatesIt() {
    let election = ElectionState(epoch: LeaderEpoch(3), leader: BrokerID(1), dataVersion: 1)
    let log = Replica.log(end: 5, epochs: [EpochStart(4, 0)])
    let replica = Replica(log: log, election: election)
    #expect(replica.machine.state == .unattached && replica.epoch == 4)
  }

  @Test func versionZeroOfTheFileHasTheVotersAndNoDirectory() {
    let voters = VoterSet(
      [1, 2, 3].map { Voter(ReplicaKey(BrokerID($0)), endpoints: Replica.endpoints($0)) })
    var replica = Replica(log: RaftLog(), staticVoters: voters)
    replica.ask(replica.vote(epoch: 2))
    let states = replica.effects.compactMap { effect -> ElectionState? in
      if case .persist(let state) = effect { state } else { nil }
    }
    #expect(states.last?.dataVersion == 0)
    #expect(states.last?.voters == [1, 2, 3].map { BrokerID($0) })
    #expect(states.last?.voted == Replica.key(2))
  }
}
