/// Reads record fields front to back from memory that the caller keeps alive.
///
/// Unlike `ByteReader` it can be stored in an iterator. Every read is checked against the end and
/// answers nil past it, which its callers turn into one error for the whole record.
struct RawCursor {
  private let base: UnsafeRawPointer?
  private(set) var position: Int
  let end: Int

  init(_ bytes: UnsafeRawBufferPointer, from position: Int = 0) {
    base = bytes.baseAddress
    self.position = min(max(position, 0), bytes.count)
    end = bytes.count
  }

  var remaining: Int { end &- position }

  @inline(__always)
  private mutating func load<T: FixedWidthInteger & BitwiseCopyable>(_ type: T.Type) -> T? {
    guard remaining >= MemoryLayout<T>.size, let base else { return nil }
    let value = base.loadUnaligned(fromByteOffset: position, as: T.self)
    position &+= MemoryLayout<T>.size
    return T(bigEndian: value)
  }

  mutating func int8() -> Int8? { load(Int8.self) }
  mutating func int16() -> Int16? { load(Int16.self) }
  mutating func int32() -> Int32? { load(Int32.self) }
  mutating func int64() -> Int64? { load(Int64.self) }
  mutating func uint32() -> UInt32? { load(UInt32.self) }

  @inline(__always)
  private mutating func groups(limit: Int) -> UInt64? {
    guard let base else { return nil }
    var value: UInt64 = 0
    var shift: UInt64 = 0
    let last = min(position &+ limit, end)
    while position < last {
      let byte = base.load(fromByteOffset: position, as: UInt8.self)
      position &+= 1
      value |= UInt64(byte & 0x7f) << shift
      if byte < 0x80 { return value }
      shift &+= 7
    }
    return nil
  }

  /// Zigzag-coded signed 32-bit integer.
  mutating func varint() -> Int32? {
    guard let raw = groups(limit: 5), raw <= UInt64(UInt32.max) else { return nil }
    let bits = UInt32(truncatingIfNeeded: raw)
    return Int32(bitPattern: bits >> 1) ^ -Int32(bitPattern: bits & 1)
  }

  /// Zigzag-coded signed 64-bit integer.
  mutating func varlong() -> Int64? {
    guard let raw = groups(limit: 10) else { return nil }
    return Int64(bitPattern: raw >> 1) ^ -Int64(bitPattern: raw & 1)
  }

  mutating func bytes(_ length: Int) -> UnsafeRawBufferPointer? {
    guard length >= 0, length <= remaining else { return nil }
    let slice = UnsafeRawBufferPointer(start: base.map { $0 + position }, count: length)
    position &+= length
    return slice
  }

  mutating func skip(_ length: Int) -> Bool {
    guard length >= 0, length <= remaining else { return false }
    position &+= length
    return true
  }

  /// A length-prefixed field: the inner nil is a null (-1), the outer one an overrun.
  @inline(__always)
  mutating func nullableField(length: Int32?) -> UnsafeRawBufferPointer?? {
    guard let length else { return nil }
    if length < 0 { return length == -1 ? .some(nil) : nil }
    guard let field = bytes(Int(length)) else { return nil }
    return .some(field)
  }
}
