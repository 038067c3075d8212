/// Strong identifiers for what Kafka's wire calls int32 and int64.
///
/// The wire structs keep bare integers; every decision and every table uses these, so that a
/// partition epoch cannot be compared with a leader epoch by accident.

/// `broker.id` / `node.id`; -1 means none.
public struct BrokerID: RawRepresentable, Hashable, Comparable, Sendable {
  public var rawValue: Int32
  @inlinable public init(rawValue: Int32) { self.rawValue = rawValue }
  @inlinable public init(_ value: Int32) { rawValue = value }
  public static let none = BrokerID(-1)
  @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// The czxid of the broker's registration znode, or the offset of its RegisterBrokerRecord.
public struct BrokerEpoch: RawRepresentable, Hashable, Comparable, Sendable {
  public var rawValue: Int64
  @inlinable public init(rawValue: Int64) { self.rawValue = rawValue }
  @inlinable public init(_ value: Int64) { rawValue = value }
  public static let none = BrokerEpoch(-1)
  @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// Rises with every new leader of a partition; stamped into every batch (KIP-101).
public struct LeaderEpoch: RawRepresentable, Hashable, Comparable, Sendable {
  public var rawValue: Int32
  @inlinable public init(rawValue: Int32) { self.rawValue = rawValue }
  @inlinable public init(_ value: Int32) { rawValue = value }
  public static let none = LeaderEpoch(-1)
  @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
  @inlinable public var next: LeaderEpoch { LeaderEpoch(rawValue + 1) }
}

/// Rises with every change of a partition's state; the zkVersion of its state znode (KIP-497).
public struct PartitionEpoch: RawRepresentable, Hashable, Comparable, Sendable {
  public var rawValue: Int32
  @inlinable public init(rawValue: Int32) { self.rawValue = rawValue }
  @inlinable public init(_ value: Int32) { rawValue = value }
  @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// The controller's term: `/controller_epoch`, or the epoch of the metadata quorum's leader.
public struct ControllerEpoch: RawRepresentable, Hashable, Comparable, Sendable {
  public var rawValue: Int32
  @inlinable public init(rawValue: Int32) { self.rawValue = rawValue }
  @inlinable public init(_ value: Int32) { rawValue = value }
  @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// A record's position in its partition. `Int64` arithmetic stays explicit at the call site.
public typealias Offset = Int64

/// The identity an idempotent producer was given, and its term (KIP-98).
public struct ProducerID: RawRepresentable, Hashable, Comparable, Sendable {
  public var rawValue: Int64
  @inlinable public init(rawValue: Int64) { self.rawValue = rawValue }
  @inlinable public init(_ value: Int64) { rawValue = value }
  public static let none = ProducerID(-1)
  @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// A topic's name and a partition's number.
public struct TopicPartition: Hashable, Comparable, Sendable, CustomStringConvertible {
  public var topic: String
  public var partition: Int32
  public init(_ topic: String, _ partition: Int32) {
    self.topic = topic
    self.partition = partition
  }
  /// `topic-partition`, which is also the name of its directory.
  public var description: String { "\(topic)-\(partition)" }
  public static func < (a: Self, b: Self) -> Bool {
    a.topic == b.topic ? a.partition < b.partition : a.topic < b.topic
  }
}
