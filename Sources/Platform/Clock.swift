import Glibc
import Values

/// The machine's clocks. Loops cache these once per turn; pure code is handed their values.
public enum Clock {
  /// The monotonic clock, which no administrator can set back.
  public static func now() -> Instant {
    if let machine = Machines.simulated { return machine.monotonicNow() }
    return Instant(nanoseconds: read(CLOCK_MONOTONIC))
  }

  /// The time of day.
  public static func wallNow() -> WallTime {
    if let machine = Machines.simulated { return machine.wallNow() }
    return WallTime(milliseconds: read(CLOCK_REALTIME) / 1_000_000 + ClockOffset.milliseconds)
  }

  /// Processor time this process has used, all threads, in nanoseconds. A simulated machine has
  /// as many processors as there is work: there it is the time that has passed.
  public static func processNanoseconds() -> Int64 {
    if let machine = Machines.simulated { return machine.monotonicNow().nanoseconds }
    return read(CLOCK_PROCESS_CPUTIME_ID)
  }

  /// Processor time the calling thread has used, in nanoseconds; simulated as above.
  public static func threadNanoseconds() -> Int64 {
    if let machine = Machines.simulated { return machine.monotonicNow().nanoseconds }
    return read(CLOCK_THREAD_CPUTIME_ID)
  }

  @inline(__always)
  private static func read(_ clock: clockid_t) -> Int64 {
    var time = timespec()
    clock_gettime(clock, &time)
    return Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
  }
}
