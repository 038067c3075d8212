// The data of a znode that the wire and the files show: identities, ACLs, stat.

import Bytes

/// An identity in some scheme: `world:anyone`, `digest:user:hash`, `ip:10.0.0.0/8`.
public struct AuthID: JuteRecord, Hashable, Sendable {
  public var scheme: String
  public var id: String

  public init(scheme: String, id: String) {
    self.scheme = scheme
    self.id = id
  }

  public static let anyone = AuthID(scheme: "world", id: "anyone")

  public init(from reader: inout ByteReader) throws(ByteError) {
    // Some clients send the empty id of `auth` as null.
    scheme = try reader.readOptionalJuteString() ?? ""
    id = try reader.readOptionalJuteString() ?? ""
  }

  public func write(to writer: inout ByteWriter) {
    writer.writeJuteString(scheme)
    writer.writeJuteString(id)
  }
}

/// One entry of an access control list.
public struct ACL: JuteRecord, Hashable, Sendable {
  public var perms: Permissions
  public var id: AuthID

  public init(perms: Permissions, id: AuthID) {
    self.perms = perms
    self.id = id
  }

  /// Everything to everybody: what most znodes have.
  public static let openUnsafe = [ACL(perms: .all, id: .anyone)]
  /// Everything to whoever creates the znode; the server puts the identities in.
  public static let creatorAll = [ACL(perms: .all, id: AuthID(scheme: "auth", id: ""))]
  /// Reading to everybody.
  public static let readUnsafe = [ACL(perms: .read, id: .anyone)]

  private static let openBytes: [UInt8] = {
    var writer = ByteWriter()
    writer.writeJuteVector(openUnsafe)
    return writer.array()
  }()

  /// A list; null is read as empty. The list that nearly all znodes have is told by its bytes and
  /// not made anew.
  static func list(from reader: inout ByteReader) throws(ByteError) -> [ACL] {
    if reader.remaining >= openBytes.count {
      let start = reader.position
      let isOpen = try reader.readSpan(openBytes.count).withUnsafeBytes { bytes in
        openBytes.withUnsafeBytes { bytes.hasSameBytes(as: $0) }
      }
      if isOpen { return openUnsafe }
      reader.position = start
    }
    return try reader.readJuteVector(of: ACL.self)
  }

  public init(from reader: inout ByteReader) throws(ByteError) {
    perms = Permissions(rawValue: try reader.readInt32())
    id = try AuthID(from: &reader)
  }

  public func write(to writer: inout ByteWriter) {
    writer.writeInt32(perms.rawValue)
    id.write(to: &writer)
  }
}

/// What a client sees of a znode besides its data.
public struct Stat: JuteRecord, Hashable, Sendable {
  public var czxid: Int64 = 0
  public var mzxid: Int64 = 0
  /// Milliseconds since 1970.
  public var ctime: Int64 = 0
  /// Milliseconds since 1970.
  public var mtime: Int64 = 0
  /// Changes of the data.
  public var version: Int32 = 0
  /// Changes of the set of children.
  public var cversion: Int32 = 0
  /// Changes of the ACL.
  public var aversion: Int32 = 0
  /// The session of an ephemeral; 0 for a plain znode; containers and TTLs hide in its high bits.
  public var ephemeralOwner: Int64 = 0
  /// Bytes of data.
  public var dataLength: Int32 = 0
  public var numChildren: Int32 = 0
  /// The transaction that last changed the set of children.
  public var pzxid: Int64 = 0

  public init() {}

  public init(from reader: inout ByteReader) throws(ByteError) {
    czxid = try reader.readInt64()
    mzxid = try reader.readInt64()
    ctime = try reader.readInt64()
    mtime = try reader.readInt64()
    version = try reader.readInt32()
    cversion = try reader.readInt32()
    aversion = try reader.readInt32()
    ephemeralOwner = try reader.readInt64()
    dataLength = try reader.readInt32()
    numChildren = try reader.readInt32()
    pzxid = try reader.readInt64()
  }

  public func write(to writer: inout ByteWriter) {
    writer.writeInt64(czxid)
    writer.writeInt64(mzxid)
    writer.writeInt64(ctime)
    writer.writeInt64(mtime)
    writer.writeInt32(version)
    writer.writeInt32(cversion)
    writer.writeInt32(aversion)
    writer.writeInt64(ephemeralOwner)
    writer.writeInt32(dataLength)
    writer.writeInt32(numChildren)
    writer.writeInt64(pzxid)
  }
}

/// The part of a stat that snapshots keep; the rest follows from the tree.
public struct StatPersisted: JuteRecord, Hashable, Sendable {
  public var czxid: Int64 = 0
  public var mzxid: Int64 = 0
  public var ctime: Int64 = 0
  public var mtime: Int64 = 0
  public var version: Int32 = 0
  public var cversion: Int32 = 0
  public var aversion: Int32 = 0
  public var ephemeralOwner: Int64 = 0
  public var pzxid: Int64 = 0

  public init() {}

  public init(from reader: inout ByteReader) throws(ByteError) {
    czxid = try reader.readInt64()
    mzxid = try reader.readInt64()
    ctime = try reader.readInt64()
    mtime = try reader.readInt64()
    version = try reader.readInt32()
    cversion = try reader.readInt32()
    aversion = try reader.readInt32()
    ephemeralOwner = try reader.readInt64()
    pzxid = try reader.readInt64()
  }

  public func write(to writer: inout ByteWriter) {
    writer.writeInt64(czxid)
    writer.writeInt64(mzxid)
    writer.writeInt64(ctime)
    writer.writeInt64(mtime)
    writer.writeInt32(version)
    writer.writeInt32(cversion)
    writer.writeInt32(aversion)
    writer.writeInt64(ephemeralOwner)
    writer.writeInt64(pzxid)
  }
}
