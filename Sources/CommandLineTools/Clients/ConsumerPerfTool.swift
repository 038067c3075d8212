import Foundation
import KafkaClient
import Platform
import Settings
import Values

/// `jackdaw consumer-perf-test`: consumes records and reports the rate.
struct ConsumerPerfTool: Tool {
  let name = "consumer-perf-test"
  let summary = "Measure how fast records are consumed."

  var syntax: CommandLineSyntax {
    CommandLineSyntax(
      command: "jackdaw consumer-perf-test", summary: summary,
      flags: [
        .value("--bootstrap-server", "HOST:PORT,…", "Where to find the cluster."),
        .value("--broker-list", "HOST:PORT,…", "Older name of --bootstrap-server."),
        .value("--topic", "NAME", required: true, "The topic."),
        .value("--messages", "N", required: true, "Records to consume."),
        .value("--group", "NAME", "The consumer group; a passing one by default."),
        .value("--fetch-size", "BYTES", default: "1048576", "max.partition.fetch.bytes."),
        .value("--socket-buffer-size", "BYTES", "receive.buffer.bytes."),
        .value("--consumer.config", "FILE", "Properties of the consumer."),
        .toggle("--from-latest", "Begin at the end where nothing is committed."),
        .value("--timeout", "MS", default: "10000", "End when no record has come for so long."),
        .value("--reporting-interval", "MS", default: "5000", "For --show-detailed-stats."),
        .toggle("--show-detailed-stats", "Report every interval."),
        .value("--date-format", "FORMAT", default: "yyyy-MM-dd HH:mm:ss:SSS", "For the times."),
        .refused("--threads", "one thread consumes; run the tool several times in one group"),
        .refused(
          "--num-fetch-threads", "one thread fetches; run the tool several times in one group"),
        .toggle("--hide-header", "Leave out the line with the columns' names."),
        .toggle("--print-metrics", "Print processor time and memory at the end."),
      ])
  }

  private struct Progress {
    var records = 0
    var bytes = 0
  }

  func run(_ line: ParsedCommandLine, on console: Console) async throws -> Int32 {
    guard let wanted = try line.integer("--messages", in: 1...Int.max) else { return 2 }
    let patience = Int64(try line.integer("--timeout", in: 1...Int.max) ?? 10_000)
    let interval = Int64(try line.integer("--reporting-interval", in: 1...Int.max) ?? 5000)
    let consumer = try Consumer(try properties(line))
    try await consumer.subscribe([try line.require("--topic")])
    if !line.has("--hide-header") {
      console.line(
        "start.time, end.time, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec")
    }
    let started = Date()
    let start = Clock.now()
    var first = start
    var total = Progress()
    var windowBegin = (instant: start, progress: total)
    var quiet = start
    while total.records < wanted {
      let records = try await consumer.poll(timeoutMs: 100)
      let now = Clock.now()
      if records.isEmpty {
        if now.milliseconds(since: quiet) > patience { break }
        continue
      }
      quiet = now
      if total.records == 0 { first = now }
      for record in records {
        total.records += 1
        total.bytes += (record.key?.count ?? 0) + (record.value?.count ?? 0)
      }
      if line.has("--show-detailed-stats"), now.milliseconds(since: windowBegin.instant) >= interval
      {
        report(line, started, windowBegin.progress, total, from: windowBegin.instant, console)
        windowBegin = (now, total)
      }
    }
    if !line.has("--show-detailed-stats") {
      report(line, started, Progress(), total, from: start, console)
    }
    await consumer.close()
    if line.has("--print-metrics") {
      console.line("until the first record: \(first.milliseconds(since: start)) ms")
      console.line("client processor: \(Clock.processNanoseconds() / 1_000_000) ms")
      console.line("client memory: \(ProcessInformation.residentBytes >> 20) MiB")
    }
    if total.records < wanted {
      console.problem("only \(total.records) of \(wanted) records came within \(patience) ms")
      return 1
    }
    return 0
  }

  private func properties(_ line: ParsedCommandLine) throws -> [String: String] {
    var properties: [String: String] = [:]
    if let path = line.value("--consumer.config") { properties = try ClientProperties.read(path) }
    properties["bootstrap.servers"] = try AdminSession.bootstrap(line)
    properties["group.id"] = line.value("--group") ?? "perf-consumer-\(Int.random(in: 0..<100_000))"
    properties["max.partition.fetch.bytes"] = line.value("--fetch-size")
    if let size = line.value("--socket-buffer-size") { properties["receive.buffer.bytes"] = size }
    properties["auto.offset.reset"] = line.has("--from-latest") ? "latest" : "earliest"
    return properties
  }

  private func report(
    _ line: ParsedCommandLine, _ started: Date, _ before: Progress, _ now: Progress,
    from start: Instant, _ console: Console
  ) {
    let formatter = DateFormatter()
    formatter.locale = Locale(identifier: "en_US_POSIX")
    formatter.dateFormat = line.value("--date-format")
    let seconds = Double(max(1, Clock.now().milliseconds(since: start))) / 1000
    let megabytes = Double(now.bytes - before.bytes) / 1_048_576
    let records = now.records - before.records
    console.line(
      [
        formatter.string(from: started), formatter.string(from: Date()), megabytes.text(4),
        (megabytes / seconds).text(4), "\(records)", (Double(records) / seconds).text(4),
      ].joined(separator: ", "))
    console.flush()
  }
}
