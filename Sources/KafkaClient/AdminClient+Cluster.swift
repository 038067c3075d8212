import KafkaMessages
import KafkaProtocol
import Values

extension AdminClient {
  // MARK: Nodes

  /// Nodes, controller and cluster id, freshly asked for.
  public func describeCluster() async throws(ClientError) -> ClusterMetadata {
    try await cluster.updateMetadataRetrying(timeoutMs: timeoutMs)
  }

  /// The versions that a broker lists, and its features.
  public func apiVersions(of node: Int32) async throws(ClientError) -> ApiVersionsResponse {
    let request = ApiVersionsRequest {
      $0.clientSoftwareName = "jackdaw"
      $0.clientSoftwareVersion = "3.9"
    }
    let response = try await sendToNode(request, node) { ErrorCode($0.errorCode) }
    try check(response.errorCode)
    return response
  }

  /// Takes a broker that is gone out of a KRaft cluster.
  public func unregisterBroker(_ id: Int32) async throws(ClientError) {
    let request = UnregisterBrokerRequest { $0.brokerID = id }
    let response = try await cluster.sendToController(request, timeoutMs: timeoutMs) {
      ErrorCode($0.errorCode)
    }
    try check(response.errorCode, response.errorMessage)
  }

  // MARK: Leaders and replicas

  public enum ElectionKind: Int8, Sendable {
    case preferred = 0
    case unclean = 1
  }

  /// Has leaders elected; nil for all partitions. Partitions that need none are left out of the
  /// answer, or come with ELECTION_NOT_NEEDED.
  public func electLeaders(
    _ kind: ElectionKind, _ partitions: [TopicPartition]?
  ) async throws(ClientError) -> Outcomes<TopicPartition, Void> {
    var request = ElectLeadersRequest()
    request.electionType = kind.rawValue
    request.timeoutMs = requestTimeoutMs
    request.topicPartitions = partitions.map { partitions in
      cluster.grouped(partitions).map { topic, indexes in
        ElectLeadersRequest.TopicPartitions {
          $0.topic = topic
          $0.partitions = indexes
        }
      }
    }
    let response = try await cluster.sendToController(request, timeoutMs: timeoutMs) {
      ErrorCode($0.errorCode)
    }
    try check(response.errorCode)
    var results: Outcomes<TopicPartition, Void> = [:]
    for topic in response.replicaElectionResults {
      for entry in topic.partitionResult {
        results[TopicPartition(topic.topic, entry.partitionID)] = result(
          entry.errorCode, entry.errorMessage, ())
      }
    }
    return results
  }

  /// Moves partitions to other replicas; nil cancels a move.
  public func alterReassignments(
    _ targets: [TopicPartition: [Int32]?]
  ) async throws(ClientError) -> Outcomes<TopicPartition, Void> {
    var request = AlterPartitionReassignmentsRequest()
    request.timeoutMs = requestTimeoutMs
    request.topics = cluster.grouped(Array(targets.keys)).map { topic, indexes in
      AlterPartitionReassignmentsRequest.ReassignableTopic {
        $0.name = topic
        $0.partitions = indexes.map { index in
          AlterPartitionReassignmentsRequest.ReassignablePartition {
            $0.partitionIndex = index
            $0.replicas = targets[TopicPartition(topic, index)] ?? nil
          }
        }
      }
    }
    let response = try await cluster.sendToController(request, timeoutMs: timeoutMs) {
      ErrorCode($0.errorCode)
    }
    try check(response.errorCode, response.errorMessage)
    var results: Outcomes<TopicPartition, Void> = [:]
    for topic in response.responses {
      for entry in topic.partitions {
        results[TopicPartition(topic.name, entry.partitionIndex)] = result(
          entry.errorCode, entry.errorMessage, ())
      }
    }
    return results
  }

  public typealias Reassignment = ListPartitionReassignmentsResponse.OngoingPartitionReassignment

  /// Moves that are under way; nil for those of all partitions.
  public func listReassignments(
    _ partitions: [TopicPartition]? = nil
  ) async throws(ClientError) -> [TopicPartition: Reassignment] {
    var request = ListPartitionReassignmentsRequest()
    request.timeoutMs = requestTimeoutMs
    request.topics = partitions.map { partitions in
      cluster.grouped(partitions).map { topic, indexes in
        ListPartitionReassignmentsRequest.ListPartitionReassignmentsTopics {
          $0.name = topic
          $0.partitionIndexes = indexes
        }
      }
    }
    let response = try await cluster.sendToController(request, timeoutMs: timeoutMs) {
      ErrorCode($0.errorCode)
    }
    try check(response.errorCode, response.errorMessage)
    var moves: [TopicPartition: Reassignment] = [:]
    for topic in response.topics {
      for entry in topic.partitions {
        moves[TopicPartition(topic.name, entry.partitionIndex)] = entry
      }
    }
    return moves
  }

  // MARK: Log directories

  /// The log directories of brokers and what lies in them.
  public func describeLogDirs(
    of nodes: [Int32], _ partitions: [TopicPartition]? = nil
  ) async throws(ClientError) -> [Int32: [DescribeLogDirsResponse.DescribeLogDirsResult]] {
    var results: [Int32: [DescribeLogDirsResponse.DescribeLogDirsResult]] = [:]
    for node in nodes {
      let request = DescribeLogDirsRequest {
        $0.topics = partitions.map { partitions in
          cluster.grouped(partitions).map { topic, indexes in
            DescribeLogDirsRequest.DescribableLogDirTopic {
              $0.topic = topic
              $0.partitions = indexes
            }
          }
        }
      }
      let response = try await sendToNode(request, node) { ErrorCode($0.errorCode) }
      try check(response.errorCode)
      results[node] = response.results
    }
    return results
  }

  /// Moves a broker's replicas between its log directories.
  public func alterReplicaLogDirs(
    of node: Int32, _ moves: [TopicPartition: String]
  ) async throws(ClientError) -> Outcomes<TopicPartition, Void> {
    var request = AlterReplicaLogDirsRequest()
    for path in Set(moves.values).sorted() {
      let partitions = moves.filter { $0.value == path }.map(\.key)
      request.dirs.append(
        AlterReplicaLogDirsRequest.AlterReplicaLogDir {
          $0.path = path
          $0.topics = cluster.grouped(partitions).map { topic, indexes in
            AlterReplicaLogDirsRequest.AlterReplicaLogDirTopic {
              $0.name = topic
              $0.partitions = indexes
            }
          }
        })
    }
    let response = try await sendToNode(request, node) { _ in .none }
    var results: Outcomes<TopicPartition, Void> = [:]
    for topic in response.results {
      for entry in topic.partitions {
        results[TopicPartition(topic.topicName, entry.partitionIndex)] = result(
          entry.errorCode, nil, ())
      }
    }
    return results
  }

  // MARK: Features and the quorum

  /// Changes finalized feature levels (KIP-584); gives what was refused, by feature.
  public func updateFeatures(
    _ updates: [UpdateFeaturesRequest.FeatureUpdateKey], validateOnly: Bool = false
  ) async throws(ClientError) -> Outcomes<String, Void> {
    var request = UpdateFeaturesRequest()
    request.timeoutMs = requestTimeoutMs
    request.featureUpdates = updates
    request.validateOnly = validateOnly
    let response = try await cluster.sendToController(request, timeoutMs: timeoutMs) {
      ErrorCode($0.errorCode)
    }
    try check(response.errorCode, response.errorMessage)
    var results: Outcomes<String, Void> = [:]
    for update in updates { results[update.feature] = .success(()) }
    for entry in response.results {
      results[entry.feature] = result(entry.errorCode, entry.errorMessage, ())
    }
    return results
  }

  /// The metadata quorum's leader, voters and observers.
  public func describeQuorum() async throws(ClientError) -> DescribeQuorumResponse {
    let request = DescribeQuorumRequest {
      $0.topics = [
        DescribeQuorumRequest.TopicData {
          $0.topicName = "__cluster_metadata"
          $0.partitions = [DescribeQuorumRequest.PartitionData { $0.partitionIndex = 0 }]
        }
      ]
    }
    let response = try await sendToAny(request) { response in
      let partition = response.topics.first?.partitions.first?.errorCode
      return ErrorCode(response.errorCode == 0 ? partition ?? 0 : response.errorCode)
    }
    try check(response.errorCode, response.errorMessage)
    return response
  }

  public func addRaftVoter(_ request: AddRaftVoterRequest) async throws(ClientError) {
    let response = try await sendToAny(request) { ErrorCode($0.errorCode) }
    try check(response.errorCode, response.errorMessage)
  }

  public func removeRaftVoter(_ request: RemoveRaftVoterRequest) async throws(ClientError) {
    let response = try await sendToAny(request) { ErrorCode($0.errorCode) }
    try check(response.errorCode, response.errorMessage)
  }
}
