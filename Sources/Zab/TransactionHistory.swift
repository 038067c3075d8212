// What a server knows of its own log: enough to vote, to acknowledge and to bring learners up.

import ZooKeeperProtocol

/// The tail of the log as the machines see it.
///
///     ... snapshot and older log files | recent: applied | pending: logged, not committed |
///                                                   lastProcessed                 lastLogged
///
/// The bytes of older transactions are on disk only.
public struct TransactionHistory: Sendable {
  /// How many applied transactions are kept for learners (`commitLogCount`).
  let limit: Int
  /// The last applied transactions, oldest first; what lies before is at or below `recent.first`.
  public private(set) var recent = ProposalQueue()
  /// Logged, waiting for their commit.
  public private(set) var pending = ProposalQueue()
  /// The last transaction in the tree.
  public private(set) var lastProcessed: Zxid
  /// Everything up to here survives a crash.
  public private(set) var durable: Zxid
  /// Where the log on disk ends, flushed or not: before `lastLogged` only on an observer that keeps
  /// no log (`syncEnabled=false`), which has the rest in memory.
  public private(set) var written: Zxid

  /// A log as it was read from disk: everything in it has been applied and made durable.
  public init(lastProcessed: Zxid, recent: [Proposal] = [], limit: Int = 500) {
    self.limit = limit
    self.lastProcessed = lastProcessed
    durable = lastProcessed
    written = lastProcessed
    for proposal in recent.suffix(limit) where proposal.zxid <= lastProcessed {
      self.recent.append(proposal)
    }
  }

  /// The last transaction in the log, committed or not.
  public var lastLogged: Zxid { pending.last?.zxid ?? lastProcessed }
  public var isDurable: Bool { durable >= lastLogged }

  /// Whether a restart would lose something, whatever is flushed.
  var hasUnwritten: Bool { written < lastLogged }

  /// - Parameter isWritten: Whether it goes to the log, too.
  mutating func append(_ proposal: Proposal, isWritten: Bool = true) {
    pending.append(proposal)
    if isWritten { written = proposal.zxid }
  }

  mutating func flushed(through zxid: Zxid) { durable = max(durable, min(zxid, lastLogged)) }

  /// Moves the oldest pending transaction to the applied ones.
  mutating func commitFirst() -> Proposal? {
    guard let proposal = pending.popFirst() else { return nil }
    recent.append(proposal)
    lastProcessed = proposal.zxid
    if recent.count > limit { _ = recent.popFirst() }
    return proposal
  }

  /// Counts everything logged as applied, as before an election: the vote covers the whole log.
  mutating func fastForward() {
    while commitFirst() != nil {}
  }

  /// Forgets everything after `zxid`, which becomes the end of the log. What is left is durable.
  mutating func truncate(to zxid: Zxid) {
    pending.truncate(after: zxid)
    recent.truncate(after: zxid)
    lastProcessed = min(lastProcessed, zxid)
    written = min(written, zxid)
    durable = lastLogged
  }

  /// Forgets what was received and neither written nor applied: it was promised to nobody.
  mutating func dropPending() { pending.removeAll() }

  /// Everything applied stands on disk now, as a snapshot.
  mutating func saved() {
    written = lastLogged
    durable = lastLogged
  }

  /// Replaces everything by a durable snapshot.
  mutating func replace(bySnapshotAt zxid: Zxid) {
    recent.removeAll()
    pending.removeAll()
    lastProcessed = zxid
    durable = zxid
    written = zxid
  }
}
