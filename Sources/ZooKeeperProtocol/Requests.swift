// Bodies of client requests.

import Bytes

/// create, create2, createContainer and (with a TTL) createTTL.
public struct CreateRequest: JuteRecord, Hashable, Sendable {
  public var path: String
  public var data: [UInt8]?
  public var acl: [ACL]
  /// A `CreateMode`; raw, for it may be any number.
  public var flags: Int32

  public init(
    path: String, data: [UInt8]?, acl: [ACL] = ACL.openUnsafe, mode: CreateMode = .persistent
  ) {
    self.path = path
    self.data = data
    self.acl = acl
    flags = mode.rawValue
  }

  public init(from reader: inout ByteReader) throws(ByteError) {
    path = try reader.readJuteString()
    data = try reader.readJuteBuffer()
    acl = try reader.readJuteVector(of: ACL.self)
    flags = try reader.readInt32()
  }

  public func write(to writer: inout ByteWriter) {
    writer.writeJuteString(path)
    writer.writeJuteBuffer(data)
    writer.writeJuteVector(acl)
    writer.writeInt32(flags)
  }
}

public struct CreateTTLRequest: JuteRecord, Hashable, Sendable {
  public var create: CreateRequest
  /// Milliseconds without a child and without a change after which the znode may go.
  public var ttl: Int64

  public init(create: CreateRequest, ttl: Int64) {
    self.create = create
    self.ttl = ttl
  }

  public init(from reader: inout ByteReader) throws(ByteError) {
    create = try CreateRequest(from: &reader)
    ttl = try reader.readInt64()
  }

  public func write(to writer: inout ByteWriter) {
    create.write(to: &writer)
    writer.writeInt64(ttl)
  }
}

/// A path with the version it is expected to have: delete and check. −1 matches any version.
public struct PathVersionRequest: JuteRecord, Hashable, Sendable {
  public var path: String
  public var version: Int32

  public init(path: String, version: Int32 = -1) {
    self.path = path
    self.version = version
  }

  public init(from reader: inout ByteReader) throws(ByteError) {
    path = try reader.readJuteString()
    version = try reader.readInt32()
  }

  public func write(to writer: inout ByteWriter) {
    writer.writeJuteString(path)
    writer.writeInt32(version)
  }
}

public struct SetDataRequest: JuteRecord, Hashable, Sendable {
  public var path: String
  public var data: [UInt8]?
  public var version: Int32

  public init(path: String, data: [UInt8]?, version: Int32 = -1) {
    self.path = path
    self.data = data
    self.version = version
  }

  public init(from reader: inout ByteReader) throws(ByteError) {
    path = try reader.readJuteString()
    data = try reader.readJuteBuffer()
    version = try reader.readInt32()
  }

  public func write(to writer: inout ByteWriter) {
    writer.writeJuteString(path)
    writer.writeJuteBuffer(data)
    writer.writeInt32(version)
  }
}

public struct SetACLRequest: JuteRecord, Hashable, Sendable {
  public var path: String
  public var acl: [ACL]
  public var version: Int32

  public init(path: String, acl: [ACL], version: Int32 = -1) {
    self.path = path
    self.acl = acl
    self.version = version
  }

  public init(from reader: inout ByteReader) throws(ByteError) {
    path = try reader.readJuteString()
    acl = try reader.readJuteVector(of: ACL.self)
    version = try reader.readInt32()
  }

  public func write(to writer: inout ByteWriter) {
    writer.writeJuteString(path)
    writer.writeJuteVector(acl)
    writer.writeInt32(version)
  }
}

/// A path that may be watched: exists, getData, getChildren, getChildren2.
public struct PathWatchRequest: JuteRecord, Hashable, Sendable {
  public var path: String
  public var watch: Bool

  public init(path: String, watch: Bool = false) {
    self.path = path
    self.watch = watch
  }

  public init(from reader: inout ByteReader) throws(ByteError) {
    path = try reader.readJuteString()
    watch = try reader.readBool()
  }

  public func write(to writer: inout ByteWriter) {
    writer.writeJuteString(path)
    writer.writeBool(watch)
  }
}

/// A path and nothing else: getACL, sync, getAllChildrenNumber, getEphemerals, and the answers of
/// create and sync.
public struct PathRecord: JuteRecord, Hashable, Sendable {
  public var path: String

  public init(path: String) { self.path = path }

  public init(from reader: inout ByteReader) throws(ByteError) {
    path = try reader.readJuteString()
  }

  public func write(to writer: inout ByteWriter) { writer.writeJuteString(path) }
}

/// A path with a kind: addWatch (`AddWatchMode`), checkWatches and removeWatches (`WatcherType`).
public struct PathKindRequest: JuteRecord, Hashable, Sendable {
  public var path: String
  public var kind: Int32

  public init(path: String, kind: Int32) {
    self.path = path
    self.kind = kind
  }

  public init(from reader: inout ByteReader) throws(ByteError) {
    path = try reader.readJuteString()
    kind = try reader.readInt32()
  }

  public func write(to writer: inout ByteWriter) {
    writer.writeJuteString(path)
    writer.writeInt32(kind)
  }
}

/// The watches of a client that has come back, with the newest transaction it had seen. The last
/// two lists exist in setWatches2 only.
public struct SetWatchesRequest: Hashable, Sendable {
  public var relativeZxid: Int64
  public var dataWatches: [String] = []
  public var existWatches: [String] = []
  public var childWatches: [String] = []
  public var persistentWatches: [String] = []
  public var persistentRecursiveWatches: [String] = []

  public init(relativeZxid: Int64) { self.relativeZxid = relativeZxid }

  public init(from reader: inout ByteReader, type: OpCode) throws(ByteError) {
    relativeZxid = try reader.readInt64()
    dataWatches = try reader.readJuteStrings()
    existWatches = try reader.readJuteStrings()
    childWatches = try reader.readJuteStrings()
    guard type == .setWatches2 else { return }
    persistentWatches = try reader.readJuteStrings()
    persistentRecursiveWatches = try reader.readJuteStrings()
  }

  public func write(to writer: inout ByteWriter, type: OpCode) {
    writer.writeInt64(relativeZxid)
    writer.writeJuteStrings(dataWatches)
    writer.writeJuteStrings(existWatches)
    writer.writeJuteStrings(childWatches)
    guard type == .setWatches2 else { return }
    writer.writeJuteStrings(persistentWatches)
    writer.writeJuteStrings(persistentRecursiveWatches)
  }
}

/// A change of the ensemble's membership.
public struct ReconfigRequest: JuteRecord, Hashable, Sendable {
  public var joiningServers: String?
  public var leavingServers: String?
  public var newMembers: String?
  public var curConfigID: Int64 = -1

  public init() {}

  public init(from reader: inout ByteReader) throws(ByteError) {
    joiningServers = try reader.readOptionalJuteString()
    leavingServers = try reader.readOptionalJuteString()
    newMembers = try reader.readOptionalJuteString()
    curConfigID = try reader.readInt64()
  }

  public func write(to writer: inout ByteWriter) {
    writer.writeJuteString(joiningServers)
    writer.writeJuteString(leavingServers)
    writer.writeJuteString(newMembers)
    writer.writeInt64(curConfigID)
  }
}
