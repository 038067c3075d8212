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
        .optional(
          "--state", "STATE,…",
          "With --describe: the group's state. With --list: show states, or groups in these."),
        .optional("--type", "TYPE,…", "With --list: show types, or groups of these."),
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
      return try await session.admin.listGroups().map(\.groupID)
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
    let states = try words(line, "--state", of: Self.states)
    let types = try words(line, "--type", of: Self.types)
    let groups = try await session.admin.listGroups(states: states, types: types)
    let (showsStates, showsTypes) = (line.has("--state"), line.has("--type"))
    if line.value("--output") == "json" {
      try console.json(
        groups.map { ["group": $0.groupID, "state": $0.groupState, "type": $0.groupType] })
    } else if showsStates || showsTypes {
      let heads = ["GROUP"] + (showsTypes ? ["TYPE"] : []) + (showsStates ? ["STATE"] : [])
      console.table(
        heads,
        groups.map { group in
          [group.groupID] + (showsTypes ? [group.groupType] : [])
            + (showsStates ? [group.groupState] : [])
        })
    } else {
      for group in groups { console.line(group.groupID) }
    }
  }

  private static let states = [
    "PreparingRebalance", "CompletingRebalance", "Stable", "Dead", "Empty", "Assigning",
    "Reconciling",
  ]
  private static let types = ["Classic", "Consumer"]

  /// The words of a flag's list as the protocol spells them.
  private func words(
    _ line: ParsedCommandLine, _ flag: String, of known: [String]
  ) throws(SettingsError) -> [String] {
    var words: [String] = []
    for part in (line.value(flag) ?? "").split(separator: ",") {
      let text = part.trimmingCharacters(in: .whitespaces)
      guard let word = known.first(where: { $0.lowercased() == text.lowercased() }) else {
        throw SettingsError(
          "must be one of \(known.joined(separator: ", "))", key: flag, value: text)
      }
      words.append(word)
    }
    return words
  }

  private func delete(
    _ groups: [String], _ session: AdminSession, _ console: Console
  ) async throws -> Int32 {
    let outcomes = try await session.admin.deleteGroups(groups)
    var failures = 0
    for group in groups {
      switch outcomes[group] {
      case .success?:
        console.line("Deletion of requested consumer groups ('\(group)') was successful.")
      case .failure(let error)?:
        failures += 1
        console.line("Error: deletion of group '\(group)' failed: \(error)")
      case nil:
        failures += 1
        console.line("Error: the coordinator did not answer for group '\(group)'")
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
    let outcomes = try await session.admin.deleteGroupOffsets(group, partitions)
    var rows: [[String]] = []
    var failures = 0
    for (partition, outcome) in outcomes.sorted(by: { $0.key < $1.key }) {
      var status = "Successful"
      if case .failure(let error) = outcome {
        failures += 1
        status = "Error: \(error)"
      }
      rows.append([partition.topic, "\(partition.partition)", status])
    }
    console.table(["TOPIC", "PARTITION", "STATUS"], rows)
    return failures == 0 ? 0 : 1
  }
}

/// Questions about groups that several commands ask.
enum GroupQueries {
  static func describe(
    _ group: String, _ session: AdminSession
  ) async throws -> AdminClient.GroupDescription {
    guard let outcome = try await session.admin.describeGroups([group])[group] else {
      throw ToolFailure("the coordinator did not answer for group \(group)")
    }
    switch outcome {
    case .success(let described): return described
    case .failure(let error): throw ToolFailure("group \(group): \(error)")
    }
  }

  /// The committed offsets of a group, in order of partition.
  static func offsets(
    _ group: String, _ session: AdminSession
  ) async throws -> [(partition: TopicPartition, offset: Int64)] {
    try await session.admin.groupOffsets(group).filter { $0.value.offset >= 0 }
      .map { ($0.key, $0.value.offset) }.sorted { $0.0 < $1.0 }
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
