import Values

// Timestamps come from clients, and durations from configurations that say "never" by the largest
// number: neither may overflow.

extension WallTime {
  /// Milliseconds from `timestamp` to here, as far as they can be counted.
  func age(of timestamp: Int64) -> Int64 {
    let (age, overflow) = milliseconds.subtractingReportingOverflow(timestamp)
    guard overflow else { return age }
    return timestamp < 0 ? .max : .min
  }
}

extension Int64 {
  /// The sum, or the nearest number there is.
  func adding(_ other: Int64) -> Int64 {
    let (sum, overflow) = addingReportingOverflow(other)
    guard overflow else { return sum }
    return other > 0 ? .max : .min
  }
}
