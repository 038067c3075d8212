// DeleteTopics (20, versions 1–6) in KRaft mode: one record, and the topic is gone. Brokers delete
// their replicas when they read it.
import KafkaMessages
import KafkaProtocol
import KafkaRecords
import Metadata
import Values

extension DeleteTopicsRequest: ControllerRequest {
  /// By name up to version 5, by either from version 6 on.
  private var targets: [DeleteTopicState] {
    topics + topicNames.map { name in .init { $0.name = name } }
  }

  public func refused(_ refusal: Refusal, version: Int16) -> DeleteTopicsResponse {
    .init {
      $0.responses = targets.map { Self.result($0.name, $0.topicID, refusal) }
    }
  }

  public func decide(
    _ machine: inout QuorumController, _ context: RequestContext
  ) -> QuorumController.Outcome<DeleteTopicsResponse> {
    guard machine.options.base.isTopicDeletionEnabled else {
      // Older clients do not know the code.
      let code: ErrorCode = context.version < 3 ? .invalidRequest : .topicDeletionDisabled
      let refusal = Refusal(code, "Topic deletion is disabled.")
      return .init(refused(refusal, version: context.version))
    }
    let targets = self.targets
    let names = targets.compactMap(\.name).duplicates
    var ids: [Uuid: Int] = [:]
    for target in targets where target.name == nil { ids[target.topicID, default: 0] += 1 }

    var response = DeleteTopicsResponse()
    var records: [MetadataRecord] = []
    var answered: Set<String> = []
    var removed: Set<Uuid> = []
    var charge = machine.openCharge(context, strictSince: 5)
    for target in targets where answered.insert(target.key).inserted {
      do throws(Refusal) {
        let isDuplicate =
          target.name.map(names.contains) ?? ((ids[target.topicID] ?? 0) > 1)
        let topic = try find(target, isDuplicate: isDuplicate, machine.pending.image)
        guard !removed.contains(topic.id) else {
          throw Refusal(
            .invalidRequest,
            "The provided topic name maps to an ID that was already supplied.")
        }
        try machine.charge(topic.partitions.count, &charge)
        removed.insert(topic.id)
        records.append(.removeTopic(.init { $0.topicID = topic.id }))
        response.responses.append(Self.result(topic.name, topic.id, Refusal(.none)))
      } catch {
        response.responses.append(Self.result(target.name, target.topicID, error))
      }
    }
    response.throttleTimeMs = Int32(clamping: charge.throttleMs)
    return .init(records, response)
  }

  private func find(
    _ target: DeleteTopicState, isDuplicate: Bool, _ image: MetadataImage
  ) throws(Refusal) -> TopicImage {
    if let name = target.name {
      guard target.topicID.isZero else {
        throw Refusal(.invalidRequest, "You may not specify both topic name and topic id.")
      }
      if isDuplicate { throw Refusal(.invalidRequest, "Duplicate topic name.") }
      guard let topic = image.topics[name] else { throw Refusal(.unknownTopicOrPartition) }
      return topic
    }
    if target.topicID.isZero {
      throw Refusal(.invalidRequest, "Neither topic name nor id were specified.")
    }
    if isDuplicate { throw Refusal(.invalidRequest, "Duplicate topic id.") }
    guard let topic = image.topics[target.topicID] else { throw Refusal(.unknownTopicID) }
    return topic
  }

  private static func result(
    _ name: String?, _ id: Uuid, _ refusal: Refusal
  ) -> DeleteTopicsResponse.DeletableTopicResult {
    .init {
      $0.name = name
      $0.topicID = id
      $0.errorCode = refusal.code.rawValue
      $0.errorMessage = refusal.message
    }
  }
}

extension DeleteTopicsRequest.DeleteTopicState {
  /// Tells one target from another; a name cannot hold the blank.
  fileprivate var key: String { "\(name ?? "") \(topicID)" }
}
