import Glibc

/// A file's bytes mapped into memory, shared with the file: indexes live in one.
///
/// Not thread-safe by itself; whoever owns it guards it. A mapping never outlives this object.
public final class MappedFile: @unchecked Sendable {  // guarded by its owner's lock
  public let bytes: UnsafeMutableRawBufferPointer
  public let path: String

  /// Maps the first `count` bytes, which the file must have.
  public init(_ file: File, count: Int, writable: Bool) throws(SystemError) {
    path = file.path
    guard count > 0 else {
      bytes = UnsafeMutableRawBufferPointer(start: nil, count: 0)
      return
    }
    // What is written through a mapping cannot be seen, and so not be lost, by a simulated disk.
    if writable, Machines.simulated != nil { throw SystemError("mmap", code: ENOTSUP, on: path) }
    let protection = writable ? PROT_READ | PROT_WRITE : PROT_READ
    let start = mmap(nil, count, protection, MAP_SHARED, file.descriptor, 0)
    guard let start, start != MAP_FAILED else { throw SystemError("mmap", on: file.path) }
    bytes = UnsafeMutableRawBufferPointer(start: start, count: count)
  }

  /// Returns when changed pages are on the disk.
  public func sync() throws(SystemError) {
    guard bytes.count > 0 else { return }
    try FileFaults.check(.sync, path)
    try retrying("msync", on: path) { msync(bytes.baseAddress, bytes.count, Int32(MS_SYNC)) }
  }

  deinit { if bytes.count > 0 { munmap(bytes.baseAddress, bytes.count) } }
}
