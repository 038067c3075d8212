// ElectLeaders (43, versions 0–2) in KRaft mode.
import KafkaMessages
import KafkaProtocol
import KafkaRecords
import Metadata
import Values

extension ElectLeadersRequest: ControllerRequest {
  public func refused(_ refusal: Refusal, version: Int16) -> ElectLeadersResponse {
    .init { response in
      // Version 0 has no place for an error but the partitions.
      if version >= 1 { response.errorCode = refusal.code.rawValue }
      response.replicaElectionResults = (topicPartitions ?? []).map { topic in
        .init {
          $0.topic = topic.topic
          $0.partitionResult = topic.partitions.map { Self.result($0, refusal) }
        }
      }
    }
  }

  public func decide(
    _ machine: inout QuorumController, _ context: RequestContext
  ) -> QuorumController.Outcome<ElectLeadersResponse> {
    // Version 0 knows preferred leaders only.
    let type = context.version >= 1 ? electionType : 0
    guard type == 0 || type == 1 else {
      let refusal = Refusal(.invalidRequest, "Unknown election type \(type)")
      return .init(refused(refusal, version: context.version))
    }
    let election: PartitionChangeBuilder.Election = type == 0 ? .preferred : .unclean
    var draft = PartitionDraft(machine)
    var response = ElectLeadersResponse()
    if let topicPartitions {
      for asked in topicPartitions {
        response.replicaElectionResults.append(
          Self.elect(asked.topic, asked.partitions, election, &draft))
      }
    } else {
      for name in draft.image.topics.sortedNames {
        let numbers = draft.image.topics[name]?.partitions.numbers ?? []
        var results = Self.elect(name, numbers, election, &draft)
        // Who asks for everything does not want to hear where there was nothing to do.
        results.partitionResult.removeAll {
          $0.errorCode == ErrorCode.electionNotNeeded.rawValue
        }
        response.replicaElectionResults.append(results)
      }
    }
    return .init(draft.records, isAtomic: false, response)
  }

  private static func elect(
    _ name: String, _ numbers: [Int32], _ election: PartitionChangeBuilder.Election,
    _ draft: inout PartitionDraft
  ) -> ElectLeadersResponse.ReplicaElectionResult {
    var results = ElectLeadersResponse.ReplicaElectionResult()
    results.topic = name
    for number in numbers {
      do throws(Refusal) {
        try elect(name, number, election, &draft)
        results.partitionResult.append(result(number, Refusal(.none)))
      } catch {
        results.partitionResult.append(result(number, error))
      }
    }
    return results
  }

  private static func elect(
    _ name: String, _ number: Int32, _ election: PartitionChangeBuilder.Election,
    _ draft: inout PartitionDraft
  ) throws(Refusal) {
    guard let topic = draft.image.topics[name] else {
      throw Refusal(.unknownTopicOrPartition, "No such topic as \(name)")
    }
    guard let partition = draft.partition(topic, number) else {
      throw Refusal(.unknownTopicOrPartition, "No such partition as \(name)-\(number)")
    }
    let isNeeded = election == .preferred ? !partition.hasPreferredLeader : !partition.hasLeader
    guard isNeeded else { throw Refusal(.electionNotNeeded) }
    var builder = draft.builder(topic, number, partition)
    builder.election = election
    guard draft.apply(builder) != nil else {
      throw Refusal(
        election == .preferred ? .preferredLeaderNotAvailable : .eligibleLeadersNotAvailable)
    }
  }

  private static func result(
    _ number: Int32, _ refusal: Refusal
  ) -> ElectLeadersResponse.PartitionResult {
    .init {
      $0.partitionID = number
      $0.errorCode = refusal.code.rawValue
      $0.errorMessage = refusal.message
    }
  }
}
