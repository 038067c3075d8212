import CPlatform
import Glibc

// What of a file is in memory: `sendfile` of what is not would stall a whole loop.

extension File {
  /// Whether the whole range is in the page cache. `scratch` is written to where the kernel cannot
  /// say so without reading.
  public func isCached(
    _ range: Range<Int64>, scratch: UnsafeMutableRawBufferPointer
  ) -> Bool {
    guard !range.isEmpty else { return true }
    if let machine = Machines.simulated { return machine.isCached() }
    let start = UInt64(max(0, range.lowerBound))
    let cached = platform_cached_bytes(descriptor, start, UInt64(range.count))
    if cached < 0 { return canReadWithoutWaiting(range, scratch) }
    return cached >= Int64(range.count)
  }

  /// Reads the whole range without waiting: a probe of one byte would speak for one page only, and
  /// bring that page in, so that the next probe lies.
  private func canReadWithoutWaiting(
    _ range: Range<Int64>, _ scratch: UnsafeMutableRawBufferPointer
  ) -> Bool {
    var position = range.lowerBound
    while position < range.upperBound {
      let wanted = min(scratch.count, Int(range.upperBound - position))
      let count = platform_pread_nowait(descriptor, scratch.baseAddress, wanted, Int(position))
      if count < 0 {
        if errno == EINTR { continue }
        // File systems without RWF_NOWAIT keep their files in memory or cannot say.
        return errno == EOPNOTSUPP
      }
      if count == 0 { return true }
      position += Int64(count)
    }
    return true
  }

  /// Brings a range into the page cache by reading it. Blocks: for I/O threads. Failures are left
  /// to whoever reads the bytes in earnest.
  public func bringIntoCache(_ range: Range<Int64>) {
    withUnsafeTemporaryAllocation(byteCount: 256 * 1024, alignment: 4096) { buffer in
      var position = range.lowerBound
      while position < range.upperBound {
        let wanted = min(buffer.count, Int(range.upperBound - position))
        let count = pread(descriptor, buffer.baseAddress, wanted, Int(position))
        if count < 0, errno == EINTR { continue }
        if count <= 0 { return }
        position += Int64(count)
      }
    }
  }

  /// Lets the kernel forget what it keeps of the file; dirty pages stay.
  public func dropFromCache() { posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED) }
}
