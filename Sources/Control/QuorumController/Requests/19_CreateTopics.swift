// CreateTopics (19, versions 0–7) in KRaft mode.
import KafkaMessages
import KafkaProtocol
import KafkaRecords
import Metadata
import Values

extension CreateTopicsRequest: ControllerRequest {
  public func refused(_ refusal: Refusal, version: Int16) -> CreateTopicsResponse {
    .init {
      $0.topics = topics.map { Self.result($0.name, refusal) }
    }
  }

  public func decide(
    _ machine: inout QuorumController, _ context: RequestContext
  ) -> QuorumController.Outcome<CreateTopicsResponse> {
    let duplicates = topics.map(\.name).duplicates
    var creation = TopicCreation(machine)
    var response = CreateTopicsResponse()
    var answered: Set<String> = []
    var charge = machine.openCharge(context, strictSince: 6)
    for topic in topics where answered.insert(topic.name).inserted {
      do throws(Refusal) {
        if duplicates.contains(topic.name) {
          throw Refusal(.invalidRequest, "Duplicate topic name.")
        }
        let count = creation.records.count
        let created = try creation.create(topic, using: &machine.random)
        do throws(Refusal) { try machine.charge(created.partitions, &charge) } catch {
          creation.takeBack(to: count)
          throw error
        }
        response.topics.append(result(created, machine))
      } catch {
        response.topics.append(Self.result(topic.name, error))
      }
      // No more is worked out than can be stored.
      guard creation.records.count <= QuorumController.maximumRecords else {
        return .init(refused(QuorumController.tooLarge, version: context.version))
      }
    }
    response.throttleTimeMs = Int32(clamping: charge.throttleMs)
    return .init(validateOnly ? [] : creation.records, response)
  }

  private static func result(
    _ name: String, _ refusal: Refusal
  ) -> CreateTopicsResponse.CreatableTopicResult {
    .init {
      $0.name = name
      $0.errorCode = refusal.code.rawValue
      $0.errorMessage = refusal.message
    }
  }

  private func result(
    _ created: TopicCreation.Created, _ machine: QuorumController
  ) -> CreateTopicsResponse.CreatableTopicResult {
    .init {
      $0.name = created.name
      // There is no topic yet, so there is no id.
      $0.topicID = validateOnly ? .zero : created.id
      $0.errorMessage = nil
      $0.numPartitions = Int32(created.partitions)
      $0.replicationFactor = Int16(created.replicationFactor)
      $0.configs = machine.options.hooks.describeTopic(created.configs)
    }
  }
}

/// The topics of one request, worked out one after the other.
private struct TopicCreation {
  struct Created {
    var name: String
    var id: Uuid
    var partitions: Int
    var replicationFactor: Int
    var configs: [String: String]
  }

  private let draft: PartitionDraft
  private let options: ControllerOptions
  private(set) var records: [MetadataRecord] = []

  init(_ machine: QuorumController) {
    draft = PartitionDraft(machine)
    options = machine.options.base
  }

  private var image: MetadataImage { draft.image }

  /// Drops what a topic added that must not be created now.
  mutating func takeBack(to count: Int) { records.removeLast(records.count - count) }

  /// Every new partition has a leader at once: a topic without any usable broker is refused.
  mutating func create(
    _ topic: CreateTopicsRequest.CreatableTopic, using random: inout SplitMix
  ) throws(Refusal) -> Created {
    try validateName(topic.name)
    let configs = try configs(topic)
    let placed =
      topic.assignments.isEmpty
      ? try place(topic, using: &random) : try assigned(topic)
    if let refusal = options.hooks.createTopicPolicy?(TopicToCreate(topic)) { throw refusal }
    let id = Uuid.random(using: &random)
    records.append(.topic(TopicRecord(name: topic.name, topicID: id)))
    for key in configs.keys.sorted() {
      records.append(.config(ConfigRecord(.topic(topic.name), key, configs[key])))
    }
    for (number, replicas) in placed.enumerated() {
      records.append(draft.newPartition(id, Int32(number), replicas))
    }
    return Created(
      name: topic.name, id: id, partitions: placed.count,
      replicationFactor: placed.first?.count ?? 0, configs: configs)
  }

  private func validateName(_ name: String) throws(Refusal) {
    if name == "__cluster_metadata" {
      throw Refusal(
        .invalidRequest, "Creation of internal topic __cluster_metadata is prohibited.")
    }
    if image.topics[name] != nil {
      throw Refusal(.topicAlreadyExists, "Topic '\(name)' already exists.")
    }
    try TopicNames.validate(name)
    guard TopicNames.mayCollide(name) else { return }
    if let other = image.topics.collidingName(name) {
      throw Refusal(
        .invalidTopicException, "Topic '\(name)' collides with existing topic: \(other)")
    }
  }

  private func configs(
    _ topic: CreateTopicsRequest.CreatableTopic
  ) throws(Refusal) -> [String: String] {
    let empty = topic.configs.filter { $0.value == nil }.map(\.name)
    guard empty.isEmpty else {
      throw Refusal(
        .invalidConfig,
        "Null value not supported for topic configs: \(empty.joined(separator: ","))")
    }
    var configs: [String: String] = [:]
    for config in topic.configs { configs[config.name] = config.value }
    if let refusal = options.hooks.validateConfig(.topic(topic.name), configs) { throw refusal }
    return configs
  }

  private func place(
    _ topic: CreateTopicsRequest.CreatableTopic, using random: inout SplitMix
  ) throws(Refusal) -> [[BrokerID]] {
    if topic.replicationFactor < -1 || topic.replicationFactor == 0 {
      throw Refusal(
        .invalidReplicationFactor,
        "Replication factor must be larger than 0, or -1 to use the default value.")
    }
    if topic.numPartitions < -1 || topic.numPartitions == 0 {
      throw Refusal(
        .invalidPartitions, "Number of partitions was set to an invalid non-positive value.")
    }
    let partitions = topic.numPartitions == -1 ? options.defaultPartitions : topic.numPartitions
    let factor =
      topic.replicationFactor == -1 ? options.defaultReplicationFactor : topic.replicationFactor
    return try draft.place(
      Int(partitions), replicationFactor: Int(factor), using: &random)
  }

  private func assigned(
    _ topic: CreateTopicsRequest.CreatableTopic
  ) throws(Refusal) -> [[BrokerID]] {
    if topic.replicationFactor != -1 {
      throw Refusal(
        .invalidRequest,
        "A manual partition assignment was specified, but replication factor was not set to -1.")
    }
    if topic.numPartitions != -1 {
      throw Refusal(
        .invalidRequest,
        "A manual partition assignment was specified, but numPartitions was not set to -1.")
    }
    var byNumber: [Int32: [BrokerID]] = [:]
    var factor: Int?
    for assignment in topic.assignments {
      guard byNumber[assignment.partitionIndex] == nil else {
        throw Refusal(
          .invalidReplicaAssignment,
          "Found multiple manual partition assignments for partition "
            + "\(assignment.partitionIndex)")
      }
      let replicas = assignment.brokerIDs.brokerIDs
      try draft.validate(replicas, factor: factor)
      factor = replicas.count
      try draft.requireActive(replicas, partition: assignment.partitionIndex)
      byNumber[assignment.partitionIndex] = replicas
    }
    return try (0..<Int32(byNumber.count)).map { number throws(Refusal) in
      guard let replicas = byNumber[number] else {
        throw Refusal(
          .invalidReplicaAssignment,
          "partitions should be a consecutive 0-based integer sequence")
      }
      return replicas
    }
  }
}
