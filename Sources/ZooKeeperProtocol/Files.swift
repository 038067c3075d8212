// The files under `version-2/`: headers, entries of the transaction log, parts of a snapshot.

import Bytes

/// What every file begins with.
public struct FileHeader: JuteRecord, Hashable, Sendable {
  /// "ZKLG"
  public static let logMagic: Int32 = 0x5a4b_4c47
  /// "ZKSN"
  public static let snapshotMagic: Int32 = 0x5a4b_534e
  public static let currentVersion: Int32 = 2
  /// Bytes of an encoded header.
  public static let size = 16

  public var magic: Int32
  public var version: Int32 = currentVersion
  /// Always 0 in logs, −1 in snapshots.
  public var dbid: Int64

  public static let log = FileHeader(magic: logMagic, dbid: 0)
  public static let snapshot = FileHeader(magic: snapshotMagic, dbid: -1)

  init(magic: Int32, dbid: Int64) {
    self.magic = magic
    self.dbid = dbid
  }

  public init(from reader: inout ByteReader) throws(ByteError) {
    magic = try reader.readInt32()
    version = try reader.readInt32()
    dbid = try reader.readInt64()
  }

  public func write(to writer: inout ByteWriter) {
    writer.writeInt32(magic)
    writer.writeInt32(version)
    writer.writeInt64(dbid)
  }
}

/// Entries of a transaction log: checksum (long), length (int), transaction, 0x42.
public enum TxnLogFormat {
  static let endOfRecord: UInt8 = 0x42
  /// Longest transaction that is believed, in bytes: `jute.maxbuffer` plus its extra size.
  public static let maxEntryLength = 2 * 0xfffff

  /// What stands at a place in a log.
  public enum Entry: Equatable, Sendable {
    /// A whole transaction; its bytes lie at this range of the reader.
    case txn(Range<Int>)
    /// Preallocated zeros, or the end of the file.
    case end
    /// The file ends within an entry: what a crash leaves.
    case torn
    /// A length that cannot be, a checksum that does not fit, or a missing end mark.
    case corrupt
  }

  /// Writes one transaction's entry.
  public static func write(_ txn: RawSpan, to writer: inout ByteWriter) {
    writer.writeInt64(Adler32.checksum(txn))
    writer.writeInt32(Int32(txn.byteCount))
    writer.writeBytes(txn)
    writer.writeUInt8(endOfRecord)
  }

  /// Reads the entry at the reader's position. After `.txn` the reader stands behind the entry,
  /// otherwise where it stood.
  public static func next(in reader: inout ByteReader, maxLength: Int = maxEntryLength) -> Entry {
    let start = reader.position
    let entry = scan(&reader, maxLength: maxLength)
    if case .txn = entry { return entry }
    reader.position = start
    return entry
  }

  private static func scan(_ reader: inout ByteReader, maxLength: Int) -> Entry {
    if reader.isAtEnd { return .end }
    do throws(ByteError) {
      let checksum = try reader.readInt64()
      let length = Int(try reader.readInt32())
      // The length alone decides: a checksum is never 0 for an entry, but a torn write may have
      // left one of the two behind.
      if length == 0 { return checksum == 0 ? .end : .torn }
      guard length > 0, length <= maxLength else { return .corrupt }
      let range = try reader.readRange(length)
      let mark = try reader.readUInt8()
      reader.position = range.lowerBound
      let sum = Adler32.checksum(try reader.readSpan(length))
      try reader.skip(1)
      guard sum == checksum, mark == endOfRecord else { return .corrupt }
      return .txn(range)
    } catch {
      return .torn
    }
  }
}

/// Parts of a snapshot: sessions, ACL cache, nodes, and seals between the sections.
public enum SnapshotFormat {
  /// What ends the list of nodes, and stands in every seal.
  public static let endPath = "/"

  /// One session with its timeout.
  public struct SessionEntry: JuteRecord, Hashable, Sendable {
    public var id: Int64
    public var timeoutMs: Int32

    public init(id: Int64, timeoutMs: Int32) {
      self.id = id
      self.timeoutMs = timeoutMs
    }

    public init(from reader: inout ByteReader) throws(ByteError) {
      id = try reader.readInt64()
      timeoutMs = try reader.readInt32()
    }

    public func write(to writer: inout ByteWriter) {
      writer.writeInt64(id)
      writer.writeInt32(timeoutMs)
    }
  }

  /// An ACL and the number by which nodes refer to it; −1 is never listed: it is open to all.
  public struct ACLEntry: JuteRecord, Hashable, Sendable {
    public var id: Int64
    public var acl: [ACL]

    public init(id: Int64, acl: [ACL]) {
      self.id = id
      self.acl = acl
    }

    public init(from reader: inout ByteReader) throws(ByteError) {
      id = try reader.readInt64()
      acl = try reader.readJuteVector(of: ACL.self)
    }

    public func write(to writer: inout ByteWriter) {
      writer.writeInt64(id)
      writer.writeJuteVector(acl)
    }
  }

  /// A znode without its path, which stands before it; the root's path is empty.
  public struct NodeEntry: JuteRecord, Hashable, Sendable {
    public var data: [UInt8]?
    public var acl: Int64
    public var stat: StatPersisted

    public init(data: [UInt8]?, acl: Int64, stat: StatPersisted) {
      self.data = data
      self.acl = acl
      self.stat = stat
    }

    public init(from reader: inout ByteReader) throws(ByteError) {
      data = try reader.readJuteBuffer()
      acl = try reader.readInt64()
      stat = try StatPersisted(from: &reader)
    }

    public func write(to writer: inout ByteWriter) {
      writer.writeJuteBuffer(data)
      writer.writeInt64(acl)
      stat.write(to: &writer)
    }
  }

  /// After the tree: its digest as of some transaction.
  public struct ZxidDigest: JuteRecord, Hashable, Sendable {
    public var zxid: Int64
    public var version: Int32
    public var digest: Int64

    public init(zxid: Int64, version: Int32 = TxnDigest.currentVersion, digest: Int64) {
      self.zxid = zxid
      self.version = version
      self.digest = digest
    }

    public init(from reader: inout ByteReader) throws(ByteError) {
      zxid = try reader.readInt64()
      version = try reader.readInt32()
      digest = try reader.readInt64()
    }

    public func write(to writer: inout ByteWriter) {
      writer.writeInt64(zxid)
      writer.writeInt32(version)
      writer.writeInt64(digest)
    }
  }

  /// Writes a seal over everything before it.
  public static func writeSeal(_ checksum: Int64, to writer: inout ByteWriter) {
    writer.writeInt64(checksum)
    writer.writeJuteString(endPath)
  }
}
