import Platform

/// A file of entries of one size that only grows at its end: the body of offset and time indexes.
///
/// Entries are written by `pwrite`, so that a full disk is an error and not a signal, and read
/// through a mapping, which Linux keeps coherent with it. Neither file nor mapping is open before
/// it is needed. Guarded by its log's lock.
final class IndexFile {
  private(set) var path: String
  let entrySize: Int
  /// Entries that the file may hold; a full index makes the log roll.
  private(set) var capacity: Int
  private(set) var count: Int
  private var file: File?
  private var map: MappedFile?

  /// Opens the index at `path`, or begins an empty one when there is none. A rest that is no whole
  /// entry is not counted.
  init(path: String, entrySize: Int, maxBytes: Int) throws(SystemError) {
    self.path = path
    self.entrySize = entrySize
    capacity = max(maxBytes / entrySize, 1)
    count = Int(try FileSystem.status(path)?.size ?? 0) / entrySize
  }

  var isFull: Bool { count >= capacity }
  var sizeInBytes: Int { count * entrySize }

  func opened() throws(SystemError) -> File {
    if let file { return file }
    let opened = try File(path, [.read, .write, .create])
    file = opened
    return opened
  }

  /// Creates the file if it is not there yet: every segment has its indexes, empty or not.
  func create() throws(SystemError) { _ = try opened() }

  /// The bytes of all entries.
  func entries() throws(SystemError) -> UnsafeRawBufferPointer {
    guard count > 0 else { return UnsafeRawBufferPointer(start: nil, count: 0) }
    if let map, map.bytes.count >= sizeInBytes {
      return UnsafeRawBufferPointer(rebasing: map.bytes[..<sizeInBytes])
    }
    // Mapped beyond the end, so that growth does not mean a new mapping each time; what is not yet
    // in the file is never touched.
    let length = min(max(sizeInBytes * 2, 1 << 16), max(capacity * entrySize, sizeInBytes))
    let mapped = try MappedFile(try opened(), count: length, writable: false)
    map = mapped
    return UnsafeRawBufferPointer(rebasing: mapped.bytes[..<sizeInBytes])
  }

  func append(_ entry: UnsafeRawBufferPointer) throws(SystemError) {
    try opened().write(entry, at: Int64(sizeInBytes))
    count += 1
  }

  /// Forgets all entries from `newCount` on.
  func truncate(to newCount: Int) throws(SystemError) {
    guard newCount < count || newCount == 0 else { return }
    try opened().truncate(to: Int64(newCount * entrySize))
    count = newCount
    map = nil
  }

  /// Cuts off what is behind the last whole entry, as a Kafka broker leaves it after a crash.
  func trim() throws(SystemError) {
    guard let status = try FileSystem.status(path), status.size != Int64(sizeInBytes) else {
      return
    }
    try opened().truncate(to: Int64(sizeInBytes))
  }

  func sync() throws(SystemError) { try file?.syncData() }

  /// Closes file and mapping; both open again when needed.
  func close() {
    map = nil
    file = nil
  }

  func rename(to newPath: String) throws(SystemError) {
    guard newPath != path else { return }
    if FileSystem.exists(path) { try FileSystem.rename(path, to: newPath) }
    path = newPath
    close()
  }

  /// The file was renamed from outside, as when its directory moves.
  func moved(to newPath: String) {
    path = newPath
    close()
  }

  /// The place of the last entry whose key is at or below what is looked for; nil if there is none.
  ///
  /// - Parameter isAbove: whether an entry, given by its bytes' position, is above it.
  func lastEntry(
    notAbove isAbove: (UnsafeRawBufferPointer, Int) -> Bool
  ) throws(SystemError) -> Int? {
    let bytes = try entries()
    var low = 0
    var high = count
    while low < high {
      let middle = (low + high) / 2
      if isAbove(bytes, middle * entrySize) { high = middle } else { low = middle + 1 }
    }
    return low == 0 ? nil : low - 1
  }
}
