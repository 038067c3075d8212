/// What a shape of load came to.
public struct ShapeReport: Codable, Sendable {
  /// Milliseconds at the usual percentiles.
  public struct Latency: Codable, Sendable {
    public var count: Int
    public var mean: Double
    public var p50: Double
    public var p95: Double
    public var p99: Double
    public var p999: Double
    public var p9999: Double
    public var max: Double
    /// Milliseconds at rising shares, each halving what is left: the curve of the plot.
    public var curve: [Point]

    public struct Point: Codable, Sendable {
      public var share: Double
      public var ms: Double
    }

    init(_ histogram: LatencyHistogram) {
      count = histogram.count
      mean = histogram.meanMs
      p50 = histogram.percentileMs(0.5)
      p95 = histogram.percentileMs(0.95)
      p99 = histogram.percentileMs(0.99)
      p999 = histogram.percentileMs(0.999)
      p9999 = histogram.percentileMs(0.9999)
      max = histogram.maximumMs
      curve = histogram.curve.map { Point(share: $0.share, ms: $0.ms) }
    }
  }

  /// One interval of the time line.
  public struct Moment: Codable, Sendable {
    public var atMs: Int64
    public var mibPerSecond: Double
    public var p50: Double
    public var p99: Double
    public var max: Double
  }

  public struct Process: Codable, Sendable {
    public var name: String
    public var processorSeconds: Double
    /// Of what was produced and consumed together.
    public var processorSecondsPerGiB: Double
    public var peakMiB: Double
    /// Nil where the kernel does not tell.
    public var writtenMiB: Double?
  }

  public struct Phase: Codable, Sendable {
    public var name: String
    public var producers: Int
    public var consumers: Int
    public var groups: Int
    public var acks: String
    /// Records per second that were wanted; nil: as fast as it goes.
    public var wantedRate: Int?
    public var seconds: Double
    /// Acknowledged records per second.
    public var rate: Double
    public var producedMiBPerSecond: Double
    public var consumedMiBPerSecond: Double
    public var failed: Int
    public var firstFailure: String?
    /// Acknowledged records that did not arrive at a group within half a minute, of all groups
    /// together. A backlog is not counted.
    public var unread = 0
    /// From the intended time of sending to the acknowledgement.
    public var produce: Latency
    /// From the intended time of sending to the arrival at a consumer.
    public var endToEnd: Latency
    public var timeline: [Moment]
    public var processes: [Process]
    /// The load generator's own.
    public var ownProcessorSeconds: Double
    /// Produced bytes, written once for each replica, against the machine's sequential write.
    public var shareOfSequentialWrite: Double
    /// Consumed bytes against the machine's socket copy.
    public var shareOfSocketCopy: Double
    /// The highest rate that was followed, where it rose.
    public var highestRate: Double?
    /// Until all groups had caught up, where they began with a backlog; nil: they never did.
    public var drainedAfterSeconds: Double?
    public var hadBacklog = false
    /// p99 of the last tenth of the time over that of the first.
    public var tailRatio: Double?
  }

  public var shape: String
  public var summary: String
  public var source: String
  /// What was measured, for a person: addresses, mode, build.
  public var cluster: String
  public var topics: Int
  public var partitions: Int
  public var replicationFactor: Int
  public var recordBytes: Int
  public var scalePercent: Int
  public var limits: MachineLimits
  public var phases: [Phase] = []
}
