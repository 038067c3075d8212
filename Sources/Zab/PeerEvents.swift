// What a peer is told, and what it asks for: the whole contract between the machine and its driver.

import ZooKeeperProtocol

/// What happened to a peer.
public enum PeerEvent: Sendable {
  /// The server is up, its log read.
  case start
  /// `Peer.nextDeadline` has come.
  case timer

  // Elections.
  /// A link over which notifications to this server leave has come up.
  case electionLinkUp(ServerID)
  /// A server to which there was a link refuses to be connected to.
  case electionLinkRefused(ServerID)
  case notification(Notification, from: ServerID)
  /// The configuration that a notification carried, if it is newer than this server's; before it.
  case heardConfig(EnsembleConfig)
  /// The server is about to end: a leader hands over as well as it can.
  case resign

  // The connection to the leader.
  case leaderConnected
  /// It could not be opened, or it is closed.
  case leaderDisconnected
  case leaderPacket(QuorumPacket)
  /// The snapshot asked for by `receiveSnapshot` is durable and is now the tree and the log.
  case snapshotInstalled(Zxid)

  // Connections of learners, on the leader.
  case learnerConnected(LearnerID)
  case learnerDisconnected(LearnerID)
  case learnerPacket(LearnerID, QuorumPacket)
  /// The answer to `readLog`: every logged transaction from the greatest at or below the position
  /// asked for; nil if the log does not reach back so far or is too long to be worth it.
  case logRead(LearnerID, [Proposal]?)
  /// The answer to `revalidate`.
  case revalidated(LearnerID, session: Int64, isValid: Bool)

  // The disk and the server above.
  /// Every appended transaction up to here survives a crash.
  case flushed(Zxid)
  /// A transaction to broadcast; its zxid is `Peer.nextZxid`.
  case propose(Proposal)
  /// A client's request that changes something, or a sync, for the leader to order: session, cxid,
  /// type and body as in REQUEST.
  case forward(request: [UInt8], authInfo: [AuthID])
  /// A client with this session has turned up here; is it alive?
  case revalidate(session: Int64, timeoutMs: Int32)
  /// A client of the leader itself wants to know when all that is proposed is committed.
  case sync
}

/// What a peer asks for. Effects are carried out in order, each before the next one; those marked
/// *durable* survive a crash before the next one begins.
public enum PeerEffect: Hashable, Sendable {
  // Elections.
  case notify(Notification, to: ServerID)
  /// The state has changed. Leading: accept learners; otherwise: close their port.
  case roleChanged(PeerState, leader: ServerID?)

  // The connection to the leader. Closing it drops what still waits to be sent.
  case connectToLeader(ServerID)
  case closeLeaderConnection
  case sendToLeader(QuorumPacket, after: Durability)
  /// Answer PING with the sessions heard of since the last one, even if there are none.
  case answerPing(Zxid)
  /// The tree follows on the stream, up to its signature; no packet is to be read before it is
  /// installed, *durable*, in place of the whole log.
  case receiveSnapshot(Zxid)

  // Connections of learners.
  case send(QuorumPacket, to: LearnerID)
  /// The SNAP packet with this zxid, the tree as it is now, and its signature.
  case sendSnapshot(Zxid, to: LearnerID)
  case readLog(LearnerID, from: Zxid, through: Zxid)
  case close(LearnerID)

  // Changes of the ensemble.
  /// *Durable.* A configuration has been proposed.
  case configSeen(EnsembleConfig)
  /// *Durable.* A configuration is in force.
  case configActivated(EnsembleConfig)
  /// The answer to `resign`: nothing more will be asked for.
  case resigned

  // Disk.
  /// *Durable.*
  case persistAcceptedEpoch(Int64)
  /// *Durable.*
  case persistCurrentEpoch(Int64)
  /// Logged now, durable when `flushed` says so.
  case append(Proposal)
  /// Kept in memory until its commit: an observer that keeps no log.
  case hold(Proposal)
  /// Forgets what was only held and is not applied.
  case dropHeld
  /// *Durable.* The tree as it is, which ends at this transaction, in place of the whole log.
  case saveTree(at: Zxid)
  /// *Durable*, what is left included. Cuts the log after this transaction and brings the tree back
  /// to it. No `flushed` of what was cut may follow.
  case truncate(to: Zxid)

  // The server above.
  /// Committed: the tree applies it, whoever waits for it hears of it.
  case commit(Proposal)
  /// The tree applies every transaction that is logged but not yet applied. Nobody is told.
  case fastForward
  /// Clients may be served; everything up to the end of the log is committed.
  case startServing(epoch: Int64)
  case stopServing
  /// Something a learner forwards, to be turned into a transaction or refused.
  case request(LearnerID, [UInt8], authInfo: [AuthID])
  /// A client of a learner was heard of.
  case touch(session: Int64, timeoutMs: Int32)
  case revalidate(LearnerID, session: Int64, timeoutMs: Int32)
  /// The leader's word on a session that `revalidate` asked about.
  case sessionRevalidated(session: Int64, isValid: Bool)
  /// The oldest unanswered sync of this server is done.
  case synced
}

/// What must be on disk before a packet may leave.
public enum Durability: Hashable, Sendable {
  case none
  case flushed(Zxid)
}

/// Packets that wait for the log, in order: nothing overtakes an earlier one.
///
/// Both the real server and the simulated one send to the leader through this gate, so an
/// acknowledgement cannot leave before what it acknowledges is durable.
public struct DurabilityGate: Sendable {
  private var parked: [(packet: QuorumPacket, after: Durability)] = []
  private var durable: Zxid

  public init(durable: Zxid) { self.durable = durable }

  /// The packet, if it may leave now; otherwise it is parked.
  public mutating func pass(_ packet: QuorumPacket, after: Durability) -> QuorumPacket? {
    if parked.isEmpty, isMet(after) { return packet }
    parked.append((packet, after))
    return nil
  }

  /// Hands over what may leave now that the log is durable up to `zxid`.
  public mutating func flushed(_ zxid: Zxid, _ send: (QuorumPacket) -> Void) {
    durable = max(durable, zxid)
    var released = 0
    while released < parked.count, isMet(parked[released].after) {
      send(parked[released].packet)
      released += 1
    }
    parked.removeFirst(released)
  }

  /// The log now ends at `zxid`, durably.
  public mutating func reset(durable zxid: Zxid) { durable = zxid }

  /// The connection is gone, and with it what waited for it.
  public mutating func dropAll() { parked.removeAll() }

  private func isMet(_ condition: Durability) -> Bool {
    switch condition {
    case .none: true
    case .flushed(let zxid): zxid <= durable
    }
  }
}
