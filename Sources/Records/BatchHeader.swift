import CPlatform
import Compression

/// The fields in front of a batch's records, for every message format.
///
/// A batch v2 (KIP-98) has a header of 61 bytes. A message of format 0 or 1 is described alike:
/// `baseOffset` and `lastOffset` are its offset field (for a compressed wrapper: the offset
/// of its last inner message), and what it lacks has the value that Kafka gives to "none".
public struct BatchHeader: Equatable, Sendable {
  public var baseOffset: Int64
  /// Bytes after the length field itself; 12 less than the whole batch.
  public var batchLength: Int32
  public var partitionLeaderEpoch: Int32
  public var magic: Int8
  /// CRC-32C of everything from the attributes on (v2); CRC-32 of what follows it (v0, v1).
  public var crc: UInt32
  public var attributes: UInt16
  public var lastOffsetDelta: Int32
  /// The first record's timestamp, or the delete horizon when `hasDeleteHorizon`.
  public var baseTimestamp: Int64
  public var maxTimestamp: Int64
  public var producerID: Int64
  public var producerEpoch: Int16
  public var baseSequence: Int32
  /// -1 for a compressed wrapper of format 0 or 1, which does not say.
  public var recordCount: Int32

  public static let noTimestamp: Int64 = -1
  public static let noProducerID: Int64 = -1
  public static let noSequence: Int32 = -1

  /// Offset (8) and length (4), in front of every format.
  public static let logOverhead = 12
  /// The whole header of a batch v2.
  public static let sizeV2 = 61
  /// Reading this many bytes is enough to know any batch's format and size.
  public static let sizeOfPrefix = 17

  /// Where the fields of a batch v2 are.
  public enum Position {
    public static let baseOffset = 0
    public static let length = 8
    public static let partitionLeaderEpoch = 12
    public static let magic = 16
    public static let crc = 17
    public static let attributes = 21
    public static let lastOffsetDelta = 23
    public static let baseTimestamp = 27
    public static let maxTimestamp = 35
    public static let producerID = 43
    public static let producerEpoch = 51
    public static let baseSequence = 53
    public static let recordCount = 57
    public static let records = 61
  }

  /// Bits of the attributes.
  public enum Attribute {
    public static let codec: UInt16 = 0x07
    public static let logAppendTime: UInt16 = 0x08
    public static let transactional: UInt16 = 0x10
    public static let control: UInt16 = 0x20
    public static let deleteHorizon: UInt16 = 0x40
  }

  /// Offset, length, checksum, magic, attributes and two empty fields.
  public static let sizeOfEmptyV0 = 26
  public static let sizeOfEmptyV1 = 34

  @inlinable public static func smallestSize(magic: Int8) -> Int {
    switch magic {
    case 0: sizeOfEmptyV0
    case 1: sizeOfEmptyV1
    default: sizeV2
    }
  }

  /// Reads the header at the start of `bytes`; the records behind it need not be there.
  @inlinable public init(_ bytes: UnsafeRawBufferPointer) throws(RecordError) {
    guard bytes.count >= Self.sizeOfPrefix, let base = bytes.baseAddress else {
      throw Self.tooShort(bytes.count)
    }
    let magic = base.load(fromByteOffset: Position.magic, as: Int8.self)
    let length = Int32(
      bigEndian: base.loadUnaligned(fromByteOffset: Position.length, as: Int32.self))
    guard (0...2).contains(magic) else { throw .unknownMagic(magic) }
    guard Int(length) >= Self.smallestSize(magic: magic) - Self.logOverhead else {
      throw .corrupt("length \(length) of a batch of format \(magic)")
    }
    if magic == 2 {
      guard bytes.count >= Self.sizeV2 else { throw Self.tooShort(bytes.count) }
      self.init(v2: base)
    } else {
      try self.init(legacy: bytes)
    }
  }

  @usableFromInline @inline(never) static func tooShort(_ count: Int) -> RecordError {
    .corrupt("\(count) bytes are less than a batch header")
  }

  /// One check of the size before, then plain loads: every batch that passes a broker is read by
  /// this several times.
  /// - Precondition: 61 bytes are there.
  @inlinable @inline(__always)
  init(v2 base: UnsafeRawPointer) {
    @inline(__always)
    func load<T: FixedWidthInteger & BitwiseCopyable>(_ position: Int) -> T {
      T(bigEndian: base.loadUnaligned(fromByteOffset: position, as: T.self))
    }
    baseOffset = load(Position.baseOffset)
    batchLength = load(Position.length)
    partitionLeaderEpoch = load(Position.partitionLeaderEpoch)
    magic = 2
    crc = load(Position.crc)
    attributes = load(Position.attributes)
    lastOffsetDelta = load(Position.lastOffsetDelta)
    baseTimestamp = load(Position.baseTimestamp)
    maxTimestamp = load(Position.maxTimestamp)
    producerID = load(Position.producerID)
    producerEpoch = load(Position.producerEpoch)
    baseSequence = load(Position.baseSequence)
    recordCount = load(Position.recordCount)
  }

  /// Formats 0 and 1: the checksum stands where format 2 has the leader epoch.
  @usableFromInline
  init(legacy bytes: UnsafeRawBufferPointer) throws(RecordError) {
    var cursor = RawCursor(bytes)
    guard let offset = cursor.int64(), let length = cursor.int32(), let sum = cursor.uint32(),
      let magic = cursor.int8(), let attributes = cursor.int8(),
      let time = magic == 1 ? cursor.int64() : Self.noTimestamp
    else { throw .corrupt("\(bytes.count) bytes are less than a message header") }
    baseOffset = offset
    batchLength = length
    self.magic = magic
    crc = sum
    self.attributes = UInt16(UInt8(bitPattern: attributes))
    partitionLeaderEpoch = -1
    lastOffsetDelta = 0
    baseTimestamp = time
    maxTimestamp = time
    producerID = Self.noProducerID
    producerEpoch = -1
    baseSequence = Self.noSequence
    recordCount = self.attributes & Attribute.codec == 0 ? 1 : -1
  }

  // MARK: What the fields say

  public var sizeInBytes: Int { Int(batchLength) + Self.logOverhead }
  public var lastOffset: Int64 { baseOffset &+ Int64(lastOffsetDelta) }
  public var nextOffset: Int64 { lastOffset &+ 1 }
  /// Nil for a codec number that does not exist.
  public var compression: CompressionType? {
    CompressionType(rawValue: UInt8(attributes & Attribute.codec))
  }
  public var isCompressed: Bool { attributes & Attribute.codec != 0 }
  public var timestampType: TimestampType {
    attributes & Attribute.logAppendTime != 0 ? .logAppendTime : .createTime
  }
  public var isTransactional: Bool { magic == 2 && attributes & Attribute.transactional != 0 }
  public var isControl: Bool { magic == 2 && attributes & Attribute.control != 0 }
  /// The base timestamp says until when tombstones and markers are kept (KIP-534).
  public var hasDeleteHorizon: Bool { magic == 2 && attributes & Attribute.deleteHorizon != 0 }
  public var deleteHorizonMs: Int64? { hasDeleteHorizon ? baseTimestamp : nil }
  public var hasProducerID: Bool { producerID > Self.noProducerID }
  /// The sequence of the last record; sequences wrap to 0 after `Int32.max`.
  public var lastSequence: Int32 {
    guard baseSequence >= 0 else { return Self.noSequence }
    return Self.sequence(baseSequence, plus: lastOffsetDelta)
  }

  /// `sequence + delta` in the circle of non-negative 32-bit integers.
  public static func sequence(_ sequence: Int32, plus delta: Int32) -> Int32 {
    let sum = Int64(sequence) + Int64(delta)
    return sum > Int64(Int32.max)
      ? Int32(truncatingIfNeeded: sum - Int64(Int32.max) - 1)
      : Int32(truncatingIfNeeded: sum)
  }
}
