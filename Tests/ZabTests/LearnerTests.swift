import Bytes
import Testing
import Values
import ZooKeeperProtocol

@testable import Zab

/// A learner's patience with a leader that does not answer yet.
@Suite struct LearnerTests {
  private let timing = EnsembleTiming(tickTimeMs: 200, initLimit: 10, syncLimit: 5)

  private func follower(
    _ timing: EnsembleTiming? = nil, into effects: inout [PeerEffect]
  ) -> Peer {
    var peer = Peer(
      PeerConfiguration(
        own: ServerID(1),
        membership: Membership(
          EnsembleConfig(
            servers: (1...3 as ClosedRange<Int64>).map {
              EnsembleServer(id: $0, host: "s\($0)", quorumPort: 2888, electionPort: 3888)
            })), timing: timing ?? self.timing),
      epochs: Epochs(), lastProcessed: .zero)
    peer.step(.start, at: .zero, into: &effects)
    for sender in [2, 3] as [Int64] {
      let vote = Vote(
        leader: ServerID(3), zxid: Zxid(epoch: 0, counter: 9), electionEpoch: 1, peerEpoch: 0)
      peer.step(
        .notification(
          Notification(state: sender == 3 ? .leading : .following, vote: vote),
          from: ServerID(sender)), at: .zero, into: &effects)
    }
    return peer
  }

  private func attempts(_ effects: [PeerEffect]) -> Int {
    effects.count { $0 == .connectToLeader(ServerID(3)) }
  }

  /// Refused, or taken by a proxy and closed: the learner tries again, at first very soon, and is
  /// as patient as one that always waits for `leaderConnectDelayDuringRetryMs`.
  @Test(arguments: [false, true])
  func aConnectionThatEndsBeforeTheLeaderSpeaksIsTriedAgain(_ isTakenFirst: Bool) {
    var effects: [PeerEffect] = []
    var peer = follower(into: &effects)
    var now = Instant.zero
    let pauses: [Int64] = [10, 20, 40, 80, 100, 100, 100]
    #expect(pauses.reduce(0, +) >= 4 * timing.connectRetryMs)
    for (attempt, pause) in zip(1..., pauses) {
      #expect(attempts(effects) == attempt)
      if isTakenFirst { peer.step(.leaderConnected, at: now, into: &effects) }
      peer.step(.leaderDisconnected, at: now, into: &effects)
      #expect(peer.state == .following)
      // Not before the pause is over.
      #expect(attempts(effects) == attempt)
      #expect(peer.nextDeadline == now.advanced(milliseconds: pause))
      now = peer.nextDeadline
      peer.step(.timer, at: now, into: &effects)
    }
    if isTakenFirst { peer.step(.leaderConnected, at: now, into: &effects) }
    peer.step(.leaderDisconnected, at: now, into: &effects)
    #expect(peer.state == .looking)
    // Every connection was greeted anew.
    let greetings = effects.count {
      if case .sendToLeader(let packet, after: .none) = $0 { packet.type == .followerInfo }
      else { false }
    }
    #expect(greetings == (isTakenFirst ? pauses.count + 1 : 0))
  }

  /// The configured pause is the longest: a short one is kept from the first attempt on.
  @Test func theConfiguredPauseIsTheLongest() {
    var timing = timing
    timing.connectRetryMs = 5
    var effects: [PeerEffect] = []
    var peer = follower(timing, into: &effects)
    for attempt in 1..<Learner.connectAttempts {
      let now = Instant(milliseconds: Int64(attempt - 1) * 5)
      peer.step(.leaderDisconnected, at: now, into: &effects)
      #expect(peer.nextDeadline == now.advanced(milliseconds: 5))
      peer.step(.timer, at: peer.nextDeadline, into: &effects)
    }
    #expect(attempts(effects) == Learner.connectAttempts)
    peer.step(.leaderDisconnected, at: Instant(milliseconds: 20), into: &effects)
    #expect(peer.state == .looking)
  }

  /// All attempts together take no longer than one may.
  @Test func patienceEndsWithTheLimit() {
    var effects: [PeerEffect] = []
    var peer = follower(into: &effects)
    let limit = Instant.zero.advanced(milliseconds: timing.connectTimeoutMs)
    peer.step(.leaderConnected, at: .zero, into: &effects)
    peer.step(.leaderDisconnected, at: limit, into: &effects)
    #expect(peer.state == .looking)
  }

  /// Once the leader has spoken, the end of its connection is the end of its office.
  @Test func aLeaderThatWasHeardIsNotTriedAgain() {
    var effects: [PeerEffect] = []
    var peer = follower(into: &effects)
    peer.step(.leaderConnected, at: .zero, into: &effects)
    var version = ByteWriter()
    version.writeInt32(LearnerInfo.currentProtocolVersion)
    peer.step(
      .leaderPacket(
        QuorumPacket(
          .leaderInfo, zxid: Zxid(epoch: 1, counter: 0).rawValue, data: version.array())),
      at: .zero, into: &effects)
    peer.step(.leaderDisconnected, at: .zero, into: &effects)
    #expect(peer.state == .looking)
    #expect(attempts(effects) == 1)
  }
}
