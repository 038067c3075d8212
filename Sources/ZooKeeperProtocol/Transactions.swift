// Transactions: what a request became. The same bytes go to the followers and to the log.

import Bytes

/// In front of every transaction.
public struct TxnHeader: JuteRecord, Hashable, Sendable {
  /// The session that asked.
  public var clientID: Int64
  /// The session's number of the request.
  public var cxid: Int32
  public var zxid: Int64
  /// The leader's clock in milliseconds since 1970: the ctime and mtime of whatever is changed.
  public var time: Int64
  public var type: OpCode

  public init(clientID: Int64, cxid: Int32, zxid: Int64, time: Int64, type: OpCode) {
    self.clientID = clientID
    self.cxid = cxid
    self.zxid = zxid
    self.time = time
    self.type = type
  }

  public init(from reader: inout ByteReader) throws(ByteError) {
    clientID = try reader.readInt64()
    cxid = try reader.readInt32()
    zxid = try reader.readInt64()
    time = try reader.readInt64()
    type = OpCode(rawValue: try reader.readInt32())
  }

  public func write(to writer: inout ByteWriter) {
    writer.writeInt64(clientID)
    writer.writeInt32(cxid)
    writer.writeInt64(zxid)
    writer.writeInt64(time)
    writer.writeInt32(type.rawValue)
  }
}

/// Creation of a znode of any kind; the kind is the transaction's type.
public struct CreateTxn: Hashable, Sendable {
  public var path: String
  public var data: [UInt8]?
  public var acl: [ACL]
  /// Meaningful for create and create2 only.
  public var ephemeral: Bool
  /// The parent's cversion afterwards; −1 in logs of old servers: it is to be incremented.
  public var parentCVersion: Int32
  /// Meaningful for createTTL only.
  public var ttl: Int64

  public init(
    path: String, data: [UInt8]?, acl: [ACL], ephemeral: Bool = false, parentCVersion: Int32,
    ttl: Int64 = -1
  ) {
    self.path = path
    self.data = data
    self.acl = acl
    self.ephemeral = ephemeral
    self.parentCVersion = parentCVersion
    self.ttl = ttl
  }
}

/// One of the transactions that make up a multi, still encoded as ZooKeeper nests it.
public struct NestedTxn: Hashable, Sendable {
  public var type: OpCode
  public var body: TxnBody

  public init(type: OpCode, body: TxnBody) {
    self.type = type
    self.body = body
  }
}

/// What a transaction does. Several types share a body; the header tells them apart.
public indirect enum TxnBody: Hashable, Sendable {
  /// create, create2, createContainer, createTTL.
  case create(CreateTxn)
  /// delete, deleteContainer.
  case delete(path: String)
  /// setData, reconfig. `version` is the one afterwards.
  case setData(path: String, data: [UInt8]?, version: Int32)
  /// `version` is one above the version that was found.
  case check(path: String, version: Int32)
  case setACL(path: String, acl: [ACL], version: Int32)
  case createSession(timeOutMs: Int32)
  /// Nil in logs of servers before 3.6: then the tree knows which ephemerals go.
  case closeSession(paths: [String]?)
  /// A request that failed: it has a zxid, so that all agree on what was answered.
  case error(ZooKeeperError)
  case multi([NestedTxn])

  public init(from reader: inout ByteReader, type: OpCode) throws(ByteError) {
    switch type {
    case .create, .create2: self = .create(try Self.readCreate(from: &reader, type: type))
    case .createContainer, .createTTL:
      self = .create(try Self.readCreate(from: &reader, type: type))
    case .delete, .deleteContainer: self = .delete(path: try reader.readJuteString())
    case .setData, .reconfig:
      self = .setData(
        path: try reader.readJuteString(), data: try reader.readJuteBuffer(),
        version: try reader.readInt32())
    case .check:
      self = .check(path: try reader.readJuteString(), version: try reader.readInt32())
    case .setACL:
      self = .setACL(
        path: try reader.readJuteString(), acl: try reader.readJuteVector(of: ACL.self),
        version: try reader.readInt32())
    case .createSession: self = .createSession(timeOutMs: try reader.readInt32())
    case .closeSession:
      self = .closeSession(paths: reader.isAtEnd ? nil : try reader.readJuteStrings())
    case .error: self = .error(ZooKeeperError(rawValue: try reader.readInt32()))
    case .multi: self = .multi(try Self.readNested(from: &reader))
    default: throw .invalidValue(Int64(type.rawValue))
    }
  }

  private static func readCreate(
    from reader: inout ByteReader, type: OpCode
  ) throws(ByteError) -> CreateTxn {
    var txn = CreateTxn(
      path: try reader.readJuteString(), data: try reader.readJuteBuffer(),
      acl: try ACL.list(from: &reader), parentCVersion: -1)
    if type == .create || type == .create2 { txn.ephemeral = try reader.readBool() }
    // Servers before 3.4 ended a create here.
    if type == .create, reader.isAtEnd { return txn }
    txn.parentCVersion = try reader.readInt32()
    if type == .createTTL { txn.ttl = try reader.readInt64() }
    return txn
  }

  private static func readNested(
    from reader: inout ByteReader
  ) throws(ByteError) -> [NestedTxn] {
    let count = try reader.readInt32()
    if count == -1 { return [] }
    var nested: [NestedTxn] = []
    nested.reserveCapacity(try reader.checkCount(Int(count), atLeast: 8))
    for _ in 0..<count {
      let type = OpCode(rawValue: try reader.readInt32())
      let length = Int(try reader.readInt32())
      // A multi inside a multi does not exist, and would let input choose the depth of our stack.
      guard type != .multi else { throw .invalidValue(Int64(type.rawValue)) }
      var inner = ByteReader(try reader.readSpan(length == -1 ? 0 : length))
      nested.append(NestedTxn(type: type, body: try TxnBody(from: &inner, type: type)))
    }
    return nested
  }

  public func write(to writer: inout ByteWriter, type: OpCode) {
    switch self {
    case .create(let txn):
      writer.writeJuteString(txn.path)
      writer.writeJuteBuffer(txn.data)
      writer.writeJuteVector(txn.acl)
      if type == .create || type == .create2 { writer.writeBool(txn.ephemeral) }
      writer.writeInt32(txn.parentCVersion)
      if type == .createTTL { writer.writeInt64(txn.ttl) }
    case .delete(let path): writer.writeJuteString(path)
    case .setData(let path, let data, let version):
      writer.writeJuteString(path)
      writer.writeJuteBuffer(data)
      writer.writeInt32(version)
    case .check(let path, let version):
      writer.writeJuteString(path)
      writer.writeInt32(version)
    case .setACL(let path, let acl, let version):
      writer.writeJuteString(path)
      writer.writeJuteVector(acl)
      writer.writeInt32(version)
    case .createSession(let timeOutMs): writer.writeInt32(timeOutMs)
    case .closeSession(let paths):
      if let paths { writer.writeJuteStrings(paths) }
    case .error(let error): writer.writeInt32(error.rawValue)
    case .multi(let nested):
      writer.writeInt32(Int32(nested.count))
      for txn in nested {
        writer.writeInt32(txn.type.rawValue)
        let frame = writer.beginFrame()
        txn.body.write(to: &writer, type: txn.type)
        writer.endFrame(frame)
      }
    }
  }
}

/// The digest of the whole tree after a transaction: how servers notice that they differ.
public struct TxnDigest: JuteRecord, Hashable, Sendable {
  /// The way digests are computed since 3.6.1.
  public static let currentVersion: Int32 = 2

  public var version: Int32
  public var treeDigest: Int64

  public init(version: Int32 = currentVersion, treeDigest: Int64) {
    self.version = version
    self.treeDigest = treeDigest
  }

  public init(from reader: inout ByteReader) throws(ByteError) {
    version = try reader.readInt32()
    treeDigest = try reader.readInt64()
  }

  public func write(to writer: inout ByteWriter) {
    writer.writeInt32(version)
    writer.writeInt64(treeDigest)
  }
}

/// A whole transaction, as in a proposal's data and in an entry of the log.
public struct Txn: JuteRecord, Hashable, Sendable {
  public var header: TxnHeader
  public var body: TxnBody
  /// Absent when the server that made it does not compute digests.
  public var digest: TxnDigest?

  public init(header: TxnHeader, body: TxnBody, digest: TxnDigest? = nil) {
    self.header = header
    self.body = body
    self.digest = digest
  }

  /// Reads a transaction that fills the reader to its end: whether there is a digest is told by
  /// whether anything is left.
  public init(from reader: inout ByteReader) throws(ByteError) {
    header = try TxnHeader(from: &reader)
    if header.type == .closeSession, reader.remaining == 12 {
      // Servers before 3.6 wrote no body. Twelve bytes are a digest alone if they begin with its
      // version, for a list of two paths would not fit.
      let start = reader.position
      let version = try reader.readInt32()
      reader.position = start
      if version == TxnDigest.currentVersion {
        body = .closeSession(paths: nil)
        digest = try TxnDigest(from: &reader)
        return
      }
    }
    body = try TxnBody(from: &reader, type: header.type)
    digest = reader.remaining >= 12 ? try TxnDigest(from: &reader) : nil
  }

  public func write(to writer: inout ByteWriter) {
    header.write(to: &writer)
    body.write(to: &writer, type: header.type)
    digest?.write(to: &writer)
  }
}
