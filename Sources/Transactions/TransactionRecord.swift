import Bytes
import KafkaProtocol
import KafkaRecords
import Values

/// A record of `__transaction_state`: a transactional id and what is known of it; nothing is a
/// tombstone. Key and value each begin with an int16 version.
public struct TransactionRecord: Hashable, Sendable {
  public var id: String
  public var value: TransactionMetadata?

  public init(id: String, value: TransactionMetadata?) {
    self.id = id
    self.value = value
  }

  /// Version 1 has tagged fields, which Kafka writes only from `transaction.version` 1 on: after
  /// 3.9.
  private static let valueVersion: Int16 = 0

  // MARK: Writing

  /// Key and value as bytes; a nil value is a tombstone.
  public func encoded() -> (key: [UInt8], value: [UInt8]?) {
    let key = TransactionLogKey { $0.transactionalID = id }
    return (
      key.bytes(behindVersion: 0),
      value.map { Self.stored($0).bytes(behindVersion: Self.valueVersion) }
    )
  }

  private static func stored(_ metadata: TransactionMetadata) -> TransactionLogValue {
    TransactionLogValue {
      $0.producerID = metadata.producerID.rawValue
      $0.producerEpoch = metadata.producerEpoch
      $0.transactionTimeoutMs = metadata.timeoutMs
      $0.transactionStatus = metadata.state.rawValue
      $0.transactionPartitions = metadata.state == .empty ? nil : topics(metadata.partitions)
      $0.transactionLastUpdateTimestampMs = metadata.lastUpdate.milliseconds
      $0.transactionStartTimestampMs = metadata.start?.milliseconds ?? -1
    }
  }

  private static func topics(
    _ partitions: Set<TopicPartition>
  ) -> [TransactionLogValue.PartitionsSchema] {
    var topics: [TransactionLogValue.PartitionsSchema] = []
    for partition in partitions.sorted() {
      if topics.last?.topic != partition.topic {
        topics.append(TransactionLogValue.PartitionsSchema { $0.topic = partition.topic })
      }
      topics[topics.count - 1].partitionIDs.append(partition.partition)
    }
    return topics
  }

  // MARK: Reading

  /// Understands a record.
  /// - Returns: nil for keys of a version that is not known.
  /// - Throws: `ByteError` if key or value are not what their version says.
  public static func decode(
    key: RawSpan, value: RawSpan?
  ) throws(ByteError) -> TransactionRecord? {
    var keyReader = ByteReader(key)
    let keyVersion = try keyReader.readInt16()
    guard keyVersion == 0 else { return nil }
    let id = try TransactionLogKey(from: &keyReader, version: keyVersion).transactionalID
    guard let value else { return TransactionRecord(id: id, value: nil) }
    var reader = ByteReader(value)
    let version = try reader.readInt16()
    let stored = try TransactionLogValue(from: &reader, version: version)
    guard let state = TransactionState(rawValue: stored.transactionStatus) else {
      throw .invalidValue(Int64(stored.transactionStatus))
    }
    var metadata = TransactionMetadata(
      producerID: ProducerID(stored.producerID), producerEpoch: stored.producerEpoch,
      timeoutMs: stored.transactionTimeoutMs,
      lastUpdate: WallTime(milliseconds: stored.transactionLastUpdateTimestampMs))
    metadata.state = state
    for topic in stored.transactionPartitions ?? [] {
      for partition in topic.partitionIDs {
        metadata.partitions.insert(TopicPartition(topic.topic, partition))
      }
    }
    let start = stored.transactionStartTimestampMs
    metadata.start = start < 0 ? nil : WallTime(milliseconds: start)
    return TransactionRecord(id: id, value: metadata)
  }
}
