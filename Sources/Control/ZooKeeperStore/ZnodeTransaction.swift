// What the machine asks of the store, and what it gets: plain values, so that a simulated store
// can answer as well as a real one.
import KafkaRecords
import Values

/// One operation on a znode, as part of a multi.
public enum ZnodeOp: Equatable, Sendable {
  public enum Mode: Sendable {
    case persistent
    case ephemeral
    /// The server appends a number of ten digits to the path.
    case persistentSequential
  }

  /// Fails the multi unless the znode is at this version.
  case check(path: String, version: Int32)
  /// Nil data stands for a node without any, which is not the same as one with no bytes.
  case create(path: String, data: [UInt8]?, mode: Mode = .persistent)
  /// Version -1 matches any.
  case setData(path: String, data: [UInt8], version: Int32)
  case delete(path: String, version: Int32)

  public var path: String {
    switch self {
    case .check(let path, _), .create(let path, _, _), .setData(let path, _, _),
      .delete(let path, _):
      path
    }
  }
}

/// What stands in the store together or not at all, and the records that are committed with it.
public struct ZnodeTransaction: Sendable {
  public var ops: [ZnodeOp]
  public var records: [MetadataRecord]
  /// The partition whose state it writes: what has to be read again if the state's version was
  /// another.
  public var subject: TopicPartition?
  /// An outcome that is as good as success: what shall exist is there, or what shall go is gone.
  public var tolerates: ZnodeFailure?
  /// Done instead if the transaction fails with the failure of its own key.
  public var fallback: (on: ZnodeFailure, ops: [ZnodeOp])?

  public init(
    _ ops: [ZnodeOp], records: [MetadataRecord] = [], subject: TopicPartition? = nil,
    tolerates: ZnodeFailure? = nil, fallback: (on: ZnodeFailure, ops: [ZnodeOp])? = nil
  ) {
    self.ops = ops
    self.records = records
    self.subject = subject
    self.tolerates = tolerates
    self.fallback = fallback
  }
}

/// Why a multi was refused; the codes that mean something to the controller.
public enum ZnodeFailure: Error, Equatable, Sendable {
  case noNode
  case nodeExists
  case badVersion
  case notEmpty
  /// Any other code of ZooKeeper's.
  // A closed session, a refused identity, a full disk: nothing that can be decided about.
  case other(Int32)
}

/// The outcome of one transaction.
public enum ZnodeOutcome: Equatable, Sendable {
  case done
  /// `index` is the operation that failed; 0 is the check of the controller epoch in those that
  /// have one.
  case failed(index: Int, ZnodeFailure)
}

/// A znode as read.
public struct ZnodeContent: Equatable, Sendable {
  public var data: [UInt8]
  public var version: Int32
  public var createdZxid: Int64
  /// Of the transaction that last wrote the data.
  public var modifiedZxid: Int64

  public init(
    data: [UInt8], version: Int32 = 0, createdZxid: Int64 = 0, modifiedZxid: Int64 = 0
  ) {
    self.data = data
    self.version = version
    self.createdZxid = createdZxid
    self.modifiedZxid = modifiedZxid
  }
}
