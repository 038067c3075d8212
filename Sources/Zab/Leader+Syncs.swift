import Values
import ZooKeeperProtocol

// Syncs: a read that follows one sees every write that was acknowledged before it, by whatever
// leader.
//
//   sync --> waits for the next round, and for what is proposed by now
//   no round under way --PING with the round's number--> followers
//   a quorum has answered the round, what was proposed is committed --> SYNC
//
// ZooKeeper's leader answers as soon as nothing is pending. One that others have replaced without
// its noticing then confirms what is out of date, for up to syncLimit. Ours asks first: a follower
// that still answers had, when it did, not helped any other leader to a quorum. Followers send a
// ping back as it was, so real ones take part; one round serves all syncs that came before it.

/// A sync that waits for its answer.
struct PendingSync: Sendable {
  /// What must be committed first.
  var after: Zxid
  /// The round that a quorum must have answered.
  var round: Int64
  /// Whose client asked; nil: a client of the leader itself.
  var learner: LearnerID?
}

extension Leader {
  /// A ping's zxid says how far proposals have come, and nobody reads it. Below all of those there
  /// is room for the numbers of rounds.
  private static let firstRound = Int64.min

  /// The ping of the moment: it asks again while a round is under way, for those who have connected
  /// meanwhile.
  var pingPacket: QuorumPacket {
    QuorumPacket(
      .ping,
      zxid: heardRound < askedRound ? Self.firstRound + askedRound : lastProposed.rawValue)
  }

  /// A client of a learner (nil: of this server) asks for a sync.
  mutating func sync(
    for learner: LearnerID?, _ context: PeerContext, into effects: inout [PeerEffect]
  ) {
    // The round that is under way may have been answered before now.
    pendingSyncs.append(
      PendingSync(
        after: context.history.pending.last?.zxid ?? .lowest, round: askedRound + 1,
        learner: learner))
    if heardRound == askedRound { ask(context, into: &effects) }
  }

  private mutating func ask(_ context: PeerContext, into effects: inout [PeerEffect]) {
    askedRound += 1
    for learner in learners where learner.stage == .synced && !learner.isObserver {
      effects.append(.send(pingPacket, to: learner.id))
    }
    countAnswers(context, into: &effects)
  }

  /// A follower has sent a ping back.
  mutating func heard(
    _ packet: QuorumPacket, _ index: Int, _ context: PeerContext,
    into effects: inout [PeerEffect]
  ) {
    guard packet.zxid < 0, packet.zxid <= Self.firstRound + askedRound else { return }
    learners[index].heardRound = max(learners[index].heardRound, packet.zxid - Self.firstRound)
    if heardRound < askedRound { countAnswers(context, into: &effects) }
  }

  private mutating func countAnswers(_ context: PeerContext, into effects: inout [PeerEffect]) {
    var present: Set<ServerID> = [context.own]
    for learner in learners where !learner.isObserver && learner.heardRound == askedRound {
      present.insert(learner.server)
    }
    guard context.membership.isQuorum(present) else { return }
    heardRound = askedRound
    releaseSyncs(context, into: &effects)
    // Whoever has come since then waits for a round of its own.
    if let last = pendingSyncs.last, last.round > askedRound { ask(context, into: &effects) }
  }

  /// Answers syncs in order: what comes after the answer on a learner's stream is younger than the
  /// sync.
  mutating func releaseSyncs(_ context: PeerContext, into effects: inout [PeerEffect]) {
    let pending = context.history.pending.first?.zxid
    while let first = pendingSyncs.first, first.round <= heardRound,
      pending.map({ first.after < $0 }) != false
    {
      pendingSyncs.removeFirst()
      if let learner = first.learner {
        effects.append(.send(QuorumPacket(.sync, zxid: 0), to: learner))
      } else {
        effects.append(.synced)
      }
    }
  }
}
