import KafkaMessages
import KafkaProtocol
import Settings
import Values

/// `jackdaw leader-election`: asks the controller to elect leaders.
struct LeaderElectionTool: Tool {
  let name = "leader-election"
  let summary = "Elect preferred or unclean leaders."

  var syntax: CommandLineSyntax {
    CommandLineSyntax(
      command: "jackdaw leader-election", summary: summary,
      flags: AdminSession.flags + [
        .value("--admin.config", "FILE", "Older name of --command-config."),
        .value("--election-type", "preferred|unclean", required: true, "Which election."),
        .toggle("--all-topic-partitions", "Every partition."),
        .value("--topic", "NAME", "One topic, with --partition."),
        .value("--partition", "N", "One partition, with --topic."),
        .value(
          "--path-to-json-file", "FILE", #"{"partitions":[{"topic":"t","partition":0}]}"#),
      ])
  }

  private struct Plan: Decodable {
    struct Entry: Decodable {
      let topic: String
      let partition: Int32
    }
    let partitions: [Entry]
  }

  func run(_ line: ParsedCommandLine, on console: Console) async throws -> Int32 {
    var request = ElectLeadersRequest()
    switch try line.require("--election-type").lowercased() {
    case "preferred": request.electionType = 0
    case "unclean": request.electionType = 1
    case let other:
      throw SettingsError("must be preferred or unclean", key: "--election-type", value: other)
    }
    request.topicPartitions = try partitions(line).map { partitions in
      Dictionary(grouping: partitions, by: \.topic).sorted { $0.key < $1.key }.map { topic, list in
        ElectLeadersRequest.TopicPartitions {
          $0.topic = topic
          $0.partitions = list.map(\.partition).sorted()
        }
      }
    }
    let flag = line.has("--admin.config") ? "--admin.config" : "--command-config"
    let response = try await AdminSession.with(line, configFlag: flag) { [request] session in
      try await session.sendToController(request) { $0.errorCode }
    }
    try ErrorCode.check(response.errorCode, nil, "election")
    return report(response, on: console)
  }

  /// nil: every partition.
  private func partitions(_ line: ParsedCommandLine) throws -> [TopicPartition]? {
    let ways = ["--all-topic-partitions", "--topic", "--path-to-json-file"].filter(line.has)
    guard ways.count == 1 else {
      throw SettingsError(
        "exactly one of --all-topic-partitions, --topic and --path-to-json-file is needed")
    }
    if ways[0] == "--all-topic-partitions" { return nil }
    if ways[0] == "--topic" {
      guard let partition = try line.integer("--partition", in: 0...Int(Int32.max)) else {
        throw SettingsError("--topic needs it", key: "--partition")
      }
      return [TopicPartition(try line.require("--topic"), Int32(partition))]
    }
    let plan: Plan = try JSONFile.read(try line.require("--path-to-json-file"))
    return plan.partitions.map { TopicPartition($0.topic, $0.partition) }
  }

  private func report(_ response: ElectLeadersResponse, on console: Console) -> Int32 {
    var done: [String] = []
    var idle: [String] = []
    var failed: [String] = []
    for topic in response.replicaElectionResults {
      for partition in topic.partitionResult {
        let key = "\(topic.topic)-\(partition.partitionID)"
        switch ErrorCode(partition.errorCode) {
        case .none: done.append(key)
        case .electionNotNeeded: idle.append(key)
        case let code:
          failed.append("\(key): \(code.name): \(partition.errorMessage ?? code.message)")
        }
      }
    }
    if !done.isEmpty {
      let names = done.sorted().joined(separator: ", ")
      console.line("Successfully completed leader election for partitions \(names)")
    }
    if !idle.isEmpty {
      let names = idle.sorted().joined(separator: ", ")
      console.line("Valid replica already elected for partitions \(names)")
    }
    for text in failed.sorted() {
      console.line("Error completing leader election for partition \(text)")
    }
    return failed.isEmpty ? 0 : 1
  }
}
