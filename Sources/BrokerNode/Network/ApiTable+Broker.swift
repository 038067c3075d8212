/// What a broker serves in ZooKeeper mode. Reading this table is reading the broker's surface.
import KafkaProtocol

extension ApiTable {
  static let zooKeeperBroker = ApiTable(
    data + cluster + GroupApis.all + TransactionApis.all, roles: .zkBroker)

  /// Records and what is known about them.
  private static let data: [ApiEntry] = [
    ApiEntry(inPlace: ProduceHandler.self),
    ApiEntry(FetchHandler.self),
    ApiEntry(ListOffsetsHandler.self),
    ApiEntry(DeleteRecordsHandler.self),
    ApiEntry(OffsetForLeaderEpochHandler.self),
    ApiEntry(DescribeLogDirsHandler.self),
    ApiEntry(DescribeProducersHandler.self),
  ]

  /// The cluster: what it looks like, and changes to it.
  private static let cluster: [ApiEntry] = [
    ApiEntry(MetadataHandler.self),
    ApiEntry(LeaderAndIsrHandler.self),
    ApiEntry(StopReplicaHandler.self),
    ApiEntry(UpdateMetadataHandler.self),
    ApiEntry(ControlledShutdownHandler.self),
    ApiEntry(ApiVersionsHandler.self),
    ApiEntry(CreateTopicsHandler.self),
    ApiEntry(DeleteTopicsHandler.self),
    ApiEntry(DescribeAclsHandler.self),
    ApiEntry(CreateDelegationTokenHandler.self),
    ApiEntry(RenewDelegationTokenHandler.self),
    ApiEntry(ExpireDelegationTokenHandler.self),
    ApiEntry(DescribeDelegationTokenHandler.self),
    ApiEntry(CreateAclsHandler.self),
    ApiEntry(DeleteAclsHandler.self),
    ApiEntry(DescribeConfigsHandler.self),
    ApiEntry(AlterConfigsHandler.self),
    ApiEntry(CreatePartitionsHandler.self),
    ApiEntry(ElectLeadersHandler.self),
    ApiEntry(IncrementalAlterConfigsHandler.self),
    ApiEntry(DescribeClientQuotasHandler.self),
    ApiEntry(AlterClientQuotasHandler.self),
    ApiEntry(AlterPartitionReassignmentsHandler.self),
    ApiEntry(ListPartitionReassignmentsHandler.self),
    ApiEntry(AlterPartitionHandler.self),
    ApiEntry(DescribeClusterHandler.self),
    ApiEntry(AllocateProducerIDsHandler.self),
  ]
}
