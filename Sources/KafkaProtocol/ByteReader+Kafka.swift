// Kafka's variable-length values, in their plain and compact (KIP-482) forms.
//
// Plain lengths are int16 (text) or int32 with -1 for null; compact lengths are unsigned varints of
// the length plus one with 0 for null.

import Bytes
import Values

extension ByteReader {
  @inlinable public mutating func readUuid() throws(ByteError) -> Uuid {
    let high: UInt64 = try readUInt64()
    let low: UInt64 = try readUInt64()
    return Uuid(high: high, low: low)
  }

  /// The byte before a struct that may be null: negative for null.
  @inlinable public mutating func readPresence() throws(ByteError) -> Bool { try readInt8() >= 0 }

  // MARK: Lengths

  @usableFromInline mutating func readCompactLength() throws(ByteError) -> Int? {
    let raw: UInt32 = try readUnsignedVarint()
    guard raw <= UInt32(Int32.max) else { throw .invalidLength(Int64(raw) - 1) }
    return raw == 0 ? nil : Int(raw) - 1
  }

  /// The length of bytes or the number of elements; nil for null.
  public mutating func readByteLength(compact: Bool) throws(ByteError) -> Int? {
    if compact { return try readCompactLength() }
    let length: Int32 = try readInt32()
    guard length >= -1 else { throw .invalidLength(Int64(length)) }
    return length < 0 ? nil : Int(length)
  }

  /// The number of elements of an array, checked against what is left of the input.
  public mutating func readCount(
    compact: Bool, atLeast size: Int
  ) throws(ByteError) -> Int {
    guard let count = try readByteLength(compact: compact) else { throw .unexpectedNull }
    return try checkCount(count, atLeast: size)
  }

  /// Like `readCount`; -1 for null.
  public mutating func readNullableCount(
    compact: Bool, atLeast size: Int
  ) throws(ByteError) -> Int {
    guard let count = try readByteLength(compact: compact) else { return -1 }
    return try checkCount(count, atLeast: size)
  }

  // MARK: Text and bytes

  public mutating func readNullableString(compact: Bool) throws(ByteError) -> String? {
    if compact {
      guard let length = try readCompactLength() else { return nil }
      guard length <= Int(Int16.max) else { throw .invalidLength(Int64(length)) }
      return try readText(length)
    }
    let length: Int16 = try readInt16()
    guard length >= 0 else {
      guard length == -1 else { throw .invalidLength(Int64(length)) }
      return nil
    }
    return try readText(Int(length))
  }

  /// The same where a certain text is likely: when that is what comes, no new string is made.
  public mutating func readNullableString(
    compact: Bool, expecting known: String?
  ) throws(ByteError) -> String? {
    let start = position
    if let known, let range = try readNullableTextRange(compact: compact) {
      if isText(known, at: range) { return known }
    }
    position = start
    return try readNullableString(compact: compact)
  }

  /// Where a text lies, in positions from the start of the span; nil for null. It is not checked to
  /// be UTF-8.
  public mutating func readNullableTextRange(compact: Bool) throws(ByteError) -> Range<Int>? {
    if compact {
      guard let length = try readCompactLength() else { return nil }
      guard length <= Int(Int16.max) else { throw .invalidLength(Int64(length)) }
      return try readRange(length)
    }
    let length: Int16 = try readInt16()
    guard length >= -1 else { throw .invalidLength(Int64(length)) }
    return length < 0 ? nil : try readRange(Int(length))
  }

  public mutating func readString(compact: Bool) throws(ByteError) -> String {
    guard let text = try readNullableString(compact: compact) else { throw .unexpectedNull }
    return text
  }

  public mutating func readNullableByteArray(compact: Bool) throws(ByteError) -> [UInt8]? {
    guard let length = try readByteLength(compact: compact) else { return nil }
    return try readBytes(length)
  }

  public mutating func readByteArray(compact: Bool) throws(ByteError) -> [UInt8] {
    guard let bytes = try readNullableByteArray(compact: compact) else { throw .unexpectedNull }
    return bytes
  }

  // MARK: Tagged fields

  /// Reads the size of a tagged field; returns the position just after the field.
  public mutating func readTaggedEnd() throws(ByteError) -> Int {
    let size: UInt32 = try readUnsignedVarint()
    guard Int(size) <= remaining else { throw .invalidLength(Int64(size)) }
    return position + Int(size)
  }

  /// Checks that a tagged field took exactly the bytes it had announced.
  @inlinable public func expectPosition(_ end: Int) throws(ByteError) {
    guard position == end else { throw .invalidLength(Int64(position) - Int64(end)) }
  }

  /// Skips a tagged section none of whose fields is known.
  public mutating func skipTaggedFields() throws(ByteError) {
    var left: UInt32 = try readUnsignedVarint()
    while left > 0 {
      left -= 1
      _ = try readUnsignedVarint()
      position = try readTaggedEnd()
    }
  }
}
