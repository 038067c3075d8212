import CPlatform
import Glibc
import Synchronization

/// An open file. Shared freely between threads: every positioned call is atomic in the kernel, and
/// the descriptor is closed when the last reference goes, so that a region that is still being
/// sent cannot lose its file.
public final class File: Sendable {
  /// How to open: combine with `|`-like array literals, as in `[.write, .create]`.
  public struct Mode: OptionSet, Sendable {
    public let rawValue: Int32
    public init(rawValue: Int32) { self.rawValue = rawValue }
    public static let read = Mode(rawValue: 1)
    public static let write = Mode(rawValue: 2)
    /// Creates the file when it is not there.
    public static let create = Mode(rawValue: 4)
    /// With `create`: fails when the file is there.
    public static let exclusive = Mode(rawValue: 8)
    /// Empties the file.
    public static let truncate = Mode(rawValue: 16)
    /// Every `write` goes to the end.
    public static let append = Mode(rawValue: 32)

    var flags: Int32 {
      var flags: Int32 = contains(.write) ? (contains(.read) ? O_RDWR : O_WRONLY) : O_RDONLY
      if contains(.create) { flags |= O_CREAT }
      if contains(.exclusive) { flags |= O_EXCL }
      if contains(.truncate) { flags |= O_TRUNC }
      if contains(.append) { flags |= O_APPEND }
      return flags
    }
  }

  let owned: FileDescriptor
  private let currentPath: Mutex<String>

  /// The descriptor's number, for calls that this class does not wrap.
  public var descriptor: Int32 { owned.number }
  /// Where it was opened or last renamed to.
  public var path: String { currentPath.withLock { $0 } }

  /// Opens a file.
  public init(
    _ path: String, _ mode: Mode = .read, permissions: UInt32 = 0o644
  ) throws(SystemError) {
    try FileFaults.check(.open, path)
    if let machine = Machines.simulated { machine.willOpen(path, mode) }
    let number = try retrying("open", on: path) {
      platform_open(path, mode.flags, permissions)
    }
    if let machine = Machines.simulated { machine.didOpen(path, as: number) }
    owned = FileDescriptor(owning: number)
    currentPath = Mutex(path)
  }

  // MARK: Reading

  /// Reads at a position, up to the buffer's size; 0 at the end of the file.
  public func read(
    into buffer: UnsafeMutableRawBufferPointer, at position: Int64
  ) throws(SystemError) -> Int {
    try FileFaults.check(.read, path)
    return try retrying("pread", on: path) {
      pread(descriptor, buffer.baseAddress, buffer.count, Int(position))
    }
  }

  /// Fills the buffer from a position; returns less than its size only at the end of the file.
  public func readFully(
    into buffer: UnsafeMutableRawBufferPointer, at position: Int64
  ) throws(SystemError) -> Int {
    var filled = 0
    while filled < buffer.count {
      let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[filled...])
      let count = try read(into: rest, at: position + Int64(filled))
      if count == 0 { break }
      filled += count
    }
    return filled
  }

  /// Up to `count` bytes from a position; never more than the file has.
  public func read(at position: Int64, count: Int) throws(SystemError) -> [UInt8] {
    let available = max(0, min(Int64(count), try size() - position))
    var bytes = [UInt8](repeating: 0, count: Int(available))
    var filled = 0
    var failure: SystemError?
    bytes.withUnsafeMutableBytes { buffer in
      do throws(SystemError) { filled = try readFully(into: buffer, at: position) } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    bytes.removeLast(bytes.count - filled)
    return bytes
  }

  // MARK: Writing

  /// Writes all bytes at a position.
  public func write(_ bytes: UnsafeRawBufferPointer, at position: Int64) throws(SystemError) {
    try FileFaults.check(.write, path)
    if let machine = Machines.simulated { machine.willWrite(descriptor, bytes, at: position) }
    var done = 0
    while done < bytes.count {
      done += try retrying("pwrite", on: path) {
        pwrite(descriptor, bytes.baseAddress.map { $0 + done }, bytes.count - done,
          Int(position) + done)
      }
    }
  }

  /// Writes all bytes at the file's own position (the end, with `.append`).
  public func write(_ bytes: UnsafeRawBufferPointer) throws(SystemError) {
    try FileFaults.check(.write, path)
    if let machine = Machines.simulated { machine.willWrite(descriptor, bytes, at: nil) }
    var done = 0
    while done < bytes.count {
      done += try retrying("write", on: path) {
        Glibc.write(descriptor, bytes.baseAddress.map { $0 + done }, bytes.count - done)
      }
    }
  }

  public func write(_ bytes: RawSpan, at position: Int64) throws(SystemError) {
    try bytes.withUnsafeBytes { (buffer) throws(SystemError) in try write(buffer, at: position) }
  }

  public func write(_ bytes: RawSpan) throws(SystemError) {
    try bytes.withUnsafeBytes { (buffer) throws(SystemError) in try write(buffer) }
  }

  public func write(_ bytes: [UInt8], at position: Int64) throws(SystemError) {
    try write(bytes.span.bytes, at: position)
  }

  public func write(_ bytes: [UInt8]) throws(SystemError) {
    try write(bytes.span.bytes)
  }

  /// Writes several pieces one after the other at a position, in as few calls as can be.
  public func write(
    gathering parts: [UnsafeRawBufferPointer], at position: Int64
  ) throws(SystemError) {
    try FileFaults.check(.write, path)
    if Machines.simulated != nil { return try writeSingly(parts, at: position) }
    var parts = parts.filter { $0.count > 0 }[...]
    var position = position
    while !parts.isEmpty {
      let vectors = parts.prefix(512).map {
        iovec(iov_base: UnsafeMutableRawPointer(mutating: $0.baseAddress), iov_len: $0.count)
      }
      var count = try retrying("pwritev", on: path) {
        pwritev(descriptor, vectors, Int32(vectors.count), Int(position))
      }
      position += Int64(count)
      while count > 0, let first = parts.first {
        if count >= first.count {
          count -= first.count
          parts.removeFirst()
        } else {
          parts[parts.startIndex] = UnsafeRawBufferPointer(rebasing: first[count..<first.count])
          count = 0
        }
      }
    }
  }

  private func writeSingly(
    _ parts: [UnsafeRawBufferPointer], at position: Int64
  ) throws(SystemError) {
    var position = position
    for part in parts {
      try write(part, at: position)
      position += Int64(part.count)
    }
  }

  // MARK: Durability and size

  /// Returns when data and metadata are on the disk.
  public func sync() throws(SystemError) {
    try FileFaults.check(.sync, path)
    if let machine = Machines.simulated { return machine.sync(descriptor) }
    try retrying("fsync", on: path) { fsync(descriptor) }
  }

  /// Returns when the data, and the metadata needed to read it, are on the disk.
  public func syncData() throws(SystemError) {
    try FileFaults.check(.sync, path)
    if let machine = Machines.simulated { return machine.sync(descriptor) }
    try retrying("fdatasync", on: path) { fdatasync(descriptor) }
  }

  /// The file's size in bytes.
  public func size() throws(SystemError) -> Int64 {
    var status = stat()
    try retrying("fstat", on: path) { fstat(descriptor, &status) }
    return Int64(status.st_size)
  }

  /// Cuts or extends the file to so many bytes.
  public func truncate(to size: Int64) throws(SystemError) {
    try FileFaults.check(.truncate, path)
    if let machine = Machines.simulated { machine.willResize(descriptor, to: size) }
    try retrying("ftruncate", on: path) { ftruncate(descriptor, Int(size)) }
  }

  /// Reserves disk blocks up to `offset + count`; the size grows unless `keepingSize`.
  public func allocate(
    _ count: Int64, at offset: Int64 = 0, keepingSize: Bool = false
  ) throws(SystemError) {
    try FileFaults.check(.allocate, path)
    if let machine = Machines.simulated, !keepingSize {
      machine.willResize(descriptor, to: max(try size(), offset + count))
    }
    try retrying("fallocate", on: path) {
      platform_fallocate(descriptor, keepingSize ? 1 : 0, Int(offset), Int(count))
    }
  }

  /// Gives the open file another name; the descriptor stays.
  public func rename(to newPath: String) throws(SystemError) {
    try FileSystem.rename(path, to: newPath)
    currentPath.withLock { $0 = newPath }
  }

  /// Takes the file's exclusive lock; false when another process has it.
  public func tryLock() throws(SystemError) -> Bool {
    while platform_try_lock(descriptor) != 0 {
      if errno == EWOULDBLOCK { return false }
      if errno != EINTR { throw SystemError("flock", on: path) }
    }
    return true
  }
}

/// Bytes of a file: what a fetch answers with, and what `sendfile` sends.
public struct FileRegion: Sendable {
  public var file: File
  public var position: Int64
  public var count: Int
  public init(file: File, position: Int64, count: Int) {
    self.file = file
    self.position = position
    self.count = count
  }
}
