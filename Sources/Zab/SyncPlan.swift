// How a leader brings a learner to its own history.

import ZooKeeperProtocol

/// The opening move towards a learner, and the transactions that follow it.
public struct SyncPlan: Hashable, Sendable {
  public enum Opening: Hashable, Sendable {
    /// The learner's log is a prefix of ours.
    case diff(through: Zxid)
    /// The learner has logged what we never had.
    case truncate(to: Zxid)
    /// What the learner lacks is not at hand, or its log has parted from ours.
    case snapshot
  }

  public var opening: Opening
  /// Committed transactions to send, oldest first.
  public var proposals: [Proposal] = []
  /// The end of what the learner has after this plan.
  public var lastSent: Zxid

  /// What comes first in time: the plan, or reading the log on disk for it.
  public enum Step: Hashable, Sendable {
    case ready(SyncPlan)
    /// The learner is behind `recent`; the log on disk from the learner's position may reach it.
    case needsLog(from: Zxid, through: Zxid)
  }

  /// Decides from memory.
  ///
  /// A position with counter 0 names no transaction: a server that took part in an epoch without
  /// one reports it, and is served like one that ends somewhere below.
  static func step(learnerLast: Zxid, history: TransactionHistory) -> Step {
    let first = history.recent.first?.zxid ?? history.lastProcessed
    let last = history.recent.last?.zxid ?? history.lastProcessed
    if learnerLast == history.lastProcessed {
      return .ready(SyncPlan(opening: .diff(through: learnerLast), lastSent: learnerLast))
    }
    if learnerLast > last {
      return learnerLast.counter == 0
        ? .ready(snapshot(history))
        : .ready(SyncPlan(opening: .truncate(to: last), lastSent: last))
    }
    if learnerLast >= first {
      return .ready(
        following(learnerLast, in: Array(history.recent.elements), through: last)
          ?? snapshot(history))
    }
    return .needsLog(from: learnerLast, through: last)
  }

  /// Decides with what the log on disk held from the learner's position on; nil: nothing usable.
  static func step(
    learnerLast: Zxid, log: [Proposal]?, history: TransactionHistory
  ) -> SyncPlan {
    let last = history.recent.last?.zxid ?? history.lastProcessed
    guard var joined = log, let start = joined.first?.zxid, start <= learnerLast,
      let end = joined.last?.zxid,
      end >= history.recent.first?.zxid ?? history.lastProcessed
    else { return snapshot(history) }
    joined.append(contentsOf: history.recent.after(end))
    joined.removeAll { $0.zxid > last }
    return following(learnerLast, in: joined, through: last) ?? snapshot(history)
  }

  static func snapshot(_ history: TransactionHistory) -> SyncPlan {
    SyncPlan(opening: .snapshot, lastSent: history.lastProcessed)
  }

  /// A plan from contiguous transactions that begin at or below the learner's position; nil if the
  /// learner's last transaction is not among them and cannot just be cut off.
  private static func following(
    _ learnerLast: Zxid, in transactions: [Proposal], through last: Zxid
  ) -> SyncPlan? {
    let next = transactions.firstIndex { $0.zxid > learnerLast } ?? transactions.endIndex
    let missing = Array(transactions[next...])
    let previous = next > 0 ? transactions[next - 1].zxid : nil
    if previous == learnerLast || learnerLast.counter == 0 {
      return SyncPlan(opening: .diff(through: last), proposals: missing, lastSent: last)
    }
    // A transaction of the same epoch that we do not have was never committed. One of another
    // epoch may hide more such before it, which only a snapshot is sure to replace.
    guard let previous, missing.first?.zxid.epoch == learnerLast.epoch else { return nil }
    return SyncPlan(opening: .truncate(to: previous), proposals: missing, lastSent: last)
  }
}
