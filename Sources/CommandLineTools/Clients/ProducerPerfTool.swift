import Benchmarks
import Foundation
import KafkaClient
import Platform
import Settings

/// `jackdaw producer-perf-test`: produces records as fast as asked, and reports rate and latency.
struct ProducerPerfTool: Tool {
  let name = "producer-perf-test"
  let summary = "Measure how fast records are produced."

  var syntax: CommandLineSyntax {
    CommandLineSyntax(
      command: "jackdaw producer-perf-test", summary: summary,
      flags: [
        .value("--topic", "NAME", required: true, "The topic."),
        .value("--num-records", "N", required: true, "Records to produce."),
        .value("--record-size", "BYTES", "Size of each record's value."),
        .value("--payload-file", "FILE", "Values to choose from, instead of --record-size."),
        .value("--payload-delimiter", "TEXT", default: "\\n", "What separates the values."),
        .toggle("--payload-monotonic", "Values are 0, 1, 2, … as text."),
        .value(
          "--throughput", "N", required: true, "Records per second; -1: as fast as possible."),
        .value(
          "--producer-props", "KEY=VALUE", repeatable: true,
          "A property of the producer; more may follow without the flag."),
        .value("--producer.config", "FILE", "Properties of the producer."),
        .value("--bootstrap-server", "HOST:PORT,…", "Short for bootstrap.servers."),
        .toggle("--print-metrics", "Print processor time and memory at the end."),
        .value("--output", "text|json", default: "text", "Form of the summary."),
      ], takesMoreOperands: true)
  }

  func run(_ line: ParsedCommandLine, on console: Console) async throws -> Int32 {
    let topic = try line.require("--topic")
    guard let wanted = try line.integer("--num-records", in: 1...Int.max),
      let throughput = try line.integer("--throughput", in: -1...Int.max)
    else { throw SettingsError("--num-records and --throughput are needed") }
    let payloads = try payloads(line)
    let producer = try Producer(try properties(line))
    _ = try await producer.partitions(of: topic)
    let isMonotonic = line.has("--payload-monotonic")
    let load = ProduceLoad(topic: topic, count: wanted, throughput: throughput)
    let result = try await load.run(producer) { number in
      isMonotonic ? Array("\(number)".utf8) : payloads[number % payloads.count]
    } report: { window, elapsedMs in
      report(window, elapsedMs, size: payloads[0].count, console)
    }
    await producer.close()
    try summary(line, result, bytes: payloads[0].count, console)
    if line.has("--print-metrics") {
      console.line("client processor: \(Clock.processNanoseconds() / 1_000_000) ms")
      console.line("client memory: \(ProcessInformation.residentBytes >> 20) MiB")
    }
    if let failure = result.firstFailure {
      throw ToolFailure("\(result.failed) of \(wanted) records failed, such as: \(failure)")
    }
    return 0
  }

  private func properties(_ line: ParsedCommandLine) throws -> [String: String] {
    var properties: [String: String] = [:]
    if let path = line.value("--producer.config") { properties = try ClientProperties.read(path) }
    for text in line.all("--producer-props") + line.operands {
      guard let separator = text.firstIndex(of: "=") else {
        throw SettingsError("expected key=value", key: "--producer-props", value: text)
      }
      properties[String(text[..<separator])] = String(text[text.index(after: separator)...])
    }
    if let servers = line.value("--bootstrap-server") { properties["bootstrap.servers"] = servers }
    guard properties["bootstrap.servers"] != nil else {
      throw SettingsError("missing property", key: "bootstrap.servers")
    }
    return properties
  }

  private func payloads(_ line: ParsedCommandLine) throws -> [[UInt8]] {
    if let path = line.value("--payload-file") {
      guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
        throw ToolFailure("\(path): no such file, or not readable")
      }
      let delimiter = (line.value("--payload-delimiter") ?? "\n")
        .replacingOccurrences(of: "\\n", with: "\n")
      let values = text.components(separatedBy: delimiter).filter { !$0.isEmpty }
      guard !values.isEmpty else { throw ToolFailure("\(path) holds no value") }
      return values.map { Array($0.utf8) }
    }
    if line.has("--payload-monotonic") { return [Array("0".utf8)] }
    guard let size = try line.integer("--record-size", in: 0...(1 << 30)) else {
      throw SettingsError("one of --record-size, --payload-file, --payload-monotonic is needed")
    }
    return [(0..<size).map { _ in UInt8.random(in: 65...90) }]
  }

  private func report(
    _ window: LatencyHistogram, _ elapsedMs: Int64, size: Int, _ console: Console
  ) {
    let seconds = Double(elapsedMs) / 1000
    let rate = Double(window.count) / seconds
    console.line(
      "\(window.count) records sent, \(rate.text(1)) records/sec "
        + "(\((rate * Double(size) / 1_048_576).text(2)) MB/sec), "
        + "\(window.meanMs.text(1)) ms avg latency, \(window.maximumMs.text(1)) ms max latency.")
    console.flush()
  }

  private struct Summary: Encodable {
    let records: Int
    let recordsPerSecond: Double
    let megabytesPerSecond: Double
    let meanMs: Double
    let maxMs: Double
    let percentilesMs: [String: Double]
  }

  private func summary(
    _ line: ParsedCommandLine, _ result: ProduceLoad.Result, bytes: Int, _ console: Console
  ) throws {
    let total = result.total
    let rate = Double(total.count) * 1000 / Double(result.elapsedMs)
    let megabytes = rate * Double(bytes) / 1_048_576
    if line.value("--output") == "json" {
      try console.json(
        Summary(
          records: total.count, recordsPerSecond: rate, megabytesPerSecond: megabytes,
          meanMs: total.meanMs, maxMs: total.maximumMs,
          percentilesMs: [
            "50": total.percentileMs(0.5), "95": total.percentileMs(0.95),
            "99": total.percentileMs(0.99), "99.9": total.percentileMs(0.999),
          ]))
      return
    }
    console.line(
      "\(total.count) records sent, \(rate.text(1)) records/sec (\(megabytes.text(2)) MB/sec), "
        + "\(total.meanMs.text(2)) ms avg latency, \(total.maximumMs.text(2)) ms max latency, "
        + "\(total.percentileMs(0.5).text(0)) ms 50th, "
        + "\(total.percentileMs(0.95).text(0)) ms 95th, "
        + "\(total.percentileMs(0.99).text(0)) ms 99th, "
        + "\(total.percentileMs(0.999).text(0)) ms 99.9th.")
  }
}

extension Double {
  /// With so many digits behind the point.
  func text(_ digits: Int) -> String { String(format: "%.\(digits)f", self) }
}
