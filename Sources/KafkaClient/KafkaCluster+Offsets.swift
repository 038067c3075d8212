import KafkaMessages
import KafkaProtocol
import Values

extension KafkaCluster {
  /// Looks up offsets with the partitions' leaders; asked for again until each has answered.
  ///
  /// - Parameter isCommitted: whether "latest" means the last stable offset.
  public func listOffsets(
    _ queries: [TopicPartition: OffsetQuery], isCommitted: Bool = false, timeoutMs: Int64 = 60_000
  ) async throws(ClientError) -> [TopicPartition: FoundOffset] {
    var found: [TopicPartition: FoundOffset] = [:]
    var left = queries
    try await retrying(timeoutMs: timeoutMs, refresh: false) { () throws(ClientError) in
      let topics = Set(left.keys.map(\.topic)).sorted()
      let known = metadata
      let isComplete = left.keys.allSatisfy { known.leader(of: $0) != nil }
      let current = isComplete ? known : try await updateMetadata(topics: topics)
      var failure: ClientError?
      for (leader, partitions) in try byLeader(Array(left.keys), current) {
        do throws(ClientError) {
          let answers = try await listOffsets(
            partitions, left, from: leader, current, isCommitted: isCommitted)
          for (partition, answer) in answers {
            switch answer {
            case .success(let offset):
              found[partition] = offset
              left[partition] = nil
            case .failure(let error):
              if !error.isRetriable { throw error }
              failure = error
            }
          }
        } catch {
          if !error.isRetriable { throw error }
          failure = error
        }
      }
      if let failure {
        if failure.wantsMetadata { _ = try await updateMetadata(topics: topics) }
        throw failure
      }
    }
    return found
  }

  /// Partitions by the node that leads them, in order. One without a leader is an error, which
  /// passes.
  func byLeader(
    _ partitions: [TopicPartition], _ metadata: ClusterMetadata
  ) throws(ClientError) -> [(leader: Int32, partitions: [TopicPartition])] {
    var groups: [Int32: [TopicPartition]] = [:]
    for partition in partitions.sorted() {
      guard let topic = metadata.topics[partition.topic] else {
        throw ClientError(.unknownTopicOrPartition, "no topic \(partition.topic)")
      }
      guard let entry = topic.partition(partition.partition) else {
        throw ClientError(.unknownTopicOrPartition, "no partition \(partition)")
      }
      guard entry.leader >= 0 else {
        throw ClientError(.leaderNotAvailable, "\(partition) has no leader")
      }
      groups[entry.leader, default: []].append(partition)
    }
    return groups.keys.sorted().map { ($0, groups[$0] ?? []) }
  }

  private func listOffsets(
    _ partitions: [TopicPartition], _ queries: [TopicPartition: OffsetQuery], from leader: Int32,
    _ metadata: ClusterMetadata, isCommitted: Bool
  ) async throws(ClientError) -> [(TopicPartition, Result<FoundOffset, ClientError>)] {
    var request = ListOffsetsRequest()
    request.replicaID = -1
    request.isolationLevel = isCommitted ? 1 : 0
    request.topics = grouped(partitions).map { topic, indexes in
      ListOffsetsRequest.ListOffsetsTopic {
        $0.name = topic
        $0.partitions = indexes.map { index in
          let partition = TopicPartition(topic, index)
          return ListOffsetsRequest.ListOffsetsPartition {
            $0.partitionIndex = index
            $0.currentLeaderEpoch = metadata.leader(of: partition)?.leaderEpoch ?? -1
            $0.timestamp = queries[partition]?.timestamp ?? OffsetQuery.latest.timestamp
          }
        }
      }
    }
    let response = try await send(request, to: .node(leader))
    var answers: [(TopicPartition, Result<FoundOffset, ClientError>)] = []
    for topic in response.topics {
      for entry in topic.partitions {
        let code = ErrorCode(entry.errorCode)
        let partition = TopicPartition(topic.name, entry.partitionIndex)
        let found = FoundOffset(
          offset: entry.offset, timestamp: entry.timestamp, leaderEpoch: entry.leaderEpoch)
        answers.append(
          (partition, code == .none ? .success(found) : .failure(ClientError(code, "\(partition)")))
        )
      }
    }
    return answers
  }

  // MARK: Committed offsets

  /// The offsets that a group has committed; partitions without one are left out.
  ///
  /// - Parameter partitions: nil for all that the group has.
  public func committedOffsets(
    of group: String, _ partitions: [TopicPartition]? = nil, requireStable: Bool = false,
    timeoutMs: Int64 = 60_000
  ) async throws(ClientError) -> [TopicPartition: CommittedOffset] {
    var request = OffsetFetchRequest()
    request.groupID = group
    request.requireStable = requireStable
    request.topics = partitions.map { partitions in
      grouped(partitions).map { topic, indexes in
        OffsetFetchRequest.OffsetFetchRequestTopic {
          $0.name = topic
          $0.partitionIndexes = indexes
        }
      }
    }
    // Version 8 asks for many groups at once; one group needs the older form only.
    let response = try await sendToCoordinator(
      of: group, .group, request, maxVersion: 7, timeoutMs: timeoutMs
    ) { response in
      let codes = response.topics.flatMap { $0.partitions.map { ErrorCode($0.errorCode) } }
      return ([ErrorCode(response.errorCode)] + codes).first { $0.isRetriable } ?? .none
    }
    let code = ErrorCode(response.errorCode)
    guard code == .none else { throw ClientError(code, group) }
    var offsets: [TopicPartition: CommittedOffset] = [:]
    for topic in response.topics {
      for entry in topic.partitions where entry.committedOffset >= 0 {
        let code = ErrorCode(entry.errorCode)
        guard code == .none else { throw ClientError(code, topic.name) }
        offsets[TopicPartition(topic.name, entry.partitionIndex)] = CommittedOffset(
          entry.committedOffset, leaderEpoch: entry.committedLeaderEpoch,
          metadata: entry.metadata ?? "")
      }
    }
    return offsets
  }

  /// Commits offsets for a group.
  ///
  /// - Returns: the partitions that were refused, by error.
  public func commitOffsets(
    _ offsets: [TopicPartition: CommittedOffset], of group: GroupMembership,
    timeoutMs: Int64 = 60_000
  ) async throws(ClientError) -> [TopicPartition: ErrorCode] {
    var request = OffsetCommitRequest()
    request.groupID = group.groupID
    request.generationIDOrMemberEpoch = group.generationID
    request.memberID = group.memberID
    request.groupInstanceID = group.groupInstanceID
    request.topics = grouped(Array(offsets.keys)).map { topic, indexes in
      OffsetCommitRequest.OffsetCommitRequestTopic {
        $0.name = topic
        $0.partitions = indexes.map { index in
          let offset = offsets[TopicPartition(topic, index)]
          return OffsetCommitRequest.OffsetCommitRequestPartition {
            $0.partitionIndex = index
            $0.committedOffset = offset?.offset ?? -1
            $0.committedLeaderEpoch = offset?.leaderEpoch ?? -1
            $0.committedMetadata = offset?.metadata
          }
        }
      }
    }
    let response = try await sendToCoordinator(
      of: group.groupID, .group, request, timeoutMs: timeoutMs
    ) { response in
      let codes = response.topics.flatMap { $0.partitions.map { ErrorCode($0.errorCode) } }
      return codes.first { $0.isRetriable } ?? .none
    }
    var refused: [TopicPartition: ErrorCode] = [:]
    for topic in response.topics {
      for entry in topic.partitions where entry.errorCode != 0 {
        refused[TopicPartition(topic.name, entry.partitionIndex)] = ErrorCode(entry.errorCode)
      }
    }
    return refused
  }

  /// Partition numbers by topic, both in order.
  func grouped(_ partitions: [TopicPartition]) -> [(topic: String, indexes: [Int32])] {
    var groups: [(topic: String, indexes: [Int32])] = []
    for partition in partitions.sorted() {
      if groups.last?.topic == partition.topic {
        groups[groups.count - 1].indexes.append(partition.partition)
      } else {
        groups.append((partition.topic, [partition.partition]))
      }
    }
    return groups
  }
}
