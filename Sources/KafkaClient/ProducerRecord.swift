import KafkaProtocol
import Values

/// A header of a record.
public struct RecordHeader: Hashable, Sendable {
  public var name: String
  public var value: [UInt8]?
  public init(_ name: String, _ value: [UInt8]?) {
    self.name = name
    self.value = value
  }
}

/// A record to be sent.
public struct ProducerRecord: Sendable {
  public var topic: String
  /// Nil lets the partitioner choose.
  public var partition: Int32?
  public var key: [UInt8]?
  /// Nil is a tombstone.
  public var value: [UInt8]?
  public var headers: [RecordHeader]
  /// Milliseconds since 1970; nil takes the time of sending.
  public var timestamp: Int64?

  public init(
    topic: String, partition: Int32? = nil, key: [UInt8]? = nil, value: [UInt8]?,
    headers: [RecordHeader] = [], timestamp: Int64? = nil
  ) {
    self.topic = topic
    self.partition = partition
    self.key = key
    self.value = value
    self.headers = headers
    self.timestamp = timestamp
  }

  /// The most bytes that the record can take in a batch.
  var sizeBound: Int {
    var size = 5 + 1 + 10 + 5 + 5 + 5 + 5 + (key?.count ?? 0) + (value?.count ?? 0)
    for header in headers { size += 10 + header.name.utf8.count + (header.value?.count ?? 0) }
    return size
  }
}

/// Where a record came to lie.
public struct RecordMetadata: Hashable, Sendable {
  public var topic: String
  public var partition: Int32
  /// -1 when the broker did not say: acks=0, or a duplicate that it no longer knows.
  public var offset: Int64
  /// Milliseconds since 1970: the record's own, or the broker's when the topic uses append time.
  public var timestamp: Int64
}
