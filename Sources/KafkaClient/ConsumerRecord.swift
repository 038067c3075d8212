import Records
import Values

/// A record as it was read.
public struct ConsumerRecord: Sendable {
  public var topic: String
  public var partition: Int32
  public var offset: Int64
  /// Milliseconds since 1970; -1: none.
  public var timestamp: Int64
  public var timestampType: TimestampType
  public var leaderEpoch: Int32
  public var key: [UInt8]?
  /// Nil is a tombstone.
  public var value: [UInt8]?
  public var headers: [RecordHeader]

  public var topicPartition: TopicPartition { TopicPartition(topic, partition) }
}
