// Requests and answers at the machine's edge.
import KafkaProtocol
import Metadata
import Values

/// What clients and brokers ask of the controller, free of wire formats.
public enum ControlRequest: Sendable {
  case createTopics([TopicToCreate], validateOnly: Bool)
  /// Waits until the topics are gone, at most so long.
  case deleteTopics([DeleteTopic.Target], timeoutMs: Int64)
  case createPartitions([AddPartitions], validateOnly: Bool)
  /// Nil: every partition there is.
  case electLeaders([TopicPartition]?, ElectLeader.Kind)
  case alterPartitions([AlterPartition])
  case reassign([ReassignPartition])
  /// Nil: all that are under way.
  case listReassignments([TopicPartition]?)
  case controlledShutdown(BeginControlledShutdown)
  case allocateProducerIDs(AllocateProducerIDs)
  /// A topic's configuration was written by somebody. Has no answer.
  case topicConfigChanged(String)
}

public enum ControlAnswer: Sendable {
  /// This broker is not the controller, or ceased to be while it worked on the request.
  case notController
  /// One for each item of the request, in its order.
  case createTopics([Result<CreateTopic.Reply, Refusal>])
  case deleteTopics([Result<DeleteTopic.Reply, Refusal>])
  case done([Result<Void, Refusal>])
  case electLeaders([(at: TopicPartition, result: Result<BrokerID, Refusal>)])
  case alterPartitions([Result<PartitionImage, Refusal>])
  case listReassignments([(at: TopicPartition, partition: PartitionImage)])
  /// Partitions that the broker still leads.
  case controlledShutdown(Result<[TopicPartition], Refusal>)
  /// The first id of the block.
  case allocateProducerIDs(Result<Int64, Refusal>)
}

/// What a broker answered to one of the controller's requests.
public enum BrokerAnswer: Sendable {
  case leaderAndIsr(ErrorCode, [(at: TopicPartition, error: ErrorCode)])
  case updateMetadata(ErrorCode)
  /// Only of replicas that were to be deleted.
  case stopReplica(ErrorCode, deleted: [(at: TopicPartition, error: ErrorCode)])
}
