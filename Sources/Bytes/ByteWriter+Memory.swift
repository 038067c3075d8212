/// Direct access to a writer's memory: for codecs and file reads, which produce bytes on their own,
/// and for formats whose headers are patched once the body is known.
extension ByteWriter {
  /// Makes room for `room` bytes, lets `body` fill some of them, and counts what it says it filled.
  ///
  /// - Precondition: `body` returns at most the buffer's count.
  @inlinable public mutating func appendBytes<E: Error>(
    room: Int, _ body: (UnsafeMutableRawBufferPointer) throws(E) -> Int
  ) throws(E) {
    reserve(room)
    let filled = try body(UnsafeMutableRawBufferPointer(start: base + count, count: room))
    precondition(filled >= 0 && filled <= room)
    length &+= filled
  }

  /// What was written, to be changed in place.
  @inlinable public mutating func withUnsafeMutableBytes<R, E: Error>(
    _ body: (UnsafeMutableRawBufferPointer) throws(E) -> R
  ) throws(E) -> R {
    try body(UnsafeMutableRawBufferPointer(start: base, count: count))
  }

  /// Overwrites eight bytes that were written before.
  public mutating func patchInt64(_ value: Int64, at position: Int) {
    precondition(position >= 0 && position + 8 <= count)
    base.storeBytes(of: value.bigEndian, toByteOffset: position, as: Int64.self)
  }

  /// Overwrites two bytes that were written before.
  public mutating func patchInt16(_ value: Int16, at position: Int) {
    precondition(position >= 0 && position + 2 <= count)
    base.storeBytes(of: value.bigEndian, toByteOffset: position, as: Int16.self)
  }
}
