import Platform
import Values

/// `.index`: for some batches, the last offset (relative to the segment's base, int32) and the
/// position in the log file (int32). Sparse: one entry for about every `index.interval.bytes`.
final class OffsetIndex {
  static let entrySize = 8
  let file: IndexFile
  let baseOffset: Offset
  private(set) var lastOffset: Offset

  init(path: String, baseOffset: Offset, maxBytes: Int) throws(SystemError) {
    file = try IndexFile(path: path, entrySize: Self.entrySize, maxBytes: maxBytes)
    self.baseOffset = baseOffset
    lastOffset = baseOffset
    try reloadLast()
  }

  var isFull: Bool { file.isFull }

  private func reloadLast() throws(SystemError) {
    lastOffset = file.count == 0 ? baseOffset : try entry(file.count - 1).offset
  }

  func entry(_ index: Int) throws(SystemError) -> (offset: Offset, position: Int) {
    Self.decode(try file.entries(), index * Self.entrySize, base: baseOffset)
  }

  private static func decode(
    _ bytes: UnsafeRawBufferPointer, _ at: Int, base: Offset
  ) -> (offset: Offset, position: Int) {
    let offset = Int32(bigEndian: bytes.loadUnaligned(fromByteOffset: at, as: Int32.self))
    let position = Int32(bigEndian: bytes.loadUnaligned(fromByteOffset: at + 4, as: Int32.self))
    return (base + Offset(offset), Int(position))
  }

  /// Where to begin reading for `offset`: at or before the batch that has it.
  func position(for offset: Offset) throws(SystemError) -> Int {
    let base = baseOffset
    let found = try file.lastEntry { bytes, at in
      Self.decode(bytes, at, base: base).offset > offset
    }
    guard let found else { return 0 }
    return try entry(found).position
  }

  /// The last offset of the first indexed batch that begins at or behind `position`; nil if there
  /// is none.
  func offset(atOrBehind position: Int) throws(SystemError) -> Offset? {
    let below = try file.lastEntry { bytes, at in
      Self.decode(bytes, at, base: 0).position >= position
    }
    let next = below.map { $0 + 1 } ?? 0
    return next < file.count ? try entry(next).offset : nil
  }

  /// Notes that the batch with last offset `offset` begins at `position`.
  func append(_ offset: Offset, position: Int) throws(SystemError) {
    guard file.count == 0 || offset > lastOffset, !isFull else { return }
    let entry = (
      Int32(truncatingIfNeeded: offset - baseOffset).bigEndian,
      Int32(truncatingIfNeeded: position).bigEndian
    )
    try withUnsafeBytes(of: entry) { (raw) throws(SystemError) in try file.append(raw) }
    lastOffset = offset
  }

  /// Forgets batches with offsets from `offset` on.
  func truncate(to offset: Offset) throws(SystemError) {
    let base = baseOffset
    let kept = try file.lastEntry { bytes, at in
      Self.decode(bytes, at, base: base).offset >= offset
    }
    try file.truncate(to: kept.map { $0 + 1 } ?? 0)
    try reloadLast()
  }

  /// Whether the entries rise as they must and point into a log file of `logSize` bytes.
  func isSane(logSize: Int) throws(SystemError) -> Bool {
    guard file.count > 0 else { return true }
    let last = try entry(file.count - 1)
    let first = try entry(0)
    return last.offset >= baseOffset && last.position < logSize && last.position >= 0
      && first.offset <= last.offset && first.position <= last.position
      && (file.count == 1 || last.offset > baseOffset)
  }
}
