// Requests about consumer groups, their offsets and their coordinators.
import KafkaMessages
import KafkaProtocol

private let groupFailed = ErrorCode.groupAuthorizationFailed.rawValue
private let topicFailed = ErrorCode.topicAuthorizationFailed.rawValue

// MARK: Members

extension JoinGroupRequest: GuardedRequest {
  public func restrict(_ access: Access, version: Int16) -> Restriction<JoinGroupResponse> {
    if access.may(.read, .group, groupID) { return .serve }
    return .refuse(
      JoinGroupResponse {
        $0.errorCode = groupFailed
        $0.protocolName = version >= 7 ? nil : ""
        $0.memberID = memberID
      })
  }
}

extension SyncGroupRequest: GuardedRequest {
  public func restrict(_ access: Access, version: Int16) -> Restriction<SyncGroupResponse> {
    access.may(.read, .group, groupID) ? .serve : .refuse(.init { $0.errorCode = groupFailed })
  }
}

extension HeartbeatRequest: GuardedRequest {
  public func restrict(_ access: Access, version: Int16) -> Restriction<HeartbeatResponse> {
    access.may(.read, .group, groupID) ? .serve : .refuse(.init { $0.errorCode = groupFailed })
  }
}

extension LeaveGroupRequest: GuardedRequest {
  public func restrict(_ access: Access, version: Int16) -> Restriction<LeaveGroupResponse> {
    access.may(.read, .group, groupID) ? .serve : .refuse(.init { $0.errorCode = groupFailed })
  }
}

// MARK: Offsets

extension OffsetCommitRequest: GuardedRequest {
  /// READ on the group, and READ on each topic.
  public mutating func restrict(
    _ access: Access, version: Int16
  ) -> Restriction<OffsetCommitResponse> {
    guard access.may(.read, .group, groupID) else {
      let failed = topics.map { Self.failed($0, groupFailed) }
      return .refuse(OffsetCommitResponse { $0.topics = failed })
    }
    return topics.refuse(into: \.topics) { topic in
      access.may(.read, .topic, topic.name) ? nil : Self.failed(topic, topicFailed)
    }
  }

  private static func failed(
    _ topic: OffsetCommitRequestTopic, _ code: Int16
  ) -> OffsetCommitResponse.OffsetCommitResponseTopic {
    .init {
      $0.name = topic.name
      $0.partitions = topic.partitions.map { partition in
        .init {
          $0.partitionIndex = partition.partitionIndex
          $0.errorCode = code
        }
      }
    }
  }
}

extension OffsetFetchRequest: GuardedRequest {
  typealias Group = OffsetFetchResponse.OffsetFetchResponseGroup

  /// DESCRIBE on the group, and DESCRIBE on each topic: one that was named fails, one among all is
  /// left out.
  public mutating func restrict(
    _ access: Access, version: Int16
  ) -> Restriction<OffsetFetchResponse> {
    version >= 8 ? restrictGroups(access) : restrictGroup(access, version: version)
  }

  private mutating func restrictGroups(_ access: Access) -> Restriction<OffsetFetchResponse> {
    let split = groups.split { access.may(.describe, .group, $0.groupID) }
    groups = split.allowed
    var failed = split.denied.map { group in
      Group {
        $0.groupID = group.groupID
        $0.errorCode = groupFailed
      }
    }
    var denied: [String: [OffsetFetchRequestTopics]] = [:]
    for place in groups.indices {
      guard let named = groups[place].topics else { continue }
      let topics = named.split { access.may(.describe, .topic, $0.name) }
      groups[place].topics = topics.allowed
      denied[groups[place].groupID] = topics.denied
    }
    let (refused, missing) = (failed, denied)
    failed = []
    return .amend { response in
      for place in response.groups.indices {
        response.groups[place].topics.removeAll {
          !access.may(.describe, .topic, $0.name, isAsked: false)
        }
        for topic in missing[response.groups[place].groupID] ?? [] {
          response.groups[place].topics.append(
            .init {
              $0.name = topic.name
              $0.partitions = topic.partitionIndexes.map { index in
                .init {
                  $0.partitionIndex = index
                  $0.committedOffset = -1
                  $0.errorCode = topicFailed
                }
              }
            })
        }
      }
      response.groups += refused
    }
  }

  /// Before version 8 a request is about one group.
  private mutating func restrictGroup(
    _ access: Access, version: Int16
  ) -> Restriction<OffsetFetchResponse> {
    guard access.may(.describe, .group, groupID) else {
      let failed = version < 2 ? (topics ?? []).map { Self.failed($0, groupFailed) } : []
      return .refuse(
        OffsetFetchResponse {
          $0.errorCode = groupFailed
          $0.topics = failed
        })
    }
    var failed: [OffsetFetchResponse.OffsetFetchResponseTopic] = []
    if let named = topics {
      let split = named.split { access.may(.describe, .topic, $0.name) }
      topics = split.allowed
      failed = split.denied.map { Self.failed($0, topicFailed) }
    }
    let refused = failed
    return .amend { response in
      response.topics.removeAll { !access.may(.describe, .topic, $0.name, isAsked: false) }
      response.topics += refused
    }
  }

  private static func failed(
    _ topic: OffsetFetchRequestTopic, _ code: Int16
  ) -> OffsetFetchResponse.OffsetFetchResponseTopic {
    .init {
      $0.name = topic.name
      $0.partitions = topic.partitionIndexes.map { index in
        .init {
          $0.partitionIndex = index
          $0.committedOffset = -1
          $0.errorCode = code
        }
      }
    }
  }
}

extension OffsetDeleteRequest: GuardedRequest {
  /// DELETE on the group, and READ on each topic.
  public mutating func restrict(
    _ access: Access, version: Int16
  ) -> Restriction<OffsetDeleteResponse> {
    guard access.may(.delete, .group, groupID) else {
      return .refuse(OffsetDeleteResponse { $0.errorCode = groupFailed })
    }
    let split = topics.split { access.may(.read, .topic, $0.name) }
    guard !split.denied.isEmpty else { return .serve }
    topics = split.allowed
    let failed = split.denied.map { topic in
      OffsetDeleteResponse.OffsetDeleteResponseTopic {
        $0.name = topic.name
        $0.partitions = topic.partitions.map { partition in
          .init {
            $0.partitionIndex = partition.partitionIndex
            $0.errorCode = topicFailed
          }
        }
      }
    }
    return .amend { response in
      if response.errorCode == 0 { response.topics += failed }
    }
  }
}

// MARK: Administration

extension FindCoordinatorRequest: GuardedRequest {
  /// DESCRIBE on the group or transactional id, key by key.
  public mutating func restrict(
    _ access: Access, version: Int16
  ) -> Restriction<FindCoordinatorResponse> {
    let isGroup = keyType == 0
    let type = isGroup ? ResourceType.group : .transactionalID
    let error: ErrorCode =
      isGroup ? .groupAuthorizationFailed : .transactionalIDAuthorizationFailed
    guard version >= 4 else {
      if access.may(.describe, type, key) { return .serve }
      return .refuse(
        FindCoordinatorResponse {
          $0.errorCode = error.rawValue
          $0.errorMessage = error.message
          $0.nodeID = -1
          $0.port = -1
        })
    }
    return coordinatorKeys.refuse(into: \.coordinators) { key in
      guard !access.may(.describe, type, key) else { return nil }
      return FindCoordinatorResponse.Coordinator {
        $0.key = key
        $0.nodeID = -1
        $0.port = -1
        $0.errorCode = error.rawValue
        $0.errorMessage = error.message
      }
    }
  }
}

extension DescribeGroupsRequest: GuardedRequest {
  public mutating func restrict(
    _ access: Access, version: Int16
  ) -> Restriction<DescribeGroupsResponse> {
    let split = groups.split { access.may(.describe, .group, $0) }
    groups = split.allowed
    let failed = split.denied.map { id in
      DescribeGroupsResponse.DescribedGroup {
        $0.groupID = id
        $0.errorCode = groupFailed
      }
    }
    let withOperations = includeAuthorizedOperations
    guard withOperations || !failed.isEmpty else { return .serve }
    return .amend { response in
      for place in response.groups.indices where withOperations {
        response.groups[place].authorizedOperations =
          access.authorizedOperations(.group, response.groups[place].groupID)
      }
      response.groups += failed
    }
  }
}

extension ListGroupsRequest: GuardedRequest {
  /// Who may describe the cluster sees all groups, others those that they may describe.
  public func restrict(_ access: Access, version: Int16) -> Restriction<ListGroupsResponse> {
    if access.mayOnCluster(.describe, isAsked: false) { return .serve }
    return .amend { response in
      response.groups.removeAll { !access.may(.describe, .group, $0.groupID, isAsked: false) }
    }
  }
}

extension DeleteGroupsRequest: GuardedRequest {
  public mutating func restrict(
    _ access: Access, version: Int16
  ) -> Restriction<DeleteGroupsResponse> {
    groupsNames.refuse(into: \.results) { id in
      guard !access.may(.delete, .group, id) else { return nil }
      return DeleteGroupsResponse.DeletableGroupResult {
        $0.groupID = id
        $0.errorCode = groupFailed
      }
    }
  }
}

extension Array {
  /// What is allowed and what is not, each in the old order.
  func split(_ isAllowed: (Element) -> Bool) -> (allowed: [Element], denied: [Element]) {
    var (allowed, denied): ([Element], [Element]) = ([], [])
    for element in self {
      if isAllowed(element) { allowed.append(element) } else { denied.append(element) }
    }
    return (allowed, denied)
  }
}
