import Foundation
import KafkaClient
import Settings
import Synchronization

/// `jackdaw console-producer`: every line of standard input becomes a record.
struct ConsoleProducerTool: Tool {
  let name = "console-producer"
  let summary = "Produce the lines of standard input."

  var syntax: CommandLineSyntax {
    CommandLineSyntax(
      command: "jackdaw console-producer", summary: summary,
      flags: [
        .value("--bootstrap-server", "HOST:PORT,…", "Where to find the cluster."),
        .value("--broker-list", "HOST:PORT,…", "Older name of --bootstrap-server."),
        .value("--topic", "NAME", required: true, "The topic."),
        .value(
          "--property", "KEY=VALUE", repeatable: true,
          "parse.key, key.separator, parse.headers, headers.delimiter, headers.separator, "
            + "headers.key.separator, null.marker, ignore.error."),
        .value("--producer-property", "KEY=VALUE", repeatable: true, "A property of the producer."),
        .value("--producer.config", "FILE", "Properties of the producer."),
        .value("--reader-config", "FILE", "Properties of the reader, as --property takes them."),
        .value("--compression-codec", "CODEC", "none, gzip, snappy, lz4 or zstd."),
        .value("--request-required-acks", "ACKS", "0, 1 or all."),
        .value("--request-timeout-ms", "MS", "request.timeout.ms."),
        .value("--max-block-ms", "MS", "max.block.ms."),
        .value("--max-memory-bytes", "BYTES", "buffer.memory."),
        .value("--max-partition-memory-bytes", "BYTES", "batch.size."),
        .value("--batch-size", "BYTES", "batch.size."),
        .value("--timeout", "MS", "linger.ms."),
        .value("--message-send-max-retries", "N", "retries."),
        .value("--retry-backoff-ms", "MS", "retry.backoff.ms."),
        .value("--metadata-expiry-ms", "MS", "metadata.max.age.ms."),
        .value("--socket-buffer-size", "BYTES", "send.buffer.bytes."),
        .refused("--line-reader", "Java classes cannot be loaded; lines are read as text"),
        .toggle("--sync", "Wait for each record before the next line is read."),
      ])
  }

  private static let short: [(flag: String, key: String)] = [
    ("--compression-codec", "compression.type"), ("--request-required-acks", "acks"),
    ("--request-timeout-ms", "request.timeout.ms"), ("--max-block-ms", "max.block.ms"),
    ("--max-memory-bytes", "buffer.memory"), ("--max-partition-memory-bytes", "batch.size"),
    ("--batch-size", "batch.size"), ("--timeout", "linger.ms"),
    ("--message-send-max-retries", "retries"), ("--retry-backoff-ms", "retry.backoff.ms"),
    ("--metadata-expiry-ms", "metadata.max.age.ms"),
    ("--socket-buffer-size", "send.buffer.bytes"),
  ]

  func run(_ line: ParsedCommandLine, on console: Console) async throws -> Int32 {
    let topic = try line.require("--topic")
    var properties: [String: String] = [:]
    if let path = line.value("--producer.config") { properties = try ClientProperties.read(path) }
    for (key, value) in try line.pairs("--producer-property") { properties[key] = value }
    for (flag, key) in Self.short {
      if let value = line.value(flag) { properties[key] = value }
    }
    properties["bootstrap.servers"] = try AdminSession.bootstrap(line)
    if properties["linger.ms"] == nil { properties["linger.ms"] = "20" }
    var reading: [String: String] = [:]
    if let path = line.value("--reader-config") { reading = try ClientProperties.read(path) }
    for (key, value) in try line.pairs("--property") { reading[key] = value }
    let reader = try LineReader(reading)

    let producer = try Producer(properties)
    let failures = Mutex<[ClientError]>([])
    let isPrompting = isatty(0) != 0
    var number = 0
    while true {
      if isPrompting {
        console.write(">")
        console.flush()
      }
      guard let text = readLine() else { break }
      number += 1
      guard let record = try reader.record(text, topic: topic, line: number) else { continue }
      if line.has("--sync") {
        try await producer.send(record)
      } else {
        try await producer.enqueueWhenThereIsRoom(record) { result in
          if case .failure(let error) = result { failures.withLock { $0.append(error) } }
        }
      }
    }
    await producer.flush()
    await producer.close()
    let all = failures.withLock { $0 }
    if let first = all.first {
      throw ToolFailure("\(all.count) of \(number) records were not delivered, such as: \(first)")
    }
    return 0
  }

}

/// Turns a line into a record, by the properties of Kafka's own line reader.
struct LineReader {
  private let parsesKey: Bool
  private let keySeparator: String
  private let parsesHeaders: Bool
  private let headersDelimiter: String
  private let headersSeparator: String
  private let headerKeySeparator: String
  private let nullMarker: String?
  private let ignoresErrors: Bool

  init(_ properties: [String: String]) throws(SettingsError) {
    let known: Set<String> = [
      "parse.key", "key.separator", "parse.headers", "headers.delimiter", "headers.separator",
      "headers.key.separator", "null.marker", "ignore.error",
    ]
    if let unknown = properties.keys.sorted().first(where: { !known.contains($0) }) {
      throw SettingsError("not a property of the reader", key: unknown)
    }
    parsesKey = properties["parse.key"] == "true"
    keySeparator = properties["key.separator"] ?? "\t"
    parsesHeaders = properties["parse.headers"] == "true"
    headersDelimiter = properties["headers.delimiter"] ?? "\t"
    headersSeparator = properties["headers.separator"] ?? ","
    headerKeySeparator = properties["headers.key.separator"] ?? ":"
    nullMarker = properties["null.marker"]
    ignoresErrors = properties["ignore.error"] == "true"
  }

  /// - Returns: nil for a line that is passed over.
  func record(_ text: String, topic: String, line: Int) throws -> ProducerRecord? {
    var rest = text[...]
    var headers: [RecordHeader] = []
    if parsesHeaders {
      guard let part = cut(&rest, at: headersDelimiter) else {
        if ignoresErrors { return nil }
        throw ToolFailure(
          "line \(line) has no headers delimiter \(headersDelimiter.debugDescription)")
      }
      let hasNone = part.isEmpty || nullMarker.map { part == $0 } == true
      if !hasNone { headers = try parse(part, line) }
    }
    var key: [UInt8]?
    if parsesKey {
      if let part = cut(&rest, at: keySeparator) {
        key = bytes(part)
      } else if !ignoresErrors {
        throw ToolFailure("line \(line) has no key separator \(keySeparator.debugDescription)")
      }
    }
    return ProducerRecord(topic: topic, key: key, value: bytes(rest), headers: headers)
  }

  private func bytes(_ text: Substring) -> [UInt8]? {
    nullMarker.map { text == $0 } == true ? nil : Array(text.utf8)
  }

  private func cut(_ text: inout Substring, at separator: String) -> Substring? {
    guard let range = text.range(of: separator) else { return nil }
    defer { text = text[range.upperBound...] }
    return text[..<range.lowerBound]
  }

  private func parse(_ text: Substring, _ line: Int) throws -> [RecordHeader] {
    try text.components(separatedBy: headersSeparator).compactMap { pair in
      var rest = pair[...]
      guard let name = cut(&rest, at: headerKeySeparator) else {
        if ignoresErrors { return nil }
        throw ToolFailure("line \(line): header \(pair.debugDescription) has no value")
      }
      return RecordHeader(String(name), bytes(rest))
    }
  }
}
