// Requests about partitions as commands, and results as responses.
import KafkaMessages
import KafkaProtocol
import Metadata
import Values

extension AlterPartitionRequest {
  /// By name up to version 1, by id from 2 on; members have epochs from 3 on.
  public func commands(version: Int16) -> [AlterPartition] {
    topics.flatMap { topic in
      topic.partitions.map { partition in
        let members =
          version >= 3
          ? partition.newIsrWithEpochs.map {
            AlterPartition.Member(BrokerID($0.brokerID), epoch: BrokerEpoch($0.brokerEpoch))
          } : partition.newIsr.map { AlterPartition.Member(BrokerID($0)) }
        return AlterPartition(
          topic: version >= 2 ? .id(topic.topicID) : .name(topic.topicName),
          partition: partition.partitionIndex, isr: members,
          leaderEpoch: LeaderEpoch(partition.leaderEpoch),
          partitionEpoch: PartitionEpoch(partition.partitionEpoch),
          leaderRecoveryState:
            LeaderRecoveryState(rawValue: partition.leaderRecoveryState) ?? .recovered,
          broker: BrokerID(brokerID), brokerEpoch: BrokerEpoch(brokerEpoch), version: version)
      }
    }
  }

  /// - Parameter results: one for each of `commands`; nil for NOT_CONTROLLER.
  public func response(_ results: [Result<PartitionImage, Refusal>]?) -> AlterPartitionResponse {
    guard let results else { return .init { $0.errorCode = ErrorCode.notController.rawValue } }
    // A sender that is not registered, or was replaced, gets no answer for single partitions. All
    // of them have failed for that reason, so the first one tells.
    if case .failure(let refusal)? = results.first, refusal.code == .staleBrokerEpoch {
      return .init { $0.errorCode = refusal.code.rawValue }
    }
    var response = AlterPartitionResponse()
    var next = results.makeIterator()
    for topic in topics {
      var answered = AlterPartitionResponse.TopicData()
      answered.topicName = topic.topicName
      answered.topicID = topic.topicID
      for partition in topic.partitions {
        answered.partitions.append(.init(partition.partitionIndex, next.next()))
      }
      response.topics.append(answered)
    }
    return response
  }
}

extension AlterPartitionResponse.PartitionData {
  /// The state of a partition after the change, or why there was none.
  public init(_ number: Int32, _ result: Result<PartitionImage, Refusal>?) {
    self.init()
    partitionIndex = number
    switch result {
    case .success(let state)?:
      leaderID = state.leader.rawValue
      leaderEpoch = state.leaderEpoch.rawValue
      isr = state.isr.rawIDs
      leaderRecoveryState = state.leaderRecoveryState.rawValue
      partitionEpoch = state.partitionEpoch.rawValue
    case .failure(let refusal)?: errorCode = refusal.code.rawValue
    case nil: errorCode = ErrorCode.unknownServerError.rawValue
    }
  }
}

extension ElectLeadersRequest {
  /// Nil: every partition there is.
  public var partitions: [TopicPartition]? {
    topicPartitions.map { topics in
      topics.flatMap { topic in topic.partitions.map { TopicPartition(topic.topic, $0) } }
    }
  }

  /// Version 0 knows preferred leaders only.
  public func kind(version: Int16) -> ElectLeader.Kind {
    version >= 1 && electionType == 1 ? .unclean : .preferred
  }

  /// - Parameter results: nil for NOT_CONTROLLER.
  public func response(
    _ results: [(at: TopicPartition, result: Result<BrokerID, Refusal>)]?
  ) -> ElectLeadersResponse {
    var response = ElectLeadersResponse()
    var list = (results ?? []).map { (at: $0.at, error: $0.result.wire) }
    if results == nil {
      let code = ErrorCode.notController.rawValue
      if partitions == nil { response.errorCode = code }
      list = (partitions ?? []).map { ($0, (code, nil)) }
    }
    // The response groups by topic.
    list.sort { $0.at < $1.at }
    for (at, error) in list {
      let partition = ElectLeadersResponse.PartitionResult {
        $0.partitionID = at.partition
        ($0.errorCode, $0.errorMessage) = error
      }
      if response.replicaElectionResults.last?.topic == at.topic {
        let last = response.replicaElectionResults.count - 1
        response.replicaElectionResults[last].partitionResult.append(partition)
      } else {
        response.replicaElectionResults.append(
          .init {
            $0.topic = at.topic
            $0.partitionResult = [partition]
          })
      }
    }
    return response
  }
}

extension AlterPartitionReassignmentsRequest {
  public var commands: [ReassignPartition] {
    topics.flatMap { topic in
      topic.partitions.map {
        ReassignPartition(
          TopicPartition(topic.name, $0.partitionIndex), target: $0.replicas?.brokerIDs)
      }
    }
  }

  /// - Parameter results: one for each of `commands`; nil for NOT_CONTROLLER.
  public func response(
    _ results: [Result<Void, Refusal>]?
  ) -> AlterPartitionReassignmentsResponse {
    var response = AlterPartitionReassignmentsResponse()
    response.errorMessage = nil
    guard let results else {
      response.errorCode = ErrorCode.notController.rawValue
      return response
    }
    var next = results.makeIterator()
    response.responses = topics.map { topic in
      .init { out in
        out.name = topic.name
        out.partitions = topic.partitions.map { partition in
          let result = next.next() ?? .failure(Refusal(.unknownServerError))
          return .init {
            $0.partitionIndex = partition.partitionIndex
            ($0.errorCode, $0.errorMessage) = result.wire
          }
        }
      }
    }
    return response
  }
}

extension ListPartitionReassignmentsRequest {
  /// Nil: all that are under way.
  public var partitions: [TopicPartition]? {
    topics.map { topics in
      topics.flatMap { topic in topic.partitionIndexes.map { TopicPartition(topic.name, $0) } }
    }
  }

  /// - Parameter list: in the order of topics; nil for NOT_CONTROLLER.
  public func response(
    _ list: [(at: TopicPartition, partition: PartitionImage)]?
  ) -> ListPartitionReassignmentsResponse {
    var response = ListPartitionReassignmentsResponse()
    response.errorMessage = nil
    guard let list else {
      response.errorCode = ErrorCode.notController.rawValue
      return response
    }
    for (at, partition) in list {
      let ongoing = ListPartitionReassignmentsResponse.OngoingPartitionReassignment {
        $0.partitionIndex = at.partition
        $0.replicas = partition.replicas.rawIDs
        $0.addingReplicas = partition.addingReplicas.rawIDs
        $0.removingReplicas = partition.removingReplicas.rawIDs
      }
      if response.topics.last?.name == at.topic {
        response.topics[response.topics.count - 1].partitions.append(ongoing)
      } else {
        response.topics.append(
          .init {
            $0.name = at.topic
            $0.partitions = [ongoing]
          })
      }
    }
    return response
  }
}
