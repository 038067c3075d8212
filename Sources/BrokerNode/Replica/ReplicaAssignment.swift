/// A replica that the controller has given to this broker, whichever way the word came: by
/// LeaderAndIsr in ZooKeeper mode, by the metadata image in KRaft mode.
import KafkaMessages
import KafkaProtocol
import Metadata
import Replication
import Values

struct ReplicaAssignment: Equatable, Sendable {
  var at: TopicPartition
  /// `.zero` where topics have no ids: below inter.broker.protocol.version 2.8.
  var topicID: Uuid
  var state: PartitionAssignment
  /// The log directory that the controller knows for the replica (KIP-858); nil leaves the choice
  /// to this broker. A log that exists stays where it is.
  var directory: Uuid?

  init(
    _ at: TopicPartition, topicID: Uuid, state: PartitionAssignment, directory: Uuid? = nil
  ) {
    self.at = at
    self.topicID = topicID
    self.state = state
    self.directory = directory
  }

  /// What LeaderAndIsr says.
  init(
    _ state: LeaderAndIsrRequest.LeaderAndIsrPartitionState, topic: String, topicID: Uuid
  ) {
    self.init(
      TopicPartition(topic, state.partitionIndex), topicID: topicID,
      state: PartitionAssignment(
        leader: BrokerID(state.leader), leaderEpoch: LeaderEpoch(state.leaderEpoch),
        partitionEpoch: PartitionEpoch(state.partitionEpoch), isr: state.isr.brokerIDs,
        replicas: state.replicas.brokerIDs, adding: state.addingReplicas.brokerIDs,
        removing: state.removingReplicas.brokerIDs,
        leaderIsRecovering: state.leaderRecoveryState == 1))
  }

  /// What a metadata image says about the replica on `broker`.
  init(
    _ at: TopicPartition, topicID: Uuid, _ partition: PartitionImage, on broker: BrokerID
  ) {
    self.init(
      at, topicID: topicID,
      state: PartitionAssignment(
        leader: partition.leader, leaderEpoch: partition.leaderEpoch,
        partitionEpoch: partition.partitionEpoch, isr: partition.isr,
        replicas: partition.replicas, adding: partition.addingReplicas,
        removing: partition.removingReplicas,
        leaderIsRecovering: partition.leaderRecoveryState == .recovering),
      directory: partition.assignedDirectory(on: broker))
  }
}

extension PartitionImage {
  /// The directory of the replica on `broker`, whatever the id means; nil when directories have
  /// no ids.
  func directory(on broker: BrokerID) -> Uuid? {
    guard let index = replicas.firstIndex(of: broker), index < directories.count else {
      return nil
    }
    return directories[index]
  }

  /// The same, but nil for ids that name no directory.
  func assignedDirectory(on broker: BrokerID) -> Uuid? {
    guard let id = directory(on: broker) else { return nil }
    return [DirectoryID.migrating, DirectoryID.unassigned, DirectoryID.lost].contains(id) ? nil : id
  }
}
