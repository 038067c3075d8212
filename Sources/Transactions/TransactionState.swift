import Values

/// Where a transactional id stands (KIP-98, KIP-360).
///
/// ```
///                  AddPartitionsToTxn               EndTxn
///   empty ───────────────▶ ongoing ───────────────────────▶ prepareCommit | prepareAbort
///     ▲                     ▲   │                                  │ every partition
///     │ InitProducerId      │   │ InitProducerId, or the           │ has its marker
///     │                     │   │ transaction's time is up         ▼
///     └─────────────────────┼───┼──────────────────── completeCommit | completeAbort
///                           │   ▼                                  │
///                           │ prepareEpochFence ──▶ prepareAbort   │ not used for long
///                           └──────────────────────────────────────┤
///                                                                  ▼
///                                                          dead (a tombstone)
/// ```
/// Only what is stored decides: `prepareEpochFence` is never stored, it names the moment between
/// the wish to fence a producer and the abort that carries the raised epoch.
public enum TransactionState: Int8, CaseIterable, Hashable, Sendable {
  case empty = 0
  case ongoing = 1
  case prepareCommit = 2
  case prepareAbort = 3
  case completeCommit = 4
  case completeAbort = 5
  case dead = 6
  case prepareEpochFence = 7

  /// As DescribeTransactions and ListTransactions spell it.
  public var name: String {
    switch self {
    case .empty: "Empty"
    case .ongoing: "Ongoing"
    case .prepareCommit: "PrepareCommit"
    case .prepareAbort: "PrepareAbort"
    case .completeCommit: "CompleteCommit"
    case .completeAbort: "CompleteAbort"
    case .dead: "Dead"
    case .prepareEpochFence: "PrepareEpochFence"
    }
  }

  public init?(name: String) {
    guard let found = Self.allCases.first(where: { $0.name == name }) else { return nil }
    self = found
  }

  /// The outcome is decided, and its markers are being written.
  public var isPreparing: Bool { self == .prepareCommit || self == .prepareAbort }

  /// No transaction is open or being ended, so the id may be forgotten when it is old.
  public var mayExpire: Bool {
    self == .empty || self == .completeCommit || self == .completeAbort
  }

  /// The states that may come before this one.
  public var previous: Set<TransactionState> {
    switch self {
    case .empty: [.empty, .completeCommit, .completeAbort]
    case .ongoing: [.ongoing, .empty, .completeCommit, .completeAbort]
    case .prepareCommit: [.ongoing]
    case .prepareAbort: [.ongoing, .prepareEpochFence]
    case .completeCommit: [.prepareCommit]
    case .completeAbort: [.prepareAbort]
    case .dead: [.empty, .completeCommit, .completeAbort]
    case .prepareEpochFence: [.ongoing]
    }
  }
}

/// Epochs of producers.
public enum ProducerEpoch {
  public static let none: Int16 = -1

  /// Whether no producer may be given a higher epoch under this id: the last one is kept for
  /// fencing whoever has the last but one.
  public static func isExhausted(_ epoch: Int16) -> Bool { epoch >= Int16.max - 1 }
}

/// What is known of a transactional id.
public struct TransactionMetadata: Hashable, Sendable {
  public var producerID: ProducerID
  /// The id before the last rotation; none is known after a failover.
  public var lastProducerID: ProducerID = .none
  public var producerEpoch: Int16
  /// The epoch before the last one, if the same producer asked for both: a repeated request.
  public var lastProducerEpoch: Int16 = ProducerEpoch.none
  public var timeoutMs: Int32
  public var state: TransactionState = .empty
  public var partitions: Set<TopicPartition> = []
  /// When the first partition was added; nil before the first transaction.
  public var start: WallTime?
  public var lastUpdate: WallTime

  public init(
    producerID: ProducerID, producerEpoch: Int16, timeoutMs: Int32, lastUpdate: WallTime
  ) {
    self.producerID = producerID
    self.producerEpoch = producerEpoch
    self.timeoutMs = timeoutMs
    self.lastUpdate = lastUpdate
  }
}
