import KafkaProtocol
import Values

/// A request's identity, chosen by whoever sends it in; the reply carries it back.
public struct TransactionToken: Hashable, Sendable {
  public var rawValue: UInt64
  public init(_ rawValue: UInt64) { self.rawValue = rawValue }
}

/// An append's identity, chosen by the shard; the outcome carries it back.
public struct TransactionWriteID: Hashable, Comparable, Sendable {
  public var rawValue: Int64
  public init(_ rawValue: Int64) { self.rawValue = rawValue }
  public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// A producer id with the epoch under which it is used.
public struct ProducerIdentity: Hashable, Sendable, CustomStringConvertible {
  public var id: ProducerID
  public var epoch: Int16
  public init(_ id: ProducerID, epoch: Int16) {
    self.id = id
    self.epoch = epoch
  }
  public var description: String { "\(id.rawValue)/\(epoch)" }
}

/// What a shard is told.
public enum TransactionEvent: Sendable {
  case initProducer(InitProducerCommand, TransactionToken)
  case addPartitions(TransactionCommand, [TopicPartition], TransactionToken)
  /// A leader asks whether these partitions are in the open transaction (KIP-890).
  case verifyPartitions(TransactionCommand, [TopicPartition], TransactionToken)
  case end(TransactionCommand, isCommit: Bool, TransactionToken)
  /// These partitions have the marker of the transaction, or are no longer there.
  case markersWritten(TransactionCommand, [TopicPartition])
  /// Another coordinator, or a newer epoch, has written there: these markers are nobody's now.
  case markersRefused(TransactionCommand)
  /// Look for transactions whose time is up.
  case abortTimedOut
  /// Look for transactional ids that were not used for long.
  case expire
  /// Try again what could not be stored for the time being.
  case retry
  /// The records of an append are committed (`error` is `.none`), or never will be.
  case appendFinished(TransactionWriteID, error: ErrorCode)
  /// This broker no longer coordinates these transactional ids.
  case resign
}

public struct InitProducerCommand: Sendable {
  public var transactionalID = ""
  public var timeoutMs: Int32 = 0
  /// What the producer believes it has (KIP-360); nil for one that begins.
  public var expected: ProducerIdentity?
  /// A fresh producer id; sent in when the shard has asked for it.
  public var newProducerID: ProducerID?
  public init() {}
}

/// Who speaks for which transactional id.
public struct TransactionCommand: Hashable, Sendable {
  public var transactionalID: String
  public var producer: ProducerIdentity
  public init(_ transactionalID: String, _ producer: ProducerIdentity) {
    self.transactionalID = transactionalID
    self.producer = producer
  }
}

/// Markers that have to be written to the leaders of a transaction's partitions.
public struct TransactionMarkers: Hashable, Sendable {
  public var transaction: TransactionCommand
  public var isCommit: Bool
  /// In order.
  public var partitions: [TopicPartition]
}

/// What a shard wants done.
public enum TransactionEffect: Sendable {
  /// Answers a request; each token is answered exactly once.
  case reply(TransactionToken, TransactionReply)
  /// Appends records to the shard's partition, all or none, and reports `appendFinished` once all
  /// in-sync replicas have them. Appends are to be made in the order of these effects.
  case append(TransactionWriteID, [TransactionRecord])
  /// Take a fresh producer id and send the command in again with it, or answer for the failure.
  case needProducerID(InitProducerCommand, TransactionToken)
  /// Write these markers, again and again until `markersWritten` has named every partition.
  case sendMarkers(TransactionMarkers)
  /// Send in a `retry` after a while.
  case retryLater
  /// Something an operator may want to know.
  case note(String)
}

public enum TransactionReply: Sendable {
  /// The producer's id and epoch; nil with an error.
  case initProducer(ErrorCode, ProducerIdentity?)
  case addPartitions(ErrorCode)
  /// One error for each partition, in the order of the command.
  case verifyPartitions([(partition: TopicPartition, error: ErrorCode)])
  case end(ErrorCode)
}
