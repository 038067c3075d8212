// The frames around records that Kafka keeps in topics of its own.

import Bytes

/// What precedes a message of the metadata log or of the remote log metadata topic: three unsigned
/// varints (KIP-631).
public struct RecordFrame: Hashable, Sendable {
  /// The only frame version there is.
  public static let frameVersion: UInt32 = 1

  /// The record's number among records of its kind.
  public var type: Int16
  /// The version of the message that follows.
  public var version: Int16

  public init(type: Int16, version: Int16) {
    self.type = type
    self.version = version
  }

  public init(from reader: inout ByteReader) throws(ByteError) {
    let frame: UInt32 = try reader.readUnsignedVarint()
    guard frame == Self.frameVersion else { throw .invalidValue(Int64(frame)) }
    let type: UInt32 = try reader.readUnsignedVarint()
    let version: UInt32 = try reader.readUnsignedVarint()
    guard type <= UInt32(Int16.max) else { throw .invalidValue(Int64(type)) }
    guard version <= UInt32(Int16.max) else { throw .invalidValue(Int64(version)) }
    self.type = Int16(type)
    self.version = Int16(version)
  }

  public func write(to writer: inout ByteWriter) {
    writer.writeUnsignedVarint(Self.frameVersion)
    writer.writeUnsignedVarint(UInt32(UInt16(bitPattern: type)))
    writer.writeUnsignedVarint(UInt32(UInt16(bitPattern: version)))
  }
}

/// What the key of a record in a control batch says about its value: int16 version, int16 type.
public struct ControlRecordKey: Hashable, Sendable {
  public enum Kind: Int16, Sendable {
    case abort = 0
    case commit = 1
    case leaderChange = 2
    case snapshotHeader = 3
    case snapshotFooter = 4
    case kraftVersion = 5
    case kraftVoters = 6
  }

  public var version: Int16
  /// As read; types that are not known are skipped by readers.
  public var type: Int16

  public var kind: Kind? { Kind(rawValue: type) }

  public init(_ kind: Kind, version: Int16 = 0) {
    self.version = version
    type = kind.rawValue
  }

  public init(from reader: inout ByteReader) throws(ByteError) {
    version = try reader.readInt16()
    type = try reader.readInt16()
    guard version >= 0 else { throw .invalidValue(Int64(version)) }
  }

  public func write(to writer: inout ByteWriter) {
    writer.writeInt16(version)
    writer.writeInt16(type)
  }
}
