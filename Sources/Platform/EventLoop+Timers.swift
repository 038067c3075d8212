import Containers
import Values

enum TimerAction {
  case closure(() -> Void)
  case target(any TimerTarget, Int)
}

typealias TimerWheel = TimingWheel<TimerAction>

/// Names a scheduled timer; harmless after it has fired.
public struct LoopTimer: Sendable {
  let token: TimerWheel.Token
  /// Names no timer.
  public static var none: LoopTimer { LoopTimer(token: .none) }
}

extension EventLoop {
  /// Runs `body` on the loop once, so many milliseconds from now (not before; about one later).
  @discardableResult
  public func schedule(afterMs delay: Int64, _ body: @escaping () -> Void) -> LoopTimer {
    schedule(at: now.advanced(milliseconds: max(0, delay)), body)
  }

  /// Runs `body` on the loop once, at a point in time; in the next millisecond if that is past.
  @discardableResult
  public func schedule(at deadline: Instant, _ body: @escaping () -> Void) -> LoopTimer {
    assert(isCurrent)
    return LoopTimer(token: wheel.insert(.closure(body), at: tick(of: deadline)))
  }

  /// The same without a closure, for timers that are set all the time.
  public func schedule(afterMs delay: Int64, _ target: any TimerTarget, tag: Int) -> LoopTimer {
    assert(isCurrent)
    return schedule(at: now.advanced(milliseconds: max(0, delay)), target, tag: tag)
  }

  /// The same at a point in time.
  public func schedule(at deadline: Instant, _ target: any TimerTarget, tag: Int) -> LoopTimer {
    assert(isCurrent)
    return LoopTimer(token: wheel.insert(.target(target, tag), at: tick(of: deadline)))
  }

  /// Forgets a timer; nothing happens when it has fired.
  public func cancel(_ timer: LoopTimer) {
    assert(isCurrent)
    wheel.cancel(timer.token)
  }

  /// Runs `body` again and again, `interval` milliseconds after the last run has ended, until it
  /// returns false.
  public func repeating(everyMs interval: Int64, _ body: @escaping () -> Bool) {
    schedule(afterMs: interval) { [weak self] in
      if body() { self?.repeating(everyMs: interval, body) }
    }
  }

  /// Timers that wait.
  public var timerCount: Int { wheel.count }

  /// Rounded up: a timer never fires early.
  private func tick(of deadline: Instant) -> Int64 {
    let (ticks, rest) = deadline.nanoseconds.quotientAndRemainder(dividingBy: 1_000_000)
    return ticks + (rest > 0 ? 1 : 0)
  }
}
