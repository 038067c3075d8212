/// A point on the monotonic clock, in nanoseconds since an arbitrary start. For time-outs and
/// delays; never written to disk or sent. Pure code receives it as an argument.
public struct Instant: Hashable, Comparable, Sendable {
  public var nanoseconds: Int64
  @inlinable public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }
  @inlinable public init(milliseconds: Int64) { nanoseconds = milliseconds * 1_000_000 }
  public static let zero = Instant(nanoseconds: 0)
  public static let distantFuture = Instant(nanoseconds: .max)
  @inlinable public var milliseconds: Int64 { nanoseconds / 1_000_000 }
  @inlinable public static func < (a: Self, b: Self) -> Bool { a.nanoseconds < b.nanoseconds }
  /// This instant moved by so many milliseconds; saturates instead of overflowing.
  @inlinable public func advanced(milliseconds: Int64) -> Instant {
    let (delta, tooLong) = milliseconds.multipliedReportingOverflow(by: 1_000_000)
    if tooLong { return milliseconds > 0 ? .distantFuture : Instant(nanoseconds: .min) }
    let (sum, overflow) = nanoseconds.addingReportingOverflow(delta)
    return overflow
      ? (milliseconds > 0 ? .distantFuture : Instant(nanoseconds: .min)) : Instant(nanoseconds: sum)
  }
  /// Whole milliseconds from `earlier` to here.
  @inlinable public func milliseconds(since earlier: Instant) -> Int64 {
    (nanoseconds - earlier.nanoseconds) / 1_000_000
  }
}

/// Milliseconds since 1970-01-01 UTC: the time in records, znodes and file names.
public struct WallTime: Hashable, Comparable, Sendable {
  public var milliseconds: Int64
  @inlinable public init(milliseconds: Int64) { self.milliseconds = milliseconds }
  @inlinable public static func < (a: Self, b: Self) -> Bool { a.milliseconds < b.milliseconds }
}
