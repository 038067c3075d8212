// AlterPartitionReassignments (45) and ListPartitionReassignments (46) in KRaft mode (KIP-455).
import KafkaMessages
import KafkaProtocol
import KafkaRecords
import Metadata
import Values

extension AlterPartitionReassignmentsRequest: ControllerRequest {
  public func refused(
    _ refusal: Refusal, version: Int16
  ) -> AlterPartitionReassignmentsResponse {
    .init {
      $0.errorCode = refusal.code.rawValue
      $0.errorMessage = refusal.message
    }
  }

  public func decide(
    _ machine: inout QuorumController, _ context: RequestContext
  ) -> QuorumController.Outcome<AlterPartitionReassignmentsResponse> {
    var draft = PartitionDraft(machine)
    var response = AlterPartitionReassignmentsResponse()
    response.errorMessage = nil
    for asked in topics {
      var answer = AlterPartitionReassignmentsResponse.ReassignableTopicResponse()
      answer.name = asked.name
      for wanted in asked.partitions {
        var result = Refusal(.none)
        do throws(Refusal) {
          try Self.reassign(wanted, of: asked.name, &draft)
        } catch {
          result = error
        }
        answer.partitions.append(
          .init {
            $0.partitionIndex = wanted.partitionIndex
            $0.errorCode = result.code.rawValue
            $0.errorMessage = result.message
          })
      }
      response.responses.append(answer)
    }
    return .init(draft.records, response)
  }

  private static func reassign(
    _ wanted: ReassignablePartition, of name: String, _ draft: inout PartitionDraft
  ) throws(Refusal) {
    guard let topic = draft.image.topics[name] else {
      throw Refusal(.unknownTopicOrPartition, "Unable to find a topic named \(name).")
    }
    let number = wanted.partitionIndex
    guard let partition = draft.partition(topic, number) else {
      throw Refusal(.unknownTopicOrPartition, "Unable to find partition \(name):\(number).")
    }
    var builder = draft.builder(topic, number, partition)
    if let replicas = wanted.replicas?.brokerIDs {
      try draft.validate(replicas, factor: nil)
      // What the target does not have goes when it is complete; what it adds has to catch up. A
      // reassignment of a partition that is already moving starts from all that it has now.
      let removing = partition.replicas.filter { !replicas.contains($0) }.sorted()
      let adding = replicas.filter { !partition.replicas.contains($0) }.sorted()
      builder.replicas = replicas + removing
      if !removing.isEmpty { builder.removing = removing }
      if !adding.isEmpty { builder.adding = adding }
    } else {
      try cancel(&builder, name, number, partition, draft)
    }
    draft.apply(builder)
  }

  /// Back to where the reassignment came from.
  private static func cancel(
    _ builder: inout PartitionChangeBuilder, _ name: String, _ number: Int32,
    _ partition: PartitionImage, _ draft: PartitionDraft
  ) throws(Refusal) {
    guard partition.isReassigning else { throw Refusal(.noReassignmentInProgress) }
    let original = partition.originalReplicas
    guard let first = original.first else {
      throw Refusal(
        .invalidReplicaAssignment,
        "Invalid replica assignment: addingReplicas contains all replicas.")
    }
    let allowsUnclean = draft.allowsUncleanElection(name)
    var isr = partition.isr.filter(original.contains)
    if isr.isEmpty {
      guard allowsUnclean else {
        throw Refusal(
          .invalidReplicaAssignment,
          "Unable to revert partition assignment for \(name):\(number) because it would require "
            + "an unclean leader election.")
      }
      isr = [first]
      // It leads without what the others had: that is an unclean election, whoever calls it so.
      if builder.level.hasLeaderRecovery { builder.leaderRecoveryState = .recovering }
    }
    if allowsUnclean { builder.election = .unclean }
    builder.isr = isr
    builder.replicas = original
    builder.removing = []
    builder.adding = []
  }
}

extension ListPartitionReassignmentsRequest: ControllerRequest {
  public func refused(
    _ refusal: Refusal, version: Int16
  ) -> ListPartitionReassignmentsResponse {
    .init {
      $0.errorCode = refusal.code.rawValue
      $0.errorMessage = refusal.message
    }
  }

  public func decide(
    _ machine: inout QuorumController, _ context: RequestContext
  ) -> QuorumController.Outcome<ListPartitionReassignmentsResponse> {
    let image = machine.pending.image
    var response = ListPartitionReassignmentsResponse()
    response.errorMessage = nil
    guard image.topics.reassigningCount > 0 else { return .init(response) }
    if let topics {
      for asked in topics {
        guard let topic = image.topics[asked.name] else { continue }
        Self.list(topic, asked.partitionIndexes, &response)
      }
    } else {
      image.topics.forEach { Self.list($0, $0.partitions.numbers, &response) }
    }
    return .init(response)
  }

  private static func list(
    _ topic: TopicImage, _ numbers: [Int32], _ response: inout ListPartitionReassignmentsResponse
  ) {
    var ongoing = ListPartitionReassignmentsResponse.OngoingTopicReassignment()
    ongoing.name = topic.name
    for number in numbers {
      guard let partition = topic.partitions[number], partition.isReassigning else { continue }
      ongoing.partitions.append(
        .init {
          $0.partitionIndex = number
          $0.replicas = partition.replicas.rawIDs
          $0.addingReplicas = partition.addingReplicas.rawIDs
          $0.removingReplicas = partition.removingReplicas.rawIDs
        })
    }
    if !ongoing.partitions.isEmpty { response.topics.append(ongoing) }
  }
}
