import Synchronization
import Values

/// What one client has measured: latencies by the second of their *intended* time, so that records
/// that had to wait for a stalled client count for the time when they should have gone
/// (coordinated omission).
struct Tally: Sendable {
  /// Latencies of one interval.
  struct Interval: Sendable {
    var latency = LatencyHistogram()
    var bytes = 0
  }

  /// Nanoseconds of the monotonic clock; what should have been sent before is warm-up.
  private var start = Int64.max
  /// What should have been sent from here on is not measured either.
  private var end = Int64.max
  private let intervalNanoseconds: Int64
  private(set) var latency = LatencyHistogram()
  private(set) var intervals: [Interval] = []
  private(set) var bytes = 0
  /// All that was acknowledged or read, the warm-up included.
  private(set) var total = 0
  private(set) var failed = 0
  private(set) var firstFailure: String?
  /// Nanoseconds of the newest completion.
  private(set) var last: Int64 = 0

  init(intervalNanoseconds: Int64) { self.intervalNanoseconds = max(1, intervalNanoseconds) }

  mutating func open(from start: Int64) { self.start = start }
  mutating func close(at end: Int64) { self.end = end }

  /// - Parameters:
  ///   - intended: when the record should have been sent, nanoseconds.
  ///   - now: when it was acknowledged or read, nanoseconds.
  mutating func record(intended: Int64, now: Int64, bytes size: Int) {
    total += 1
    last = max(last, now)
    guard intended >= start, intended < end else { return }
    let microseconds = max(0, now - intended) / 1000
    latency.record(microseconds)
    bytes += size
    let index = Int((intended - start) / intervalNanoseconds)
    // A histogram has 32 KiB: an hour of seconds is enough for a picture.
    guard index < 3600 else { return }
    while intervals.count <= index { intervals.append(Interval()) }
    intervals[index].latency.record(microseconds)
    intervals[index].bytes += size
  }

  mutating func fail(_ why: String) {
    failed += 1
    firstFailure = firstFailure ?? why
  }

  mutating func merge(_ other: Tally) {
    latency.merge(other.latency)
    bytes += other.bytes
    total += other.total
    failed += other.failed
    firstFailure = firstFailure ?? other.firstFailure
    last = max(last, other.last)
    while intervals.count < other.intervals.count { intervals.append(Interval()) }
    for (index, interval) in other.intervals.enumerated() {
      intervals[index].latency.merge(interval.latency)
      intervals[index].bytes += interval.bytes
    }
  }
}

/// A tally that a client's loop fills while others look.
final class SharedTally: Sendable {
  private let tally: Mutex<Tally>

  init(_ tally: Tally) { self.tally = Mutex(tally) }

  var value: Tally { tally.withLock { $0 } }
  var total: Int { tally.withLock { $0.total } }
  var failed: Int { tally.withLock { $0.failed } }

  func record(intended: Int64, now: Int64, bytes: Int) {
    tally.withLock { $0.record(intended: intended, now: now, bytes: bytes) }
  }

  func fail(_ why: String) { tally.withLock { $0.fail(why) } }

  /// What should be sent from `start` on (nanoseconds) is measured.
  func open(from start: Int64) { tally.withLock { $0.open(from: start) } }

  /// What should be sent from `end` on (nanoseconds) is not.
  func close(at end: Int64) { tally.withLock { $0.close(at: end) } }
}
