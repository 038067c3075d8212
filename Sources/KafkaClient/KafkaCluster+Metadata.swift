import KafkaMessages
import KafkaProtocol
import Telemetry
import Values

extension KafkaCluster {
  /// Asks for metadata and takes it in.
  ///
  /// - Parameters:
  ///   - topics: nil for every topic, empty for none.
  ///   - autoCreate: whether the broker may create topics that it does not have.
  public func updateMetadata(
    topics: [String]?, autoCreate: Bool = false, timeoutMs: Int64? = nil
  ) async throws(ClientError) -> ClusterMetadata {
    try await onLoop { [self] completion in
      fetchMetadata(topics, autoCreate: autoCreate, timeoutMs: timeoutMs, completion)
    }
  }

  /// Metadata in which every one of these topics has a leader for every partition; asked for again
  /// until that is so or the time is up.
  public func metadata(
    of topics: [String], autoCreate: Bool = false, timeoutMs: Int64 = 60_000
  ) async throws(ClientError) -> ClusterMetadata {
    try await retrying(timeoutMs: timeoutMs) { () throws(ClientError) in
      let metadata = try await updateMetadata(topics: topics, autoCreate: autoCreate)
      for name in topics {
        guard let topic = metadata.topics[name] else {
          throw ClientError(.unknownTopicOrPartition, "no topic \(name)")
        }
        if topic.error != .none { throw ClientError(topic.error, name) }
        if topic.partitions.contains(where: { $0.leader < 0 }) {
          throw ClientError(.leaderNotAvailable, "a partition of \(name) has no leader")
        }
      }
      return metadata
    }
  }

  /// - Precondition: on `loop`.
  func fetchMetadata(
    _ topics: [String]?, autoCreate: Bool, timeoutMs: Int64? = nil,
    _ completion: @escaping (Result<ClusterMetadata, ClientError>) -> Void
  ) {
    if isOfControllers { return fetchControllers(timeoutMs: timeoutMs, completion) }
    let request = MetadataRequest {
      $0.topics = topics.map { names in
        names.sorted().map { name in
          MetadataRequest.MetadataRequestTopic { $0.name = name }
        }
      }
      $0.allowAutoTopicCreation = autoCreate
    }
    send(request, to: .any, timeoutMs: timeoutMs) { [self] result in
      completion(result.map { adopt($0, isComplete: topics == nil) })
    }
  }

  /// Controllers know no topics to tell: what they describe are themselves.
  private func fetchControllers(
    timeoutMs: Int64?, _ completion: @escaping (Result<ClusterMetadata, ClientError>) -> Void
  ) {
    let request = DescribeClusterRequest { $0.endpointType = 2 }
    send(request, to: .any, timeoutMs: timeoutMs) { [self] result in
      completion(
        result.flatMap { response in
          let code = ErrorCode(response.errorCode)
          guard code == .none else {
            return .failure(ClientError(code, response.errorMessage))
          }
          let nodes = MetadataResponse {
            $0.clusterID = response.clusterID
            $0.controllerID = response.controllerID
            $0.brokers = response.brokers.map { node in
              .init {
                $0.nodeID = node.brokerID
                $0.host = node.host
                $0.port = node.port
              }
            }
          }
          return .success(adopt(nodes, isComplete: false))
        })
    }
  }

  private func adopt(_ response: MetadataResponse, isComplete: Bool) -> ClusterMetadata {
    let updated = snapshot.withLock { metadata in
      // A node that has just begun may not know its peers yet; an answer without nodes is no news.
      if response.brokers.isEmpty { return metadata }
      metadata.update(from: response, isComplete: isComplete)
      return metadata
    }
    for listener in metadataListeners { listener(updated) }
    return updated
  }

  // MARK: Keeping it fresh

  /// Topics that refreshes ask for from now on.
  func follow(_ topics: some Sequence<String>) { topicsOfInterest.formUnion(topics) }

  /// Asks for the followed topics soon; many wishes make one request.
  /// - Precondition: on `loop`.
  func requestUpdate() {
    guard !isClosed else { return }
    if isUpdating {
      updateAgain = true
      return
    }
    isUpdating = true
    updateAgain = false
    let autoCreate = config.kind == .producer || config.bool("allow.auto.create.topics")
    fetchMetadata(topicsOfInterest.sorted(), autoCreate: autoCreate) { [self] result in
      // The pause comes after the request: the first wish is granted at once.
      loop.schedule(afterMs: retryBackoffMs) { [self] in
        isUpdating = false
        var isStale = updateAgain
        if case .failure = result { isStale = true }
        if isStale, !topicsOfInterest.isEmpty { requestUpdate() }
      }
    }
  }

  func startRefreshing() {
    let interval = max(1000, config.integer("metadata.max.age.ms"))
    loop.execute { [weak self] in
      self?.loop.repeating(everyMs: interval) { [weak self] in
        guard let self, !isClosed else { return false }
        if !topicsOfInterest.isEmpty { requestUpdate() }
        return true
      }
    }
  }
}
