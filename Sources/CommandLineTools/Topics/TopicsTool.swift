import Foundation
import KafkaClient
import KafkaMessages
import KafkaProtocol
import Settings
import Values

/// `jackdaw topics`: create, list, describe, alter and delete topics.
struct TopicsTool: Tool {
  let name = "topics"
  let summary = "Create, list, describe, alter and delete topics."

  var syntax: CommandLineSyntax {
    CommandLineSyntax(
      command: "jackdaw topics", summary: summary,
      flags: AdminSession.flags + [
        .toggle("--create", "Create a topic."),
        .toggle("--list", "List topics."),
        .toggle("--describe", "Describe topics and their partitions."),
        .toggle("--alter", "Raise a topic's number of partitions."),
        .toggle("--delete", "Delete topics."),
        .value(
          "--topic", "NAME", "The topic; a regular expression except with --create."),
        .value("--topic-id", "ID", "The topic's id, with --describe."),
        .value("--partitions", "N", "Number of partitions."),
        .value("--replication-factor", "N", "Replicas of each partition."),
        .value(
          "--replica-assignment", "1:2,2:3,…", "The replicas of each partition, by hand."),
        .value("--config", "KEY=VALUE", repeatable: true, "A configuration of the new topic."),
        .toggle("--if-exists", "Do nothing when the topic does not exist."),
        .toggle("--if-not-exists", "Do nothing when the topic exists already."),
        .toggle("--exclude-internal", "Leave out internal topics."),
        .toggle("--under-replicated-partitions", "Only partitions with replicas out of the ISR."),
        .toggle("--unavailable-partitions", "Only partitions without a leader."),
        .toggle("--under-min-isr-partitions", "Only partitions below min.insync.replicas."),
        .toggle("--at-min-isr-partitions", "Only partitions at min.insync.replicas."),
        .toggle("--topics-with-overrides", "Only topics that have configurations of their own."),
        .value("--output", "text|json", default: "text", "For --list and --describe."),
        .refused(
          "--delete-config", "use jackdaw configs --entity-type topics --alter --delete-config"),
        .value(
          "--partition-size-limit-per-response", "N",
          "How many partitions a broker describes at a time, where it can tell of eligible "
            + "leader replicas; 2000 by default."),
      ])
  }

  func run(_ line: ParsedCommandLine, on console: Console) async throws -> Int32 {
    let actions = ["--create", "--list", "--describe", "--alter", "--delete"].filter(line.has)
    guard actions.count == 1 else {
      throw SettingsError(
        "exactly one of --create, --list, --describe, --alter, --delete is needed")
    }
    try await AdminSession.with(line) { session in
      switch actions[0] {
      case "--create": try await create(line, session, console)
      case "--list": try await list(line, session, console)
      case "--describe":
        try await TopicDescriber(line: line, session: session, console: console).run()
      case "--alter": try await alter(line, session, console)
      default: try await delete(line, session, console)
      }
    }
    return 0
  }

  // MARK: Create

  private func create(
    _ line: ParsedCommandLine, _ session: AdminSession, _ console: Console
  ) async throws {
    var topic = NewTopic(
      try line.require("--topic"),
      partitions: Int32(try line.integer("--partitions", in: 1...1_000_000) ?? -1),
      replicationFactor: Int16(try line.integer("--replication-factor", in: 1...32767) ?? -1))
    if let text = line.value("--replica-assignment") {
      let lists = try ReplicaLists.parse(text, flag: "--replica-assignment")
      for (index, replicas) in lists.enumerated() { topic.assignment[Int32(index)] = replicas }
    }
    for pair in try line.pairs("--config") { topic.configs[pair.key] = pair.value }
    let outcome = try await session.admin.createTopics([topic])[topic.name]
    if case .failure(let error)? = outcome {
      if error.code == .topicAlreadyExists, line.has("--if-not-exists") { return }
      throw ToolFailure("topic \(topic.name): \(error)")
    }
    console.line("Created topic \(topic.name).")
  }

  // MARK: List

  private func list(
    _ line: ParsedCommandLine, _ session: AdminSession, _ console: Console
  ) async throws {
    let topics = try await session.topics(
      matching: line.value("--topic"), excludingInternal: line.has("--exclude-internal"))
    let names = topics.compactMap(\.name)
    if line.value("--output") == "json" {
      try console.json(names)
    } else {
      for name in names { console.line(name) }
    }
  }

  // MARK: Alter and delete

  private func matching(
    _ line: ParsedCommandLine, _ session: AdminSession
  ) async throws -> [MetadataResponse.MetadataResponseTopic] {
    let pattern = try line.require("--topic")
    let topics = try await session.topics(matching: pattern)
    if topics.isEmpty, !line.has("--if-exists") {
      throw ToolFailure("topic '\(pattern)' does not exist as expected")
    }
    return topics
  }

  private func alter(
    _ line: ParsedCommandLine, _ session: AdminSession, _ console: Console
  ) async throws {
    guard let count = try line.integer("--partitions", in: 1...1_000_000) else {
      throw SettingsError("--alter needs it; configurations are altered by jackdaw configs",
        key: "--partitions")
    }
    let lists = try line.value("--replica-assignment").map {
      try ReplicaLists.parse($0, flag: "--replica-assignment")
    }
    for topic in try await matching(line, session) {
      // The list names every partition; the request wants those that are new.
      let added = lists.map { Array($0.dropFirst(topic.partitions.count)) }
      let change = NewPartitions(totalCount: Int32(count), assignments: added)
      try fail(try await session.admin.createPartitions([topic.name ?? "": change]))
    }
  }

  private func delete(
    _ line: ParsedCommandLine, _ session: AdminSession, _ console: Console
  ) async throws {
    let names = try await matching(line, session).compactMap(\.name)
    guard !names.isEmpty else { return }
    try fail(try await session.admin.deleteTopics(names))
  }

  /// Fails with the first topic, in order of name, that was refused.
  private func fail(_ outcomes: Outcomes<String, Void>) throws {
    for (name, outcome) in outcomes.sorted(by: { $0.key < $1.key }) {
      if case .failure(let error) = outcome { throw ToolFailure("topic \(name): \(error)") }
    }
  }
}

/// Replica lists as flags write them: partitions separated by commas, brokers by colons.
enum ReplicaLists {
  static func parse(_ text: String, flag: String) throws(SettingsError) -> [[Int32]] {
    var lists: [[Int32]] = []
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      var replicas: [Int32] = []
      for word in part.split(separator: ":", omittingEmptySubsequences: false) {
        guard let id = Int32(word), id >= 0 else {
          throw SettingsError("expected broker ids such as 1:2,2:3", key: flag, value: text)
        }
        replicas.append(id)
      }
      guard Set(replicas).count == replicas.count else {
        throw SettingsError("a partition names a broker twice", key: flag, value: text)
      }
      lists.append(replicas)
    }
    return lists
  }
}
