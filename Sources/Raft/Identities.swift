import Values

// The names of things in a metadata quorum: replicas, places in the log, and where to reach whom.

/// A replica of the metadata log: a node, and the directory that holds its copy (KIP-853).
///
/// A node that lost its disk comes back with another directory id, as another replica, so it cannot
/// vote twice or count as having what it lost.
public struct ReplicaKey: Hashable, Comparable, Sendable, CustomStringConvertible {
  public var id: BrokerID
  /// `.zero` when it is not known: static voters have none, and neither have requests of version 0.
  public var directory: Uuid

  public init(_ id: BrokerID, directory: Uuid = .zero) {
    self.id = id
    self.directory = directory
  }

  public static func < (a: Self, b: Self) -> Bool {
    a.id == b.id ? a.directory < b.directory : a.id < b.id
  }

  /// Whether `other` is the replica meant by this key: a key without directory means any of them.
  public func means(_ other: ReplicaKey) -> Bool {
    id == other.id && (directory.isZero || directory == other.directory)
  }

  public var description: String {
    directory.isZero ? "\(id.rawValue)" : "\(id.rawValue)-\(directory)"
  }
}

/// A place in a log: the offset behind a record and that record's epoch. The greater of two logs'
/// ends belongs to the log that is more up to date.
public struct OffsetAndEpoch: Hashable, Comparable, Sendable, CustomStringConvertible {
  public var offset: Offset
  public var epoch: LeaderEpoch

  public init(offset: Offset, epoch: LeaderEpoch) {
    self.offset = offset
    self.epoch = epoch
  }

  public static func < (a: Self, b: Self) -> Bool {
    a.epoch == b.epoch ? a.offset < b.offset : a.epoch < b.epoch
  }

  public var description: String { "\(offset)-\(epoch.rawValue)" }
}

/// A snapshot stands for all records below its offset; the epoch is that of the last of them. Both
/// are in its file name (KIP-630).
public typealias SnapshotID = OffsetAndEpoch

/// A snapshot on this replica's disk.
public struct Snapshot: Hashable, Sendable {
  public var id: SnapshotID
  /// Bytes.
  public var size: Int64

  public init(_ id: SnapshotID, size: Int64) {
    self.id = id
    self.size = size
  }
}

/// One listener of a node.
public struct Endpoint: Hashable, Comparable, Sendable {
  /// The listener's name, such as `CONTROLLER`.
  public var listener: String
  public var host: String
  public var port: UInt16

  public init(listener: String, host: String, port: UInt16) {
    self.listener = listener
    self.host = host
    self.port = port
  }

  public static func < (a: Self, b: Self) -> Bool {
    (a.listener, a.host, a.port) < (b.listener, b.host, b.port)
  }
}

/// Where a request goes. Bootstrap servers, whose ids are not known, have negative ids from -2
/// down, as in Kafka's log lines.
public struct RaftNode: Hashable, Sendable {
  public var id: BrokerID
  public var host: String
  public var port: UInt16

  public init(id: BrokerID, host: String, port: UInt16) {
    self.id = id
    self.host = host
    self.port = port
  }
}

/// A request of another node or a tool, as its driver numbers them; each is answered once.
public struct RequestID: RawRepresentable, Hashable, Comparable, Sendable {
  public var rawValue: UInt64
  public init(rawValue: UInt64) { self.rawValue = rawValue }
  public init(_ value: UInt64) { rawValue = value }
  public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// A request of this node, as the machine numbers them; every one is answered by `response` or
/// `requestFailed` at most once.
public struct CorrelationID: RawRepresentable, Hashable, Sendable {
  public var rawValue: Int64
  public init(rawValue: Int64) { self.rawValue = rawValue }
  public init(_ value: Int64) { rawValue = value }
}

/// What the driver calls a group of records that it wants appended, or bytes that it has received.
/// The machine passes these on and never looks behind them.
public typealias Token = UInt64
