// AlterPartition (56, versions 0–3) in KRaft mode: a leader proposes the ISR of its partitions.
import KafkaMessages
import KafkaProtocol
import KafkaRecords
import Metadata
import Values

extension AlterPartitionRequest: ControllerRequest {
  public func refused(_ refusal: Refusal, version: Int16) -> AlterPartitionResponse {
    .init { $0.errorCode = refusal.code.rawValue }
  }

  public func decide(
    _ machine: inout QuorumController, _ context: RequestContext
  ) -> QuorumController.Outcome<AlterPartitionResponse> {
    do {
      _ = try machine.checkSender(brokerID, brokerEpoch)
    } catch {
      return .init(refused(error, version: context.version))
    }
    var draft = PartitionDraft(machine)
    var response = AlterPartitionResponse()
    for asked in topics {
      var answer = AlterPartitionResponse.TopicData()
      answer.topicName = asked.topicName
      answer.topicID = asked.topicID
      // By name up to version 1, by id from version 2 on.
      let topic =
        context.version > 1
        ? draft.image.topics[asked.topicID] : draft.image.topics[asked.topicName]
      for partition in asked.partitions {
        let result = Result { () throws(Refusal) in
          guard let topic else {
            throw Refusal(context.version > 1 ? .unknownTopicID : .unknownTopicOrPartition)
          }
          return try alter(partition, of: topic, &draft, context.version)
        }
        answer.partitions.append(.init(partition.partitionIndex, result))
      }
      response.topics.append(answer)
    }
    return .init(draft.records, isAtomic: false, isBounded: false, response)
  }

  /// The state after the change. It may complete a reassignment, and so take the leadership from
  /// the very broker that asks: that is done, and answered with NEW_LEADER_ELECTED.
  private func alter(
    _ wanted: PartitionData, of topic: TopicImage, _ draft: inout PartitionDraft,
    _ version: Int16
  ) throws(Refusal) -> PartitionImage {
    let number = wanted.partitionIndex
    guard let partition = draft.partition(topic, number) else {
      throw Refusal(.unknownTopicOrPartition)
    }
    let members =
      version >= 3
      ? wanted.newIsrWithEpochs
      : wanted.newIsr.map { id in
        .init { $0.brokerID = id }
      }
    try validate(wanted, members.map { BrokerID($0.brokerID) }, partition)
    if members.contains(where: { Self.isIneligible($0, draft.image) }) {
      throw Refusal(version > 1 ? .ineligibleReplica : .operationNotAttempted)
    }
    var builder = draft.builder(topic, number, partition)
    if draft.allowsUncleanElection(topic.name) { builder.election = .unclean }
    builder.isr = members.map { BrokerID($0.brokerID) }
    builder.leaderRecoveryState =
      LeaderRecoveryState(rawValue: wanted.leaderRecoveryState) ?? .recovered
    let next = draft.apply(builder) ?? partition
    if next.leader.rawValue != brokerID {
      throw Refusal(version > 1 ? .newLeaderElected : .fencedLeaderEpoch)
    }
    return next
  }

  private func validate(
    _ wanted: PartitionData, _ isr: [BrokerID], _ partition: PartitionImage
  ) throws(Refusal) {
    // An epoch from the future means that a newer controller has spoken to the leader.
    if wanted.leaderEpoch > partition.leaderEpoch.rawValue
      || wanted.partitionEpoch > partition.partitionEpoch.rawValue
    {
      throw Refusal(.notController)
    }
    if wanted.leaderEpoch < partition.leaderEpoch.rawValue { throw Refusal(.fencedLeaderEpoch) }
    guard brokerID == partition.leader.rawValue else { throw Refusal(.invalidRequest) }
    if wanted.partitionEpoch < partition.partitionEpoch.rawValue {
      throw Refusal(.invalidUpdateVersion)
    }
    guard let recovery = LeaderRecoveryState(rawValue: wanted.leaderRecoveryState),
      isr.contains(partition.leader), Set(isr).count == isr.count,
      isr.allSatisfy(partition.replicas.contains)
    else { throw Refusal(.invalidRequest) }
    // While it recovers, the leader alone is in sync; and nothing makes it recover but an election.
    if recovery == .recovering, isr.count > 1 || partition.leaderRecoveryState == .recovered {
      throw Refusal(.invalidRequest)
    }
  }

  /// Not registered, not usable, or the follower that caught up was an earlier life (KIP-903).
  private static func isIneligible(_ member: BrokerState, _ image: MetadataImage) -> Bool {
    guard let broker = image.brokers[BrokerID(member.brokerID)] else { return true }
    return broker.isFenced || broker.isInControlledShutdown
      || (member.brokerEpoch != -1 && member.brokerEpoch != broker.epoch.rawValue)
  }
}
