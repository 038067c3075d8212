import Benchmarks
import Foundation
import KafkaClient
import LocalCluster
import Platform
import Settings
import Values

/// `jackdaw bench`: a local cluster of its own, measured: start-up, weight, throughput, processor
/// time.
struct BenchTool: Tool {
  let name = "bench"
  let summary = "Measure: a local cluster, or the coordination service beside ZooKeeper."

  var syntax: CommandLineSyntax {
    CommandLineSyntax(
      command: "jackdaw bench",
      summary: """
        Measure a cluster.

          jackdaw bench                   a local one of its own: start-up, weight, throughput
          jackdaw bench list              shapes of load
          jackdaw bench run SHAPE …       on a local cluster, or on the one of --bootstrap-server
          jackdaw bench compare A B       two reports of a shape (JSON) side by side
        """,
      flags: [
        .value("--mode", "zookeeper|kraft", default: "zookeeper", "Mode of the local cluster."),
        .value("--directory", "PATH", default: "run/bench", "The cluster's folder; removed first."),
        .value("--brokers", "N", default: "3", "Brokers of the local cluster."),
        .value("--broker-port", "PORT", default: "19092", "The first broker's port."),
        .value("--coordination-port", "PORT", default: "12181", "The first coordinator's port."),
        .value("--metrics-port", "PORT", default: "19404", "The first broker's metrics port."),
        .value("--broker-override", "KEY=VALUE", repeatable: true, "A setting of every broker."),
        .value("--bootstrap-server", "HOST:PORT", "Run shapes on a cluster that runs already."),
        .value(
          "--process", "NAME=PID", repeatable: true,
          "A process of that cluster on this machine, to be measured."),
        .value("--replication-factor", "N", default: "3", "Replicas on that cluster."),
        .value("--scale", "PERCENT", default: "100", "Fewer records and shorter times."),
        .value("--report", "FOLDER", "Where each shape's report goes: JSON, HTML, histograms."),
        .value("--output", "text|json", default: "text", "Form of the report."),
        .value(
          "--batch-headers", "COUNT",
          "Starts nothing; measures how long it takes to read the header of a batch."),
      ], takesMoreOperands: true)
  }

  struct Report: Codable {
    struct Process: Codable {
      let name: String
      let residentMiB: Double
    }
    struct Shape: Codable {
      let records: Int
      let recordBytes: Int
      let producedPerSecond: Double
      let producedMiBPerSecond: Double
      let consumedMiBPerSecond: Double
      let latencyMs: [String: Double]
      /// Processor seconds of each server process per GiB of the records' bytes.
      let produceSecondsPerGiB: [String: Double]
      let consumeSecondsPerGiB: [String: Double]
      /// Produced bytes, three times written, against the machine's sequential write.
      let shareOfSequentialWrite: Double
      /// Consumed bytes against the machine's socket copy.
      let shareOfSocketCopy: Double
    }
    let upToFirstRecordMs: Int64
    let idle: [Process]
    let idleMiB: Double
    let limits: MachineLimits
    var shapes: [Shape] = []
  }

  func run(_ line: ParsedCommandLine, on console: Console) async throws -> Int32 {
    if let count = try line.integer("--batch-headers", in: 1...1_000_000_000) {
      let time = BatchHeaderTiming.measure(count)
      console.line("\(String(format: "%.2f", time)) ns for each batch header")
      return 0
    }
    let shapes = ShapeBenchTool(line: line, console: console)
    switch line.operands.first {
    case "list": shapes.list()
    case "run": try await shapes.run(Array(line.operands.dropFirst()))
    case "compare": try shapes.compare(Array(line.operands.dropFirst()))
    case nil: try await overview(try shapes.localCluster(), line, console)
    case let other: throw SettingsError("must be list, run or compare", value: other)
    }
    return 0
  }

  private func overview(
    _ cluster: LocalCluster, _ line: ParsedCommandLine, _ console: Console
  ) async throws {
    let scale = try line.integer("--scale", in: 1...1000) ?? 100
    do {
      let report = try await measure(cluster, scale: scale, console)
      try cluster.wipe()
      if line.value("--output") == "json" {
        try console.json(report)
      } else {
        show(report, console)
      }
    } catch {
      cluster.down(graceMs: 2000)
      throw error
    }
  }

  private func measure(
    _ cluster: LocalCluster, scale: Int, _ console: Console
  ) async throws -> Report {
    let start = Clock.now()
    try cluster.up()
    let first = try Producer([
      "bootstrap.servers": cluster.plan.bootstrap, "acks": "all", "linger.ms": "0",
    ])
    try await first.send(ProducerRecord(topic: "first", value: Array("hello".utf8)))
    let upMs = Clock.now().milliseconds(since: start)
    await first.close()
    console.problem("first acknowledged record after \(upMs) ms; resting")
    try await Task.sleep(for: .seconds(3))
    let idle = cluster.status().map {
      Report.Process(
        name: $0.name, residentMiB: Double($0.residentBytes ?? 0) / 1_048_576)
    }
    let limits = try MachineLimits.measure(in: cluster.folder.url)
    var report = Report(
      upToFirstRecordMs: upMs, idle: idle, idleMiB: idle.map(\.residentMiB).reduce(0, +),
      limits: limits)
    for (records, size) in [(1_000_000, 100), (200_000, 1024)] {
      console.problem("producing \(records * scale / 100) records of \(size) bytes")
      report.shapes.append(
        try await shape(cluster, records: records * scale / 100, size: size, limits))
    }
    return report
  }

  // MARK: One shape

  private func shape(
    _ cluster: LocalCluster, records: Int, size: Int, _ limits: MachineLimits
  ) async throws -> Report.Shape {
    let topic = "bench-\(size)"
    let bootstrap = cluster.plan.bootstrap
    let admin = try AdminClient(["bootstrap.servers": bootstrap])
    _ = try await admin.createTopics([
      NewTopic(topic, partitions: 6, replicationFactor: 3)
    ])
    await admin.close()
    let producer = try Producer([
      "bootstrap.servers": bootstrap, "acks": "all", "linger.ms": "1", "batch.size": "131072",
    ])
    _ = try await producer.partitions(of: topic)
    let payload = (0..<size).map { _ in UInt8.random(in: 65...90) }
    let before = processor(cluster)
    let result = try await ProduceLoad(topic: topic, count: records, throughput: 0)
      .run(producer, value: { _ in payload })
    await producer.close()
    if let failure = result.firstFailure { throw ToolFailure("producing failed: \(failure)") }
    let between = processor(cluster)
    let consumed = try await consume(topic, records, bootstrap)
    let after = processor(cluster)
    let gibibytes = Double(records * size) / 1_073_741_824
    let megabytes = Double(records * size) / 1_048_576
    let produced = megabytes / (Double(result.elapsedMs) / 1000)
    return Report.Shape(
      records: records, recordBytes: size,
      producedPerSecond: Double(records) * 1000 / Double(result.elapsedMs),
      producedMiBPerSecond: produced, consumedMiBPerSecond: megabytes / consumed,
      latencyMs: [
        "mean": result.total.meanMs, "50": result.total.percentileMs(0.5),
        "95": result.total.percentileMs(0.95), "99": result.total.percentileMs(0.99),
        "99.9": result.total.percentileMs(0.999), "max": result.total.maximumMs,
      ],
      produceSecondsPerGiB: spent(before, between, per: gibibytes),
      consumeSecondsPerGiB: spent(between, after, per: gibibytes),
      shareOfSequentialWrite: produced * 3 / limits.sequentialWrite,
      shareOfSocketCopy: megabytes / consumed / limits.socketCopy)
  }

  /// Seconds from the first poll to the last record.
  private func consume(
    _ topic: String, _ records: Int, _ bootstrap: String
  ) async throws -> Double {
    let consumer = try Consumer([
      "bootstrap.servers": bootstrap, "group.id": "bench", "auto.offset.reset": "earliest",
      "enable.auto.commit": "false",
    ])
    try await consumer.assign((0..<6).map { TopicPartition(topic, $0) })
    try await consumer.seek((0..<6).map { TopicPartition(topic, $0) }, to: .earliest)
    let start = Clock.now()
    var seen = 0
    while seen < records {
      let batch = try await consumer.poll(timeoutMs: 10_000)
      guard !batch.isEmpty else { throw ToolFailure("only \(seen) of \(records) records came") }
      seen += batch.count
    }
    let seconds = Double(Clock.now().nanoseconds - start.nanoseconds) / 1e9
    await consumer.close()
    return seconds
  }

  private func processor(_ cluster: LocalCluster) -> [String: Double] {
    Dictionary(
      cluster.status().map { ($0.name, Double($0.processorMs ?? 0) / 1000) }) { $1 }
  }

  private func spent(
    _ before: [String: Double], _ after: [String: Double], per gibibytes: Double
  ) -> [String: Double] {
    after.reduce(into: [:]) { $0[$1.key] = ($1.value - (before[$1.key] ?? 0)) / gibibytes }
  }

  // MARK: The report

  private func show(_ report: Report, _ console: Console) {
    console.line("up to the first acks=all record: \(report.upToFirstRecordMs) ms")
    console.line("idle memory of all processes: \(report.idleMiB.text(1)) MiB")
    console.table(
      ["PROCESS", "MiB"], report.idle.map { [$0.name, $0.residentMiB.text(1)] })
    console.line(
      "machine: sequential write \(report.limits.sequentialWrite.text(0)) MiB/s, socket copy "
        + "\(report.limits.socketCopy.text(0)) MiB/s, fdatasync \(report.limits.syncMs.text(2)) ms")
    for shape in report.shapes {
      console.line("")
      console.line(
        "\(shape.records) records of \(shape.recordBytes) bytes, 6 partitions, RF 3, acks=all")
      console.line(
        "  produced \(shape.producedPerSecond.text(0)) records/s, "
          + "\(shape.producedMiBPerSecond.text(1)) MiB/s: "
          + "\((shape.shareOfSequentialWrite * 100).text(0)) % of the machine's sequential write")
      console.line(
        "  consumed \(shape.consumedMiBPerSecond.text(1)) MiB/s: "
          + "\((shape.shareOfSocketCopy * 100).text(0)) % of the machine's socket copy")
      let latency = ["mean", "50", "95", "99", "99.9", "max"].map {
        "\($0) \((shape.latencyMs[$0] ?? 0).text(1))"
      }
      console.line("  latency ms: \(latency.joined(separator: ", "))")
      console.table(
        ["  PROCESS", "CPU s/GiB PRODUCED", "CPU s/GiB CONSUMED"],
        shape.produceSecondsPerGiB.keys.sorted().map { name in
          [
            "  " + name, (shape.produceSecondsPerGiB[name] ?? 0).text(2),
            (shape.consumeSecondsPerGiB[name] ?? 0).text(2),
          ]
        })
    }
  }
}
