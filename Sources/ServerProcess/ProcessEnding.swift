import Platform
import Synchronization

/// The end of a server's process: told by any thread, waited for by the first. What is told first
/// decides the exit status.
public final class ProcessEnding: Sendable {
  private let semaphore = Semaphore()
  private let status = Mutex<Int32?>(nil)

  public init() {}

  /// Ends the process with an exit status, unless something has ended it already.
  public func end(with code: Int32) {
    let isFirst = status.withLock { status in
      defer { status = status ?? code }
      return status == nil
    }
    if isFirst { semaphore.signal() }
  }

  /// Blocks until the end; returns the exit status.
  public func wait() -> Int32 {
    semaphore.wait()
    return status.withLock { $0 ?? 0 }
  }
}
