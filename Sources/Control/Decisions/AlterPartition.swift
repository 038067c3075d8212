// Changes of the ISR by leaders (AlterPartition, versions 0–3).
import Decision
import KafkaProtocol
import KafkaRecords
import Metadata
import Values

/// What a leader wants the ISR of one of its partitions to be (AlterPartition, KIP-497).
public struct AlterPartition: Sendable {
  /// By name up to version 1, by id from 2 on.
  public var topic: Topic
  public var partition: Int32
  /// The whole new ISR, the leader included.
  public var isr: [Member]
  /// In which the sender leads.
  public var leaderEpoch: LeaderEpoch
  /// Of the state that the sender wants to change.
  public var partitionEpoch: PartitionEpoch
  public var leaderRecoveryState: LeaderRecoveryState
  /// Who asks, and in which life.
  public var broker: BrokerID
  public var brokerEpoch: BrokerEpoch
  /// The request's version: ids from 2 on, member epochs from 3 on.
  public var version: Int16

  public enum Topic: Sendable {
    case name(String)
    case id(Uuid)
  }

  public struct Member: Equatable, Sendable {
    public var broker: BrokerID
    /// `.none`: not known to the leader (requests before version 3).
    public var epoch: BrokerEpoch
    public init(_ broker: BrokerID, epoch: BrokerEpoch = .none) {
      self.broker = broker
      self.epoch = epoch
    }
  }

  public init(
    topic: Topic, partition: Int32, isr: [Member], leaderEpoch: LeaderEpoch,
    partitionEpoch: PartitionEpoch, leaderRecoveryState: LeaderRecoveryState = .recovered,
    broker: BrokerID, brokerEpoch: BrokerEpoch, version: Int16
  ) {
    self.topic = topic
    self.partition = partition
    self.isr = isr
    self.leaderEpoch = leaderEpoch
    self.partitionEpoch = partitionEpoch
    self.leaderRecoveryState = leaderRecoveryState
    self.broker = broker
    self.brokerEpoch = brokerEpoch
    self.version = version
  }
}

extension Controller {
  /// Whether a request may be looked at at all: its sender must be registered, in this very life.
  public func checkSender(_ broker: BrokerID, _ epoch: BrokerEpoch) throws(Refusal) {
    guard let known = image.brokers[broker], known.epoch == epoch else {
      throw Refusal(.staleBrokerEpoch)
    }
  }

  /// The reply is the partition's state after the change. A request that asks for what is already
  /// so is answered with success: its first answer may have been lost.
  public func decide(
    _ command: AlterPartition
  ) throws(Refusal) -> Decision<MetadataRecord, PartitionImage> {
    try checkSender(command.broker, command.brokerEpoch)
    let topic: TopicImage?
    switch command.topic {
    case .name(let name): topic = image.topics[name]
    case .id(let id):
      topic = image.topics[id]
      if topic == nil { throw Refusal(.unknownTopicID) }
    }
    guard let topic, let partition = topic.partitions[command.partition],
      partition.isInitialized
    else { throw Refusal(.unknownTopicOrPartition) }

    // An epoch from the future means that a newer controller has spoken to the leader.
    if command.partitionEpoch > partition.partitionEpoch
      || command.leaderEpoch > partition.leaderEpoch
    {
      throw Refusal(.notController)
    }
    // The sender has been replaced and does not know yet.
    if command.leaderEpoch < partition.leaderEpoch { throw Refusal(.fencedLeaderEpoch) }
    let isr = command.isr.map(\.broker)
    let isSame =
      partition.leader == command.broker && partition.isr == isr
      && partition.leaderRecoveryState == command.leaderRecoveryState
    if isSame { return Decision([], reply: partition) }
    if command.partitionEpoch < partition.partitionEpoch { throw Refusal(.invalidUpdateVersion) }
    try validate(command, isr: isr, topic, partition)

    var change = PartitionChangeRecord(topicID: topic.id, partition: command.partition)
    if isr != partition.isr { change.isr = isr.rawIDs }
    if command.leaderRecoveryState != partition.leaderRecoveryState {
      change.leaderRecoveryState = command.leaderRecoveryState.rawValue
    }
    return Decision([.partitionChange(change)], reply: partition.merging(change))
  }

  private func validate(
    _ command: AlterPartition, isr: [BrokerID], _ topic: TopicImage, _ partition: PartitionImage
  ) throws(Refusal) {
    if command.leaderRecoveryState == .recovering, isr.count > 1 { throw Refusal(.invalidRequest) }
    if partition.leaderRecoveryState == .recovered, command.leaderRecoveryState == .recovering {
      throw Refusal(.invalidRequest)
    }
    // What no correct leader asks for: a stranger in the ISR, an ISR without its leader, another's
    // partition. Let through, it would break what every election relies on.
    guard partition.leader == command.broker, isr.contains(command.broker),
      Set(isr).count == isr.count, Set(isr).isSubset(of: partition.replicas)
    else { throw Refusal(.invalidRequest) }
    let isIneligible = command.isr.contains { member in
      guard let broker = image.brokers[member.broker], broker.isAlive,
        !broker.isInControlledShutdown
      else { return true }
      // The follower that caught up was an earlier life of this broker (KIP-903).
      return member.epoch != .none && member.epoch != broker.epoch
    }
    if isIneligible {
      throw Refusal(command.version > 1 ? .ineligibleReplica : .operationNotAttempted)
    }
  }
}
