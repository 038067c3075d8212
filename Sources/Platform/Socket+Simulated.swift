// Transfers over a socket of a simulated machine that are more than one call of it.

extension Socket {
  /// Reads into one buffer and, when that is full, on into a second.
  static func read(
    _ descriptor: Int32, _ machine: any Machine,
    into buffer: UnsafeMutableRawBufferPointer, then second: UnsafeMutableRawBufferPointer?
  ) -> Transfer {
    let first = machine.read(descriptor, into: buffer, isPeeking: false)
    guard case .bytes(let count) = first, count == buffer.count, let second, second.count > 0,
      case .bytes(let more) = machine.read(descriptor, into: second, isPeeking: false)
    else { return first }
    return .bytes(count + more)
  }

  /// Sends bytes of a file; `end` when it has none at the position.
  static func send(
    _ descriptor: Int32, _ machine: any Machine, _ file: File, _ position: Int64, _ count: Int
  ) -> Transfer {
    withUnsafeTemporaryAllocation(byteCount: min(count, 64 * 1024), alignment: 16) { buffer in
      do throws(SystemError) {
        let read = try file.read(into: buffer, at: position)
        guard read > 0 else { return .end }
        return machine.write(descriptor, UnsafeRawBufferPointer(rebasing: buffer[..<read]))
      } catch {
        return .failed(error)
      }
    }
  }
}
