// Elections: the rules, without the occasions that lead to them.
import KafkaRecords
import Metadata
import Values

/// Who leads a partition next. The rules differ by the occasion:
///
/// - offline: the first assigned replica that is online and in the ISR; if there is none and
///   unclean elections are allowed, the first that is online. The ISR keeps its online members;
///   after an unclean election it is the leader alone.
/// - preferred: the first assigned replica, if it is online and in the ISR, which stays.
/// - controlled shutdown: the first assigned replica in the ISR whose broker stays. Brokers that
///   shut down leave the ISR.
///
/// (A reassignment chooses among the target replicas, see `Reassignment.swift`.)
enum ElectionOccasion: Equatable {
  /// The leader is gone, or there never was one.
  case offline(uncleanAllowed: Bool)
  /// To give leadership back to whom the assignment meant it for.
  case preferred
  /// The leader is about to go and has said so.
  case controlledShutdown
}

/// The outcome of an election that found a leader.
struct Election: Equatable {
  var leader: BrokerID
  var isr: [BrokerID]
  /// The leader was not in the ISR: committed records may be lost.
  var isUnclean = false
}

extension Controller {
  /// Nil if nobody may lead.
  func elect(
    _ at: TopicPartition, _ partition: PartitionImage, _ occasion: ElectionOccasion
  ) -> Election? {
    switch occasion {
    case .offline(let uncleanAllowed):
      let online = partition.replicas.filter { isOnline($0, at, partition) }
      if let leader = online.first(where: partition.isr.contains) {
        return Election(leader: leader, isr: partition.isr.filter(online.contains))
      }
      // Out of sync is better than nothing only if the topic's owner says so: what the new leader
      // does not have is lost, and the others throw theirs away.
      guard uncleanAllowed, let leader = online.first else { return nil }
      return Election(leader: leader, isr: [leader], isUnclean: true)
    case .preferred:
      let leader = partition.preferredReplica
      guard partition.isr.contains(leader), isOnline(leader, at, partition) else { return nil }
      return Election(leader: leader, isr: partition.isr)
    case .controlledShutdown:
      // The leader that asks is online and in the ISR; it must not win its own succession.
      let staying = partition.isr.filter { image.brokers[$0]?.isInControlledShutdown != true }
      let leader = partition.replicas.first {
        staying.contains($0) && isOnline($0, at, partition)
      }
      return leader.map { Election(leader: $0, isr: staying) }
    }
  }

  /// The record that puts an election's outcome in force.
  func record(
    _ election: Election, for topic: TopicImage, _ number: Int32, _ partition: PartitionImage
  ) -> MetadataRecord {
    var change = PartitionChangeRecord(topicID: topic.id, partition: number)
    change.leader = election.leader.rawValue
    if election.isr != partition.isr { change.isr = election.isr.rawIDs }
    if election.isUnclean, options.isLeaderRecoverySupported {
      change.leaderRecoveryState = LeaderRecoveryState.recovering.rawValue
    }
    return .partitionChange(change)
  }

  /// The first leader of a partition that never had one: the first assigned replica that is online,
  /// with all that are online in sync, for there is nothing yet to be out of sync with.
  func firstState(_ at: TopicPartition, _ partition: PartitionImage) -> PartitionImage? {
    let online = partition.replicas.filter { isOnline($0, at, partition) }
    guard let leader = online.first else { return nil }
    var state = partition
    state.leader = leader
    state.isr = online
    state.leaderEpoch = LeaderEpoch(0)
    state.partitionEpoch = PartitionEpoch(0)
    return state
  }

  /// The record that gives a partition without a usable leader one, or nil if none can be had or
  /// none is needed. `uncleanAllowed` overrides what the topic says.
  func recordElectingIfOffline(
    _ topic: TopicImage, _ at: TopicPartition, _ partition: PartitionImage,
    uncleanAllowed: Bool? = nil
  ) -> MetadataRecord? {
    guard partition.isInitialized else {
      return firstState(at, partition).map {
        .partition($0.record(at.partition, topicID: topic.id))
      }
    }
    let isLed =
      partition.hasLeader
      && isOnline(partition.leader, at, partition, includingShuttingDown: true)
    guard !isLed else { return nil }
    let unclean = uncleanAllowed ?? allowsUncleanElection(topic.name)
    return elect(at, partition, .offline(uncleanAllowed: unclean)).map {
      record($0, for: topic, at.partition, partition)
    }
  }
}

extension PartitionChangeRecord {
  init(topicID: Uuid, partition: Int32) {
    self.init()
    self.topicID = topicID
    partitionID = partition
  }
}
