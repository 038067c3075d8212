// From a change to the brokers that must hear of it.
import KafkaRecords
import Metadata
import Values

/// Which brokers have to be told what, read off the difference of two images:
///
/// - A partition with a new leader epoch: LeaderAndIsr to its replicas, new to those that were not
///   replicas before; UpdateMetadata to everybody.
/// - A partition with another change (its ISR, which the leader has asked for): UpdateMetadata.
/// - A replica that is none any more: StopReplica with deletion.
/// - A new broker: all leaders by UpdateMetadata, its partitions by LeaderAndIsr; to the others an
///   UpdateMetadata that lists it.
/// - A lost or changed broker: UpdateMetadata with the partitions it holds, whose offline replicas
///   changed.
public enum RequestPlanner {
  public static func batch(
    for delta: MetadataDelta, topicsBeingDeleted: Set<String> = []
  ) -> BrokerRequestBatch {
    var batch = BrokerRequestBatch()
    let before = delta.base
    let after = delta.image
    let everybody = after.brokers.all.map(\.id)
    var told: Set<TopicPartition> = []

    // A new epoch is a new life: what the broker was told before is forgotten.
    let arrived = delta.touchedBrokers.filter { id in
      guard let broker = after.brokers[id] else { return false }
      return before.brokers[id]?.epoch != broker.epoch
    }
    for at in delta.touchedPartitions {
      guard let partition = after.topics.partition(at), partition.isInitialized,
        !topicsBeingDeleted.contains(at.topic)
      else { continue }
      told.insert(at)
      let old = before.topics.partition(at)
      if old?.leaderEpoch != partition.leaderEpoch {
        let wasReplica = old?.isInitialized == true ? old?.replicas ?? [] : []
        batch.addLeaderAndIsr(at, to: partition.replicas.filter(wasReplica.contains))
        batch.addLeaderAndIsr(
          at, to: partition.replicas.filter { !wasReplica.contains($0) }, isNew: true)
      }
      // After the others have been told: the leader must not wait for who is leaving.
      for broker in old?.replicas ?? [] where !partition.replicas.contains(broker) {
        batch.addStopReplica(at, to: broker, delete: true)
      }
    }
    if !delta.touchedBrokers.isEmpty {
      let touched = Set(delta.touchedBrokers)
      after.topics.forEachPartition { topic, number, partition in
        let at = TopicPartition(topic.name, number)
        guard partition.isInitialized else { return }
        if partition.replicas.contains(where: touched.contains) { told.insert(at) }
        if !topicsBeingDeleted.contains(topic.name) {
          batch.addLeaderAndIsr(at, to: arrived.filter(partition.replicas.contains))
        }
      }
      batch.addUpdateMetadata([], to: everybody)
      if !arrived.isEmpty { batch.addUpdateMetadata(allLed(after), to: arrived) }
    }
    if !told.isEmpty { batch.addUpdateMetadata(told, to: everybody) }
    return batch
  }

  /// What a newly elected controller says: everything to everybody.
  public static func batchAfterElection(
    _ image: MetadataImage, topicsBeingDeleted: Set<String>
  ) -> BrokerRequestBatch {
    var batch = BrokerRequestBatch()
    batch.addUpdateMetadata(allLed(image), to: image.brokers.all.map(\.id))
    image.topics.forEachPartition { topic, number, partition in
      guard partition.isInitialized, !topicsBeingDeleted.contains(topic.name) else { return }
      batch.addLeaderAndIsr(TopicPartition(topic.name, number), to: partition.replicas)
    }
    return batch
  }

  private static func allLed(_ image: MetadataImage) -> [TopicPartition] {
    var all: [TopicPartition] = []
    image.topics.forEachPartition { topic, number, partition in
      if partition.isInitialized { all.append(TopicPartition(topic.name, number)) }
    }
    return all
  }
}
