// Creation of topics (CreateTopics, versions 0–7).
import Decision
import KafkaProtocol
import KafkaRecords
import Metadata
import Values

/// A topic as CreateTopics asks for it.
public struct TopicToCreate: Equatable, Sendable {
  public var name: String
  /// -1: the cluster's default.
  public var partitions: Int32
  /// -1: the cluster's default.
  public var replicationFactor: Int16
  /// Replicas by partition number, instead of the two above.
  public var assignments: [(partition: Int32, replicas: [BrokerID])]
  /// A nil value is refused, as Kafka does.
  public var configs: [(name: String, value: String?)]

  public init(
    name: String, partitions: Int32 = -1, replicationFactor: Int16 = -1,
    assignments: [(partition: Int32, replicas: [BrokerID])] = [],
    configs: [(name: String, value: String?)] = []
  ) {
    self.name = name
    self.partitions = partitions
    self.replicationFactor = replicationFactor
    self.assignments = assignments
    self.configs = configs
  }

  public static func == (a: Self, b: Self) -> Bool {
    a.name == b.name && a.partitions == b.partitions && a.replicationFactor == b.replicationFactor
      && a.assignments.elementsEqual(b.assignments) { $0 == $1 }
      && a.configs.elementsEqual(b.configs) { $0 == $1 }
  }
}

public struct CreateTopic: Sendable {
  public var topic: TopicToCreate

  public init(_ topic: TopicToCreate) { self.topic = topic }

  public struct Reply: Equatable, Sendable {
    /// Random, and never given to another topic.
    public var topicID: Uuid
    public var partitions: Int32
    public var replicationFactor: Int16
    /// What was set for the topic, in the order of keys.
    public var configs: [String: String]
  }
}

extension Controller {
  /// Creates a topic with all its partitions. Partitions of which an assigned broker is online get
  /// a leader at once; others wait for one.
  public func decide(
    _ command: CreateTopic, using random: inout SplitMix
  ) throws(Refusal) -> Decision<MetadataRecord, CreateTopic.Reply> {
    let topic = command.topic
    // Kafka says that a topic exists before it looks at the rest of the request.
    if image.topics[topic.name] != nil { throw alreadyExists(topic.name) }
    let configs = try validConfigs(topic)
    let hasCounts = topic.partitions != -1 || topic.replicationFactor != -1
    if hasCounts, !topic.assignments.isEmpty {
      throw Refusal(
        .invalidRequest,
        "Both numPartitions or replicationFactor and replicasAssignments were set. "
          + "Both cannot be used at the same time.")
    }
    var assignment: [[BrokerID]] = []
    if topic.assignments.isEmpty {
      let partitions = topic.partitions == -1 ? options.defaultPartitions : topic.partitions
      let factor =
        topic.replicationFactor == -1 ? options.defaultReplicationFactor : topic.replicationFactor
      try limitPartitions(Int(partitions))
      assignment = try ReplicaPlacement.assign(
        partitions: Int(partitions), replicationFactor: Int(factor), brokers: placementBrokers,
        using: &random)
    }
    try validateNewName(topic.name)
    if !topic.assignments.isEmpty { assignment = try manualAssignment(topic.assignments) }
    // The policy is asked last: it may rely on a request that is right in itself.
    if let refusal = options.hooks.validateConfig(.topic(topic.name), configs) { throw refusal }
    if let refusal = options.hooks.createTopicPolicy?(topic) { throw refusal }

    // Nothing but the id and the placement is random; both come from the caller's generator, so a
    // simulation gets them again.
    let id = Uuid.random(using: &random)
    var records = [MetadataRecord.topic(TopicRecord(name: topic.name, topicID: id))]
    for key in configs.keys.sorted() {
      records.append(.config(ConfigRecord(.topic(topic.name), key, configs[key])))
    }
    for (number, replicas) in assignment.enumerated() {
      records.append(newPartition(topic.name, id, Int32(number), replicas))
    }
    let reply = CreateTopic.Reply(
      topicID: id, partitions: Int32(assignment.count),
      replicationFactor: Int16(assignment[0].count), configs: configs)
    return Decision(records, reply: reply)
  }

  /// The record of a new partition: with its first leader if a broker for it is online.
  func newPartition(
    _ topic: String, _ id: Uuid, _ number: Int32, _ replicas: [BrokerID]
  ) -> MetadataRecord {
    let empty = PartitionImage(replicas: replicas)
    let state = firstState(TopicPartition(topic, number), empty) ?? empty
    return .partition(state.record(number, topicID: id))
  }

  var placementBrokers: [PlacementBroker] {
    usableBrokers.map { PlacementBroker(id: $0.id, rack: $0.rack) }
  }

  /// A request of a few bytes must not make the controller build millions of partitions.
  static let maximumPartitionsPerTopic = 100_000

  func limitPartitions(_ count: Int) throws(Refusal) {
    guard count <= Self.maximumPartitionsPerTopic else {
      throw Refusal(
        .invalidPartitions,
        "Number of partitions must not be larger than \(Self.maximumPartitionsPerTopic).")
    }
  }

  /// A topic on its way out still has its name.
  private func alreadyExists(_ name: String) -> Refusal {
    topicsBeingDeleted.contains(name)
      ? Refusal(.topicAlreadyExists, "Topic '\(name)' is marked for deletion.")
      : Refusal(.topicAlreadyExists, "Topic '\(name)' already exists.")
  }

  private func validateNewName(_ name: String) throws(Refusal) {
    try TopicNames.validate(name)
    guard TopicNames.mayCollide(name) else { return }
    let unified = TopicNames.unified(name)
    let colliding = image.topics.sortedNames.filter {
      TopicNames.mayCollide($0) && TopicNames.unified($0) == unified
    }
    guard colliding.isEmpty else {
      throw Refusal(
        .invalidTopicException,
        "Topic '\(name)' collides with existing topics: \(colliding.joined(separator: ", "))")
    }
  }

  private func validConfigs(_ topic: TopicToCreate) throws(Refusal) -> [String: String] {
    let empty = topic.configs.filter { $0.value == nil }.map(\.name)
    guard empty.isEmpty else {
      throw Refusal(
        .invalidConfig,
        "Null value not supported for topic configs: \(empty.joined(separator: ","))")
    }
    var configs: [String: String] = [:]
    for (name, value) in topic.configs { configs[name] = value }
    return configs
  }

  private func manualAssignment(
    _ given: [(partition: Int32, replicas: [BrokerID])]
  ) throws(Refusal) -> [[BrokerID]] {
    try limitPartitions(given.count)
    let ordered = given.sorted { $0.partition < $1.partition }
    guard Set(given.map(\.replicas.count)).count == 1 else {
      throw Refusal(
        .invalidReplicaAssignment, "All partitions should have the same number of replicas")
    }
    for (_, replicas) in ordered where Set(replicas).count != replicas.count {
      throw Refusal(
        .invalidReplicaAssignment,
        "Duplicate replica assignment found: \(Self.text(ordered.map(\.replicas)))")
    }
    for (index, entry) in ordered.enumerated() where entry.partition != Int32(index) {
      throw Refusal(
        .invalidReplicaAssignment,
        "partitions should be a consecutive 0-based integer sequence")
    }
    guard let first = ordered.first, !first.replicas.isEmpty else {
      throw Refusal(.invalidReplicaAssignment, "A partition needs at least one replica.")
    }
    for (_, replicas) in ordered {
      if let unknown = replicas.first(where: { $0.rawValue < 0 }) {
        throw Refusal(
          .invalidReplicaAssignment,
          "Invalid broker id in replica assignment: \(unknown.rawValue)")
      }
    }
    return ordered.map(\.replicas)
  }

  private static func text(_ assignment: [[BrokerID]]) -> String {
    assignment.enumerated().map { number, replicas in
      "\(number) -> [\(replicas.map { String($0.rawValue) }.joined(separator: ", "))]"
    }.joined(separator: ", ")
  }
}

extension TopicRecord {
  public init(name: String, topicID: Uuid) {
    self.init()
    self.name = name
    self.topicID = topicID
  }
}

extension ConfigRecord {
  /// Sets a value, or removes it when `value` is nil.
  public init(_ resource: ConfigResource, _ key: String, _ value: String?) {
    self.init()
    resourceType = resource.type.rawValue
    resourceName = resource.name
    name = key
    self.value = value
  }
}
