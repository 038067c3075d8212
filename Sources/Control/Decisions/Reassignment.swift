// Reassignments (AlterPartitionReassignments, ListPartitionReassignments).
import Decision
import KafkaProtocol
import KafkaRecords
import Metadata
import Values

/// Moves a partition to other brokers, or calls a move off (AlterPartitionReassignments, KIP-455).
///
/// A reassignment goes through two changes. The first makes the assignment the union of target and
/// origin, and tells which replicas are being added and which will be removed; the leader learns of
/// the new ones by a new leader epoch. When every target replica is in the ISR, the second leaves
/// only the target. Cancelling is a reassignment back to where it came from.
public struct ReassignPartition: Sendable {
  public var partition: TopicPartition
  /// Nil cancels.
  public var target: [BrokerID]?
  public init(_ partition: TopicPartition, target: [BrokerID]?) {
    self.partition = partition
    self.target = target
  }
}

/// Looks whether a reassignment has what it waits for.
public struct CompleteReassignment: Sendable {
  public var partition: TopicPartition
  public init(_ partition: TopicPartition) { self.partition = partition }
}

extension Controller {
  public func decide(
    _ command: ReassignPartition
  ) throws(Refusal) -> Decision<MetadataRecord, Void> {
    let at = command.partition
    let found = image.topics[at.topic]?.partitions[at.partition]
    if let target = command.target { try validate(target, found) }
    guard let partition = found, let topic = image.topics[at.topic],
      !topicsBeingDeleted.contains(at.topic)
    else {
      throw Refusal(.unknownTopicOrPartition, "The partition does not exist.")
    }
    guard partition.isReassigning || command.target != nil else {
      throw Refusal(.noReassignmentInProgress)
    }
    // A reassignment of a partition that is already moving starts from where it came from, not
    // from the union: what the first target added and the second does not want goes at once.
    let origin = partition.originalReplicas
    let target = command.target ?? origin
    let all = target + origin.filter { !target.contains($0) }
    var next = partition
    next.replicas = all
    next.addingReplicas = target.filter { !origin.contains($0) }
    next.removingReplicas = all.filter { !target.contains($0) }
    // Replicas of an earlier target that this one has no use for leave now.
    let kept = partition.isr.filter(all.contains)
    if partition.isInitialized, kept.isEmpty {
      throw Refusal(
        .invalidReplicaAssignment,
        "No in-sync replica of \(at) would be left: none of the remaining replicas is in the ISR.")
    }
    next.isr = kept
    if let completed = completion(topic, at, next) { return Decision([completed], reply: ()) }
    guard let change = beginning(topic, at, from: partition, to: next) else {
      throw Refusal(
        .invalidReplicaAssignment, "None of the remaining replicas of \(at) can lead it.")
    }
    return Decision([change], reply: ())
  }

  /// Empty records: it still has to wait.
  public func decide(_ command: CompleteReassignment) -> Decision<MetadataRecord, Void> {
    let at = command.partition
    guard let topic = image.topics[at.topic], let partition = topic.partitions[at.partition],
      !topicsBeingDeleted.contains(at.topic), partition.isReassigning,
      let change = completion(topic, at, partition)
    else { return Decision([], reply: ()) }
    return Decision([change], reply: ())
  }

  /// Partitions that are being reassigned, in order.
  public var reassignments: [(at: TopicPartition, partition: PartitionImage)] {
    var list: [(at: TopicPartition, partition: PartitionImage)] = []
    image.topics.forEachPartition { topic, number, partition in
      if partition.isReassigning { list.append((TopicPartition(topic.name, number), partition)) }
    }
    return list
  }

  private func validate(_ target: [BrokerID], _ partition: PartitionImage?) throws(Refusal) {
    func refusal(_ message: String) -> Refusal { Refusal(.invalidReplicaAssignment, message) }
    let text = "List(\(Self.list(target)))"
    if target.isEmpty {
      throw refusal("Empty replica list specified in partition reassignment.")
    }
    if Set(target).count != target.count {
      throw refusal("Duplicate replica ids in partition reassignment replica list: \(text)")
    }
    if target.contains(where: { $0.rawValue < 0 }) {
      throw refusal("Invalid broker id in replica list: \(text)")
    }
    let origin = partition?.originalReplicas ?? []
    let adding = target.filter { !origin.contains($0) }
    let usable = usableBrokers.map(\.id)
    guard Set(adding).isSubset(of: usable) else {
      throw refusal(
        "Replica assignment has brokers that are not alive. Replica list: "
          + "List(\(Self.list(adding))), live broker list: Set(\(Self.list(usable)))")
    }
  }

  /// The change that begins a move. The leader epoch rises even if the leader stays: only with a
  /// new epoch does it look at its new followers. Nil if a leader is needed and cannot be had.
  private func beginning(
    _ topic: TopicImage, _ at: TopicPartition, from old: PartitionImage, to new: PartitionImage
  ) -> MetadataRecord? {
    guard old.isInitialized else {
      let state = firstState(at, new) ?? new
      return .partition(state.record(at.partition, topicID: topic.id))
    }
    var change = PartitionChangeRecord(topicID: topic.id, partition: at.partition)
    change.replicas = new.replicas.rawIDs
    change.addingReplicas = new.addingReplicas.rawIDs
    change.removingReplicas = new.removingReplicas.rawIDs
    if new.isr != old.isr { change.isr = new.isr.rawIDs }
    change.leader = old.leader.rawValue
    if old.hasLeader, !new.isr.contains(old.leader) {
      // The leader was one of the replicas that leave now.
      guard
        let leader = new.replicas.first(where: {
          new.isr.contains($0) && isOnline($0, at, new)
        })
      else { return nil }
      change.leader = leader.rawValue
    }
    return .partitionChange(change)
  }

  /// The change that ends a move: nil while a target replica is not in sync, or none can lead.
  private func completion(
    _ topic: TopicImage, _ at: TopicPartition, _ partition: PartitionImage
  ) -> MetadataRecord? {
    let target = partition.targetReplicas
    let isComplete = !partition.isReassigning || Set(target).isSubset(of: partition.isr)
    guard partition.isInitialized, isComplete else { return nil }
    let isr = partition.isr.filter(target.contains)
    guard !isr.isEmpty else { return nil }
    var leader = partition.leader
    let canStay = isr.contains(leader) && isOnline(leader, at, partition)
    if !canStay {
      guard
        let elected = target.first(where: {
          isr.contains($0) && isOnline($0, at, partition)
        })
      else { return nil }
      leader = elected
    }
    var change = PartitionChangeRecord(topicID: topic.id, partition: at.partition)
    change.replicas = target.rawIDs
    change.addingReplicas = []
    change.removingReplicas = []
    change.leader = leader.rawValue
    // `partition` may be ahead of what is stored: the ISR is always stated.
    change.isr = isr.rawIDs
    return .partitionChange(change)
  }
}
