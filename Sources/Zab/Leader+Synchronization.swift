import Values
import ZooKeeperProtocol

// Synchronization: every learner's log becomes ours, and a quorum acknowledges NEWLEADER.

extension Leader {
  /// Chooses how to bring a learner up, at once or after a look at the log on disk.
  mutating func opens(
    _ index: Int, at now: Instant, _ context: PeerContext, into effects: inout [PeerEffect]
  ) {
    if context.configuration.forcesSnapshots {
      return synchronize(
        index, by: SyncPlan.snapshot(context.history), at: now, context, into: &effects)
    }
    switch SyncPlan.step(learnerLast: learners[index].lastLogged, history: context.history) {
    case .ready(let plan):
      synchronize(index, by: plan, at: now, context, into: &effects)
    case .needsLog(let from, let through):
      learners[index].stage = .readingLog
      effects.append(.readLog(learners[index].id, from: from, through: through))
    }
  }

  /// Sends the opening, what is committed, what is proposed beyond that, and NEWLEADER. From here
  /// on the learner gets every proposal as it is made.
  mutating func synchronize(
    _ index: Int, by plan: SyncPlan, at now: Instant, _ context: PeerContext,
    into effects: inout [PeerEffect]
  ) {
    let id = learners[index].id
    guard admits(learners[index], by: plan, context) else { return close(id, into: &effects) }
    // What the server acknowledged on an earlier connection does not count any more: it may have to
    // cut it off now, and acknowledges anew all of it that is still open.
    acked[learners[index].server] = nil
    learners[index].takesSnapshot = plan.opening == .snapshot
    switch plan.opening {
    case .diff(let zxid):
      effects.append(.send(QuorumPacket(.diff, zxid: zxid.rawValue), to: id))
    case .truncate(let zxid):
      effects.append(.send(QuorumPacket(.trunc, zxid: zxid.rawValue), to: id))
    case .snapshot:
      effects.append(.sendSnapshot(plan.lastSent, to: id))
    }
    for proposal in plan.proposals {
      effects.append(.send(Self.packet(.proposal, proposal), to: id))
      effects.append(.send(QuorumPacket(.commit, zxid: proposal.zxid.rawValue), to: id))
    }
    if !learners[index].isObserver {
      for proposal in context.history.pending.after(plan.lastSent) {
        effects.append(.send(Self.packet(.proposal, proposal), to: id))
      }
    }
    let newLeader = QuorumPacket(
      .newLeader, zxid: Zxid(epoch: epoch, counter: 0).rawValue,
      data: context.membership.lastSeen.bytes)
    effects.append(.send(newLeader, to: id))
    learners[index].stage = .synchronizing
    learners[index].deadline = now.advanced(milliseconds: context.timing.initTimeoutMs)
  }

  /// Observers wait for their turn when too many learners are being brought up, by trying again
  /// later; the quorum is never kept waiting.
  private func admits(
    _ learner: LearnerConnection, by plan: SyncPlan, _ context: PeerContext
  ) -> Bool {
    guard learner.isObserver else { return true }
    let usesSnapshot = plan.opening == .snapshot
    let others = learners.count {
      $0.stage == .synchronizing && $0.takesSnapshot == usesSnapshot
    }
    let limit =
      usesSnapshot
      ? context.configuration.maxConcurrentSnapshots : context.configuration.maxConcurrentDiffs
    return others < limit
  }

  static func packet(_ type: PacketType, _ proposal: Proposal) -> QuorumPacket {
    QuorumPacket(type, zxid: proposal.zxid.rawValue, data: proposal.data)
  }

  /// ACK of NEWLEADER: the learner has our history, durably, and has entered the epoch.
  mutating func newLeaderAcknowledged(
    _ packet: QuorumPacket, _ index: Int, at now: Instant, _ context: inout PeerContext,
    into effects: inout [PeerEffect]
  ) {
    let learner = learners[index]
    guard packet.zxid == Zxid(epoch: epoch, counter: 0).rawValue else {
      return close(learner.id, into: &effects)
    }
    learners[index].stage = .synced
    learners[index].deadline = now.advanced(milliseconds: context.timing.syncTimeoutMs)
    // A latecomer: the quorum was there before it, it may serve at once.
    if phase == .broadcast {
      effects.append(.send(QuorumPacket(.upToDate, zxid: -1), to: learner.id))
      return
    }
    if !learner.isObserver { ackedNewLeader.insert(learner.server) }
    establishIfAgreed(at: now, &context, into: &effects)
  }

  /// The leader's own acknowledgement, under the same condition as everybody's.
  mutating func supportOwnEpoch(
    at now: Instant, _ context: inout PeerContext, into effects: inout [PeerEffect]
  ) {
    guard context.history.isDurable, !ackedNewLeader.contains(context.own) else { return }
    ackedNewLeader.insert(context.own)
    establishIfAgreed(at: now, &context, into: &effects)
  }

  /// With a quorum, all of our log is committed and the epoch is ours.
  private mutating func establishIfAgreed(
    at now: Instant, _ context: inout PeerContext, into effects: inout [PeerEffect]
  ) {
    guard phase == .synchronization, context.membership.isQuorum(ackedNewLeader) else { return }
    phase = .broadcast
    // The server begins to serve before any learner is told that it may.
    nextPing = now.advanced(milliseconds: context.timing.tickTimeMs / 2)
    completeConfig(at: now, &context, into: &effects)
    effects.append(.startServing(epoch: epoch))
    for index in learners.indices where learners[index].stage == .synced {
      learners[index].deadline = now.advanced(milliseconds: context.timing.syncTimeoutMs)
      effects.append(.send(QuorumPacket(.upToDate, zxid: -1), to: learners[index].id))
    }
  }
}
