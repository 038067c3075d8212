/// One shape of load: topics, clients, rates and times. The catalogue has those by which Kafka and
/// its rivals are compared in public, scaled to three brokers on one machine.
public struct BenchShape: Sendable {
  /// A stretch of one load. Its first seconds warm up and are not measured.
  public struct Phase: Sendable {
    public var name: String
    public var producers: Int
    /// Consumers in each group.
    public var consumers: Int
    /// Groups, each of which reads everything.
    public var groups = 1
    /// Records per second of all producers together; 0: as fast as it goes.
    public var rate: Int
    /// How long it is measured. With `records`, how long it may take at most.
    public var seconds: Int
    /// Ends when so many records are acknowledged.
    public var records: Int?
    public var acks = "all"
    /// Rises by half every so many seconds, until less than 95 % of the rate is acknowledged.
    public var risesEvery: Int?
    /// The groups begin with so many bytes that nobody has read; measured until they caught up.
    public var backlogBytes: Int?

    public init(
      _ name: String, producers: Int, consumers: Int, rate: Int, seconds: Int
    ) {
      self.name = name
      self.producers = producers
      self.consumers = consumers
      self.rate = rate
      self.seconds = seconds
    }
  }

  public var name: String
  /// What it shows, for a person.
  public var summary: String
  /// Where the shape comes from.
  public var source: String
  public var topics = 1
  public var partitions: Int
  public var recordBytes = 1024
  /// Records carry one of so many keys, round robin; 0: no keys, so that batches stick together.
  public var keys = 0
  public var topicSettings: [String: String] = [:]
  public var phases: [Phase]
  public var warmUpSeconds = 5
  /// The last tenth of the time is put beside the first: latencies may creep up.
  public var comparesTenths = false

  init(_ name: String, _ summary: String, source: String, partitions: Int, phases: [Phase]) {
    self.name = name
    self.summary = summary
    self.source = source
    self.partitions = partitions
    self.phases = phases
  }

  /// The same shape with times, counts and backlogs at a percentage; rates stay.
  public func scaled(percent: Int) -> BenchShape {
    var shape = self
    shape.phases = phases.map { phase in
      var phase = phase
      phase.seconds = max(1, phase.seconds * percent / 100)
      phase.records = phase.records.map { max(1000, $0 * percent / 100) }
      phase.backlogBytes = phase.backlogBytes.map { max(1 << 20, $0 / 100 * percent) }
      phase.risesEvery = phase.risesEvery.map { max(2, $0 * percent / 100) }
      return phase
    }
    shape.warmUpSeconds = max(1, min(warmUpSeconds, warmUpSeconds * percent / 100))
    return shape
  }
}
