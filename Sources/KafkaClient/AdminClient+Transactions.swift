import KafkaMessages
import KafkaProtocol
import Values

extension AdminClient {
  public typealias ProducerState = DescribeProducersResponse.ProducerState

  /// The producers that a partition's leader (or another replica) remembers.
  public func describeProducers(
    _ partitions: [TopicPartition], on node: Int32? = nil
  ) async throws(ClientError) -> Outcomes<TopicPartition, [ProducerState]> {
    let topics = Set(partitions.map(\.topic)).sorted()
    let metadata = try await cluster.metadata(of: topics, timeoutMs: timeoutMs)
    var groups = try cluster.byLeader(partitions, metadata)
    if let node { groups = [(node, partitions)] }
    var results: Outcomes<TopicPartition, [ProducerState]> = [:]
    for (node, wanted) in groups {
      let request = DescribeProducersRequest {
        $0.topics = cluster.grouped(wanted).map { topic, indexes in
          DescribeProducersRequest.TopicRequest {
            $0.name = topic
            $0.partitionIndexes = indexes
          }
        }
      }
      let response = try await sendToNode(request, node) { _ in .none }
      for topic in response.topics {
        for entry in topic.partitions {
          results[TopicPartition(topic.name, entry.partitionIndex)] = result(
            entry.errorCode, entry.errorMessage, entry.activeProducers)
        }
      }
    }
    return results
  }

  /// The transactions of all coordinators, in order of transactional id.
  public func listTransactions(
    states: [String] = [], producerIDs: [Int64] = [], longerThanMs: Int64 = -1
  ) async throws(ClientError) -> [ListTransactionsResponse.TransactionState] {
    let metadata = try await cluster.updateMetadataRetrying(timeoutMs: timeoutMs)
    var found: [ListTransactionsResponse.TransactionState] = []
    for node in metadata.sortedNodes {
      let request = ListTransactionsRequest {
        $0.stateFilters = states
        $0.producerIDFilters = producerIDs
        $0.durationFilter = longerThanMs
      }
      let response = try await sendToNode(request, node.id) { ErrorCode($0.errorCode) }
      try check(response.errorCode)
      found += response.transactionStates
    }
    return found.sorted { $0.transactionalID < $1.transactionalID }
  }

  public func describeTransactions(
    _ ids: [String]
  ) async throws(ClientError) -> Outcomes<String, DescribeTransactionsResponse.TransactionState> {
    var results: Outcomes<String, DescribeTransactionsResponse.TransactionState> = [:]
    for id in ids {
      let request = DescribeTransactionsRequest { $0.transactionalIDs = [id] }
      let response = try await cluster.sendToCoordinator(
        of: id, .transaction, request, timeoutMs: timeoutMs
      ) { Self.firstError($0.transactionStates.map(\.errorCode)) }
      for state in response.transactionStates {
        results[state.transactionalID] = result(state.errorCode, nil, state)
      }
    }
    return results
  }

  /// Ends a hanging transaction in one partition by an abort marker (KIP-664).
  public func abortTransaction(
    _ partition: TopicPartition, producerID: Int64, producerEpoch: Int16, coordinatorEpoch: Int32
  ) async throws(ClientError) {
    let metadata = try await cluster.metadata(of: [partition.topic], timeoutMs: timeoutMs)
    guard let leader = metadata.leader(of: partition)?.leader else {
      throw ClientError(.leaderNotAvailable, "\(partition)")
    }
    let request = WriteTxnMarkersRequest {
      $0.markers = [
        WriteTxnMarkersRequest.WritableTxnMarker {
          $0.producerID = producerID
          $0.producerEpoch = producerEpoch
          $0.coordinatorEpoch = coordinatorEpoch
          $0.transactionResult = false
          $0.topics = [
            WriteTxnMarkersRequest.WritableTxnMarkerTopic {
              $0.name = partition.topic
              $0.partitionIndexes = [partition.partition]
            }
          ]
        }
      ]
    }
    let response = try await sendToNode(request, leader) { _ in .none }
    for marker in response.markers {
      for topic in marker.topics {
        for entry in topic.partitions { try check(entry.errorCode, "\(partition)") }
      }
    }
  }
}
