/// What a new metadata image asks of one broker: a pure comparison; the publisher carries it out.
import Metadata
import Values

/// The steps from one image to the next for the broker that the plan is made for.
///
/// A replica is told about when its partition epoch changed: epochs rise with every change, so what
/// has the same one is the same (KIP-497). Topics are compared by id, because a topic that was
/// deleted and made again under its old name is another topic.
struct MetadataPlan: Equatable, Sendable {
  /// A replica that is no longer this broker's.
  struct Removal: Equatable, Sendable {
    var at: TopicPartition
    var topicID: Uuid
  }

  /// To be carried out first: a new topic may have the name of one that goes.
  private(set) var removals: [Removal] = []
  /// Replicas that this broker leads.
  private(set) var leaders: [ReplicaAssignment] = []
  /// Replicas that follow, or wait for a leader.
  private(set) var followers: [ReplicaAssignment] = []
  /// Names of topics that are gone from the cluster.
  private(set) var deletedTopics: [String] = []
  private(set) var configs: [ConfigResource] = []
  private(set) var brokersChanged = false
  private(set) var featuresChanged = false

  private let broker: BrokerID

  /// The plan of a delta: looks at what the delta's records touched, and at nothing else.
  init(_ delta: MetadataDelta, for broker: BrokerID) {
    self.broker = broker
    for (name, id) in delta.removedTopics {
      // The delta may have made and removed a topic within itself.
      if let topic = delta.base.topics[id] { remove(topic) } else { deletedTopics.append(name) }
    }
    for at in delta.touchedPartitions {
      guard let topic = delta.image.topics[at.topic], let after = topic.partitions[at.partition]
      else { continue }
      let before = delta.base.topics[topic.id]?.partitions[at.partition]
      compare(at, topic.id, before, after)
    }
    configs = delta.touchedConfigs
    brokersChanged = !delta.touchedBrokers.isEmpty
    featuresChanged = delta.touchesFeatures
  }

  /// The plan of an image that replaces another whole, as a snapshot does.
  init(from before: MetadataImage, to after: MetadataImage, for broker: BrokerID) {
    self.broker = broker
    before.topics.forEach { topic in
      if after.topics[topic.id] == nil { remove(topic) }
    }
    after.topics.forEach { topic in
      let known = before.topics[topic.id]
      for (number, partition) in topic.partitions.entries {
        compare(
          TopicPartition(topic.name, number), topic.id, known?.partitions[number], partition)
      }
    }
    var resources = after.configs.resources
    resources += before.configs.resources.filter { after.configs[$0].isEmpty }
    configs = resources.filter { before.configs[$0] != after.configs[$0] }
    brokersChanged = before.brokers != after.brokers
    featuresChanged = before.features != after.features
  }

  private mutating func remove(_ topic: TopicImage) {
    deletedTopics.append(topic.name)
    for (number, partition) in topic.partitions.entries
    where partition.replicas.contains(broker) {
      removals.append(Removal(at: TopicPartition(topic.name, number), topicID: topic.id))
    }
  }

  private mutating func compare(
    _ at: TopicPartition, _ topicID: Uuid, _ before: PartitionImage?, _ after: PartitionImage
  ) {
    guard after.replicas.contains(broker) else {
      if before?.replicas.contains(broker) == true {
        removals.append(Removal(at: at, topicID: topicID))
      }
      return
    }
    if let before, before.partitionEpoch == after.partitionEpoch { return }
    let assignment = ReplicaAssignment(at, topicID: topicID, after, on: broker)
    if after.leader == broker {
      leaders.append(assignment)
    } else {
      followers.append(assignment)
    }
  }
}
