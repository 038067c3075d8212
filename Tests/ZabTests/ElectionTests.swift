import Testing
import Values
import ZooKeeperProtocol

@testable import Zab

@Suite struct ElectionTests {
  static let membership = Membership(
    EnsembleConfig(
      servers: ([1, 2, 3, 9] as [Int64]).map { id in
        var server = EnsembleServer(id: id, host: "s\(id)", quorumPort: 2888, electionPort: 3888)
        server.isObserver = id == 9
        return server
      }))

  static func election(_ own: Int64) -> Election {
    Election(own: ServerID(own), membership: membership, timing: EnsembleTiming())
  }

  static func notification(
    _ state: PeerState, leader: Int64, counter: Int64 = 0, round: Int64 = 1, epoch: Int64 = 1
  ) -> Notification {
    Notification(
      state: state,
      vote: Vote(
        leader: ServerID(leader), zxid: Zxid(epoch: 1, counter: counter), electionEpoch: round,
        peerEpoch: epoch))
  }

  @Test func theLongerLogWinsOverTheHigherServer() {
    var election = Self.election(3)
    var effects: [Election.Effect] = []
    election.begin(
      zxid: Zxid(epoch: 1, counter: 4), peerEpoch: 1, at: .zero, into: &effects)
    #expect(effects.count == 2)
    effects = []
    election.received(
      Self.notification(.looking, leader: 1, counter: 5), from: ServerID(1), at: .zero,
      into: &effects)
    #expect(election.vote.leader == ServerID(1))
    // A quorum agrees; the third server may still say something better.
    #expect(election.state == .looking)
    let end = Instant(milliseconds: EnsembleTiming().finalizeWaitMs)
    #expect(election.nextDeadline == end)
    election.timer(at: end, into: &effects)
    #expect(effects.last == .elected(leader: ServerID(1)))
    #expect(election.state == .following)
  }

  /// A server whose process has ended cannot vote: with all others of one mind the round is over.
  @Test func nobodyWaitsForAServerThatIsGone() {
    var election = Self.election(2)
    var effects: [Election.Effect] = []
    election.begin(zxid: Zxid(epoch: 1, counter: 0), peerEpoch: 1, at: .zero, into: &effects)
    election.refused(ServerID(3), at: .zero, into: &effects)
    #expect(election.state == .looking)
    effects = []
    election.received(
      Self.notification(.looking, leader: 2), from: ServerID(1), at: .zero, into: &effects)
    #expect(election.state == .leading)
    // First the port is opened, then the others hear of it.
    #expect(effects.first == .elected(leader: ServerID(2)))
    let told = effects.dropFirst().compactMap { effect -> ServerID? in
      if case .notify(let said, let peer) = effect, said.state == .leading { peer } else { nil }
    }
    #expect(told == [ServerID(1), ServerID(3)])
  }

  /// A server that was not looking yet when a better vote came by hears of it as soon as it looks.
  @Test func aWorseVoteIsAnsweredOnce() {
    var election = Self.election(3)
    var effects: [Election.Effect] = []
    election.begin(zxid: Zxid(epoch: 1, counter: 0), peerEpoch: 1, at: .zero, into: &effects)
    let ours = Self.notification(.looking, leader: 3)
    for answers in [1, 0] {
      effects = []
      election.received(
        Self.notification(.looking, leader: 1), from: ServerID(1), at: .zero, into: &effects)
      #expect(effects.count { $0 == .notify(ours, to: ServerID(1)) } == answers)
    }
    effects = []
    election.received(ours, from: ServerID(1), at: .zero, into: &effects)
    #expect(effects.isEmpty)
  }

  /// Whoever is heard of again is waited for again, and so is everybody in the next round.
  @Test func aServerThatIsBackIsWaitedFor() {
    for comesBack in [0, 1, 2] {
      var election = Self.election(2)
      var effects: [Election.Effect] = []
      election.begin(zxid: Zxid(epoch: 1, counter: 0), peerEpoch: 1, at: .zero, into: &effects)
      election.refused(ServerID(3), at: .zero, into: &effects)
      switch comesBack {
      case 0: election.linkUp(ServerID(3), into: &effects)
      case 1:
        election.begin(zxid: Zxid(epoch: 1, counter: 0), peerEpoch: 1, at: .zero, into: &effects)
      default:
        election.received(
          Self.notification(.looking, leader: 3, counter: -1, epoch: 0), from: ServerID(3),
          at: .zero, into: &effects)
      }
      election.received(
        Self.notification(.looking, leader: 2, round: election.logicalClock), from: ServerID(1),
        at: .zero, into: &effects)
      #expect(election.state == .looking, "case \(comesBack)")
      #expect(
        election.nextDeadline == Instant(milliseconds: EnsembleTiming().finalizeWaitMs))
    }
  }

  /// All agree on one that has ended since: it is given the time to come back.
  @Test func aServerThatIsGoneIsNotElectedAtOnce() {
    var election = Self.election(1)
    var effects: [Election.Effect] = []
    election.begin(zxid: .zero, peerEpoch: 0, at: .zero, into: &effects)
    for sender in [2, 3] as [Int64] {
      if sender == 3 { election.refused(ServerID(2), at: .zero, into: &effects) }
      election.received(
        Self.notification(.looking, leader: 2, counter: 5), from: ServerID(sender), at: .zero,
        into: &effects)
      if sender == 2 { #expect(election.state == .looking) }
    }
    #expect(election.state == .looking)
  }

  /// The word of a leader that we vote for ourselves ends the round: it and we are a quorum.
  @Test func theLeadersWordEndsTheRound() {
    var election = Self.election(1)
    var effects: [Election.Effect] = []
    election.begin(zxid: .zero, peerEpoch: 0, at: .zero, into: &effects)
    election.received(
      Self.notification(.looking, leader: 2, counter: 5), from: ServerID(2), at: .zero,
      into: &effects)
    #expect(election.state == .looking)
    effects = []
    election.received(
      Self.notification(.leading, leader: 2, counter: 5), from: ServerID(2), at: .zero,
      into: &effects)
    #expect(effects == [.elected(leader: ServerID(2))])
  }

  @Test func aLatecomerJoinsARunningEnsembleOnlyWithItsLeader() {
    var election = Self.election(1)
    var effects: [Election.Effect] = []
    election.begin(zxid: .zero, peerEpoch: 0, at: .zero, into: &effects)
    effects = []
    election.received(
      Self.notification(.following, leader: 3, round: 7), from: ServerID(2), at: .zero,
      into: &effects)
    #expect(election.state == .looking)
    election.received(
      Self.notification(.leading, leader: 3, counter: 2, round: 6), from: ServerID(3), at: .zero,
      into: &effects)
    #expect(effects == [.elected(leader: ServerID(3))])
    #expect(election.logicalClock == 6)
  }

  /// A server whose log ends with a configuration that was never agreed on joins those who serve
  /// without it, also where that configuration would need its own vote.
  @Test func aConfigurationThatNobodyElseHasHoldsNobodyUp() {
    let current = Self.membership.current
    let next = EnsembleConfig(servers: current.servers.filter { $0.id != 2 }, version: 9)
    var election = Election(
      own: ServerID(1), membership: Membership(current, next: next, isChangeable: true),
      timing: EnsembleTiming())
    var effects: [Election.Effect] = []
    election.begin(zxid: Zxid(epoch: 1, counter: 9), peerEpoch: 1, at: .zero, into: &effects)
    effects = []
    for (sender, state) in [(2, PeerState.leading), (3, .following)] as [(Int64, PeerState)] {
      election.received(
        Self.notification(state, leader: 2, round: 7, epoch: 2), from: ServerID(sender),
        at: .zero, into: &effects)
    }
    #expect(effects == [.elected(leader: ServerID(2))])
  }

  @Test func aFollowerOfADeadLeaderIsNotBelieved() {
    var election = Self.election(1)
    var effects: [Election.Effect] = []
    election.begin(zxid: .zero, peerEpoch: 0, at: .zero, into: &effects)
    for sender in [2, 3] as [Int64] {
      election.received(
        Self.notification(.following, leader: 3, round: 7), from: ServerID(sender), at: .zero,
        into: &effects)
    }
    #expect(election.state == .looking)
  }

  @Test func aLaterRoundStartsOver() {
    var election = Self.election(2)
    var effects: [Election.Effect] = []
    election.begin(zxid: .zero, peerEpoch: 0, at: .zero, into: &effects)
    effects = []
    election.received(
      Self.notification(.looking, leader: 1, round: 5, epoch: -1), from: ServerID(1), at: .zero,
      into: &effects)
    #expect(election.logicalClock == 5)
    #expect(election.vote.leader == ServerID(2))
    #expect(effects.count == 2)
  }

  @Test func silenceIsMetWithPatience() {
    var election = Self.election(2)
    var effects: [Election.Effect] = []
    election.begin(zxid: .zero, peerEpoch: 0, at: .zero, into: &effects)
    var pauses: [Int64] = []
    for _ in 0..<10 {
      let due = election.nextDeadline
      election.timer(at: due, into: &effects)
      pauses.append(election.nextDeadline.milliseconds(since: due))
    }
    #expect(pauses.prefix(3) == [400, 800, 1600])
    #expect(pauses.last == 60_000)
  }

  /// Servers that take each other for observers, as one does that is to join, answer no answers.
  @Test func nobodyTalksWithoutEnd() {
    var effects: [Election.Effect] = []
    var observer = Self.election(9)
    observer.begin(zxid: .zero, peerEpoch: 0, at: .zero, into: &effects)
    effects = []
    observer.received(
      Self.notification(.looking, leader: 5), from: ServerID(5), at: .zero, into: &effects)
    #expect(effects.isEmpty)
    var voter = Self.election(1)
    voter.begin(zxid: .zero, peerEpoch: 0, at: .zero, into: &effects)
    effects = []
    voter.received(
      Self.notification(.following, leader: 3), from: ServerID(5), at: .zero, into: &effects)
    voter.received(
      Self.notification(.observing, leader: 3), from: ServerID(9), at: .zero, into: &effects)
    #expect(effects.isEmpty)
    voter.received(
      Self.notification(.looking, leader: 5), from: ServerID(5), at: .zero, into: &effects)
    #expect(effects.count == 1)
  }

  @Test func observersAskAndNeverCount() {
    var election = Self.election(1)
    var effects: [Election.Effect] = []
    election.begin(zxid: .zero, peerEpoch: 0, at: .zero, into: &effects)
    effects = []
    election.received(
      Self.notification(.looking, leader: 9, counter: 99, epoch: 9), from: ServerID(9), at: .zero,
      into: &effects)
    #expect(election.vote.leader == ServerID(1))
    #expect(effects.count == 1)
    var observer = Self.election(9)
    observer.begin(zxid: .zero, peerEpoch: 0, at: .zero, into: &effects)
    effects = []
    for sender in [2, 3] as [Int64] {
      observer.received(
        Self.notification(sender == 3 ? .leading : .following, leader: 3), from: ServerID(sender),
        at: .zero, into: &effects)
    }
    #expect(observer.state == .observing)
  }

  @Test func messagesOfOldServersAreUnderstood() throws {
    let notification = Self.notification(.looking, leader: 2, counter: 3)
    let message = notification.message(config: Array("version=0".utf8))
    #expect(Notification(message) == notification)
  }
}
