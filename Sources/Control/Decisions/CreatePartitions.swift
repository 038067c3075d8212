// More partitions for topics that are there (CreatePartitions, versions 0–3).
import Decision
import KafkaProtocol
import KafkaRecords
import Metadata
import Values

/// More partitions for a topic (CreatePartitions).
public struct AddPartitions: Sendable {
  public var topic: String
  /// Partitions the topic shall have in all.
  public var count: Int32
  /// Replicas of each new partition; nil lets the controller place them.
  public var assignments: [[BrokerID]]?

  public init(topic: String, count: Int32, assignments: [[BrokerID]]? = nil) {
    self.topic = topic
    self.count = count
    self.assignments = assignments
  }
}

extension Controller {
  /// Adds partitions behind the last one. Records of keys that go to other partitions from now on
  /// stay where they are: that is the client's concern.
  /// - Throws: UNKNOWN_TOPIC_OR_PARTITION, REASSIGNMENT_IN_PROGRESS, INVALID_PARTITIONS if it
  /// is no increase, INVALID_REPLICA_ASSIGNMENT.
  public func decide(
    _ command: AddPartitions, using random: inout SplitMix
  ) throws(Refusal) -> Decision<MetadataRecord, Void> {
    guard let topic = image.topics[command.topic], !topicsBeingDeleted.contains(command.topic)
    else {
      throw Refusal(
        .unknownTopicOrPartition, "The topic '\(command.topic)' does not exist.")
    }
    for (_, partition) in topic.partitions.entries where partition.isReassigning {
      throw Refusal(
        .reassignmentInProgress,
        "A partition reassignment is in progress for the topic '\(command.topic)'.")
    }
    let existing = topic.partitions.count
    let increment = Int(command.count) - existing
    guard increment >= 0 else {
      throw Refusal(
        .invalidPartitions,
        "Topic currently has \(existing) partitions, which is higher than the requested "
          + "\(command.count).")
    }
    guard increment > 0 else {
      throw Refusal(.invalidPartitions, "Topic already has \(existing) partitions.")
    }
    try limitPartitions(Int(command.count))
    guard let pattern = topic.partitions[0]?.replicas, !pattern.isEmpty else {
      throw Refusal(
        .unknownServerError, "Partition 0 of topic '\(command.topic)' has no assignment.")
    }
    let assignment: [[BrokerID]]
    if let given = command.assignments {
      try validate(given, increment: increment, existing: existing, factor: pattern.count)
      assignment = given
    } else {
      // New partitions go on where the pattern of the old ones stopped.
      let brokers = placementBrokers
      let start = brokers.firstIndex { $0.id >= pattern[0] } ?? 0
      assignment = try ReplicaPlacement.assign(
        partitions: increment, replicationFactor: pattern.count, brokers: brokers,
        startIndex: start, firstPartition: existing, using: &random)
    }
    let records = assignment.enumerated().map { offset, replicas in
      newPartition(topic.name, topic.id, Int32(existing + offset), replicas)
    }
    return Decision(records, reply: ())
  }

  private func validate(
    _ given: [[BrokerID]], increment: Int, existing: Int, factor: Int
  ) throws(Refusal) {
    // Unlike at creation, brokers that are not registered are refused: so does Kafka.
    let known = Set(image.brokers.all.map(\.id))
    let unknown = Set(given.joined()).subtracting(known).sorted()
    guard unknown.isEmpty else {
      throw Refusal(
        .invalidReplicaAssignment,
        "Unknown broker(s) in replica assignment: \(Self.list(unknown)).")
    }
    guard given.count == increment else {
      throw Refusal(
        .invalidReplicaAssignment,
        "Increasing the number of partitions by \(increment) but \(given.count) assignments "
          + "provided.")
    }
    for (offset, replicas) in given.enumerated() {
      let number = existing + offset
      if replicas.isEmpty {
        throw Refusal(
          .invalidReplicaAssignment,
          "Cannot have replication factor of 0 for partition id \(number).")
      }
      if Set(replicas).count != replicas.count {
        throw Refusal(
          .invalidReplicaAssignment,
          "Duplicate brokers not allowed in replica assignment: \(Self.list(replicas)) "
            + "for partition id \(number).")
      }
    }
    let odd = given.enumerated().filter { $0.element.count != factor }
    guard odd.isEmpty else {
      let numbers = odd.map { String(existing + $0.offset) }.joined(separator: ", ")
      let factors = odd.map { String($0.element.count) }.joined(separator: ", ")
      throw Refusal(
        .invalidReplicaAssignment,
        "Inconsistent replication factor between partitions, partition 0 has \(factor) while "
          + "partitions [\(numbers)] have replication factors [\(factors)], respectively.")
    }
  }

  static func list(_ brokers: some Sequence<BrokerID>) -> String {
    brokers.map { String($0.rawValue) }.joined(separator: ", ")
  }
}
