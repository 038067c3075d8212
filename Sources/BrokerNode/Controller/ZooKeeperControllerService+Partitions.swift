/// Elections and reassignments.
import Control
import KafkaMessages
import KafkaProtocol
import Metadata
import Values

extension ZooKeeperControllerService {
  func electLeaders(
    _ request: ElectLeadersRequest, version: Int16,
    reply: @escaping @Sendable (ElectLeadersResponse) -> Void
  ) {
    let partitions = request.topicPartitions.map { topics in
      topics.flatMap { topic in topic.partitions.map { TopicPartition(topic.topic, $0) } }
    }
    // Version 0 knows preferred leaders only.
    let kind: ElectLeader.Kind = version >= 1 && request.electionType == 1 ? .unclean : .preferred
    runner.ask(.electLeaders(partitions, kind)) { answer in
      var response = ElectLeadersResponse()
      var results: [(at: TopicPartition, error: (code: Int16, message: String?))]
      if case .electLeaders(let list) = answer {
        results = list.map { ($0.at, $0.result.wire) }
      } else {
        let code = ErrorCode.notController.rawValue
        if partitions == nil { response.errorCode = code }
        results = (partitions ?? []).map { ($0, (code, nil)) }
      }
      // The response groups by topic.
      results.sort { $0.at < $1.at }
      for (at, error) in results {
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
      reply(response)
    }
  }

  func alterPartitionReassignments(
    _ request: AlterPartitionReassignmentsRequest, version: Int16,
    reply: @escaping @Sendable (AlterPartitionReassignmentsResponse) -> Void
  ) {
    let moves = request.topics.flatMap { topic in
      topic.partitions.map {
        ReassignPartition(
          TopicPartition(topic.name, $0.partitionIndex), target: $0.replicas?.brokerIDs)
      }
    }
    runner.ask(.reassign(moves)) { answer in
      var response = AlterPartitionReassignmentsResponse()
      response.errorMessage = nil
      guard case .done(let results) = answer else {
        response.errorCode = ErrorCode.notController.rawValue
        return reply(response)
      }
      var next = results.makeIterator()
      response.responses = request.topics.map { topic in
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
      reply(response)
    }
  }

  func listPartitionReassignments(
    _ request: ListPartitionReassignmentsRequest, version: Int16,
    reply: @escaping @Sendable (ListPartitionReassignmentsResponse) -> Void
  ) {
    let partitions = request.topics.map { topics in
      topics.flatMap { topic in topic.partitionIndexes.map { TopicPartition(topic.name, $0) } }
    }
    runner.ask(.listReassignments(partitions)) { answer in
      var response = ListPartitionReassignmentsResponse()
      response.errorMessage = nil
      guard case .listReassignments(let list) = answer else {
        response.errorCode = ErrorCode.notController.rawValue
        return reply(response)
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
      reply(response)
    }
  }
}
