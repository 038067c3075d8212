/// A place in written bytes where bytes from elsewhere belong: a file region that `sendfile` sends.
public struct Splice: Sendable {
  /// Where it belongs, in bytes from the start of the writer; the spliced bytes are not counted.
  public var position: Int
  /// Bytes that will be put there.
  public var count: Int
  /// What they are; given by whoever writes, resolved by whoever sends.
  public var token: Int
}

/// Writes big-endian values into memory of its own, which grows.
///
/// One writer is a connection's output: replies are encoded straight into it and sent once per turn
/// of the loop. Lengths that are known only afterwards are patched in place.
public struct ByteWriter: ~Copyable {
  @usableFromInline var base: UnsafeMutableRawPointer
  @usableFromInline var capacity: Int
  /// Bytes written.
  @inlinable public var count: Int { length }
  @usableFromInline var length: Int
  /// In order of position. Bytes that splices stand for are in `splicedCount`, not in `count`.
  public private(set) var splices: [Splice] = []
  public private(set) var splicedCount = 0

  public init(reserving capacity: Int = 256) {
    self.capacity = max(capacity, 64)
    base = .allocate(byteCount: self.capacity, alignment: 16)
    length = 0
  }

  deinit { base.deallocate() }

  @inlinable @inline(__always)
  public mutating func reserve(_ more: Int) {
    if count &+ more > capacity { grow(more) }
  }

  @usableFromInline @inline(never)
  mutating func grow(_ more: Int) {
    let wanted = max(capacity * 2, count + more)
    let larger = UnsafeMutableRawPointer.allocate(byteCount: wanted, alignment: 16)
    larger.copyMemory(from: base, byteCount: count)
    base.deallocate()
    base = larger
    capacity = wanted
  }

  @inlinable @inline(__always)
  mutating func store<T: BitwiseCopyable>(_ value: T) {
    reserve(MemoryLayout<T>.size)
    base.storeBytes(of: value, toByteOffset: count, as: T.self)
    length &+= MemoryLayout<T>.size
  }

  @inlinable public mutating func writeInt8(_ value: Int8) { store(value) }
  @inlinable public mutating func writeUInt8(_ value: UInt8) { store(value) }
  @inlinable public mutating func writeBool(_ value: Bool) { store(value ? 1 as UInt8 : 0) }
  @inlinable public mutating func writeInt16(_ value: Int16) { store(value.bigEndian) }
  @inlinable public mutating func writeUInt16(_ value: UInt16) { store(value.bigEndian) }
  @inlinable public mutating func writeInt32(_ value: Int32) { store(value.bigEndian) }
  @inlinable public mutating func writeUInt32(_ value: UInt32) { store(value.bigEndian) }
  @inlinable public mutating func writeInt64(_ value: Int64) { store(value.bigEndian) }
  @inlinable public mutating func writeUInt64(_ value: UInt64) { store(value.bigEndian) }
  @inlinable public mutating func writeDouble(_ value: Double) { store(value.bitPattern.bigEndian) }

  @inlinable public mutating func writeUnsignedVarint(_ value: UInt32) {
    writeUnsignedVarlong(UInt64(value))
  }

  @inlinable public mutating func writeUnsignedVarlong(_ value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      store(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    store(UInt8(truncatingIfNeeded: rest))
  }

  /// Zigzag-coded signed 32-bit integer.
  @inlinable public mutating func writeVarint(_ value: Int32) {
    writeUnsignedVarlong(UInt64(UInt32(bitPattern: (value << 1) ^ (value >> 31))))
  }

  /// Zigzag-coded signed 64-bit integer.
  @inlinable public mutating func writeVarlong(_ value: Int64) {
    writeUnsignedVarlong(UInt64(bitPattern: (value << 1) ^ (value >> 63)))
  }

  @inlinable public mutating func writeBytes(_ bytes: [UInt8]) {
    bytes.withUnsafeBytes { writeBytes($0) }
  }

  @inlinable public mutating func writeBytes(_ bytes: RawSpan) {
    bytes.withUnsafeBytes { writeBytes($0) }
  }

  @inlinable public mutating func writeBytes(_ bytes: UnsafeRawBufferPointer) {
    guard let start = bytes.baseAddress, bytes.count > 0 else { return }
    reserve(bytes.count)
    (base + count).copyMemory(from: start, byteCount: bytes.count)
    length &+= bytes.count
  }

  /// The text's UTF-8 bytes, without a length.
  @inlinable public mutating func writeText(_ text: String) {
    var text = text
    text.withUTF8 { writeBytes(UnsafeRawBufferPointer($0)) }
  }

  /// So many zero bytes.
  @inlinable public mutating func writeZeros(_ zeros: Int) {
    reserve(zeros)
    (base + count).initializeMemory(as: UInt8.self, repeating: 0, count: zeros)
    length &+= zeros
  }

  /// Notes that `length` bytes known by `token` belong here.
  public mutating func writeSplice(token: Int, count spliced: Int) {
    splices.append(Splice(position: count, count: spliced, token: token))
    splicedCount += spliced
  }

  // MARK: Patching

  /// Overwrites four bytes that were written before.
  public mutating func patchInt32(_ value: Int32, at position: Int) {
    precondition(position >= 0 && position + 4 <= count)
    base.storeBytes(of: value.bigEndian, toByteOffset: position, as: Int32.self)
  }

  /// A frame that has been begun: where its length goes, and what had been spliced before it.
  public struct FrameMark: Sendable {
    let position: Int
    let splicedBefore: Int
  }

  /// Leaves room for an int32 length; `endFrame` fills it in.
  public mutating func beginFrame() -> FrameMark {
    let mark = FrameMark(position: count, splicedBefore: splicedCount)
    writeInt32(0)
    return mark
  }

  /// Writes the length of all that came after `beginFrame`, spliced bytes included.
  public mutating func endFrame(_ mark: FrameMark) {
    let size = count - mark.position - 4 + splicedCount - mark.splicedBefore
    patchInt32(Int32(size), at: mark.position)
  }

  /// Forgets everything written after `position`, as when a reply turns out to be an error.
  public mutating func truncate(to position: Int) {
    precondition(position >= 0 && position <= count)
    while let last = splices.last, last.position > position {
      splicedCount -= last.count
      splices.removeLast()
    }
    length = position
  }

  // MARK: Reading back

  /// Forgets what was written; keeps the memory unless it has grown past `limit`.
  public mutating func removeAll(keepingAtMost limit: Int = 1 << 20) {
    length = 0
    splices.removeAll(keepingCapacity: true)
    splicedCount = 0
    if capacity > limit {
      base.deallocate()
      capacity = min(limit, 4096)
      base = .allocate(byteCount: capacity, alignment: 16)
    }
  }

  public func withUnsafeBytes<R, E: Error>(
    _ body: (UnsafeRawBufferPointer) throws(E) -> R
  ) throws(E) -> R {
    try body(UnsafeRawBufferPointer(start: base, count: count))
  }

  /// What was written, as a span; splices are not in it.
  public var span: RawSpan {
    @_lifetime(borrow self)
    borrowing get {
      let view = RawSpan(_unsafeStart: base, byteCount: count)
      return _overrideLifetime(view, borrowing: self)
    }
  }

  /// A copy of what was written; splices are not in it.
  public func array() -> [UInt8] { withUnsafeBytes { Array($0) } }
}
