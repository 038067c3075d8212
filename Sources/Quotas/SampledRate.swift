import Values

/// A rate over a sliding window of samples, as Kafka measures clients: the window has `count`
/// samples of `width` each, of which the last is being filled.
///
/// A client that has just come is measured as if it had been silent before, so that its first
/// request is no burst.
public struct SampledRate: Equatable, Sendable {
  private struct Sample: Equatable, Sendable {
    var start: Instant
    var sum: Double
  }

  /// Oldest first; at most `count`.
  private var samples: [Sample] = []
  private let count: Int
  private let widthMs: Int64

  /// - Parameters:
  ///   - count: `quota.window.num`.
  ///   - widthMs: `quota.window.size.seconds`, in milliseconds.
  public init(count: Int, widthMs: Int64) {
    self.count = max(1, count)
    self.widthMs = max(1, widthMs)
  }

  public mutating func record(_ value: Double, at now: Instant) {
    purge(now)
    if let last = samples.last, now.milliseconds(since: last.start) < widthMs {
      samples[samples.count - 1].sum += value
    } else {
      samples.append(Sample(start: now, sum: value))
      if samples.count > count { samples.removeFirst() }
    }
  }

  /// Units per second.
  public mutating func rate(at now: Instant) -> Double {
    purge(now)
    return samples.reduce(0) { $0 + $1.sum } / (Double(windowMs(at: now)) / 1000)
  }

  /// How long a client must be silent for its rate to come down to `limit`, in milliseconds; 0 when
  /// it is below.
  public mutating func excessMs(over limit: Double, at now: Instant) -> Int64 {
    let rate = rate(at: now)
    guard rate > limit else { return 0 }
    // No limit above zero is ever reached again after a limit of zero: wait for a whole window.
    guard limit > 0 else { return Int64(count) * widthMs }
    let milliseconds = (rate - limit) / limit * Double(windowMs(at: now))
    return Int64(min(milliseconds.rounded(), Double(Int32.max)))
  }

  /// Whether nothing has been recorded for a whole window.
  public mutating func isIdle(at now: Instant) -> Bool {
    purge(now)
    return samples.isEmpty
  }

  /// The time that the samples stand for: from the oldest one's start, and for a client that came
  /// less than a window ago what is missing to all samples but the last.
  private func windowMs(at now: Instant) -> Int64 {
    guard let oldest = samples.first else { return Int64(count) * widthMs }
    var elapsed = now.milliseconds(since: oldest.start)
    let full = elapsed / widthMs
    let least = Int64(count - 1)
    if full < least { elapsed += (least - full) * widthMs }
    return max(elapsed, 1)
  }

  private mutating func purge(_ now: Instant) {
    let window = Int64(count) * widthMs
    samples.removeAll { now.milliseconds(since: $0.start) >= window }
  }
}
