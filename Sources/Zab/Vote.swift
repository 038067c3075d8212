// Votes and the notifications that carry them.

import ZooKeeperProtocol

/// Whom a server would follow, and why.
public struct Vote: Hashable, Sendable {
  public var leader: ServerID
  /// The last transaction in the proposed leader's log.
  public var zxid: Zxid
  /// The round of the election in which the vote was cast.
  public var electionEpoch: Int64
  /// The last epoch the proposed leader took part in (`currentEpoch`).
  public var peerEpoch: Int64

  public init(leader: ServerID, zxid: Zxid, electionEpoch: Int64, peerEpoch: Int64) {
    self.leader = leader
    self.zxid = zxid
    self.electionEpoch = electionEpoch
    self.peerEpoch = peerEpoch
  }

  /// Whether this vote wins over `other`: the later epoch, then the longer log, then the higher
  /// server. The round does not count here.
  func outranks(_ other: Vote, in ensemble: Ensemble) -> Bool {
    guard ensemble.weight(of: leader) > 0 else { return false }
    if peerEpoch != other.peerEpoch { return peerEpoch > other.peerEpoch }
    if zxid != other.zxid { return zxid > other.zxid }
    return leader > other.leader
  }
}

/// One election message: a vote, and the state of who sends it.
public struct Notification: Hashable, Sendable {
  public var state: PeerState
  public var vote: Vote
  /// The format of the message; 0 for servers that do not say.
  public var version: Int32

  public init(state: PeerState, vote: Vote, version: Int32 = Notification.currentVersion) {
    self.state = state
    self.vote = vote
    self.version = version
  }

  public static let currentVersion: Int32 = 2

  /// Whether two ballots support the same leader.
  ///
  /// Among servers that already lead or follow, the zxid and the round may differ from one to the
  /// next although they serve in one epoch, so only leader and epoch are compared; and servers from
  /// before the versioned message report another epoch, so with those the leader alone is.
  func agrees(with other: Notification) -> Bool {
    if state == .looking || other.state == .looking { return vote == other.vote }
    guard vote.leader == other.vote.leader else { return false }
    return (version > 0) != (other.version > 0) || vote.peerEpoch == other.vote.peerEpoch
  }
}

extension Notification {
  /// From the wire.
  public init(_ message: ElectionMessage) {
    self.init(
      state: message.state,
      vote: Vote(
        leader: ServerID(message.leader), zxid: Zxid(rawValue: message.zxid),
        electionEpoch: message.electionEpoch, peerEpoch: message.peerEpoch),
      version: message.version)
  }

  /// For the wire. `config` is the sender's view of the ensemble, in the words of `zoo.cfg`.
  public func message(config: [UInt8]) -> ElectionMessage {
    ElectionMessage(
      state: state, leader: vote.leader.rawValue, zxid: vote.zxid.rawValue,
      electionEpoch: vote.electionEpoch, peerEpoch: vote.peerEpoch, config: config)
  }
}
