import Glibc
import Synchronization
import Values

/// A counter that threads wait at until it is above zero: how one thread waits for another's word.
///
/// For starting, stopping and the few places that must block; never on an event loop. It stands on
/// `Condition`, as everything here that blocks does, so that whoever controls that controls all.
public final class Semaphore: Sendable {
  private let condition = Condition()
  /// Changed under `condition` only.
  private let count: Atomic<Int>

  public init(value: Int = 0) { count = Atomic(value) }

  /// Lets one waiting thread go on, or the next one that comes.
  public func signal() {
    condition.lock()
    count.add(1, ordering: .relaxed)
    condition.signal()
    condition.unlock()
  }

  /// Waits for a signal.
  public func wait() {
    condition.lock()
    while !take() { condition.wait() }
    condition.unlock()
  }

  /// Waits for a signal, at most so many milliseconds; false when none came.
  public func wait(ms: Int64) -> Bool {
    let deadline = Clock.now().advanced(milliseconds: max(0, ms))
    condition.lock()
    defer { condition.unlock() }
    while !take() {
      guard condition.wait(until: deadline) else { return take() }
    }
    return true
  }

  /// - Precondition: under `condition`.
  private func take() -> Bool {
    guard count.load(ordering: .relaxed) > 0 else { return false }
    count.subtract(1, ordering: .relaxed)
    return true
  }
}

extension Thread {
  /// Holds the calling thread up. Never on an event loop.
  public static func sleep(ms: Int64) { sleep(nanoseconds: ms * 1_000_000) }

  /// The same with the resolution of the clock, for throttling.
  public static func sleep(nanoseconds: Int64) {
    guard nanoseconds > 0 else { return }
    if let machine = Machines.simulated { return machine.sleep(nanoseconds: nanoseconds) }
    var left = timespec(
      tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
    var rest = timespec()
    while nanosleep(&left, &rest) != 0, errno == EINTR { left = rest }
  }
}
