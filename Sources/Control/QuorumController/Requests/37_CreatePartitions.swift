// CreatePartitions (37, versions 0–3) in KRaft mode.
import KafkaMessages
import KafkaProtocol
import KafkaRecords
import Metadata
import Values

extension CreatePartitionsRequest: ControllerRequest {
  public func refused(_ refusal: Refusal, version: Int16) -> CreatePartitionsResponse {
    .init {
      $0.results = topics.map { Self.result($0.name, refusal) }
    }
  }

  public func decide(
    _ machine: inout QuorumController, _ context: RequestContext
  ) -> QuorumController.Outcome<CreatePartitionsResponse> {
    let duplicates = topics.map(\.name).duplicates
    let draft = PartitionDraft(machine)
    var response = CreatePartitionsResponse()
    var records: [MetadataRecord] = []
    var answered: Set<String> = []
    var charge = machine.openCharge(context, strictSince: 3)
    for topic in topics where answered.insert(topic.name).inserted {
      do throws(Refusal) {
        if duplicates.contains(topic.name) {
          throw Refusal(.invalidRequest, "Duplicate topic name.")
        }
        let added = try Self.additions(topic, draft, using: &machine.random)
        try machine.charge(added.count, &charge)
        records += added
        response.results.append(Self.result(topic.name, Refusal(.none)))
      } catch {
        response.results.append(Self.result(topic.name, error))
      }
      guard records.count <= QuorumController.maximumRecords else {
        return .init(refused(QuorumController.tooLarge, version: context.version))
      }
    }
    response.throttleTimeMs = Int32(clamping: charge.throttleMs)
    return .init(validateOnly ? [] : records, response)
  }

  private static func additions(
    _ wanted: CreatePartitionsTopic, _ draft: PartitionDraft, using random: inout SplitMix
  ) throws(Refusal) -> [MetadataRecord] {
    guard let topic = draft.image.topics[wanted.name] else {
      throw Refusal(.unknownTopicOrPartition)
    }
    let existing = topic.partitions.count
    guard let pattern = topic.partitions.first else {
      throw Refusal(
        .unknownServerError,
        "Invalid state: topic \(wanted.name) appears to have no partitions.")
    }
    if Int(wanted.count) == existing {
      throw Refusal(.invalidPartitions, "Topic already has \(existing) partition(s).")
    }
    if Int(wanted.count) < existing {
      throw Refusal(
        .invalidPartitions,
        "The topic \(wanted.name) currently has \(existing) partition(s); \(wanted.count) would "
          + "not be an increase.")
    }
    let additional = Int(wanted.count) - existing
    let placed: [[BrokerID]]
    if let assignments = wanted.assignments {
      guard assignments.count == additional else {
        throw Refusal(
          .invalidReplicaAssignment,
          "Attempted to add \(additional) additional partition(s), but only "
            + "\(assignments.count) assignment(s) were specified.")
      }
      placed = assignments.map(\.brokerIDs.brokerIDs)
      for (index, replicas) in placed.enumerated() {
        try draft.validate(replicas, factor: pattern.replicas.count)
        try draft.requireActive(replicas, partition: Int32(existing + index))
      }
    } else {
      placed = try draft.place(
        additional, replicationFactor: pattern.replicas.count, using: &random)
    }
    return placed.enumerated().map {
      draft.newPartition(topic.id, Int32(existing + $0.offset), $0.element)
    }
  }

  private static func result(
    _ name: String, _ refusal: Refusal
  ) -> CreatePartitionsResponse.CreatePartitionsTopicResult {
    .init {
      $0.name = name
      $0.errorCode = refusal.code.rawValue
      $0.errorMessage = refusal.message
    }
  }
}
