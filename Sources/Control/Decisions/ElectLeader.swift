// Elections that somebody asked for, and the balance of leaders (ElectLeaders, versions 0–2).
import Decision
import KafkaProtocol
import KafkaRecords
import Metadata
import Values

/// An election that somebody asked for (ElectLeaders, or the znode of old tools).
public struct ElectLeader: Sendable {
  public enum Kind: Sendable {
    /// The first assigned replica, if it is in sync.
    case preferred
    /// Anybody, if no replica in sync is online: loses what the others did not have.
    case unclean
  }
  public var partition: TopicPartition
  public var kind: Kind

  public init(_ partition: TopicPartition, _ kind: Kind) {
    self.partition = partition
    self.kind = kind
  }
}

/// A topic, or all of them, may have got permission for unclean elections.
public struct ElectOfflineLeaders: Sendable {
  public init() {}
}

/// The periodic look at who leads what (`auto.leader.rebalance.enable`).
public struct RebalanceLeaders: Sendable {
  public init() {}
}

extension Controller {
  /// The reply is the leader.
  public func decide(
    _ command: ElectLeader
  ) throws(Refusal) -> Decision<MetadataRecord, BrokerID> {
    let at = command.partition
    guard let topic = image.topics[at.topic], let partition = topic.partitions[at.partition] else {
      throw Refusal(.unknownTopicOrPartition, "The partition does not exist.")
    }
    guard !topicsBeingDeleted.contains(at.topic) else {
      throw Refusal(.invalidTopicException, "The topic is being deleted")
    }
    let election: Election?
    switch command.kind {
    case .preferred:
      if partition.leader == partition.preferredReplica { throw Refusal(.electionNotNeeded) }
      election = elect(at, partition, .preferred)
    case .unclean:
      if partition.hasLeader, image.brokers.isAlive(partition.leader) {
        throw Refusal(.electionNotNeeded)
      }
      // A partition that never had a leader has nothing to lose: any replica will do, in sync by
      // definition.
      if !partition.isInitialized, let state = firstState(at, partition) {
        return Decision(
          [.partition(state.record(at.partition, topicID: topic.id))], reply: state.leader)
      }
      election = elect(at, partition, .offline(uncleanAllowed: true))
    }
    guard partition.isInitialized, let election else {
      let strategy = command.kind == .preferred ? "PreferredReplica" : "OfflinePartition"
      throw Refusal(
        command.kind == .preferred ? .preferredLeaderNotAvailable : .eligibleLeadersNotAvailable,
        "Failed to elect leader for partition \(at) under strategy "
          + "\(strategy)PartitionLeaderElectionStrategy")
    }
    return Decision(
      [record(election, for: topic, at.partition, partition)], reply: election.leader)
  }

  public func decide(_ command: ElectOfflineLeaders) -> Decision<MetadataRecord, Void> {
    Decision(electionsForOfflinePartitions(), reply: (), isAtomic: false)
  }

  /// Gives leadership back to preferred replicas, but only of brokers that lack more than the
  /// configured share of what they should lead: moving leaders costs clients a refresh.
  public func decide(_ command: RebalanceLeaders) -> Decision<MetadataRecord, Void> {
    // How many partitions each broker should lead, and which of them it does not.
    var preferredOf: [BrokerID: Int] = [:]
    var missing: [BrokerID: [(TopicImage, TopicPartition, PartitionImage)]] = [:]
    forEachLivePartition { topic, at, partition in
      let preferred = partition.preferredReplica
      preferredOf[preferred, default: 0] += 1
      if partition.isInitialized, partition.leader != preferred {
        missing[preferred, default: []].append((topic, at, partition))
      }
    }
    var records: [MetadataRecord] = []
    for broker in missing.keys.sorted() {
      guard let away = missing[broker], let all = preferredOf[broker],
        away.count * 100 > all * options.leaderImbalancePercentage
      else { continue }
      for (topic, at, partition) in away {
        if let election = elect(at, partition, .preferred) {
          records.append(record(election, for: topic, at.partition, partition))
        }
      }
    }
    return Decision(records, reply: (), isAtomic: false)
  }
}
