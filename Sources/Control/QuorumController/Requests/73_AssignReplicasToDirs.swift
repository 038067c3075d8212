// AssignReplicasToDirs (73, version 0): a broker says in which log directory it keeps a replica
// (KIP-858).
import KafkaMessages
import KafkaProtocol
import KafkaRecords
import Metadata
import Values

extension AssignReplicasToDirsRequest: ControllerRequest {
  public func refused(_ refusal: Refusal, version: Int16) -> AssignReplicasToDirsResponse {
    .init { $0.errorCode = refusal.code.rawValue }
  }

  public func decide(
    _ machine: inout QuorumController, _ context: RequestContext
  ) -> QuorumController.Outcome<AssignReplicasToDirsResponse> {
    do throws(Refusal) {
      guard machine.pending.image.metadataVersion.hasDirectoryAssignment else {
        throw Refusal(.unsupportedVersion, "Directory assignment is not supported yet.")
      }
      let broker = try machine.checkSender(brokerID, brokerEpoch)
      var draft = PartitionDraft(machine)
      let response = assign(broker, &draft)
      return .init(draft.records, isAtomic: false, isBounded: false, response)
    } catch {
      return .init(refused(error, version: context.version))
    }
  }

  private func assign(
    _ broker: BrokerImage, _ draft: inout PartitionDraft
  ) -> AssignReplicasToDirsResponse {
    var response = AssignReplicasToDirsResponse()
    for directory in directories {
      var answer = AssignReplicasToDirsResponse.DirectoryData()
      answer.id = directory.id
      for asked in directory.topics {
        var topic = AssignReplicasToDirsResponse.TopicData()
        topic.topicID = asked.topicID
        for partition in asked.partitions {
          let number = partition.partitionIndex
          let code = Self.assign(
            asked.topicID, number, to: directory.id, of: broker, &draft)
          topic.partitions.append(
            .init {
              $0.partitionIndex = number
              $0.errorCode = code.rawValue
            })
        }
        answer.topics.append(topic)
      }
      response.directories.append(answer)
    }
    return response
  }

  private static func assign(
    _ topicID: Uuid, _ number: Int32, to directory: Uuid, of broker: BrokerImage,
    _ draft: inout PartitionDraft
  ) -> ErrorCode {
    guard let topic = draft.image.topics[topicID] else { return .unknownTopicID }
    guard let partition = draft.partition(topic, number) else { return .unknownTopicOrPartition }
    guard partition.replicas.contains(broker.id) else { return .notLeaderOrFollower }
    var builder = draft.builder(topic, number, partition)
    builder.directories[broker.id] = directory
    draft.apply(builder)
    // A directory that has failed since the broker sent this takes the replica with it.
    if !draft.availability.hasOnlineDirectory(broker.id, directory),
      let next = draft.partition(topic, number)
    {
      draft.settle(topic, number, next, .removed(broker.id))
    }
    return .none
  }
}
