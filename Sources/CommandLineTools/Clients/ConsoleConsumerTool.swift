import Foundation
import KafkaClient
import Settings
import Values

/// `jackdaw console-consumer`: prints the records of topics.
struct ConsoleConsumerTool: Tool {
  let name = "console-consumer"
  let summary = "Print the records of topics."

  var syntax: CommandLineSyntax {
    CommandLineSyntax(
      command: "jackdaw console-consumer", summary: summary,
      flags: [
        .value("--bootstrap-server", "HOST:PORT,…", "Where to find the cluster."),
        .value("--topic", "NAME", "The topic."),
        .value("--include", "PATTERN", aliases: ["--whitelist"], "Topics by regular expression."),
        .value("--group", "NAME", "The consumer group; a passing one by default."),
        .toggle("--from-beginning", "Begin with the first record where nothing is committed."),
        .value("--partition", "N", "Only this partition."),
        .value("--offset", "N|earliest|latest", "Where to begin, with --partition."),
        .value("--max-messages", "N", "End after so many records."),
        .value("--timeout-ms", "MS", "End when no record has come for so long."),
        .value(
          "--isolation-level", "LEVEL", default: "read_uncommitted",
          "read_committed or read_uncommitted."),
        .value(
          "--property", "KEY=VALUE", repeatable: true,
          "print.timestamp, print.key, print.offset, print.partition, print.headers, print.value, "
            + "key.separator, line.separator, headers.separator, null.literal."),
        .value("--formatter-config", "FILE", "Properties as --property takes them."),
        .value("--consumer-property", "KEY=VALUE", repeatable: true, "A property of the consumer."),
        .value("--consumer.config", "FILE", "Properties of the consumer."),
        .refused("--formatter", "Java classes cannot be loaded; see --property"),
        .refused("--key-deserializer", "Java classes cannot be loaded; keys are printed as text"),
        .refused(
          "--value-deserializer", "Java classes cannot be loaded; values are printed as text"),
        .refused("--enable-systest-events", "events of Kafka's own system tests are not printed"),
        .toggle("--skip-message-on-error", "Go on after a record that cannot be printed."),
      ])
  }

  func run(_ line: ParsedCommandLine, on console: Console) async throws -> Int32 {
    let formatter = try RecordFormatter(try formatting(line))
    let consumer = try Consumer(try properties(line))
    do {
      let count = try await consume(line, consumer, formatter, console)
      await consumer.close()
      console.flush()
      console.problem("Processed a total of \(count) messages")
    } catch {
      await consumer.close()
      throw error
    }
    return 0
  }

  private func formatting(_ line: ParsedCommandLine) throws -> [String: String] {
    var properties: [String: String] = [:]
    if let path = line.value("--formatter-config") { properties = try ClientProperties.read(path) }
    for (key, value) in try line.pairs("--property") { properties[key] = value }
    return properties
  }

  private func properties(_ line: ParsedCommandLine) throws -> [String: String] {
    var properties: [String: String] = [:]
    if let path = line.value("--consumer.config") { properties = try ClientProperties.read(path) }
    for (key, value) in try line.pairs("--consumer-property") { properties[key] = value }
    properties["bootstrap.servers"] = try AdminSession.bootstrap(line)
    properties["isolation.level"] = line.value("--isolation-level")
    if let group = line.value("--group") { properties["group.id"] = group }
    if properties["group.id"] == nil {
      properties["group.id"] = "console-consumer-\(Int.random(in: 0..<100_000))"
      // Nobody will ask for the offsets of a group that is gone.
      properties["enable.auto.commit"] = "false"
    }
    if line.has("--from-beginning") { properties["auto.offset.reset"] = "earliest" }
    return properties
  }

  private func consume(
    _ line: ParsedCommandLine, _ consumer: Consumer, _ formatter: RecordFormatter,
    _ console: Console
  ) async throws -> Int {
    try await choose(line, consumer)
    let limit = try line.integer("--max-messages", in: -1...Int.max) ?? -1
    let patience = Int64(try line.integer("--timeout-ms", in: -1...Int.max) ?? -1)
    var count = 0
    var quietMs: Int64 = 0
    while limit < 0 || count < limit {
      let step = patience < 0 ? 1000 : min(1000, max(1, patience - quietMs))
      let records = try await consumer.poll(timeoutMs: step)
      quietMs = records.isEmpty ? quietMs + step : 0
      for record in records {
        if limit >= 0, count == limit { break }
        formatter.write(record, on: console)
        count += 1
      }
      console.flush()
      if records.isEmpty, patience >= 0, quietMs >= patience {
        console.problem("no record within \(patience) ms")
        break
      }
    }
    return count
  }

  private func choose(_ line: ParsedCommandLine, _ consumer: Consumer) async throws {
    if let partition = try line.integer("--partition", in: 0...Int(Int32.max)) {
      let chosen = TopicPartition(try line.require("--topic"), Int32(partition))
      try await consumer.assign([chosen])
      switch line.value("--offset") ?? (line.has("--from-beginning") ? "earliest" : "latest") {
      case "earliest": try await consumer.seek([chosen], to: .earliest)
      case "latest": try await consumer.seek([chosen], to: .latest)
      case let text:
        guard let offset = Int64(text), offset >= 0 else {
          throw SettingsError("expected a number, earliest or latest", key: "--offset", value: text)
        }
        try await consumer.seek(chosen, to: offset)
      }
    } else if line.has("--offset") {
      throw SettingsError("needs --partition", key: "--offset")
    } else if let pattern = line.value("--include") {
      let filter = try TopicFilter(pattern)
      try await consumer.subscribe(matching: { filter.matches($0) })
    } else {
      try await consumer.subscribe([try line.require("--topic")])
    }
  }
}

/// How a record is printed, by the properties of Kafka's default formatter.
struct RecordFormatter: Sendable {
  private let prints: Set<String>
  private let keySeparator: String
  private let lineSeparator: String
  private let headersSeparator: String
  private let nullLiteral: String

  private static let parts = ["timestamp", "partition", "offset", "headers", "key", "value"]

  init(_ properties: [String: String]) throws(SettingsError) {
    let known = Set(Self.parts.map { "print.\($0)" }).union([
      "key.separator", "line.separator", "headers.separator", "null.literal",
    ])
    if let unknown = properties.keys.sorted().first(where: { !known.contains($0) }) {
      throw SettingsError("not a property of the formatter", key: unknown)
    }
    var prints: Set<String> = []
    for part in Self.parts where (properties["print.\(part)"] ?? "\(part == "value")") == "true" {
      prints.insert(part)
    }
    self.prints = prints
    keySeparator = properties["key.separator"] ?? "\t"
    lineSeparator = properties["line.separator"] ?? "\n"
    headersSeparator = properties["headers.separator"] ?? ","
    nullLiteral = properties["null.literal"] ?? "null"
  }

  func write(_ record: ConsumerRecord, on console: Console) {
    var isFirst = true
    for part in Self.parts where prints.contains(part) {
      if !isFirst { console.write(keySeparator) }
      isFirst = false
      switch part {
      case "timestamp":
        let kind = record.timestampType == .logAppendTime ? "LogAppendTime" : "CreateTime"
        console.write(record.timestamp < 0 ? "NO_TIMESTAMP" : "\(kind):\(record.timestamp)")
      case "partition": console.write("Partition:\(record.partition)")
      case "offset": console.write("Offset:\(record.offset)")
      case "headers": write(record.headers, on: console)
      case "key": console.write(record.key ?? Array(nullLiteral.utf8))
      default: console.write(record.value ?? Array(nullLiteral.utf8))
      }
    }
    console.write(lineSeparator)
  }

  private func write(_ headers: [RecordHeader], on console: Console) {
    if headers.isEmpty { console.write("NO_HEADERS") }
    for (index, header) in headers.enumerated() {
      if index > 0 { console.write(headersSeparator) }
      console.write("\(header.name):")
      console.write(header.value ?? Array(nullLiteral.utf8))
    }
  }
}
