/// Why bytes could not be read as what they claim to be.
public enum ByteError: Error, Equatable, Sendable {
  /// The input ends before the value does.
  case endOfInput
  /// A variable-length integer has more bytes than its type can need.
  case varintTooLong
  /// A length or count is negative where that has no meaning, or larger than what is left.
  case invalidLength(Int64)
  /// Text that is not UTF-8.
  case invalidText
  /// A null where the format does not allow one.
  case unexpectedNull
  /// A value outside its enumeration or range.
  case invalidValue(Int64)
}

/// Reads big-endian values from a span, front to back.
///
/// Every read is bounds-checked and throws instead of trapping, so a reader may be pointed at bytes
/// from the network. Nothing is allocated by a length that has not been received: a count is
/// checked against what remains before any array is reserved.
public struct ByteReader: ~Copyable, ~Escapable {
  @usableFromInline let span: RawSpan
  /// Bytes read so far, counted from the start of the span.
  public var position: Int

  @_lifetime(copy span)
  @inlinable public init(_ span: RawSpan) {
    self.span = span
    position = 0
  }

  @inlinable public var count: Int { span.byteCount }
  @inlinable public var remaining: Int { span.byteCount &- position }
  @inlinable public var isAtEnd: Bool { position == span.byteCount }

  @inlinable @inline(__always)
  mutating func load<T: BitwiseCopyable>(_ type: T.Type) throws(ByteError) -> T {
    let size = MemoryLayout<T>.size
    guard remaining >= size else { throw .endOfInput }
    let value = span.unsafeLoadUnaligned(fromByteOffset: position, as: T.self)
    position &+= size
    return value
  }

  @inlinable public mutating func readInt8() throws(ByteError) -> Int8 { try load(Int8.self) }
  @inlinable public mutating func readUInt8() throws(ByteError) -> UInt8 { try load(UInt8.self) }
  /// One byte; anything but 0 is true.
  @inlinable public mutating func readBool() throws(ByteError) -> Bool { try load(UInt8.self) != 0 }
  @inlinable public mutating func readInt16() throws(ByteError) -> Int16 {
    Int16(bigEndian: try load(Int16.self))
  }
  @inlinable public mutating func readUInt16() throws(ByteError) -> UInt16 {
    UInt16(bigEndian: try load(UInt16.self))
  }
  @inlinable public mutating func readInt32() throws(ByteError) -> Int32 {
    Int32(bigEndian: try load(Int32.self))
  }
  @inlinable public mutating func readUInt32() throws(ByteError) -> UInt32 {
    UInt32(bigEndian: try load(UInt32.self))
  }
  @inlinable public mutating func readInt64() throws(ByteError) -> Int64 {
    Int64(bigEndian: try load(Int64.self))
  }
  @inlinable public mutating func readUInt64() throws(ByteError) -> UInt64 {
    UInt64(bigEndian: try load(UInt64.self))
  }
  @inlinable public mutating func readDouble() throws(ByteError) -> Double {
    Double(bitPattern: try readUInt64())
  }

  /// Base-128, least significant group first, at most five bytes.
  @inlinable public mutating func readUnsignedVarint() throws(ByteError) -> UInt32 {
    let value = try readGroups(limit: 5)
    guard value <= UInt64(UInt32.max) else { throw .varintTooLong }
    return UInt32(truncatingIfNeeded: value)
  }

  /// Base-128, least significant group first, at most ten bytes.
  @inlinable public mutating func readUnsignedVarlong() throws(ByteError) -> UInt64 {
    try readGroups(limit: 10)
  }

  /// Zigzag-coded signed 32-bit integer.
  @inlinable public mutating func readVarint() throws(ByteError) -> Int32 {
    let raw = try readUnsignedVarint()
    return Int32(bitPattern: raw >> 1) ^ -Int32(bitPattern: raw & 1)
  }

  /// Zigzag-coded signed 64-bit integer.
  @inlinable public mutating func readVarlong() throws(ByteError) -> Int64 {
    let raw = try readUnsignedVarlong()
    return Int64(bitPattern: raw >> 1) ^ -Int64(bitPattern: raw & 1)
  }

  @inlinable mutating func readGroups(limit: Int) throws(ByteError) -> UInt64 {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    for _ in 0..<limit {
      let byte = try load(UInt8.self)
      // The tenth group of a 64-bit value has room for one bit only.
      if shift == 63, byte > 1 { throw .varintTooLong }
      value |= UInt64(byte & 0x7f) << shift
      if byte < 0x80 { return value }
      shift += 7
    }
    throw .varintTooLong
  }

  /// Skips so many bytes.
  @inlinable public mutating func skip(_ length: Int) throws(ByteError) {
    guard length >= 0, length <= remaining else { throw .invalidLength(Int64(length)) }
    position &+= length
  }

  /// The next bytes without copying; they live as long as what the reader reads.
  @_lifetime(copy self)
  @inlinable public mutating func readSpan(_ length: Int) throws(ByteError) -> RawSpan {
    guard length >= 0, length <= remaining else { throw .invalidLength(Int64(length)) }
    let slice = span.extracting(position..<(position &+ length))
    position &+= length
    return slice
  }

  /// The next bytes as a range of positions in the span, without touching them.
  @inlinable public mutating func readRange(_ length: Int) throws(ByteError) -> Range<Int> {
    guard length >= 0, length <= remaining else { throw .invalidLength(Int64(length)) }
    let start = position
    position &+= length
    return start..<position
  }

  /// A copy of the next bytes.
  @inlinable public mutating func readBytes(_ length: Int) throws(ByteError) -> [UInt8] {
    guard length >= 0, length <= remaining else { throw .invalidLength(Int64(length)) }
    let start = position
    position &+= length
    return span.withUnsafeBytes { Array($0[start..<(start &+ length)]) }
  }

  /// The next bytes as UTF-8 text.
  @inlinable public mutating func readText(_ length: Int) throws(ByteError) -> String {
    guard length >= 0, length <= remaining else { throw .invalidLength(Int64(length)) }
    let start = position
    guard let text = Self.text(span, start..<(start &+ length)) else { throw .invalidText }
    position &+= length
    return text
  }

  /// Text of validated bytes; nil if they are not UTF-8. A `UTF8Span` is checked without going
  /// through `String`'s generic initializer, which costs four times as much for short texts.
  @inlinable static func text(_ span: RawSpan, _ range: Range<Int>) -> String? {
    span.withUnsafeBytes { bytes in
      let units = UnsafeRawBufferPointer(rebasing: bytes[range])
        .assumingMemoryBound(to: UInt8.self)
      guard let valid = try? UTF8Span(validating: units.span) else { return nil }
      return String(copying: valid)
    }
  }

  // MARK: Text that is known

  /// Whether the bytes at `range` are those of `text`.
  /// - Precondition: the range lies in the span.
  public func isText(_ text: String, at range: Range<Int>) -> Bool {
    span.withUnsafeBytes { bytes in
      var text = text
      return text.withUTF8 { known in
        known.count == range.count
          && UnsafeRawBufferPointer(known).elementsEqual(
            UnsafeRawBufferPointer(rebasing: bytes[range]))
      }
    }
  }

  /// The bytes at `range` as UTF-8 text; the reader stays where it is.
  /// - Precondition: the range lies in the span.
  public func text(at range: Range<Int>) throws(ByteError) -> String {
    guard let text = Self.text(span, range) else { throw .invalidText }
    return text
  }

  /// A number by which equal bytes are found again (FNV-1a).
  /// - Precondition: the range lies in the span.
  public func hash(at range: Range<Int>) -> UInt64 {
    span.withUnsafeBytes { bytes in
      var hash: UInt64 = 0xcbf2_9ce4_8422_2325
      for byte in UnsafeRawBufferPointer(rebasing: bytes[range]) {
        hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3
      }
      return hash
    }
  }

  /// Checks that `count` elements of at least `size` bytes can still be there; returns `count`.
  @inlinable public func checkCount(_ count: Int, atLeast size: Int = 1) throws(ByteError) -> Int {
    guard count >= 0, count <= remaining / max(size, 1) else { throw .invalidLength(Int64(count)) }
    return count
  }
}
