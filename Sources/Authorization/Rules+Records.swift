// Requests about the records of partitions. Produce and Fetch judge each partition where they look
// it up.
import KafkaMessages
import KafkaProtocol

private let failed = ErrorCode.topicAuthorizationFailed.rawValue

extension ListOffsetsRequest: GuardedRequest {
  public mutating func restrict(
    _ access: Access, version: Int16
  ) -> Restriction<ListOffsetsResponse> {
    topics.refuse(into: \.topics) { topic in
      guard !access.may(.describe, .topic, topic.name) else { return nil }
      return ListOffsetsResponse.ListOffsetsTopicResponse {
        $0.name = topic.name
        $0.partitions = topic.partitions.map { partition in
          .init {
            $0.partitionIndex = partition.partitionIndex
            $0.errorCode = failed
          }
        }
      }
    }
  }
}

extension DeleteRecordsRequest: GuardedRequest {
  public mutating func restrict(
    _ access: Access, version: Int16
  ) -> Restriction<DeleteRecordsResponse> {
    topics.refuse(into: \.topics) { topic in
      guard !access.may(.delete, .topic, topic.name) else { return nil }
      return DeleteRecordsResponse.DeleteRecordsTopicResult {
        $0.name = topic.name
        $0.partitions = topic.partitions.map { partition in
          .init {
            $0.partitionIndex = partition.partitionIndex
            $0.lowWatermark = -1
            $0.errorCode = failed
          }
        }
      }
    }
  }
}

extension OffsetForLeaderEpochRequest: GuardedRequest {
  /// CLUSTER_ACTION, as followers have, or DESCRIBE on each topic.
  public mutating func restrict(
    _ access: Access, version: Int16
  ) -> Restriction<OffsetForLeaderEpochResponse> {
    if access.mayOnCluster(.clusterAction, isAsked: false) { return .serve }
    return topics.refuse(into: \.topics) { topic in
      guard !access.may(.describe, .topic, topic.topic) else { return nil }
      return OffsetForLeaderEpochResponse.OffsetForLeaderTopicResult {
        $0.topic = topic.topic
        $0.partitions = topic.partitions.map { partition in
          .init {
            $0.partition = partition.partition
            $0.errorCode = failed
          }
        }
      }
    }
  }
}

extension DescribeProducersRequest: GuardedRequest {
  public mutating func restrict(
    _ access: Access, version: Int16
  ) -> Restriction<DescribeProducersResponse> {
    topics.refuse(into: \.topics) { topic in
      guard !access.may(.read, .topic, topic.name) else { return nil }
      return DescribeProducersResponse.TopicResponse {
        $0.name = topic.name
        $0.partitions = topic.partitionIndexes.map { index in
          .init {
            $0.partitionIndex = index
            $0.errorCode = failed
            $0.errorMessage = ErrorCode.topicAuthorizationFailed.message
          }
        }
      }
    }
  }
}

extension InitProducerIdRequest: GuardedRequest {
  /// WRITE on the transactional id; without one IDEMPOTENT_WRITE on the cluster or WRITE on any
  /// topic (KIP-679).
  public func restrict(_ access: Access, version: Int16) -> Restriction<InitProducerIdResponse> {
    func refusal(_ code: ErrorCode) -> Restriction<InitProducerIdResponse> {
      .refuse(
        InitProducerIdResponse {
          $0.errorCode = code.rawValue
          $0.producerID = -1
          $0.producerEpoch = -1
        })
    }
    if let id = transactionalID {
      return access.may(.write, .transactionalID, id)
        ? .serve : refusal(.transactionalIDAuthorizationFailed)
    }
    let isAllowed =
      access.mayOnCluster(.idempotentWrite, isAsked: false) || access.mayOnAny(.write, .topic)
    return isAllowed ? .serve : refusal(.clusterAuthorizationFailed)
  }
}
