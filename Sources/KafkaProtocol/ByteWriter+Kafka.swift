// The counterpart of `ByteReader+Kafka.swift`. Nothing here throws: a text that the protocol's
// int16 length cannot say is cut, because a reply must be written whatever it says.

import Bytes
import Values

extension ByteWriter {
  @inlinable public mutating func writeUuid(_ id: Uuid) {
    writeUInt64(id.high)
    writeUInt64(id.low)
  }

  /// The byte before a struct that may be null.
  @inlinable public mutating func writePresence(_ isPresent: Bool) {
    writeInt8(isPresent ? 1 : -1)
  }

  // MARK: Lengths

  /// The length of bytes; nil for null.
  public mutating func writeByteLength(_ length: Int?, compact: Bool) {
    if compact {
      writeUnsignedVarint(length.map { UInt32(clamping: $0) &+ 1 } ?? 0)
    } else {
      writeInt32(length.map { Int32(clamping: $0) } ?? -1)
    }
  }

  public mutating func writeCount(_ count: Int, compact: Bool) {
    writeByteLength(count, compact: compact)
  }

  public mutating func writeNullableCount(_ count: Int?, compact: Bool) {
    writeByteLength(count, compact: compact)
  }

  // MARK: Text and bytes

  /// Text of at most 32,767 bytes; what is longer is cut between two characters.
  public mutating func writeString(_ text: String, compact: Bool) {
    var text = text
    var length = text.utf8.count
    if length > Int(Int16.max) {
      text = Self.cut(text, to: Int(Int16.max))
      length = text.utf8.count
    }
    if compact {
      writeUnsignedVarint(UInt32(length) + 1)
    } else {
      writeInt16(Int16(length))
    }
    writeText(text)
  }

  private static func cut(_ text: String, to limit: Int) -> String {
    var end = text.utf8.index(text.startIndex, offsetBy: limit)
    while end > text.startIndex, end.samePosition(in: text.unicodeScalars) == nil {
      end = text.utf8.index(before: end)
    }
    return String(text[..<end])
  }

  public mutating func writeNullableString(_ text: String?, compact: Bool) {
    guard let text else {
      if compact { writeUInt8(0) } else { writeInt16(-1) }
      return
    }
    writeString(text, compact: compact)
  }

  public mutating func writeByteArray(_ bytes: [UInt8], compact: Bool) {
    writeByteLength(bytes.count, compact: compact)
    writeBytes(bytes)
  }

  public mutating func writeNullableByteArray(_ bytes: [UInt8]?, compact: Bool) {
    guard let bytes else { return writeByteLength(nil, compact: compact) }
    writeByteArray(bytes, compact: compact)
  }
}
