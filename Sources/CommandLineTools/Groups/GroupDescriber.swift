import KafkaClient
import KafkaMessages
import KafkaProtocol
import Settings
import Values

/// `consumer-groups --describe`: offsets and lag, members, or the state.
struct GroupDescriber {
  let line: ParsedCommandLine
  let session: AdminSession
  let console: Console

  func run(_ groups: [String]) async throws {
    var all: [[String: String]] = []
    for group in groups {
      let described = try await GroupQueries.describe(group, session)
      let (head, rows) =
        if line.has("--members") {
          members(described)
        } else if line.has("--state") {
          try await state(described)
        } else {
          try await offsets(described)
        }
      if line.value("--output") == "json" {
        all += rows.map { Dictionary(uniqueKeysWithValues: zip(head, $0)) }
      } else {
        explain(described)
        if !rows.isEmpty {
          console.line("")
          console.table(head, rows)
        }
      }
    }
    if line.value("--output") == "json" { try console.json(all) }
  }

  private func explain(_ group: DescribeGroupsResponse.DescribedGroup) {
    switch group.groupState {
    case "Dead": console.problem("Error: Consumer group '\(group.groupID)' does not exist.")
    case "Empty":
      console.problem("Consumer group '\(group.groupID)' has no active members.")
    case "PreparingRebalance", "CompletingRebalance":
      console.problem("Warning: Consumer group '\(group.groupID)' is rebalancing.")
    default: break
    }
  }

  // MARK: Offsets

  private func offsets(
    _ group: DescribeGroupsResponse.DescribedGroup
  ) async throws -> ([String], [[String]]) {
    let head = [
      "GROUP", "TOPIC", "PARTITION", "CURRENT-OFFSET", "LOG-END-OFFSET", "LAG", "CONSUMER-ID",
      "HOST", "CLIENT-ID",
    ]
    var owners: [TopicPartition: DescribeGroupsResponse.DescribedGroupMember] = [:]
    for member in group.members {
      for partition in assigned(member) { owners[partition] = member }
    }
    let offsets = try await GroupQueries.offsets(group.groupID, session)
    let committed = Dictionary(offsets.map { ($0.partition, $0.offset) }) { $1 }
    let partitions = Set(committed.keys).union(owners.keys).sorted()
    let existing = try await existing(partitions)
    let ends = Dictionary(
      try await PartitionOffsets.list(existing, at: -1, session).map { ($0.0, $0.1) }) { $1 }
    let rows = partitions.map { partition -> [String] in
      let offset = committed[partition]
      let end = ends[partition]
      let lag = offset.flatMap { offset in end.map { max(0, $0 - offset) } }
      let owner = owners[partition]
      return [
        group.groupID, partition.topic, "\(partition.partition)",
        offset.map(String.init) ?? "-", end.map(String.init) ?? "-",
        lag.map(String.init) ?? "-", owner?.memberID ?? "-", owner?.clientHost ?? "-",
        owner?.clientID ?? "-",
      ]
    }
    return (head, rows)
  }

  /// Offsets outlive their topics: partitions that are gone have no end.
  private func existing(_ partitions: [TopicPartition]) async throws -> [TopicPartition] {
    guard !partitions.isEmpty else { return [] }
    let metadata = try await session.metadata(topics: Set(partitions.map(\.topic)).sorted())
    var known: Set<TopicPartition> = []
    for topic in metadata.topics where topic.errorCode == 0 {
      for partition in topic.partitions where partition.leaderID >= 0 {
        known.insert(TopicPartition(topic.name ?? "", partition.partitionIndex))
      }
    }
    return partitions.filter(known.contains)
  }

  // MARK: Members and state

  private func members(
    _ group: DescribeGroupsResponse.DescribedGroup
  ) -> ([String], [[String]]) {
    var head = ["GROUP", "CONSUMER-ID", "HOST", "CLIENT-ID", "#PARTITIONS"]
    if line.has("--verbose") { head.append("ASSIGNMENT") }
    let rows = group.members.map { member -> [String] in
      let partitions = assigned(member).sorted()
      var row = [
        group.groupID, member.memberID, member.clientHost, member.clientID,
        "\(partitions.count)",
      ]
      if line.has("--verbose") {
        let byTopic = Dictionary(grouping: partitions, by: \.topic).sorted { $0.key < $1.key }
        row.append(
          byTopic.map { topic, list in
            "\(topic)(\(list.map { "\($0.partition)" }.joined(separator: ",")))"
          }.joined(separator: ", "))
      }
      return row
    }
    return (head, rows)
  }

  private func state(
    _ group: DescribeGroupsResponse.DescribedGroup
  ) async throws -> ([String], [[String]]) {
    let node = try await session.cluster.coordinator(of: group.groupID, .group)
    let known = session.cluster.metadata.nodes[node]
    let title = known.map { "\($0.host):\($0.port) (\(node))" } ?? "\(node)"
    return (
      ["GROUP", "COORDINATOR (ID)", "ASSIGNMENT-STRATEGY", "STATE", "#MEMBERS"],
      [[group.groupID, title, group.protocolData, group.groupState, "\(group.members.count)"]]
    )
  }

  /// The partitions in a member's assignment; none when it is not a consumer's.
  private func assigned(
    _ member: DescribeGroupsResponse.DescribedGroupMember
  ) -> [TopicPartition] {
    (try? SubscriptionCoding.decodeAssignment(member.memberAssignment)) ?? []
  }
}
