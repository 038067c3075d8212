// The figures of the metadata quorum, and the project's goals for them.

public struct MetadataReport: Codable, Sendable {
  public struct Failover: Codable, Sendable {
    /// In the metadata.
    public var partitions: Int
    /// A CreateTopics while all is well.
    public var undisturbedMs: Double
    /// From each kill to the next acknowledged CreateTopics.
    public var milliseconds: [Double]
    /// Of the active controller, at the end.
    public var residentMiB: Double
    public var medianMs: Double { milliseconds.sorted()[milliseconds.count / 2] }
  }
  public struct Creation: Codable, Sendable {
    public var partitions: Int
    /// From the first request to the last answer.
    public var acknowledgedMs: Double
    /// Until a broker knows the leaders of all of them.
    public var ledMs: Double
    /// From a broker's start to RUNNING with all of them in the metadata.
    public var brokerStartMs: Double
  }
  public struct SnapshotLoad: Codable, Sendable {
    public var records: Int
    public var sizeMiB: Double
    /// From the controller's start to its being active.
    public var milliseconds: Double
    public var residentMiB: Double
  }

  public var limits: MachineLimits
  public var failovers: [Failover] = []
  public var creation: Creation?
  public var snapshot: SnapshotLoad?

  init(limits: MachineLimits) { self.limits = limits }

  /// What a partition more costs the active controller, between the smallest and the largest
  /// cluster of the run; nil with fewer than two of different size.
  public var bytesPerPartition: Double? {
    guard let small = failovers.min(by: { $0.partitions < $1.partitions }),
      let large = failovers.max(by: { $0.partitions < $1.partitions }),
      large.partitions > small.partitions
    else { return nil }
    return (large.residentMiB - small.residentMiB) * 1_048_576
      / Double(large.partitions - small.partitions)
  }

  /// A goal of the project and whether it was met in this run.
  public struct Goal: Sendable {
    public var text: String
    public var value: Double
    public var limit: Double
    public var isMet: Bool { value < limit }
  }

  public var goals: [Goal] {
    var goals: [Goal] = []
    if let largest = failovers.max(by: { $0.partitions < $1.partitions }) {
      goals.append(
        Goal(
          text: "failover with \(largest.partitions) partitions, median ms",
          value: largest.medianMs, limit: 1_000))
    }
    if let bytes = bytesPerPartition {
      goals.append(Goal(text: "bytes of the controller a partition", value: bytes, limit: 1_024))
    }
    return goals
  }
}
