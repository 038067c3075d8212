/// What request handlers ask of the controller in this process. Implemented in `Controller/`.
///
/// Every method answers exactly once, from any thread, with the complete response; while the
/// controller is not active the answer says NOT_CONTROLLER in the place where the API has it.
import KafkaMessages
import Metadata
import Values

protocol ControllerService: AnyObject, Sendable {
  /// Whether this broker is the controller now.
  var isActive: Bool { get }

  func createTopics(
    _ request: CreateTopicsRequest, version: Int16,
    reply: @escaping @Sendable (CreateTopicsResponse) -> Void)
  func deleteTopics(
    _ request: DeleteTopicsRequest, version: Int16,
    reply: @escaping @Sendable (DeleteTopicsResponse) -> Void)
  func createPartitions(
    _ request: CreatePartitionsRequest, version: Int16,
    reply: @escaping @Sendable (CreatePartitionsResponse) -> Void)
  func electLeaders(
    _ request: ElectLeadersRequest, version: Int16,
    reply: @escaping @Sendable (ElectLeadersResponse) -> Void)
  func alterPartitionReassignments(
    _ request: AlterPartitionReassignmentsRequest, version: Int16,
    reply: @escaping @Sendable (AlterPartitionReassignmentsResponse) -> Void)
  func listPartitionReassignments(
    _ request: ListPartitionReassignmentsRequest, version: Int16,
    reply: @escaping @Sendable (ListPartitionReassignmentsResponse) -> Void)
  func alterPartition(
    _ request: AlterPartitionRequest, version: Int16,
    reply: @escaping @Sendable (AlterPartitionResponse) -> Void)
  func allocateProducerIDs(
    _ request: AllocateProducerIdsRequest, version: Int16,
    reply: @escaping @Sendable (AllocateProducerIdsResponse) -> Void)
  func controlledShutdown(
    _ request: ControlledShutdownRequest, version: Int16,
    reply: @escaping @Sendable (ControlledShutdownResponse) -> Void)

  /// In ZooKeeper mode any broker may change configurations: these work on every broker.
  func alterClientQuotas(
    _ request: AlterClientQuotasRequest,
    reply: @escaping @Sendable (AlterClientQuotasResponse) -> Void)
  func createAcls(
    _ request: CreateAclsRequest, reply: @escaping @Sendable (CreateAclsResponse) -> Void)
  func deleteAcls(
    _ request: DeleteAclsRequest, reply: @escaping @Sendable (DeleteAclsResponse) -> Void)
  func alterConfigs(
    _ request: AlterConfigsRequest, version: Int16,
    reply: @escaping @Sendable (AlterConfigsResponse) -> Void)
  func incrementalAlterConfigs(
    _ request: IncrementalAlterConfigsRequest, version: Int16,
    reply: @escaping @Sendable (IncrementalAlterConfigsResponse) -> Void)
}

/// What the rest of the broker tells and asks the group coordinator. Implemented in `Groups/`.
protocol GroupService: AnyObject, Sendable {
  /// This broker now leads a partition of `__consumer_offsets`.
  func becameLeader(partition: Int32, epoch: LeaderEpoch)
  /// This broker no longer leads a partition of `__consumer_offsets`.
  func resigned(partition: Int32, epoch: LeaderEpoch)
  /// The marker of a producer's transaction is in a partition of `__consumer_offsets`.
  func transactionEnded(_ producer: ProducerID, isCommitted: Bool, partition: Int32)
  /// A topic is gone: so are its offsets.
  func topicsDeleted(_ topics: [String])
}
