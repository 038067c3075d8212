// Requests about topics as commands, and results as responses.
//
// ZooKeeper mode answers out of these commands; KRaft's requests decide for themselves, with rules
// of their own, and share the parts.
import KafkaMessages
import KafkaProtocol
import Metadata
import Values

extension TopicToCreate {
  public init(_ topic: CreateTopicsRequest.CreatableTopic) {
    self.init(
      name: topic.name, partitions: topic.numPartitions,
      replicationFactor: topic.replicationFactor,
      assignments: topic.assignments.map { ($0.partitionIndex, $0.brokerIDs.brokerIDs) },
      configs: topic.configs.map { ($0.name, $0.value) })
  }
}

extension Array where Element == String {
  /// What is mentioned more than once: which of the mentions is meant nobody can say.
  public var duplicates: Set<String> {
    var seen: Set<String> = []
    return Set(filter { !seen.insert($0).inserted })
  }
}

extension Result where Failure == Refusal {
  /// Error code and message, as most responses have them.
  public var wire: (code: Int16, message: String?) {
    switch self {
    case .success: (0, nil)
    case .failure(let refusal): (refusal.code.rawValue, refusal.message)
    }
  }
}

extension CreateTopicsRequest {
  /// The topics that are mentioned once.
  public var commands: [TopicToCreate] {
    let duplicates = topics.map(\.name).duplicates
    return topics.filter { !duplicates.contains($0.name) }.map { TopicToCreate($0) }
  }

  /// - Parameters:
  ///   - results: one for each of `commands`; nil if nothing was decided here (NOT_CONTROLLER).
  ///   - describe: the complete configuration of a topic, from what was set for it.
  public func response(
    _ results: [Result<CreateTopic.Reply, Refusal>]?, version: Int16,
    describe: ([String: String]) -> [CreateTopicsResponse.CreatableTopicConfigs]
  ) -> CreateTopicsResponse {
    var byName: [String: Result<CreateTopic.Reply, Refusal>] = [:]
    for (topic, result) in zip(commands, results ?? []) { byName[topic.name] = result }
    let duplicates = topics.map(\.name).duplicates
    var response = CreateTopicsResponse()
    var mentioned: Set<String> = []
    for topic in topics where mentioned.insert(topic.name).inserted {
      var result = byName[topic.name] ?? .failure(Refusal(.notController))
      if duplicates.contains(topic.name) {
        result = .failure(Refusal(.invalidRequest, "Duplicate topic name."))
      }
      // Kafka creates, but does not wait for, topics of requests that do not want to wait.
      if case .success = result, timeoutMs <= 0, !validateOnly {
        result = .failure(Refusal(.requestTimedOut))
      }
      var out = CreateTopicsResponse.CreatableTopicResult()
      out.name = topic.name
      (out.errorCode, out.errorMessage) = result.wire
      if case .success(let created) = result {
        // There is no topic yet when it is only validated, so there is no id.
        if !validateOnly { out.topicID = created.topicID }
        if version >= 5 {
          out.numPartitions = created.partitions
          out.replicationFactor = created.replicationFactor
          out.configs = describe(created.configs)
        }
      }
      response.topics.append(out)
    }
    return response
  }
}

extension DeleteTopicsRequest {
  /// What shall go: by name up to version 5, by either from version 6 on.
  public func commands(version: Int16) -> [DeleteTopic.Target] {
    targets(version).map(\.target)
  }

  private func targets(
    _ version: Int16
  ) -> [(target: DeleteTopic.Target, name: String?, id: Uuid)] {
    guard version >= 6 else { return topicNames.map { (.name($0), $0, .zero) } }
    return topics.map { ($0.name.map { .name($0) } ?? .id($0.topicID), $0.name, $0.topicID) }
  }

  /// - Parameter results: one for each of `commands`; nil for NOT_CONTROLLER.
  public func response(
    _ results: [Result<DeleteTopic.Reply, Refusal>]?, version: Int16
  ) -> DeleteTopicsResponse {
    var response = DeleteTopicsResponse()
    for (index, target) in targets(version).enumerated() {
      var out = DeleteTopicsResponse.DeletableTopicResult()
      out.name = target.name
      out.topicID = target.id
      var result = Result<DeleteTopic.Reply, Refusal>.failure(Refusal(.notController))
      if let results, index < results.count { result = results[index] }
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
    return response
  }
}

extension CreatePartitionsRequest {
  /// The topics that are mentioned once.
  public var commands: [AddPartitions] {
    let duplicates = topics.map(\.name).duplicates
    return topics.filter { !duplicates.contains($0.name) }.map { topic in
      AddPartitions(
        topic: topic.name, count: topic.count,
        assignments: topic.assignments.map { $0.map(\.brokerIDs.brokerIDs) })
    }
  }

  /// - Parameter results: one for each of `commands`; nil for NOT_CONTROLLER.
  public func response(_ results: [Result<Void, Refusal>]?) -> CreatePartitionsResponse {
    var byName: [String: Result<Void, Refusal>] = [:]
    for (command, result) in zip(commands, results ?? []) { byName[command.topic] = result }
    let duplicates = topics.map(\.name).duplicates
    var response = CreatePartitionsResponse()
    var mentioned: Set<String> = []
    for topic in topics where mentioned.insert(topic.name).inserted {
      var result = byName[topic.name] ?? .failure(Refusal(.notController))
      if duplicates.contains(topic.name) {
        result = .failure(Refusal(.invalidRequest, "Duplicate topic in request."))
      }
      if case .success = result, timeoutMs <= 0, !validateOnly {
        result = .failure(Refusal(.requestTimedOut))
      }
      response.results.append(
        .init {
          $0.name = topic.name
          ($0.errorCode, $0.errorMessage) = result.wire
        })
    }
    return response
  }
}
