import Synchronization

/// Counts events. Adding is one relaxed atomic instruction, from any thread.
public final class Counter: Sendable {
  private let total = Atomic<Int64>(0)
  public init() {}
  @inline(__always) public func add(_ count: Int64 = 1) { total.add(count, ordering: .relaxed) }
  public var value: Int64 { total.load(ordering: .relaxed) }
}

/// Holds a value that goes up and down. Set and adjusted from any thread.
public final class Gauge: Sendable {
  private let current = Atomic<Int64>(0)
  public init() {}
  public func set(_ value: Int64) { current.store(value, ordering: .relaxed) }
  public func add(_ difference: Int64) { current.add(difference, ordering: .relaxed) }
  public var value: Int64 { current.load(ordering: .relaxed) }
}

/// The distribution of values such as latencies: count, sum and percentiles.
///
/// Values fall into buckets of an eighth of a power of two, so a percentile is at most 12.5 % off.
/// Percentiles speak of the last one to two minutes (two windows, turned when they are read),
/// count and sum of all time. Recording is three relaxed atomic instructions.
public final class Distribution: @unchecked Sendable {  // everything behind the pointers is atomic
  private static let bucketCount = 62 * 8
  private let windows: (UnsafeMutablePointer<Atomic<Int64>>, UnsafeMutablePointer<Atomic<Int64>>)
  private let active = Atomic<Int>(0)
  private let turned = Mutex<Int64>(0)
  private let totalCount = Atomic<Int64>(0)
  private let totalSum = Atomic<Int64>(0)
  private let largest = Atomic<Int64>(0)

  public init() {
    windows = (Self.makeWindow(), Self.makeWindow())
  }

  deinit {
    windows.0.deallocate()
    windows.1.deallocate()
  }

  private static func makeWindow() -> UnsafeMutablePointer<Atomic<Int64>> {
    let window = UnsafeMutablePointer<Atomic<Int64>>.allocate(capacity: bucketCount)
    for index in 0..<bucketCount { (window + index).initialize(to: Atomic(0)) }
    return window
  }

  private func window(_ index: Int) -> UnsafeMutablePointer<Atomic<Int64>> {
    index == 0 ? windows.0 : windows.1
  }

  /// Notes one value; negative ones count as 0.
  public func record(_ value: Int64) {
    let value = max(0, value)
    window(active.load(ordering: .relaxed))[Self.bucket(of: value)].add(1, ordering: .relaxed)
    totalCount.add(1, ordering: .relaxed)
    totalSum.add(value, ordering: .relaxed)
    if value > largest.load(ordering: .relaxed) { largest.store(value, ordering: .relaxed) }
  }

  static func bucket(of value: Int64) -> Int {
    if value < 8 { return Int(value) }
    let exponent = 63 - value.leadingZeroBitCount
    let eighth = Int(value >> Int64(exponent - 3)) & 7
    return min((exponent - 2) * 8 + eighth, bucketCount - 1)
  }

  /// The middle of a bucket's values.
  static func middle(of bucket: Int) -> Int64 {
    if bucket < 8 { return Int64(bucket) }
    let exponent = bucket / 8 + 2
    let width = Int64(1) << Int64(exponent - 3)
    return (Int64(8 + bucket % 8)) << Int64(exponent - 3) + width / 2
  }

  public var count: Int64 { totalCount.load(ordering: .relaxed) }
  public var sum: Int64 { totalSum.load(ordering: .relaxed) }
  public var maximum: Int64 { largest.load(ordering: .relaxed) }
  public var mean: Double { count == 0 ? 0 : Double(sum) / Double(count) }

  /// The values below which these fractions (0...1, ascending) of the recent values lie.
  public func percentiles(_ fractions: [Double]) -> [Int64] {
    var counts = [Int64](repeating: 0, count: Self.bucketCount)
    for index in 0..<Self.bucketCount {
      counts[index] =
        windows.0[index].load(ordering: .relaxed) + windows.1[index].load(ordering: .relaxed)
    }
    let total = counts.reduce(0, +)
    guard total > 0 else { return fractions.map { _ in 0 } }
    return fractions.map { fraction in
      let rank = Int64((Double(total) * fraction).rounded(.up))
      var seen: Int64 = 0
      for (bucket, count) in counts.enumerated() {
        seen += count
        if seen >= max(1, rank) { return min(Self.middle(of: bucket), maximum) }
      }
      return maximum
    }
  }

  /// Starts a new window when the current one is older than a minute; the one before is forgotten.
  func turn(nowMs: Int64) {
    turned.withLock { last in
      if last == 0 { last = nowMs }
      guard nowMs - last >= 60_000 else { return }
      last = nowMs
      let next = 1 - active.load(ordering: .relaxed)
      let window = window(next)
      for index in 0..<Self.bucketCount { window[index].store(0, ordering: .relaxed) }
      active.store(next, ordering: .relaxed)
    }
  }
}
