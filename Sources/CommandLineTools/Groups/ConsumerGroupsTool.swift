import KafkaClient
import KafkaMessages
import KafkaProtocol
import Settings
import Values

/// `jackdaw consumer-groups`: list, describe, reset and delete consumer groups and their offsets.
struct ConsumerGroupsTool: Tool {
  let name = "consumer-groups"
  let summary = "List, describe, reset and delete consumer groups."

  var syntax: CommandLineSyntax {
    CommandLineSyntax(
      command: "jackdaw consumer-groups", summary: summary,
      flags: AdminSession.flags + [
        .toggle("--list", "List groups."),
        .toggle("--describe", "Describe groups: their offsets and lag, by default."),
        .toggle("--delete", "Delete groups without members."),
        .toggle("--reset-offsets", "Move the committed offsets of a group without members."),
        .toggle("--delete-offsets", "Delete committed offsets."),
        .value("--group", "NAME", repeatable: true, "The group; may be repeated."),
        .toggle("--all-groups", "All groups."),
        .value(
          "--topic", "TOPIC[:P,…]", repeatable: true, "Topic, and partitions if not all of it."),
        .toggle("--all-topics", "All topics that the group has offsets for."),
        .toggle("--offsets", "With --describe: offsets (the default)."),
        .toggle("--members", "With --describe: members."),
        .toggle("--state", "With --describe: the group's state. With --list: show states."),
        .toggle("--verbose", "With --members: what each member was assigned."),
        .toggle("--to-earliest", "Reset to the first offset."),
        .toggle("--to-latest", "Reset to the end."),
        .toggle("--to-current", "Reset to the committed offset."),
        .value("--to-offset", "N", "Reset to this offset."),
        .value("--shift-by", "N", "Reset by so many records, forward or (negative) back."),
        .value("--to-datetime", "YYYY-MM-DDThh:mm:ss.sss", "Reset to the first record from then."),
        .value("--by-duration", "PnDTnHnMnS", "Reset to what is so old now."),
        .value("--from-file", "FILE", "Reset to offsets as --export wrote them."),
        .toggle("--export", "Print the result as CSV."),
        .toggle("--execute", "Do reset."),
        .toggle("--dry-run", "Show what a reset would do (the default)."),
        .value("--timeout", "MS", default: "5000", "How long requests are tried again."),
        .value("--output", "text|json", default: "text", "For --list and --describe."),
      ])
  }

  func run(_ line: ParsedCommandLine, on console: Console) async throws -> Int32 {
    let actions = ["--list", "--describe", "--delete", "--reset-offsets", "--delete-offsets"]
      .filter(line.has)
    guard actions.count == 1 else {
      throw SettingsError(
        "exactly one of --list, --describe, --delete, --reset-offsets, --delete-offsets is needed")
    }
    return try await AdminSession.with(line) { session in
      switch actions[0] {
      case "--list": try await list(line, session, console)
      case "--describe":
        try await GroupDescriber(line: line, session: session, console: console)
          .run(try await groups(line, session))
      case "--delete": return try await delete(try await groups(line, session), session, console)
      case "--reset-offsets":
        try await OffsetReset(line: line, session: session, console: console)
          .run(try await groups(line, session))
      default: return try await deleteOffsets(line, session, console)
      }
      return 0
    }
  }

  private func groups(_ line: ParsedCommandLine, _ session: AdminSession) async throws -> [String] {
    if line.has("--all-groups") {
      return try await GroupQueries.list(session).map(\.groupID).sorted()
    }
    let names = line.all("--group")
    guard !names.isEmpty else {
      throw SettingsError("--group or --all-groups is needed")
    }
    return names
  }

  private func list(
    _ line: ParsedCommandLine, _ session: AdminSession, _ console: Console
  ) async throws {
    let groups = try await GroupQueries.list(session).sorted { $0.groupID < $1.groupID }
    if line.value("--output") == "json" {
      try console.json(groups.map { ["group": $0.groupID, "state": $0.groupState] })
    } else if line.has("--state") {
      console.table(["GROUP", "STATE"], groups.map { [$0.groupID, $0.groupState] })
    } else {
      for group in groups { console.line(group.groupID) }
    }
  }

  private func delete(
    _ groups: [String], _ session: AdminSession, _ console: Console
  ) async throws -> Int32 {
    var failures = 0
    for group in groups {
      var request = DeleteGroupsRequest()
      request.groupsNames = [group]
      let response = try await GroupQueries.sendToCoordinator(request, of: group, session) {
        $0.results.first?.errorCode
      }
      let code = ErrorCode(response.results.first?.errorCode ?? 0)
      if code == .none {
        console.line("Deletion of requested consumer groups ('\(group)') was successful.")
      } else {
        failures += 1
        console.line("Error: deletion of group '\(group)' failed: \(code.name): \(code.message)")
      }
    }
    return failures == 0 ? 0 : 1
  }

  private func deleteOffsets(
    _ line: ParsedCommandLine, _ session: AdminSession, _ console: Console
  ) async throws -> Int32 {
    let group = try line.require("--group")
    let partitions = try await GroupQueries.partitions(line.all("--topic"), session)
    guard !partitions.isEmpty else { throw SettingsError("missing flag", key: "--topic") }
    var request = OffsetDeleteRequest()
    request.groupID = group
    request.topics = Dictionary(grouping: partitions, by: \.topic).sorted { $0.key < $1.key }
      .map { topic, list in
        OffsetDeleteRequest.OffsetDeleteRequestTopic {
          $0.name = topic
          $0.partitions = list.map { partition in
            OffsetDeleteRequest.OffsetDeleteRequestPartition {
              $0.partitionIndex = partition.partition
            }
          }
        }
      }
    let response = try await GroupQueries.sendToCoordinator(request, of: group, session) {
      $0.errorCode
    }
    try ErrorCode.check(response.errorCode, nil, "group \(group)")
    var rows: [[String]] = []
    var failures = 0
    for topic in response.topics {
      for partition in topic.partitions {
        let code = ErrorCode(partition.errorCode)
        if code != .none { failures += 1 }
        rows.append([
          topic.name, "\(partition.partitionIndex)",
          code == .none ? "Successful" : "Error: \(code.name)",
        ])
      }
    }
    console.table(["TOPIC", "PARTITION", "STATUS"], rows)
    return failures == 0 ? 0 : 1
  }
}

/// Questions about groups that several commands ask.
enum GroupQueries {
  /// All groups, asked of every broker.
  static func list(_ session: AdminSession) async throws -> [ListGroupsResponse.ListedGroup] {
    var groups: [ListGroupsResponse.ListedGroup] = []
    for node in session.cluster.metadata.sortedNodes {
      let response = try await session.send(ListGroupsRequest(), to: .node(node.id))
      try ErrorCode.check(response.errorCode, nil, "broker \(node.id)")
      groups += response.groups
    }
    return groups
  }

  /// Sends to the group's coordinator; finds it anew while `code` says that it has moved.
  static func sendToCoordinator<Request: KafkaRequest>(
    _ request: Request, of group: String, _ session: AdminSession,
    code: @escaping @Sendable (Request.Response) -> Int16?
  ) async throws -> Request.Response {
    try await session.retrying { [cluster = session.cluster] () throws(ClientError) in
      let node = try await cluster.coordinator(of: group, .group)
      let response = try await cluster.send(request, to: .node(node))
      let error = ErrorCode(code(response) ?? 0)
      if [.notCoordinator, .coordinatorLoadInProgress, .coordinatorNotAvailable].contains(error) {
        throw ClientError(error)
      }
      return response
    }
  }

  static func describe(
    _ group: String, _ session: AdminSession
  ) async throws -> DescribeGroupsResponse.DescribedGroup {
    var request = DescribeGroupsRequest()
    request.groups = [group]
    let response = try await sendToCoordinator(request, of: group, session) {
      $0.groups.first?.errorCode
    }
    guard let described = response.groups.first else {
      throw ToolFailure("the coordinator did not answer for group \(group)")
    }
    try ErrorCode.check(described.errorCode, nil, "group \(group)")
    return described
  }

  /// The committed offsets of a group, in order of partition.
  static func offsets(
    _ group: String, _ session: AdminSession
  ) async throws -> [(partition: TopicPartition, offset: Int64)] {
    var request = OffsetFetchRequest()
    request.groupID = group
    request.topics = nil
    request.groups = [
      OffsetFetchRequest.OffsetFetchRequestGroup {
        $0.groupID = group
        $0.topics = nil
      }
    ]
    let response = try await sendToCoordinator(request, of: group, session) {
      $0.groups.first?.errorCode ?? $0.errorCode
    }
    try ErrorCode.check(
      response.groups.first?.errorCode ?? response.errorCode, nil, "group \(group)")
    var found: [(TopicPartition, Int64)] = []
    for topic in response.groups.first?.topics ?? [] {
      for partition in topic.partitions where partition.committedOffset >= 0 {
        found.append(
          (TopicPartition(topic.name, partition.partitionIndex), partition.committedOffset))
      }
    }
    for topic in response.topics {
      for partition in topic.partitions where partition.committedOffset >= 0 {
        found.append(
          (TopicPartition(topic.name, partition.partitionIndex), partition.committedOffset))
      }
    }
    return found.sorted { $0.0 < $1.0 }
  }

  /// `topic` or `topic:0,1` as partitions that exist.
  static func partitions(
    _ texts: [String], _ session: AdminSession
  ) async throws -> [TopicPartition] {
    var found: [TopicPartition] = []
    for text in texts {
      let parts = text.split(separator: ":", maxSplits: 1)
      let topic = String(parts[0])
      let metadata = try await session.metadata(topics: [topic])
      guard let known = metadata.topics.first, known.errorCode == 0 else {
        throw ToolFailure("topic '\(topic)' does not exist")
      }
      let all = known.partitions.map(\.partitionIndex).sorted()
      guard parts.count == 2 else {
        found += all.map { TopicPartition(topic, $0) }
        continue
      }
      for word in parts[1].split(separator: ",") {
        guard let number = Int32(word), all.contains(number) else {
          throw ToolFailure("topic '\(topic)' has no partition \(word)")
        }
        found.append(TopicPartition(topic, number))
      }
    }
    return found
  }
}
