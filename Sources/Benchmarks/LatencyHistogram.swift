/// A high dynamic range histogram of latencies: buckets whose width grows with the value, at most
/// 1.6 % off, 32 KiB, no allocation per value.
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

  /// The latency at rising shares, each halving what is left above it, up to the maximum.
  public var curve: [(share: Double, ms: Double)] {
    guard count > 0 else { return [] }
    var points: [(share: Double, ms: Double)] = []
    var rest = 1.0
    while rest * Double(count) >= 1 {
      // Five steps for each halving: enough for a smooth line.
      for step in 0..<5 {
        let share = 1 - rest * (1 - Double(step) / 10)
        points.append((share, percentileMs(share)))
      }
      rest /= 2
    }
    points.append((1, maximumMs))
    return points
  }

  /// The distribution as HdrHistogram's tools print and plot it: value in milliseconds, share,
  /// count up to there, 1/(1-share).
  public var percentileDistribution: String {
    func column(_ value: Double, _ digits: Int, _ width: Int) -> String {
      let scale = [1.0, 10, 100, 1000, 10_000, 100_000, 1_000_000][digits]
      let whole = Int64((value * scale).rounded())
      var fraction = "\(abs(whole) % Int64(scale))"
      while fraction.count < digits { fraction = "0" + fraction }
      let text = "\(whole / Int64(scale))." + fraction
      return String(repeating: " ", count: max(0, width - text.count)) + text
    }
    var lines = ["       Value     Percentile TotalCount 1/(1-Percentile)", ""]
    for point in curve {
      let upTo = Int((Double(count) * point.share).rounded(.up))
      var line = column(point.ms, 3, 12) + " " + column(point.share, 6, 14) + " "
      line += String(repeating: " ", count: max(0, 10 - "\(upTo)".count)) + "\(upTo)"
      if point.share < 1 { line += " " + column(1 / (1 - point.share), 2, 14) }
      lines.append(line)
    }
    lines.append("#[Mean = \(column(meanMs, 3, 0)), Max = \(column(maximumMs, 3, 0))]")
    lines.append("#[Total count = \(count)]")
    return lines.joined(separator: "\n") + "\n"
  }
}
