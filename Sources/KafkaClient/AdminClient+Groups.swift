import KafkaMessages
import KafkaProtocol
import Values

extension AdminClient {
  public typealias GroupListing = ListGroupsResponse.ListedGroup
  public typealias GroupDescription = DescribeGroupsResponse.DescribedGroup

  /// The groups of all brokers, in order of id.
  ///
  /// - Parameters:
  ///   - states: only groups in these states (`Stable`, `Empty`, …); empty for all.
  ///   - types: only groups of these types (`classic`, `consumer`); empty for all.
  public func listGroups(
    states: [String] = [], types: [String] = []
  ) async throws(ClientError) -> [GroupListing] {
    let metadata = try await cluster.updateMetadataRetrying(timeoutMs: timeoutMs)
    var groups: [String: GroupListing] = [:]
    for node in metadata.sortedNodes {
      let request = ListGroupsRequest {
        $0.statesFilter = states
        $0.typesFilter = types
      }
      let response = try await sendToNode(request, node.id) { ErrorCode($0.errorCode) }
      try check(response.errorCode)
      for group in response.groups { groups[group.groupID] = group }
    }
    return groups.keys.sorted().compactMap { groups[$0] }
  }

  public func describeGroups(
    _ ids: [String], includeAuthorizedOperations: Bool = false
  ) async throws(ClientError) -> Outcomes<String, GroupDescription> {
    var results: Outcomes<String, GroupDescription> = [:]
    for id in ids {
      let request = DescribeGroupsRequest {
        $0.groups = [id]
        $0.includeAuthorizedOperations = includeAuthorizedOperations
      }
      let response = try await cluster.sendToCoordinator(
        of: id, .group, request, timeoutMs: timeoutMs
      ) { Self.firstError($0.groups.map(\.errorCode)) }
      for group in response.groups {
        results[group.groupID] = result(group.errorCode, nil, group)
      }
    }
    return results
  }

  /// Groups of the new protocol (KIP-848).
  public func describeConsumerGroups(
    _ ids: [String]
  ) async throws(ClientError) -> Outcomes<String, ConsumerGroupDescribeResponse.DescribedGroup> {
    var results: Outcomes<String, ConsumerGroupDescribeResponse.DescribedGroup> = [:]
    for id in ids {
      let request = ConsumerGroupDescribeRequest { $0.groupIDs = [id] }
      let response = try await cluster.sendToCoordinator(
        of: id, .group, request, timeoutMs: timeoutMs
      ) { Self.firstError($0.groups.map(\.errorCode)) }
      for group in response.groups {
        results[group.groupID] = result(group.errorCode, group.errorMessage, group)
      }
    }
    return results
  }

  static func firstError(_ codes: [Int16]) -> ErrorCode {
    codes.map { ErrorCode($0) }.first { $0 != .none } ?? .none
  }

  public func deleteGroups(
    _ ids: [String]
  ) async throws(ClientError) -> Outcomes<String, Void> {
    var results: Outcomes<String, Void> = [:]
    for id in ids {
      let request = DeleteGroupsRequest { $0.groupsNames = [id] }
      let response = try await cluster.sendToCoordinator(
        of: id, .group, request, timeoutMs: timeoutMs
      ) { Self.firstError($0.results.map(\.errorCode)) }
      for group in response.results {
        results[group.groupID] = result(group.errorCode, nil, ())
      }
    }
    return results
  }

  /// The offsets of a group; nil for all that it has.
  public func groupOffsets(
    _ group: String, _ partitions: [TopicPartition]? = nil
  ) async throws(ClientError) -> [TopicPartition: CommittedOffset] {
    try await cluster.committedOffsets(of: group, partitions, timeoutMs: timeoutMs)
  }

  /// Sets offsets of a group without members; gives what was refused.
  public func alterGroupOffsets(
    _ group: String, _ offsets: [TopicPartition: CommittedOffset]
  ) async throws(ClientError) -> [TopicPartition: ErrorCode] {
    try await cluster.commitOffsets(
      offsets, of: GroupMembership(groupID: group), timeoutMs: timeoutMs)
  }

  public func deleteGroupOffsets(
    _ group: String, _ partitions: [TopicPartition]
  ) async throws(ClientError) -> Outcomes<TopicPartition, Void> {
    var request = OffsetDeleteRequest()
    request.groupID = group
    request.topics = cluster.grouped(partitions).map { topic, indexes in
      OffsetDeleteRequest.OffsetDeleteRequestTopic {
        $0.name = topic
        $0.partitions = indexes.map { index in
          OffsetDeleteRequest.OffsetDeleteRequestPartition { $0.partitionIndex = index }
        }
      }
    }
    let response = try await cluster.sendToCoordinator(
      of: group, .group, request, timeoutMs: timeoutMs
    ) { ErrorCode($0.errorCode) }
    try check(response.errorCode, group)
    var results: Outcomes<TopicPartition, Void> = [:]
    for topic in response.topics {
      for entry in topic.partitions {
        results[TopicPartition(topic.name, entry.partitionIndex)] = result(
          entry.errorCode, nil, ())
      }
    }
    return results
  }

  /// Puts members out of a group, static ones by their instance id.
  public func removeMembers(
    of group: String, memberIDs: [String] = [], instanceIDs: [String] = [], reason: String? = nil
  ) async throws(ClientError) {
    var request = LeaveGroupRequest()
    request.groupID = group
    request.members = memberIDs.map { id in
      LeaveGroupRequest.MemberIdentity {
        $0.memberID = id
        $0.reason = reason
      }
    }
    request.members += instanceIDs.map { id in
      LeaveGroupRequest.MemberIdentity {
        $0.groupInstanceID = id
        $0.reason = reason
      }
    }
    let response = try await cluster.sendToCoordinator(
      of: group, .group, request, timeoutMs: timeoutMs
    ) { ErrorCode($0.errorCode) }
    try check(response.errorCode, group)
    for member in response.members { try check(member.errorCode, member.memberID) }
  }
}
