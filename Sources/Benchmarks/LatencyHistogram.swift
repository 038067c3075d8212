/// Latencies in buckets whose width grows with the value: at most 1.6 % off, 30 KiB, no allocation
/// per value.
public struct LatencyHistogram: Sendable {
  private static let subBits = 6  // 64 buckets for every power of two
  private var buckets = [Int](repeating: 0, count: 64 << subBits)
  public private(set) var count = 0
  public private(set) var maximum: Int64 = 0
  private var sum: Int64 = 0

  public init() {}

  private static func bucket(_ value: Int64) -> Int {
    let value = UInt64(max(0, value))
    let magnitude = max(0, 63 - value.leadingZeroBitCount - subBits)
    return magnitude << subBits + Int(value >> UInt64(magnitude))
  }

  /// The greatest value that falls into a bucket.
  private static func top(_ bucket: Int) -> Int64 {
    if bucket < 2 << subBits { return Int64(bucket) }
    let magnitude = bucket >> subBits - 1
    let base = bucket - magnitude << subBits
    return Int64((base + 1) << magnitude) - 1
  }

  /// - Parameter microseconds: a latency.
  public mutating func record(_ microseconds: Int64) {
    buckets[min(Self.bucket(microseconds), buckets.count - 1)] += 1
    count += 1
    sum += microseconds
    maximum = max(maximum, microseconds)
  }

  public mutating func merge(_ other: LatencyHistogram) {
    for (index, value) in other.buckets.enumerated() { buckets[index] += value }
    count += other.count
    sum += other.sum
    maximum = max(maximum, other.maximum)
  }

  public var meanMs: Double { count == 0 ? 0 : Double(sum) / Double(count) / 1000 }
  public var maximumMs: Double { Double(maximum) / 1000 }

  /// - Parameter share: 0.99 for the 99th percentile.
  public func percentileMs(_ share: Double) -> Double {
    guard count > 0 else { return 0 }
    let rank = max(1, Int((Double(count) * share).rounded(.up)))
    var seen = 0
    for (index, value) in buckets.enumerated() {
      seen += value
      if seen >= rank { return Double(min(Self.top(index), maximum)) / 1000 }
    }
    return maximumMs
  }
}
