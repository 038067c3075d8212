/// Topics: creation, deletion, more partitions.
import Control
import KafkaMessages
import KafkaProtocol
import Metadata
import Settings
import Values

extension ZooKeeperControllerService {
  func createTopics(
    _ request: CreateTopicsRequest, version: Int16,
    reply: @escaping @Sendable (CreateTopicsResponse) -> Void
  ) {
    let names = request.topics.map(\.name)
    let duplicates = Self.duplicates(names)
    let wanted = request.topics.filter { !duplicates.contains($0.name) }
    let services = self.services
    runner.ask(
      .createTopics(wanted.map(Self.topic), validateOnly: request.validateOnly)
    ) { answer in
      var results: [String: Result<CreateTopic.Reply, Refusal>] = [:]
      if case .createTopics(let list) = answer {
        for (topic, result) in zip(wanted, list) { results[topic.name] = result }
      }
      var response = CreateTopicsResponse()
      var mentioned: Set<String> = []
      for topic in request.topics where mentioned.insert(topic.name).inserted {
        var result = results[topic.name] ?? .failure(Refusal(.notController))
        if duplicates.contains(topic.name) {
          result = .failure(Refusal(.invalidRequest, "Duplicate topic name."))
        }
        // Kafka creates, but does not wait for, topics of requests that do not want to wait.
        if case .success = result, request.timeoutMs <= 0, !request.validateOnly {
          result = .failure(Refusal(.requestTimedOut))
        }
        response.topics.append(
          Self.result(topic.name, result, version, request.validateOnly, services))
      }
      reply(response)
    }
  }

  /// Names that are mentioned more than once: which of the mentions is meant nobody can say.
  static func duplicates(_ names: [String]) -> Set<String> {
    var seen: Set<String> = []
    return Set(names.filter { !seen.insert($0).inserted })
  }

  private static func topic(_ topic: CreateTopicsRequest.CreatableTopic) -> TopicToCreate {
    TopicToCreate(
      name: topic.name, partitions: topic.numPartitions,
      replicationFactor: topic.replicationFactor,
      assignments: topic.assignments.map { ($0.partitionIndex, $0.brokerIDs.brokerIDs) },
      configs: topic.configs.map { ($0.name, $0.value) })
  }

  private static func result(
    _ name: String, _ result: Result<CreateTopic.Reply, Refusal>, _ version: Int16,
    _ validateOnly: Bool, _ services: BrokerServices
  ) -> CreateTopicsResponse.CreatableTopicResult {
    var out = CreateTopicsResponse.CreatableTopicResult()
    out.name = name
    (out.errorCode, out.errorMessage) = result.wire
    guard case .success(let created) = result else { return out }
    // There is no topic yet, so there is no id.
    if !validateOnly { out.topicID = created.topicID }
    guard version >= 5 else { return out }
    out.numPartitions = created.partitions
    out.replicationFactor = created.replicationFactor
    out.configs = TopicConfig.describe(
      overrides: created.configs, broker: services.currentConfig
    ).map { line in
      .init {
        $0.name = line.name
        $0.value = line.value
        $0.readOnly = line.isReadOnly
        $0.configSource = line.source.rawValue
        $0.isSensitive = line.isSensitive
      }
    }
    return out
  }

  // MARK: Deletion

  func deleteTopics(
    _ request: DeleteTopicsRequest, version: Int16,
    reply: @escaping @Sendable (DeleteTopicsResponse) -> Void
  ) {
    let targets: [(target: DeleteTopic.Target, name: String?, id: Uuid)] =
      version >= 6
      ? request.topics.map { topic in
        (topic.name.map { .name($0) } ?? .id(topic.topicID), topic.name, topic.topicID)
      } : request.topicNames.map { (.name($0), $0, .zero) }
    runner.ask(
      .deleteTopics(targets.map(\.target), timeoutMs: Int64(request.timeoutMs))
    ) { answer in
      var response = DeleteTopicsResponse()
      for (index, target) in targets.enumerated() {
        var out = DeleteTopicsResponse.DeletableTopicResult()
        out.name = target.name
        out.topicID = target.id
        var result = Result<DeleteTopic.Reply, Refusal>.failure(Refusal(.notController))
        if case .deleteTopics(let results) = answer, index < results.count {
          result = results[index]
        }
        if case .success(let deleted) = result {
          out.name = deleted.name
          out.topicID = deleted.id
        }
        (out.errorCode, out.errorMessage) = result.wire
        // Older clients do not know the code.
        if version < 3, out.errorCode == ErrorCode.topicDeletionDisabled.rawValue {
          out.errorCode = ErrorCode.invalidRequest.rawValue
        }
        response.responses.append(out)
      }
      reply(response)
    }
  }

  // MARK: Partitions

  func createPartitions(
    _ request: CreatePartitionsRequest, version: Int16,
    reply: @escaping @Sendable (CreatePartitionsResponse) -> Void
  ) {
    let duplicates = Self.duplicates(request.topics.map(\.name))
    let wanted = request.topics.filter { !duplicates.contains($0.name) }
    let additions = wanted.map { topic in
      AddPartitions(
        topic: topic.name, count: topic.count,
        assignments: topic.assignments.map { $0.map(\.brokerIDs.brokerIDs) })
    }
    runner.ask(.createPartitions(additions, validateOnly: request.validateOnly)) { answer in
      var results: [String: Result<Void, Refusal>] = [:]
      if case .done(let list) = answer {
        for (topic, result) in zip(wanted, list) { results[topic.name] = result }
      }
      var response = CreatePartitionsResponse()
      var mentioned: Set<String> = []
      for topic in request.topics where mentioned.insert(topic.name).inserted {
        var result = results[topic.name] ?? .failure(Refusal(.notController))
        if duplicates.contains(topic.name) {
          result = .failure(Refusal(.invalidRequest, "Duplicate topic in request."))
        }
        if case .success = result, request.timeoutMs <= 0, !request.validateOnly {
          result = .failure(Refusal(.requestTimedOut))
        }
        response.results.append(
          .init {
            $0.name = topic.name
            ($0.errorCode, $0.errorMessage) = result.wire
          })
      }
      reply(response)
    }
  }
}
