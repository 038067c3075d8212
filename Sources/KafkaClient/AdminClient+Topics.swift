import KafkaMessages
import KafkaProtocol
import Values

/// A topic to be created.
public struct NewTopic: Sendable {
  public var name: String
  /// -1: the broker's default.
  public var partitions: Int32
  /// -1: the broker's default.
  public var replicationFactor: Int16
  /// Replicas by partition, instead of a number of them.
  public var assignment: [Int32: [Int32]]
  public var configs: [String: String]

  public init(
    _ name: String, partitions: Int32 = -1, replicationFactor: Int16 = -1,
    assignment: [Int32: [Int32]] = [:], configs: [String: String] = [:]
  ) {
    self.name = name
    self.partitions = partitions
    self.replicationFactor = replicationFactor
    self.assignment = assignment
    self.configs = configs
  }
}

/// How many partitions a topic is to have.
public struct NewPartitions: Sendable {
  public var totalCount: Int32
  /// Replicas of each new partition, in order; nil lets the controller choose.
  public var assignments: [[Int32]]?
  public init(totalCount: Int32, assignments: [[Int32]]? = nil) {
    self.totalCount = totalCount
    self.assignments = assignments
  }
}

extension AdminClient {
  public func createTopics(
    _ topics: [NewTopic], validateOnly: Bool = false
  ) async throws(ClientError) -> Outcomes<String, CreateTopicsResponse.CreatableTopicResult> {
    var request = CreateTopicsRequest()
    request.timeoutMs = requestTimeoutMs
    request.validateOnly = validateOnly
    request.topics = topics.map { topic in
      CreateTopicsRequest.CreatableTopic {
        $0.name = topic.name
        $0.numPartitions = topic.assignment.isEmpty ? topic.partitions : -1
        $0.replicationFactor = topic.assignment.isEmpty ? topic.replicationFactor : -1
        $0.assignments = topic.assignment.keys.sorted().map { index in
          CreateTopicsRequest.CreatableReplicaAssignment {
            $0.partitionIndex = index
            $0.brokerIDs = topic.assignment[index] ?? []
          }
        }
        $0.configs = topic.configs.keys.sorted().map { key in
          CreateTopicsRequest.CreatableTopicConfig {
            $0.name = key
            $0.value = topic.configs[key]
          }
        }
      }
    }
    let response = try await cluster.sendToController(request, timeoutMs: timeoutMs) {
      Self.controllerError($0.topics.map(\.errorCode))
    }
    var results: Outcomes<String, CreateTopicsResponse.CreatableTopicResult> = [:]
    for topic in response.topics {
      results[topic.name] = result(topic.errorCode, topic.errorMessage, topic)
    }
    return results
  }

  /// A controller that has moved, or is not ready, is asked anew; everything else is an answer.
  static func controllerError(_ codes: [Int16]) -> ErrorCode {
    let again: [ErrorCode] = [.notController, .coordinatorLoadInProgress, .throttlingQuotaExceeded]
    return codes.map { ErrorCode($0) }.first { again.contains($0) } ?? .none
  }

  public func deleteTopics(
    _ names: [String]
  ) async throws(ClientError) -> Outcomes<String, Void> {
    var request = DeleteTopicsRequest()
    request.timeoutMs = requestTimeoutMs
    request.topicNames = names
    // From version 6 on topics may be named by id; names need the older form only.
    let response = try await cluster.sendToController(
      request, maxVersion: 5, timeoutMs: timeoutMs
    ) { Self.controllerError($0.responses.map(\.errorCode)) }
    var results: Outcomes<String, Void> = [:]
    for topic in response.responses {
      results[topic.name ?? ""] = result(topic.errorCode, topic.errorMessage, ())
    }
    return results
  }

  /// Every topic, in order of name.
  public func listTopics(
    includeInternal: Bool = true
  ) async throws(ClientError) -> [ClusterMetadata.Topic] {
    let metadata = try await cluster.retrying(timeoutMs: timeoutMs, refresh: false) {
      () throws(ClientError) in
      try await cluster.updateMetadata(topics: nil)
    }
    return metadata.topics.values.filter { includeInternal || !$0.isInternal }
      .sorted { $0.name < $1.name }
  }

  public func describeTopics(
    _ names: [String]
  ) async throws(ClientError) -> Outcomes<String, ClusterMetadata.Topic> {
    let metadata = try await cluster.retrying(timeoutMs: timeoutMs, refresh: false) {
      () throws(ClientError) in
      try await cluster.updateMetadata(topics: names)
    }
    var results: Outcomes<String, ClusterMetadata.Topic> = [:]
    for name in names {
      if let topic = metadata.topics[name] {
        results[name] =
          topic.error == .none || topic.error == .leaderNotAvailable
          ? .success(topic) : .failure(ClientError(topic.error, name))
      } else {
        results[name] = .failure(ClientError(.unknownTopicOrPartition, "no topic \(name)"))
      }
    }
    return results
  }

  public func createPartitions(
    _ topics: [String: NewPartitions], validateOnly: Bool = false
  ) async throws(ClientError) -> Outcomes<String, Void> {
    var request = CreatePartitionsRequest()
    request.timeoutMs = requestTimeoutMs
    request.validateOnly = validateOnly
    request.topics = topics.keys.sorted().map { name in
      CreatePartitionsRequest.CreatePartitionsTopic {
        $0.name = name
        $0.count = topics[name]?.totalCount ?? -1
        $0.assignments = topics[name]?.assignments?.map { replicas in
          CreatePartitionsRequest.CreatePartitionsAssignment { $0.brokerIDs = replicas }
        }
      }
    }
    let response = try await cluster.sendToController(request, timeoutMs: timeoutMs) {
      Self.controllerError($0.results.map(\.errorCode))
    }
    var results: Outcomes<String, Void> = [:]
    for topic in response.results {
      results[topic.name] = result(topic.errorCode, topic.errorMessage, ())
    }
    return results
  }

  /// Deletes the records before these offsets (-1: all of them); gives the new log start offsets.
  public func deleteRecords(
    _ offsets: [TopicPartition: Int64]
  ) async throws(ClientError) -> Outcomes<TopicPartition, Int64> {
    let partitions = offsets.keys.sorted()
    let topics = Set(partitions.map(\.topic)).sorted()
    let metadata = try await cluster.metadata(of: topics, timeoutMs: timeoutMs)
    var results: Outcomes<TopicPartition, Int64> = [:]
    for (leader, led) in try cluster.byLeader(partitions, metadata) {
      var request = DeleteRecordsRequest()
      request.timeoutMs = requestTimeoutMs
      request.topics = cluster.grouped(led).map { topic, indexes in
        DeleteRecordsRequest.DeleteRecordsTopic {
          $0.name = topic
          $0.partitions = indexes.map { index in
            DeleteRecordsRequest.DeleteRecordsPartition {
              $0.partitionIndex = index
              $0.offset = offsets[TopicPartition(topic, index)] ?? -1
            }
          }
        }
      }
      let response = try await sendToNode(request, leader) { _ in .none }
      for topic in response.topics {
        for entry in topic.partitions {
          results[TopicPartition(topic.name, entry.partitionIndex)] = result(
            entry.errorCode, nil, entry.lowWatermark)
        }
      }
    }
    return results
  }

  /// Offsets by query; see `KafkaCluster.listOffsets`.
  public func listOffsets(
    _ queries: [TopicPartition: OffsetQuery], isCommitted: Bool = false
  ) async throws(ClientError) -> [TopicPartition: FoundOffset] {
    try await cluster.listOffsets(queries, isCommitted: isCommitted, timeoutMs: timeoutMs)
  }
}
