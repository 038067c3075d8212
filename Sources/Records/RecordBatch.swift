import Bytes
import CPlatform
import Compression

/// One batch (v2) or message (v0, v1) in memory that the caller keeps alive: its header, and its
/// records on request. Nothing is copied.
public struct RecordBatch {
  public let header: BatchHeader
  /// The whole batch, header included.
  public let bytes: UnsafeRawBufferPointer

  /// How much a batch may unpack to when the caller does not say.
  public static let decompressionLimit = 256 << 20

  /// The batch at the start of `bytes`, all of which must be there.
  public init(_ bytes: UnsafeRawBufferPointer) throws(RecordError) {
    header = try BatchHeader(bytes)
    guard header.sizeInBytes <= bytes.count else {
      throw .corrupt("\(bytes.count) bytes of a batch of \(header.sizeInBytes)")
    }
    self.bytes = UnsafeRawBufferPointer(rebasing: bytes[..<header.sizeInBytes])
  }

  /// Whether the checksum in the header is that of the bytes.
  public var hasValidChecksum: Bool { header.crc == computedChecksum }

  /// What the checksum should be: in format 2 it leaves out what a leader assigns.
  public var computedChecksum: UInt32 {
    guard let base = bytes.baseAddress else { return 0 }
    if header.magic == 2 {
      let start = BatchHeader.Position.attributes
      return jd_crc32c(0, base + start, bytes.count - start)
    }
    let start = BatchHeader.logOverhead + 4
    return jd_crc32(0, base + start, bytes.count - start)
  }

  /// Throws unless the checksum matches and the header does not contradict itself.
  ///
  /// This is what a log checks of every batch it stores. Records are not looked at.
  public func validate() throws(RecordError) {
    guard hasValidChecksum else {
      throw .corrupt("checksum \(computedChecksum) is not the \(header.crc) in the header")
    }
    guard header.compression != nil else {
      throw .compression(.unknownCodec(UInt8(header.attributes & BatchHeader.Attribute.codec)))
    }
    guard header.magic == 2 else { return }
    guard header.lastOffsetDelta >= 0,
      !header.baseOffset.addingReportingOverflow(Int64(header.lastOffsetDelta)).overflow
    else { throw .invalid("last offset delta \(header.lastOffsetDelta)") }
    guard header.recordCount >= 0 else { throw .invalid("\(header.recordCount) records") }
    // A record has at least seven bytes; compaction may leave a batch without any.
    guard
      header.isCompressed || header.recordCount == 0
        || Int(header.recordCount) <= (bytes.count - BatchHeader.sizeV2) / 7
    else { throw .invalid("\(header.recordCount) records in \(bytes.count) bytes") }
  }

  /// The records. Compressed ones are unpacked into `scratch`, which must not change while the
  /// iterator and the views it gives are in use; what it held before is forgotten.
  public func records(
    scratch: inout ByteWriter, limit: Int = RecordBatch.decompressionLimit
  ) throws(RecordError) -> RecordIterator {
    guard let codec = header.compression else {
      throw .compression(.unknownCodec(UInt8(header.attributes & BatchHeader.Attribute.codec)))
    }
    if header.magic < 2 { return try legacyRecords(codec, scratch: &scratch, limit: limit) }
    let body = UnsafeRawBufferPointer(rebasing: bytes[BatchHeader.sizeV2...])
    guard codec != .none else { return RecordIterator(header, body: body) }
    let unpacked = try Self.unpack(codec, body, magic: 2, limit: limit, into: &scratch)
    return RecordIterator(header, body: unpacked)
  }

  /// Formats 0 and 1: one message, or a wrapper whose value is packed messages.
  private func legacyRecords(
    _ codec: CompressionType, scratch: inout ByteWriter, limit: Int
  ) throws(RecordError) -> RecordIterator {
    guard codec != .none else { return RecordIterator(single: header, message: bytes) }
    guard codec != .zstd else { throw .invalid("zstd in message format \(header.magic)") }
    let wrapper = try LegacyMessage(bytes)
    guard let value = wrapper.value else { throw .invalid("a compressed message without value") }
    let inner = try Self.unpack(codec, value, magic: header.magic, limit: limit, into: &scratch)
    return try RecordIterator(wrapper: header, messages: inner)
  }

  /// Unpacks into the scratch, within the limit.
  private static func unpack(
    _ codec: CompressionType, _ packed: UnsafeRawBufferPointer, magic: Int8, limit: Int,
    into scratch: inout ByteWriter
  ) throws(RecordError) -> UnsafeRawBufferPointer {
    scratch.removeAll(keepingAtMost: 4 << 20)
    do {
      try Decompressor.decompress(codec, packed, magic: magic, limit: limit, into: &scratch)
    } catch { throw .compression(error) }
    // The memory stays where it is until the scratch is written to again.
    return scratch.withUnsafeBytes { $0 }
  }
}

/// Steps over the batches of a message set, a segment's or a fetch's bytes.
public struct BatchIterator {
  private let bytes: UnsafeRawBufferPointer
  /// Where the next batch begins.
  public private(set) var position: Int

  public init(_ bytes: UnsafeRawBufferPointer, from position: Int = 0) {
    self.bytes = bytes
    self.position = position
  }

  /// Bytes behind the last batch given; not 0 at the end when the last batch is cut off.
  public var remaining: Int { bytes.count - position }

  /// The next batch; nil at the end, also when the rest is only the beginning of a batch. Throws
  /// for a size or format that cannot be; there is then no way to find a batch behind it.
  public mutating func next() throws(RecordError) -> RecordBatch? {
    guard remaining >= BatchHeader.logOverhead else { return nil }
    let length = Int(
      Int32(bigEndian: bytes.loadUnaligned(fromByteOffset: position + 8, as: Int32.self)))
    guard length >= BatchHeader.sizeOfEmptyV0 - BatchHeader.logOverhead else {
      throw .corrupt("batch length \(length)")
    }
    let size = length + BatchHeader.logOverhead
    guard size <= remaining else { return nil }
    let batch = try RecordBatch(
      UnsafeRawBufferPointer(rebasing: bytes[position..<(position + size)]))
    position += size
    return batch
  }
}
