// The controller's state, and what all its decisions ask of it.
import Decision
import KafkaProtocol
import KafkaRecords
import Metadata
import Values

/// Why a command was not done: Kafka's error code, and its message where Kafka has one.
public struct Refusal: Error, Equatable, Sendable {
  /// What the response says in its error code.
  public var code: ErrorCode
  /// In Kafka's words, because people search for them.
  public var message: String?

  public init(_ code: ErrorCode, _ message: String? = nil) {
    self.code = code
    self.message = message
  }
}

/// The controller as a decision machine over the metadata records, the same for both stores.
///
/// Each command is a type of its own in `Decisions/`, beside the rules that decide it. `decide`
/// answers with the records that would make the command so, or refuses; `replay` alone changes the
/// state. A caller that decides several commands before anything is stored does so on a copy, which
/// it replays into: copies share what they have in common.
///
/// What the two stores do differently is not decided here: who has to be told of a change and how
/// the records are kept.
public struct Controller: Sendable {
  /// What the replayed records add up to.
  public private(set) var image: MetadataImage
  public var options: ControllerOptions

  /// Replicas whose log directory failed though their broker lives, as brokers report it in answers
  /// to LeaderAndIsr. No store keeps this: after a failover brokers report it again.
  public private(set) var failedReplicas: [BrokerID: Set<TopicPartition>] = [:]

  /// Topics that are on their way out: no elections, no reassignment, no configuration for them.
  public var topicsBeingDeleted: Set<String> = []

  public init(image: MetadataImage = MetadataImage(), options: ControllerOptions) {
    self.image = image
    self.options = options
  }

  /// Takes over one committed record. Brokers that come or go begin with healthy directories:
  /// what was reported of an earlier life says nothing.
  public mutating func replay(_ record: MetadataRecord) {
    if case .registerBroker(let record) = record { failedReplicas[BrokerID(record.brokerID)] = nil }
    if case .unregisterBroker(let record) = record {
      failedReplicas[BrokerID(record.brokerID)] = nil
    }
    if case .removeTopic(let record) = record, let name = image.topics.name(of: record.topicID) {
      topicsBeingDeleted.remove(name)
    }
    image.apply(record)
  }

  /// Takes over committed records in their order.
  public mutating func replay(_ records: some Sequence<MetadataRecord>) {
    for record in records { replay(record) }
  }

  /// Takes over what a broker said about its log directories; true if a replica newly failed.
  public mutating func noteReplicas(
    of broker: BrokerID, failed: [TopicPartition], healthy: [TopicPartition]
  ) -> Bool {
    var known = failedReplicas[broker] ?? []
    let before = known
    known.subtract(healthy)
    known.formUnion(failed)
    failedReplicas[broker] = known.isEmpty ? nil : known
    return !known.isSubset(of: before)
  }

  // MARK: What decisions ask

  /// Whether the replica on `broker` can follow and lead now. A broker that shuts down in order
  /// counts only with `includingShuttingDown`.
  func isOnline(
    _ broker: BrokerID, _ at: TopicPartition, _ partition: PartitionImage,
    includingShuttingDown: Bool = false
  ) -> Bool {
    guard let registered = image.brokers[broker], registered.isAlive,
      includingShuttingDown || !registered.isInControlledShutdown
    else { return false }
    return failedReplicas[broker]?.contains(at) != true && !partition.isDirectoryLost(on: broker)
  }

  /// The topic, or Kafka's refusal for one that is not there.
  func topic(_ name: String) throws(Refusal) -> TopicImage {
    guard let topic = image.topics[name], !topicsBeingDeleted.contains(name) else {
      throw Refusal(.unknownTopicOrPartition, "This server does not host this topic-partition.")
    }
    return topic
  }

  /// Brokers that may get new replicas, in the order of their ids.
  var usableBrokers: [BrokerImage] {
    image.brokers.all.filter { $0.isAlive && !$0.isInControlledShutdown }
  }

  /// Every partition in order, but those of topics that are being deleted.
  func forEachLivePartition(_ body: (TopicImage, TopicPartition, PartitionImage) -> Void) {
    image.topics.forEachPartition { topic, number, partition in
      guard !topicsBeingDeleted.contains(topic.name) else { return }
      body(topic, TopicPartition(topic.name, number), partition)
    }
  }

  /// Whether an out-of-sync replica may lead this topic: its own setting, else the cluster's.
  func allowsUncleanElection(_ topic: String) -> Bool {
    let key = "unclean.leader.election.enable"
    guard let value = image.configs.value(key, of: .topic(topic)) else {
      return options.isUncleanElectionEnabled
    }
    return value.lowercased() == "true"
  }
}
