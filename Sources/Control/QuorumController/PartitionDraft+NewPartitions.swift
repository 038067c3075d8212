// Partitions that are created: their replicas and their first state.
import KafkaProtocol
import KafkaRecords
import Metadata
import Values

extension PartitionDraft {
  /// Replicas of new partitions, where the controller may choose.
  /// - Throws: POLICY_VIOLATION for more partitions than one request may create,
  ///   INVALID_REPLICATION_FACTOR if there are too few brokers.
  func place(
    _ partitions: Int, replicationFactor: Int, using random: inout SplitMix
  ) throws(Refusal) -> [[BrokerID]] {
    guard partitions <= QuorumController.maximumRecords else { throw QuorumController.tooLarge }
    let prefix = "Unable to replicate the partition \(replicationFactor) time(s): "
    let brokers = image.brokers.all.filter { !$0.isInControlledShutdown }
    var placement = StripedPlacement(brokers, using: &random)
    do throws(Refusal) {
      return try placement.place(
        partitions: partitions, replicationFactor: replicationFactor, using: &random)
    } catch {
      throw Refusal(error.code, prefix + (error.message ?? ""))
    }
  }

  /// Checks the replicas that a user wants for a partition; `factor` is how many there must be.
  func validate(_ replicas: [BrokerID], factor: Int?) throws(Refusal) {
    func refusal(_ text: String) -> Refusal {
      Refusal(.invalidReplicaAssignment, "The manual partition assignment includes " + text)
    }
    if replicas.isEmpty { throw refusal("an empty replica list.") }
    var previous: BrokerID?
    for id in replicas.sorted() {
      guard image.brokers[id] != nil else {
        throw refusal("broker \(id.rawValue), but no such broker is registered.")
      }
      if id == previous { throw refusal("the broker \(id.rawValue) more than once.") }
      previous = id
    }
    if let factor, replicas.count != factor {
      throw refusal(
        "a partition with \(replicas.count) replica(s), but this is not consistent with previous "
          + "partitions, which have \(factor) replica(s).")
    }
  }

  /// Somebody must be there to lead the partition.
  func requireActive(_ replicas: [BrokerID], partition: Int32) throws(Refusal) {
    guard replicas.contains(where: isActive) else {
      throw Refusal(
        .invalidReplicaAssignment,
        "All brokers specified in the manual partition assignment for partition \(partition) are "
          + "fenced or in controlled shutdown.")
    }
  }

  /// The record of a new partition. Its ISR are the replicas that can be used: there is nothing yet
  /// to be out of sync with.
  func newPartition(_ topicID: Uuid, _ number: Int32, _ replicas: [BrokerID]) -> MetadataRecord {
    var state = PartitionImage(replicas: replicas)
    state.isr = replicas.filter(isActive)
    state.leader = state.isr.first ?? .none
    state.leaderEpoch = LeaderEpoch(0)
    state.partitionEpoch = PartitionEpoch(0)
    if level.hasDirectoryAssignment { state.directories = replicas.map(defaultDirectory) }
    return .partition(state.record(number, topicID: topicID))
  }
}
