import Foundation
import KafkaMessages
import KafkaProtocol
import Settings
import Values

/// `jackdaw reassign-partitions`: moves replicas between brokers.
struct ReassignPartitionsTool: Tool {
  let name = "reassign-partitions"
  let summary = "Move the replicas of partitions between brokers."

  var syntax: CommandLineSyntax {
    CommandLineSyntax(
      command: "jackdaw reassign-partitions", summary: summary,
      flags: AdminSession.flags + [
        .toggle("--generate", "Propose an assignment; changes nothing."),
        .toggle("--execute", "Begin a reassignment."),
        .toggle("--verify", "Tell how far a reassignment is."),
        .toggle("--cancel", "Cancel a reassignment."),
        .toggle("--list", "List reassignments under way."),
        .value(
          "--reassignment-json-file", "FILE",
          #"{"version":1,"partitions":[{"topic":"t","partition":0,"replicas":[1,2]}]}"#),
        .value(
          "--topics-to-move-json-file", "FILE", #"{"version":1,"topics":[{"topic":"t"}]}"#),
        .value("--broker-list", "1,2,3", "Brokers to move to, with --generate."),
        .refused("--throttle", "replication is not throttled"),
        .refused("--replica-alter-log-dirs-throttle", "replication is not throttled"),
        .refused("--preserve-throttles", "replication is not throttled"),
        .refused("--timeout", "replicas are not moved between directories of a broker"),
        .toggle("--disable-rack-aware", "With --generate: do not spread over racks."),
        .toggle("--additional", "With --execute: while another reassignment is under way."),
      ])
  }

  struct Plan: Codable {
    struct Entry: Codable {
      let topic: String
      let partition: Int32
      let replicas: [Int32]
    }
    var version: Int? = 1
    let partitions: [Entry]
  }

  private struct TopicsToMove: Decodable {
    struct Entry: Decodable { let topic: String }
    let topics: [Entry]
  }

  func run(_ line: ParsedCommandLine, on console: Console) async throws -> Int32 {
    let actions = ["--generate", "--execute", "--verify", "--cancel", "--list"].filter(line.has)
    guard actions.count == 1 else {
      throw SettingsError(
        "exactly one of --generate, --execute, --verify, --cancel, --list is needed")
    }
    return try await AdminSession.with(line) { session in
      switch actions[0] {
      case "--generate": try await generate(line, session, console)
      case "--execute": try await execute(line, session, console)
      case "--verify": return try await verify(try plan(line), session, console)
      case "--cancel":
        try await alter(try plan(line), isCancelling: true, session)
        console.line("Successfully cancelled partition reassignments.")
      default: try await list(session, console)
      }
      return 0
    }
  }

  private func plan(_ line: ParsedCommandLine) throws -> Plan {
    let path = try line.require("--reassignment-json-file")
    let plan: Plan = try JSONFile.read(path)
    guard !plan.partitions.isEmpty else { throw ToolFailure("\(path) names no partition") }
    return plan
  }

  private func json(_ plan: Plan) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    return String(decoding: try encoder.encode(plan), as: UTF8.self)
  }

  /// The replicas that the plan's topics have now.
  private func currentReplicas(
    of plan: Plan, _ session: AdminSession
  ) async throws -> [TopicPartition: [Int32]] {
    let metadata = try await session.metadata(topics: Set(plan.partitions.map(\.topic)).sorted())
    var current: [TopicPartition: [Int32]] = [:]
    for topic in metadata.topics {
      for partition in topic.partitions {
        current[TopicPartition(topic.name ?? "", partition.partitionIndex)] =
          partition.replicaNodes
      }
    }
    return current
  }

  // MARK: Generate

  private func generate(
    _ line: ParsedCommandLine, _ session: AdminSession, _ console: Console
  ) async throws {
    let move: TopicsToMove = try JSONFile.read(try line.require("--topics-to-move-json-file"))
    let brokers = try line.require("--broker-list").split(separator: ",").compactMap { Int32($0) }
    let metadata = try await session.metadata(topics: move.topics.map(\.topic))
    let racks = Dictionary(metadata.brokers.map { ($0.nodeID, $0.rack) }) { $1 }
    guard brokers.allSatisfy({ racks[$0] != nil }), !brokers.isEmpty else {
      throw SettingsError(
        "names a broker that is not there", key: "--broker-list",
        value: line.value("--broker-list"))
    }
    let order = line.has("--disable-rack-aware") ? brokers : spread(brokers, racks)
    var current: [Plan.Entry] = []
    var proposed: [Plan.Entry] = []
    for topic in metadata.topics.sorted(by: { ($0.name ?? "") < ($1.name ?? "") }) {
      let name = topic.name ?? ""
      try ErrorCode.check(topic.errorCode, nil, "topic \(name)")
      let start = Int.random(in: 0..<order.count)
      for partition in topic.partitions.sorted(by: { $0.partitionIndex < $1.partitionIndex }) {
        let count = partition.replicaNodes.count
        guard count <= order.count else {
          throw ToolFailure(
            "\(name) has \(count) replicas of each partition, more than the \(order.count) brokers")
        }
        let first = start + Int(partition.partitionIndex)
        let replicas = (0..<count).map { order[(first + $0) % order.count] }
        current.append(
          Plan.Entry(
            topic: name, partition: partition.partitionIndex, replicas: partition.replicaNodes))
        proposed.append(
          Plan.Entry(topic: name, partition: partition.partitionIndex, replicas: replicas))
      }
    }
    console.line("Current partition replica assignment")
    console.line(try json(Plan(partitions: current)))
    console.line("")
    console.line("Proposed partition reassignment configuration")
    console.line(try json(Plan(partitions: proposed)))
  }

  /// Brokers in an order in which neighbours stand in different racks, as far as that is possible.
  private func spread(_ brokers: [Int32], _ racks: [Int32: String?]) -> [Int32] {
    var byRack = Dictionary(grouping: brokers.sorted()) { (racks[$0] ?? nil) ?? "" }
      .sorted { $0.key < $1.key }.map(\.value)
    var order: [Int32] = []
    while order.count < brokers.count {
      for index in byRack.indices where !byRack[index].isEmpty {
        order.append(byRack[index].removeFirst())
      }
    }
    return order
  }

  // MARK: Execute

  private func execute(
    _ line: ParsedCommandLine, _ session: AdminSession, _ console: Console
  ) async throws {
    let plan = try plan(line)
    let ongoing = try await ongoing(session)
    if !ongoing.isEmpty, !line.has("--additional") {
      throw ToolFailure(
        "a reassignment of \(ongoing.count) partitions is under way; --additional adds to it")
    }
    let current = try await currentReplicas(of: plan, session)
    let before = try plan.partitions.map { entry in
      let key = TopicPartition(entry.topic, entry.partition)
      guard let replicas = current[key] else { throw ToolFailure("\(key) does not exist") }
      return Plan.Entry(topic: entry.topic, partition: entry.partition, replicas: replicas)
    }
    console.line("Current partition replica assignment")
    console.line("")
    console.line(try json(Plan(partitions: before)))
    console.line("")
    console.line("Save this to use as the --reassignment-json-file option during rollback")
    try await alter(plan, isCancelling: false, session)
    let names = plan.partitions.map { "\($0.topic)-\($0.partition)" }.sorted()
    console.line(
      "Successfully started partition reassignments for \(names.joined(separator: ","))")
  }

  private func alter(_ plan: Plan, isCancelling: Bool, _ session: AdminSession) async throws {
    var request = AlterPartitionReassignmentsRequest()
    request.topics = Dictionary(grouping: plan.partitions, by: \.topic).sorted { $0.key < $1.key }
      .map { topic, entries in
        AlterPartitionReassignmentsRequest.ReassignableTopic {
          $0.name = topic
          $0.partitions = entries.map { entry in
            AlterPartitionReassignmentsRequest.ReassignablePartition {
              $0.partitionIndex = entry.partition
              $0.replicas = isCancelling ? nil : entry.replicas
            }
          }
        }
      }
    let response = try await session.sendToController(request) { $0.errorCode }
    try ErrorCode.check(response.errorCode, response.errorMessage, "reassignment")
    for topic in response.responses {
      for partition in topic.partitions {
        let code = ErrorCode(partition.errorCode)
        if isCancelling, code == .noReassignmentInProgress { continue }
        try ErrorCode.check(
          partition.errorCode, partition.errorMessage,
          "\(topic.name)-\(partition.partitionIndex)")
      }
    }
  }

  // MARK: Verify and list

  private typealias Ongoing = ListPartitionReassignmentsResponse.OngoingPartitionReassignment

  private func ongoing(_ session: AdminSession) async throws -> [TopicPartition: Ongoing] {
    let response = try await session.sendToController(ListPartitionReassignmentsRequest()) {
      $0.errorCode
    }
    try ErrorCode.check(response.errorCode, response.errorMessage, "reassignments")
    var found: [TopicPartition: Ongoing] = [:]
    for topic in response.topics {
      for partition in topic.partitions {
        found[TopicPartition(topic.name, partition.partitionIndex)] = partition
      }
    }
    return found
  }

  private func verify(
    _ plan: Plan, _ session: AdminSession, _ console: Console
  ) async throws -> Int32 {
    let ongoing = try await ongoing(session)
    let current = try await currentReplicas(of: plan, session)
    console.line("Status of partition reassignment:")
    var isComplete = true
    for entry in plan.partitions.sorted(by: { ($0.topic, $0.partition) < ($1.topic, $1.partition) })
    {
      let key = TopicPartition(entry.topic, entry.partition)
      if ongoing[key] != nil {
        isComplete = false
        console.line("Reassignment of partition \(key) is still in progress.")
      } else if current[key] == entry.replicas {
        console.line("Reassignment of partition \(key) is completed.")
      } else {
        isComplete = false
        let have = current[key]?.map(String.init).joined(separator: ",") ?? "none"
        let want = entry.replicas.map(String.init).joined(separator: ",")
        console.line(
          "There is no active reassignment of partition \(key), but replica set is \(have)"
            + " rather than \(want).")
      }
    }
    return isComplete ? 0 : 1
  }

  private func list(_ session: AdminSession, _ console: Console) async throws {
    let ongoing = try await ongoing(session).sorted { $0.key < $1.key }
    if ongoing.isEmpty {
      console.line("No partition reassignments found.")
      return
    }
    console.line("Current partition reassignments:")
    func ids(_ list: [Int32]) -> String { list.map(String.init).joined(separator: ",") }
    for (key, state) in ongoing {
      var text = "\(key): replicas: \(ids(state.replicas))."
      if !state.addingReplicas.isEmpty { text += " adding: \(ids(state.addingReplicas))." }
      if !state.removingReplicas.isEmpty { text += " removing: \(ids(state.removingReplicas))." }
      console.line(text)
    }
  }
}
