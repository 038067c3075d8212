// When was the service there, and how long was it not?
import Values

/// A stretch of time without a success.
public struct Outage: Equatable, Sendable {
  public var from: Instant
  public var to: Instant
  public var milliseconds: Int64 { to.milliseconds(since: from) }

  public init(from: Instant, to: Instant) {
    self.from = from
    self.to = to
  }
}

public enum Availability {
  /// The longest time between one success and the next, both ends of the observation counting as
  /// successes. Nil when nothing was observed.
  ///
  /// - Parameters:
  ///   - successes: instants at which operations were acknowledged, in any order.
  ///   - window: the time in which operations were tried all along.
  public static func longestOutage(
    of successes: [Instant], within window: ClosedRange<Instant>
  ) -> Outage? {
    let inside = successes.filter(window.contains).sorted()
    var longest: Outage?
    var last = window.lowerBound
    for instant in inside + [window.upperBound] {
      let gap = Outage(from: last, to: instant)
      if gap.milliseconds > longest?.milliseconds ?? -1 { longest = gap }
      last = instant
    }
    return longest
  }

  /// The first success at or after an instant whose operation also began after it: what was under
  /// way before does not count as recovered.
  public static func firstSuccess(
    of operations: some Sequence<(invoked: Instant, completed: Instant)>, after instant: Instant
  ) -> Instant? {
    var first: Instant?
    for operation in operations where operation.invoked >= instant {
      if first.map({ operation.completed < $0 }) ?? true { first = operation.completed }
    }
    return first
  }
}
