import Platform
import Records

/// Steps over the batches of a segment's file, reading large pieces at a time.
///
/// A batch it gives is valid until the next step.
public struct SegmentScanner: ~Copyable {
  private let file: File
  private let end: Int
  private var buffer: UnsafeMutableRawBufferPointer
  /// What of the file is in the buffer.
  private var loaded: Range<Int>
  /// Where the next batch begins.
  public private(set) var position: Int

  /// - Parameter piece: bytes to read at a time; batches that are larger are read whole.
  public init(_ file: File, from position: Int, to end: Int, piece: Int = 1 << 16) {
    self.file = file
    self.end = end
    self.position = position
    buffer = .allocate(byteCount: max(piece, 512), alignment: 16)
    loaded = position..<position
  }

  deinit { buffer.deallocate() }

  /// Makes so many bytes from `position` on available, if the file has them.
  private mutating func load(_ count: Int) throws(SystemError) -> UnsafeRawBufferPointer? {
    guard position + count <= end else { return nil }
    if position < loaded.lowerBound || position + count > loaded.upperBound {
      if count > buffer.count {
        buffer.deallocate()
        buffer = .allocate(byteCount: count, alignment: 16)
      }
      let wanted = min(buffer.count, end - position)
      let filled = try file.readFully(
        into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<wanted]), at: Int64(position))
      loaded = position..<(position + filled)
      guard filled >= count else { return nil }
    }
    let start = position - loaded.lowerBound
    return UnsafeRawBufferPointer(rebasing: buffer[start..<(start + count)])
  }

  /// The header of the next batch, which stays the next; nil at the end, or when the rest is only
  /// the beginning of a batch.
  mutating func peek() throws -> BatchHeader? {
    guard let prefix = try load(BatchHeader.sizeOfPrefix) else { return nil }
    let magic = Int8(bitPattern: prefix[16])
    guard (0...2).contains(magic) else { throw RecordError.unknownMagic(magic) }
    guard let bytes = try load(BatchHeader.smallestSize(magic: magic)) else { return nil }
    let header = try BatchHeader(bytes)
    return position + header.sizeInBytes <= end ? header : nil
  }

  /// Steps over a batch that `peek` gave, without reading it.
  mutating func skip(_ header: BatchHeader) { position += header.sizeInBytes }

  /// The next whole batch and where it is; nil as for `peek`.
  public mutating func next() throws -> (batch: RecordBatch, position: Int)? {
    guard let header = try peek(), let bytes = try load(header.sizeInBytes) else { return nil }
    let start = position
    position += header.sizeInBytes
    return (try RecordBatch(bytes), start)
  }
}
