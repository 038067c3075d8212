extension BenchShape {
  public static func named(_ name: String) -> BenchShape? { catalogue.first { $0.name == name } }

  public static let catalogue: [BenchShape] = [
    simple, throughput, manyClients, longRun, keys, keysOverTopics, drain, manyPartitions,
    morePartitions, sync, small,
  ]

  private static let simple = BenchShape(
    "simple", "One producer and one consumer at a moderate rate.",
    source: "OpenMessaging Benchmark", partitions: 10,
    phases: [Phase("10k/s", producers: 1, consumers: 1, rate: 10_000, seconds: 60)])

  private static let throughput = BenchShape(
    "throughput", "A rate that rises until the cluster cannot follow.", source: "Redpanda 1 GB/s",
    partitions: 24,
    phases: [
      Phase("20k/s", producers: 4, consumers: 4, rate: 20_000, seconds: 60),
      {
        var phase = Phase("rising", producers: 4, consumers: 4, rate: 20_000, seconds: 60)
        phase.risesEvery = 6
        return phase
      }(),
    ])

  private static let manyClients = BenchShape(
    "many-clients", "The same records from 4 clients and from 50.", source: "Vanlightly 2",
    partitions: 24,
    phases: [
      Phase("4 clients, 10k/s", producers: 4, consumers: 4, rate: 10_000, seconds: 30),
      Phase("50 clients, 10k/s", producers: 50, consumers: 50, rate: 10_000, seconds: 30),
      Phase("50 clients, 20k/s", producers: 50, consumers: 50, rate: 20_000, seconds: 30),
    ])

  private static let longRun: BenchShape = {
    var shape = BenchShape(
      "long-run", "Half an hour with segments rolled and removed all the time.",
      source: "Vanlightly 3", partitions: 10,
      phases: [Phase("10k/s", producers: 4, consumers: 4, rate: 10_000, seconds: 1800)])
    shape.topicSettings = [
      "segment.bytes": "8388608", "retention.bytes": "33554432", "file.delete.delay.ms": "1000",
    ]
    shape.comparesTenths = true
    return shape
  }()

  private static let keys: BenchShape = {
    var shape = BenchShape(
      "keys", "10,000 keys round robin: each record goes to another batch.",
      source: "Vanlightly 4", partitions: 12,
      phases: [
        Phase("4 producers", producers: 4, consumers: 4, rate: 10_000, seconds: 30),
        Phase("50 producers", producers: 50, consumers: 4, rate: 10_000, seconds: 30),
      ])
    shape.keys = 10_000
    return shape
  }()

  private static let keysOverTopics: BenchShape = {
    var shape = BenchShape(
      "keys-topics", "Keys over 20 topics: batches of a record or two.", source: "Vanlightly 4",
      partitions: 10,
      phases: [Phase("50 producers", producers: 50, consumers: 4, rate: 10_000, seconds: 30)])
    shape.keys = 10_000
    shape.topics = 20
    return shape
  }()

  private static let drain: BenchShape = {
    let phases = [1, 2, 3].map { groups in
      var phase = Phase(
        "fan-out \(groups)", producers: 4, consumers: 4, rate: 10_000, seconds: 300)
      phase.groups = groups
      phase.backlogBytes = 2_000_000_000
      return phase
    }
    return BenchShape(
      "drain", "A backlog of 2 GB is read while producers go on.", source: "Vanlightly 6",
      partitions: 24, phases: phases)
  }()

  private static let manyPartitions = thousandTopics(
    "many-partitions", "A thousand topics of one partition.", partitions: 1)

  private static let morePartitions = thousandTopics(
    "more-partitions", "A thousand topics of ten partitions.", partitions: 10)

  private static func thousandTopics(
    _ name: String, _ summary: String, partitions: Int
  ) -> BenchShape {
    var shape = BenchShape(
      name, summary, source: "OpenMessaging Benchmark", partitions: partitions,
      phases: [Phase("5k/s", producers: 4, consumers: 4, rate: 5_000, seconds: 30)])
    shape.topics = 1000
    return shape
  }

  private static let sync: BenchShape = {
    var shape = BenchShape(
      "sync", "Every batch is on the disk before it is acknowledged.",
      source: "`flush.messages=1`", partitions: 10,
      phases: [Phase("10k/s", producers: 4, consumers: 4, rate: 10_000, seconds: 30)])
    shape.topicSettings = ["flush.messages": "1"]
    return shape
  }()

  private static let small: BenchShape = {
    let phases = ["1", "all"].map { acks in
      var phase = Phase("acks \(acks)", producers: 3, consumers: 3, rate: 0, seconds: 300)
      phase.records = 10_000_000
      phase.acks = acks
      return phase
    }
    var shape = BenchShape(
      "small", "10 M records of 100 bytes, as fast as it goes.", source: "LinkedIn 2014",
      partitions: 6, phases: phases)
    shape.recordBytes = 100
    return shape
  }()
}
