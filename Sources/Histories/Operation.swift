// What a workload writes down of every operation: the raw material of all checkers.
import Values

/// What is known of an operation when the history ends.
public enum Outcome: String, Sendable, CaseIterable {
  /// It was acknowledged: it happened between its invocation and its completion.
  case ok
  /// It was refused in a way that proves that it did not happen, and never will.
  case failed
  /// Nobody knows: a time-out, a lost connection, a client that died. It may have happened at any
  /// time after its invocation, or may still happen.
  case unknown
}

/// One thing that an operation on partitions did.
public enum Access: Equatable, Sendable {
  /// A record was sent; `offset` is what the acknowledgement said, nil when there was none.
  case sent(TopicPartition, value: Int64, offset: Offset?)
  /// A record was received by a consumer.
  case received(TopicPartition, offset: Offset, value: Int64)
}

/// One operation on partitions: a send, a poll, or a transaction of several of both.
///
/// Values are unique in a history: two sends never carry the same one, so that a value names the
/// send that wrote it. `process` is a logical thread: its operations do not overlap, except sends
/// of one producer, which are pipelined and count in the order of their invocation.
public struct Operation: Sendable {
  public var process: Int
  public var accesses: [Access]
  public var invoked: Instant
  /// When the outcome was known; for unknown outcomes, when it was given up.
  public var completed: Instant
  public var outcome: Outcome
  /// Accesses took effect together or not at all, and a failed outcome means aborted.
  public var isTransaction: Bool
  /// Of a consumer: raised with every new assignment and every seek. Within one generation its
  /// position only moves forward, record by record.
  public var generation: Int

  public init(
    process: Int, _ accesses: [Access], invoked: Instant, completed: Instant, outcome: Outcome,
    isTransaction: Bool = false, generation: Int = 0
  ) {
    self.process = process
    self.accesses = accesses
    self.invoked = invoked
    self.completed = completed
    self.outcome = outcome
    self.isTransaction = isTransaction
    self.generation = generation
  }
}

/// All operations of a run, in the order of their invocation.
public struct History: Sendable {
  public var operations: [Operation]
  /// Whether, after everything had healed, every partition was read from its start to its end: only
  /// then does "nobody has read it" prove a loss.
  public var hasFinalRead: Bool

  public init(_ operations: [Operation] = [], hasFinalRead: Bool = false) {
    self.operations = operations
    self.hasFinalRead = hasFinalRead
  }
}
