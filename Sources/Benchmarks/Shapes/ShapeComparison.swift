/// Two reports of one shape side by side: another build, another configuration, another cluster.
public struct ShapeComparison: Codable, Sendable {
  public struct Row: Codable, Sendable {
    public var phase: String
    public var figure: String
    public var first: Double
    public var second: Double
    /// Second over first; nil when the first is nothing.
    public var ratio: Double?
  }

  public var shape: String
  public var first: String
  public var second: String
  /// Things that are not equal in the two runs and make the figures hard to compare.
  public var warnings: [String] = []
  public var rows: [Row] = []

  /// - Throws: `BenchmarkFailure` when the reports are of different shapes.
  public init(_ first: ShapeReport, _ second: ShapeReport) throws {
    guard first.shape == second.shape else {
      throw BenchmarkFailure("\(first.shape) and \(second.shape) are different shapes")
    }
    shape = first.shape
    self.first = first.cluster
    self.second = second.cluster
    for (name, one, other) in [
      ("scale", first.scalePercent, second.scalePercent),
      ("replicas", first.replicationFactor, second.replicationFactor),
      ("partitions", first.partitions, second.partitions),
    ] where one != other {
      warnings.append("\(name): \(one) and \(other)")
    }
    for (name, one, other) in [
      ("sequential write", first.limits.sequentialWrite, second.limits.sequentialWrite),
      ("socket copy", first.limits.socketCopy, second.limits.socketCopy),
    ] where max(one, other) > min(one, other) * 1.25 {
      warnings.append("the machine's \(name) was \(Int(one)) and \(Int(other)) MiB/s")
    }
    for phase in first.phases {
      guard let other = second.phases.first(where: { $0.name == phase.name }) else {
        warnings.append("only the first has the phase \(phase.name)")
        continue
      }
      rows += Self.figures.map { name, value in
        let (one, two) = (value(phase), value(other))
        return Row(
          phase: phase.name, figure: name, first: one, second: two,
          ratio: one > 0 ? two / one : nil)
      }
    }
  }

  private static let figures: [(String, @Sendable (ShapeReport.Phase) -> Double)] = [
    ("records/s", { $0.rate }),
    ("consumed MiB/s", { $0.consumedMiBPerSecond }),
    ("acknowledged p50 ms", { $0.produce.p50 }),
    ("acknowledged p99 ms", { $0.produce.p99 }),
    ("acknowledged p99.9 ms", { $0.produce.p999 }),
    ("end to end p50 ms", { $0.endToEnd.p50 }),
    ("end to end p99 ms", { $0.endToEnd.p99 }),
    ("CPU s/GiB, all processes", { $0.processes.reduce(0) { $0 + $1.processorSecondsPerGiB } }),
    ("peak MiB, all processes", { $0.processes.reduce(0) { $0 + $1.peakMiB } }),
    ("seconds to catch up", { $0.drainedAfterSeconds ?? 0 }),
  ]
}
