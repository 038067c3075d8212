import Bytes
import Values
import ZooKeeperProtocol

// The ensemble changes, and leaders leave.

extension Leader {
  /// How long a leader that resigns waits for the transactions that it has proposed.
  static let resignLimitMs: Int64 = 1000

  /// A configuration that nobody has ever changed gets the number of the epoch in which it is first
  /// established, so that it prevails over what a server that wants to join may know of it.
  func versionFirstConfig(_ context: inout PeerContext, into effects: inout [PeerEffect]) {
    let membership = context.membership
    guard membership.lastSeen.version == 0 else { return }
    var config = membership.current
    config.version = Zxid(epoch: epoch, counter: 0).rawValue
    context.see(config, into: &effects)
  }

  /// A quorum of both has acknowledged NEWLEADER, and with it the newest configuration: what a
  /// former leader may have left unfinished is in force.
  mutating func completeConfig(
    at now: Instant, _ context: inout PeerContext, into effects: inout [PeerEffect]
  ) {
    guard let config = context.membership.next else { return }
    let former = context.membership.current
    context.activate(config, into: &effects)
    choose(for: config, instead: former, Zxid(rawValue: config.version), context)
  }

  /// A reconfiguration is agreed on: tells all of it, and who is to lead from here.
  mutating func activate(
    _ config: EnsembleConfig, by proposal: Proposal, _ context: inout PeerContext,
    into effects: inout [PeerEffect]
  ) {
    let former = context.membership.current
    context.activate(config, into: &effects)
    choose(for: config, instead: former, proposal.zxid, context)
    var writer = ByteWriter()
    writer.writeInt64((successor ?? context.own).rawValue)
    let named = writer.array()
    for learner in learners where learner.isForwarding {
      let packet = QuorumPacket(
        learner.isObserver ? .informAndActivate : .commitAndActivate,
        zxid: proposal.zxid.rawValue, data: learner.isObserver ? named + proposal.data : named)
      effects.append(.send(packet, to: learner.id))
    }
  }

  /// A leader that votes at the same place stays. Otherwise the voter that has acknowledged most
  /// takes over: our learners leave us for it, and our role ends with them.
  private mutating func choose(
    for config: EnsembleConfig, instead former: EnsembleConfig, _ zxid: Zxid,
    _ context: PeerContext
  ) {
    guard !config.hasSameAddress(of: context.own, as: former) else { return }
    let voters = config.ensemble.voters.filter { $0 != context.own && isSynced($0) }
    successor = voters.max { (acked[$0] ?? .lowest, $0) < (acked[$1] ?? .lowest, $1) }
  }

  /// With the last of its quorum, a leader that was replaced ends.
  func endIfLeft(_ context: inout PeerContext) {
    guard let successor else { return }
    let present = Set(learners.filter { !$0.isObserver }.map(\.server)).union([context.own])
    if !context.membership.isQuorum(present) {
      context.endOfRole = "server \(successor) leads from here"
    }
  }

  // MARK: Resigning

  /// Takes no more requests; what is proposed may still be committed.
  mutating func resign(at now: Instant, _ context: inout PeerContext) {
    guard resignBy == nil else { return }
    resignBy = now.advanced(milliseconds: Self.resignLimitMs)
    if context.history.pending.isEmpty { context.hasResigned = true }
  }
}
