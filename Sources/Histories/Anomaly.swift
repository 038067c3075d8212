// What can be wrong with a history, and how a finding is told.
import Values

/// The kinds of anomalies, by the names that Jepsen's Kafka workload gave them, and those of groups
/// and znodes.
public enum AnomalyKind: String, Sendable, CaseIterable {
  /// Acknowledged, and passed over by somebody who read further.
  case lostWrite = "lost-write"
  /// One value at two offsets of a partition.
  case duplicate
  /// Acknowledged, and never read though everything was read at the end.
  case unseen
  /// Two values at one offset.
  case inconsistentOffsets = "inconsistent-offsets"
  /// A consumer's next poll begins at or before what it had already.
  case nonmonotonicPoll = "nonmonotonic-poll"
  /// A consumer's next poll passes over records that are there.
  case pollSkip = "poll-skip"
  /// Offsets that go backwards within one poll.
  case internalNonmonotonicPoll = "int-nonmonotonic-poll"
  /// Records passed over within one poll.
  case internalPollSkip = "int-poll-skip"
  /// A producer's later send has the earlier offset.
  case nonmonotonicSend = "nonmonotonic-send"
  /// Records of one operation with somebody else's between them.
  case internalSendSkip = "int-send-skip"
  /// Something was read that a failed operation had written (aborted read).
  case abortedRead = "G1a"
  /// Transactions that read each other's writes in a circle.
  case circularFlow = "G1c"
  /// A group's committed offset went back.
  case offsetRegression = "offset-regression"
  /// A partition with two owners in one generation of a group.
  case doubleOwnership = "double-ownership"
  /// No order of a znode's operations explains their answers.
  case notLinearizable = "not-linearizable"
  /// A session saw an older state after a newer one.
  case sessionOrder = "session-order"
  /// What must have become equal at the end did not.
  case diverged
}

/// One finding, with the operations that prove it.
public struct Anomaly: Sendable, Equatable {
  public var kind: AnomalyKind
  /// The partition, group or path that it is about.
  public var subject: String
  /// What was found, with the figures; one line.
  public var detail: String
  /// Positions in the history, in the order in which they are told.
  public var operations: [Int]

  public init(_ kind: AnomalyKind, _ subject: String, _ detail: String, operations: [Int]) {
    self.kind = kind
    self.subject = subject
    self.detail = detail
    self.operations = operations
  }
}

/// What a checker found: few examples of each kind, and how many there were.
public struct Findings: Sendable, Equatable {
  public private(set) var examples: [Anomaly] = []
  /// By kind; kinds that were not found are absent.
  public private(set) var counts: [AnomalyKind: Int] = [:]
  private static let examplesPerKind = 8

  public init() {}

  public var isEmpty: Bool { counts.isEmpty }
  public var first: Anomaly? { examples.first }

  public mutating func add(_ anomaly: Anomaly) {
    counts[anomaly.kind, default: 0] += 1
    if counts[anomaly.kind, default: 0] <= Self.examplesPerKind { examples.append(anomaly) }
  }

  public mutating func merge(_ other: Findings) {
    let before = counts
    for anomaly in other.examples { add(anomaly) }
    for kind in AnomalyKind.allCases {
      guard let count = other.counts[kind] else { continue }
      counts[kind] = (before[kind] ?? 0) + count
    }
  }

  /// Kinds that were found, in the order of their declaration, with their counts.
  public var summary: [(kind: AnomalyKind, count: Int)] {
    AnomalyKind.allCases.compactMap { kind in counts[kind].map { (kind, $0) } }
  }
}
