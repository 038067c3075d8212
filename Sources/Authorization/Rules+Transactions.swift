// Requests about transactions: producers' own, and what coordinators and leaders tell each other.
import KafkaMessages
import KafkaProtocol

private let idFailed = ErrorCode.transactionalIDAuthorizationFailed.rawValue
private let groupFailed = ErrorCode.groupAuthorizationFailed.rawValue
private let topicFailed = ErrorCode.topicAuthorizationFailed.rawValue

extension AddPartitionsToTxnRequest: GuardedRequest {
  /// From producers (before version 4) WRITE on the transactional id and on each topic; one that is
  /// missing keeps out all partitions. From brokers CLUSTER_ACTION.
  public func restrict(
    _ access: Access, version: Int16
  ) -> Restriction<AddPartitionsToTxnResponse> {
    guard version < 4 else {
      if access.mayOnCluster(.clusterAction) { return .serve }
      return .refuse(.init { $0.errorCode = ErrorCode.clusterAuthorizationFailed.rawValue })
    }
    let topics = v3AndBelowTopics
    func refusal(
      _ error: (String) -> Int16
    ) -> Restriction<AddPartitionsToTxnResponse> {
      let results = topics.map { topic in
        AddPartitionsToTxnResponse.AddPartitionsToTxnTopicResult {
          $0.name = topic.name
          let code = error(topic.name)
          $0.resultsByPartition = topic.partitions.map { partition in
            .init {
              $0.partitionIndex = partition
              $0.partitionErrorCode = code
            }
          }
        }
      }
      return .refuse(.init { $0.resultsByTopicV3AndBelow = results })
    }
    guard access.may(.write, .transactionalID, v3AndBelowTransactionalID) else {
      return refusal { _ in idFailed }
    }
    let denied = Set(topics.map(\.name).filter { !access.may(.write, .topic, $0) })
    if denied.isEmpty { return .serve }
    return refusal {
      denied.contains($0) ? topicFailed : ErrorCode.operationNotAttempted.rawValue
    }
  }
}

extension AddOffsetsToTxnRequest: GuardedRequest {
  /// WRITE on the transactional id and READ on the group.
  public func restrict(_ access: Access, version: Int16) -> Restriction<AddOffsetsToTxnResponse> {
    guard access.may(.write, .transactionalID, transactionalID) else {
      return .refuse(.init { $0.errorCode = idFailed })
    }
    return access.may(.read, .group, groupID)
      ? .serve : .refuse(.init { $0.errorCode = groupFailed })
  }
}

extension EndTxnRequest: GuardedRequest {
  /// WRITE on the transactional id.
  public func restrict(_ access: Access, version: Int16) -> Restriction<EndTxnResponse> {
    access.may(.write, .transactionalID, transactionalID)
      ? .serve : .refuse(.init { $0.errorCode = idFailed })
  }
}

extension WriteTxnMarkersRequest: GuardedRequest {
  /// ALTER on the cluster, as administrators have who end hanging transactions, or CLUSTER_ACTION.
  public func restrict(_ access: Access, version: Int16) -> Restriction<WriteTxnMarkersResponse> {
    if access.mayOnCluster(.alter, isAsked: false) || access.mayOnCluster(.clusterAction) {
      return .serve
    }
    let failed = ErrorCode.clusterAuthorizationFailed.rawValue
    let results = markers.map { marker in
      WriteTxnMarkersResponse.WritableTxnMarkerResult {
        $0.producerID = marker.producerID
        $0.topics = marker.topics.map { topic in
          .init {
            $0.name = topic.name
            $0.partitions = topic.partitionIndexes.map { index in
              .init {
                $0.partitionIndex = index
                $0.errorCode = failed
              }
            }
          }
        }
      }
    }
    return .refuse(.init { $0.markers = results })
  }
}

extension TxnOffsetCommitRequest: GuardedRequest {
  /// WRITE on the transactional id, READ on the group, and READ on each topic.
  public mutating func restrict(
    _ access: Access, version: Int16
  ) -> Restriction<TxnOffsetCommitResponse> {
    let error: Int16? =
      if !access.may(.write, .transactionalID, transactionalID) {
        idFailed
      } else if !access.may(.read, .group, groupID) {
        groupFailed
      } else {
        nil
      }
    if let error {
      let failed = topics.map { Self.failed($0, error) }
      return .refuse(.init { $0.topics = failed })
    }
    return topics.refuse(into: \.topics) { topic in
      access.may(.read, .topic, topic.name) ? nil : Self.failed(topic, topicFailed)
    }
  }

  private static func failed(
    _ topic: TxnOffsetCommitRequestTopic, _ code: Int16
  ) -> TxnOffsetCommitResponse.TxnOffsetCommitResponseTopic {
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

extension DescribeTransactionsRequest: GuardedRequest {
  /// DESCRIBE on each transactional id; of its topics, those are shown that may be described.
  public mutating func restrict(
    _ access: Access, version: Int16
  ) -> Restriction<DescribeTransactionsResponse> {
    let split = transactionalIDs.split { access.may(.describe, .transactionalID, $0) }
    transactionalIDs = split.allowed
    let denied = split.denied
    return .amend { response in
      for place in response.transactionStates.indices {
        response.transactionStates[place].topics.removeAll {
          !access.may(.describe, .topic, $0.topic, isAsked: false)
        }
      }
      response.transactionStates += denied.map { id in
        .init {
          $0.transactionalID = id
          $0.errorCode = idFailed
        }
      }
    }
  }
}

extension ListTransactionsRequest: GuardedRequest {
  /// The transactional ids that the asker may describe.
  public func restrict(_ access: Access, version: Int16) -> Restriction<ListTransactionsResponse> {
    .amend { response in
      response.transactionStates.removeAll {
        !access.may(.describe, .transactionalID, $0.transactionalID, isAsked: false)
      }
    }
  }
}
