import Bytes
import CPlatform

/// One message of format 0 or 1: offset, size, CRC-32, magic, attributes, in format 1 a timestamp,
/// then key and value with int32 lengths.
struct LegacyMessage {
  let header: BatchHeader
  let key: UnsafeRawBufferPointer?
  let value: UnsafeRawBufferPointer?
  private let bytes: UnsafeRawBufferPointer

  /// The message that is exactly `bytes`.
  init(_ bytes: UnsafeRawBufferPointer) throws(RecordError) {
    header = try BatchHeader(bytes)
    self.bytes = bytes
    guard header.magic < 2 else { throw .invalid("format 2 where an old message belongs") }
    var cursor = RawCursor(bytes, from: header.magic == 0 ? 18 : 26)
    guard header.sizeInBytes == bytes.count,
      let key = cursor.nullableField(length: cursor.int32()),
      let value = cursor.nullableField(length: cursor.int32()), cursor.remaining == 0
    else { throw .corrupt("a message contradicts its length") }
    self.key = key
    self.value = value
  }

  /// Whether the CRC-32 in front matches what follows it.
  var hasValidChecksum: Bool {
    guard let base = bytes.baseAddress else { return false }
    return header.crc == jd_crc32(0, base + 16, bytes.count - 16)
  }

  /// The message as a record; it has neither headers nor a sequence.
  var view: RecordView {
    RecordView(
      offset: header.baseOffset, timestamp: header.maxTimestamp, sequence: BatchHeader.noSequence,
      key: key, value: value, headerCount: 0,
      headerBytes: UnsafeRawBufferPointer(start: nil, count: 0), checksum: header.crc)
  }

  /// Appends a message with its checksum.
  static func write(
    magic: Int8, offset: Int64, timestamp: Int64, attributes: UInt8,
    key: UnsafeRawBufferPointer?, value: UnsafeRawBufferPointer?, to output: inout ByteWriter
  ) {
    let start = output.count
    output.writeInt64(offset)
    output.writeInt32(0)
    output.writeUInt32(0)
    output.writeInt8(magic)
    output.writeUInt8(attributes)
    if magic == 1 { output.writeInt64(timestamp) }
    for field in [key, value] {
      output.writeInt32(field.map { Int32($0.count) } ?? -1)
      if let field { output.writeBytes(field) }
    }
    output.patchInt32(Int32(output.count - start - BatchHeader.logOverhead), at: start + 8)
    let crc = output.withUnsafeBytes { bytes in
      bytes.baseAddress.map { jd_crc32(0, $0 + start + 16, bytes.count - start - 16) } ?? 0
    }
    output.patchInt32(Int32(bitPattern: crc), at: start + 12)
  }
}
