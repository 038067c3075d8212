import Foundation
import KafkaMessages
import KafkaProtocol
import Settings
import Values

/// `jackdaw get-offsets`: offsets of partitions, earliest, latest or by time.
struct GetOffsetsTool: Tool {
  let name = "get-offsets"
  let summary = "Print the offsets of partitions."

  var syntax: CommandLineSyntax {
    CommandLineSyntax(
      command: "jackdaw get-offsets", summary: summary,
      flags: AdminSession.flags + [
        .value("--broker-list", "HOST:PORT,…", "Older name of --bootstrap-server."),
        .value("--topic", "PATTERN", "Topics, by regular expression."),
        .value("--partitions", "0,1,…", "Only these partitions."),
        .value("--topic-partitions", "t:0-3,u:5", "Topics with partitions or ranges of them."),
        .value(
          "--time", "WHEN", default: "latest",
          "latest (-1), earliest (-2), max-timestamp (-3), earliest-local (-4), or milliseconds."),
        .toggle("--exclude-internal-topics", "Leave out internal topics."),
        .value("--output", "text|json", default: "text", "Form of the result."),
      ])
  }

  private struct Row: Encodable {
    let topic: String
    let partition: Int32
    let offset: Int64?
  }

  func run(_ line: ParsedCommandLine, on console: Console) async throws -> Int32 {
    let time = try timestamp(line.value("--time") ?? "latest")
    let rows = try await AdminSession.with(line) { session in
      let partitions = try await selected(line, session)
      guard !partitions.isEmpty else { throw ToolFailure("no partition matches") }
      return try await PartitionOffsets.list(partitions, at: time, session)
        .map { Row(topic: $0.topic, partition: $0.partition, offset: $1 < 0 ? nil : $1) }
    }
    if line.value("--output") == "json" {
      try console.json(rows)
    } else {
      for row in rows {
        console.line("\(row.topic):\(row.partition):\(row.offset.map(String.init) ?? "")")
      }
    }
    return 0
  }

  private func timestamp(_ text: String) throws(SettingsError) -> Int64 {
    switch text {
    case "latest": return -1
    case "earliest": return -2
    case "max-timestamp": return -3
    case "earliest-local": return -4
    case "latest-tiered": return -5
    default:
      guard let number = Int64(text) else {
        throw SettingsError("not a time", key: "--time", value: text)
      }
      return number
    }
  }

  private func selected(
    _ line: ParsedCommandLine, _ session: AdminSession
  ) async throws -> [TopicPartition] {
    let topics = try await session.topics(
      matching: line.value("--topic"), excludingInternal: line.has("--exclude-internal-topics"))
    let all = topics.flatMap { topic in
      topic.partitions.map { TopicPartition(topic.name ?? "", $0.partitionIndex) }
    }.sorted()
    if let text = line.value("--topic-partitions") {
      let rules = try text.split(separator: ",").map { try PartitionRule(String($0)) }
      return all.filter { partition in rules.contains { $0.matches(partition) } }
    }
    guard let text = line.value("--partitions") else { return all }
    let wanted = try text.split(separator: ",").map { word throws(SettingsError) in
      guard let number = Int32(word) else {
        throw SettingsError("not a partition", key: "--partitions", value: String(word))
      }
      return number
    }
    return all.filter { wanted.contains($0.partition) }
  }
}

/// `topic-pattern:3`, `topic-pattern:0-3` (the end is not included), `:2-`, `topic-pattern`.
struct PartitionRule {
  private let topics: TopicFilter?
  private let range: Range<Int32>

  init(_ text: String) throws {
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    topics = parts[0].isEmpty ? nil : try TopicFilter(String(parts[0]))
    guard parts.count == 2, !parts[1].isEmpty else {
      range = 0..<Int32.max
      return
    }
    let ends = parts[1].split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
    let lower = ends[0].isEmpty ? 0 : Int32(ends[0])
    let upper: Int32? =
      ends.count == 1 ? lower.map { $0 + 1 } : (ends[1].isEmpty ? Int32.max : Int32(ends[1]))
    guard let lower, let upper, lower >= 0, lower <= upper else {
      throw SettingsError(
        "expected topic:partition or topic:from-to", key: "--topic-partitions", value: text)
    }
    range = lower..<upper
  }

  func matches(_ partition: TopicPartition) -> Bool {
    range.contains(partition.partition) && (topics?.matches(partition.topic) ?? true)
  }
}

/// Offsets of many partitions, asked of their leaders.
enum PartitionOffsets {
  /// - Parameter timestamp: a time in ms, or one of ListOffsets' negative codes.
  /// - Returns: in order of partition; -1 where there is no such offset.
  static func list(
    _ partitions: [TopicPartition], at timestamp: Int64, _ session: AdminSession
  ) async throws -> [(TopicPartition, Int64)] {
    var found: [(TopicPartition, Int64)] = []
    for (leader, group) in try await session.byLeader(partitions) {
      var request = ListOffsetsRequest()
      request.replicaID = -1
      request.topics = Dictionary(grouping: group, by: \.topic).sorted { $0.key < $1.key }
        .map { topic, partitions in
          ListOffsetsRequest.ListOffsetsTopic {
            $0.name = topic
            $0.partitions = partitions.map { partition in
              ListOffsetsRequest.ListOffsetsPartition {
                $0.partitionIndex = partition.partition
                $0.timestamp = timestamp
              }
            }
          }
        }
      let response = try await session.send(request, to: .node(leader))
      for topic in response.topics {
        for partition in topic.partitions {
          let key = TopicPartition(topic.name, partition.partitionIndex)
          try ErrorCode.check(partition.errorCode, nil, key.description)
          found.append((key, partition.offset))
        }
      }
    }
    return found.sorted { $0.0 < $1.0 }
  }
}

/// `jackdaw delete-records`: moves the start of partitions forward.
struct DeleteRecordsTool: Tool {
  let name = "delete-records"
  let summary = "Delete the records of partitions below given offsets."

  var syntax: CommandLineSyntax {
    CommandLineSyntax(
      command: "jackdaw delete-records", summary: summary,
      flags: AdminSession.flags + [
        .value(
          "--offset-json-file", "FILE", required: true,
          #"{"partitions":[{"topic":"t","partition":0,"offset":10}],"version":1}; -1: all of it."#)
      ])
  }

  private struct Plan: Decodable {
    struct Entry: Decodable {
      let topic: String
      let partition: Int32
      let offset: Int64
    }
    let partitions: [Entry]
    let version: Int?
  }

  func run(_ line: ParsedCommandLine, on console: Console) async throws -> Int32 {
    let plan: Plan = try JSONFile.read(try line.require("--offset-json-file"))
    var offsets: [TopicPartition: Int64] = [:]
    for entry in plan.partitions {
      let key = TopicPartition(entry.topic, entry.partition)
      guard offsets.updateValue(entry.offset, forKey: key) == nil else {
        throw ToolFailure("the file names \(key) twice")
      }
    }
    console.line("Executing records delete operation")
    var failures = 0
    let results = try await AdminSession.with(line) { [offsets] session in
      var results: [(TopicPartition, Int16, Int64)] = []
      for (leader, group) in try await session.byLeader(offsets.keys.sorted()) {
        var request = DeleteRecordsRequest()
        request.timeoutMs = 30_000
        request.topics = group.map { partition in
          DeleteRecordsRequest.DeleteRecordsTopic {
            $0.name = partition.topic
            $0.partitions = [
              DeleteRecordsRequest.DeleteRecordsPartition {
                $0.partitionIndex = partition.partition
                $0.offset = offsets[partition] ?? -1
              }
            ]
          }
        }
        let response = try await session.send(request, to: .node(leader))
        for topic in response.topics {
          for partition in topic.partitions {
            results.append(
              (
                TopicPartition(topic.name, partition.partitionIndex), partition.errorCode,
                partition.lowWatermark
              ))
          }
        }
      }
      return results.sorted { $0.0 < $1.0 }
    }
    console.line("Records delete operation completed:")
    for (partition, code, lowWatermark) in results {
      if ErrorCode(code) == .none {
        console.line("partition: \(partition)\tlow_watermark: \(lowWatermark)")
      } else {
        failures += 1
        console.line("partition: \(partition)\terror: \(ErrorCode(code).name)")
      }
    }
    return failures == 0 ? 0 : 1
  }
}

/// Files in JSON that a flag names.
enum JSONFile {
  static func read<Value: Decodable>(
    _ path: String, as type: Value.Type = Value.self
  ) throws -> Value {
    guard let data = FileManager.default.contents(atPath: path) else {
      throw ToolFailure("\(path): no such file, or not readable")
    }
    do {
      return try JSONDecoder().decode(type, from: data)
    } catch {
      throw ToolFailure("\(path) does not have the expected form: \(error)")
    }
  }
}
