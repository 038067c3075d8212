import Platform
import Records
import Values

/// `.timeindex`: timestamps (int64) and the offset (int32, relative to the segment's base) of the
/// batch that was the first to reach them. Both columns only rise.
final class TimeIndex {
  static let entrySize = 12
  let file: IndexFile
  let baseOffset: Offset
  /// The last entry; before any, no timestamp at the base offset.
  private(set) var last: (timestamp: Int64, offset: Offset)

  init(path: String, baseOffset: Offset, maxBytes: Int) throws(SystemError) {
    file = try IndexFile(path: path, entrySize: Self.entrySize, maxBytes: maxBytes)
    self.baseOffset = baseOffset
    last = (BatchHeader.noTimestamp, baseOffset)
    try reloadLast()
  }

  /// One entry is kept free for the one that a segment gets when it is closed.
  var isFull: Bool { file.count >= file.capacity - 1 }

  private func reloadLast() throws(SystemError) {
    last =
      file.count == 0 ? (BatchHeader.noTimestamp, baseOffset) : try entry(file.count - 1)
  }

  func entry(_ index: Int) throws(SystemError) -> (timestamp: Int64, offset: Offset) {
    Self.decode(try file.entries(), index * Self.entrySize, base: baseOffset)
  }

  private static func decode(
    _ bytes: UnsafeRawBufferPointer, _ at: Int, base: Offset
  ) -> (timestamp: Int64, offset: Offset) {
    let time = Int64(bigEndian: bytes.loadUnaligned(fromByteOffset: at, as: Int64.self))
    let offset = Int32(bigEndian: bytes.loadUnaligned(fromByteOffset: at + 8, as: Int32.self))
    return (time, base + Offset(offset))
  }

  /// The last entry with a timestamp at or below `timestamp`: nothing before its offset is later.
  func entry(notAfter timestamp: Int64) throws(SystemError) -> (timestamp: Int64, offset: Offset) {
    let found = try file.lastEntry { bytes, at in
      Self.decode(bytes, at, base: 0).timestamp > timestamp
    }
    guard let found else { return (BatchHeader.noTimestamp, baseOffset) }
    return try entry(found)
  }

  /// Notes the largest timestamp so far. Does nothing unless it is larger than the last one.
  func append(
    _ timestamp: Int64, offset: Offset, evenIfFull: Bool = false
  ) throws(SystemError) {
    guard timestamp > last.timestamp, file.count == 0 || offset >= last.offset else { return }
    guard evenIfFull ? !file.isFull : !isFull else { return }
    // Twelve bytes have no Swift tuple without padding in every layout; they are put together here.
    var entry: (UInt32, UInt32, UInt32) = (0, 0, 0)
    try withUnsafeMutableBytes(of: &entry) { (raw) throws(SystemError) in
      raw.storeBytes(of: timestamp.bigEndian, toByteOffset: 0, as: Int64.self)
      raw.storeBytes(
        of: Int32(truncatingIfNeeded: offset - baseOffset).bigEndian, toByteOffset: 8,
        as: Int32.self)
      try file.append(UnsafeRawBufferPointer(raw))
    }
    last = (timestamp, offset)
  }

  /// Forgets entries that point to `offset` or behind it.
  func truncate(to offset: Offset) throws(SystemError) {
    let base = baseOffset
    let kept = try file.lastEntry { bytes, at in
      Self.decode(bytes, at, base: base).offset >= offset
    }
    try file.truncate(to: kept.map { $0 + 1 } ?? 0)
    try reloadLast()
  }

  /// Whether the entries rise as they must.
  func isSane() throws(SystemError) -> Bool {
    guard file.count > 0 else { return true }
    let first = try entry(0)
    return last.offset >= baseOffset && (file.count == 1 || last.timestamp > first.timestamp)
  }
}
