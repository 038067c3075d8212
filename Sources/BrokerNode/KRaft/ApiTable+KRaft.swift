/// What a broker serves in KRaft mode. Reading this table is reading the broker's surface.
///
/// What brokers tell each other in ZooKeeper mode (LeaderAndIsr, StopReplica, UpdateMetadata,
/// ControlledShutdown) is not served: the metadata log says it.
import KafkaMessages
import KafkaProtocol

extension ApiTable {
  static let kraftBroker = ApiTable(
    records + cluster + forwarded + GroupApis.all + TransactionApis.all, roles: .broker)

  /// Like Kafka's, which lists these APIs when somebody takes what clients push (KIP-714).
  static let kraftBrokerWithTelemetry = ApiTable(
    records + cluster + forwarded + GroupApis.all + TransactionApis.all + telemetry, roles: .broker)

  /// Records and what is known about them.
  private static let records: [ApiEntry] = [
    ApiEntry(inPlace: ProduceHandler.self),
    ApiEntry(FetchHandler.self),
    ApiEntry(ListOffsetsHandler.self),
    ApiEntry(DeleteRecordsHandler.self),
    ApiEntry(OffsetForLeaderEpochHandler.self),
    ApiEntry(DescribeLogDirsHandler.self),
    ApiEntry(DescribeProducersHandler.self),
  ]

  /// What this broker answers from its image of the metadata.
  private static let cluster: [ApiEntry] = [
    ApiEntry(MetadataHandler.self),
    ApiEntry(ApiVersionsHandler.self),
    ApiEntry(DescribeConfigsHandler.self),
    ApiEntry(DescribeClusterHandler.self),
    ApiEntry(DescribeTopicPartitionsHandler.self),
    ApiEntry(DescribeClientQuotasHandler.self),
    ApiEntry(DescribeUserScramCredentialsHandler.self),
    ApiEntry(ListClientMetricsResourcesHandler.self),
    ApiEntry(DescribeAclsHandler.self),
    ApiEntry(CreateDelegationTokenHandler.self),
    ApiEntry(RenewDelegationTokenHandler.self),
    ApiEntry(ExpireDelegationTokenHandler.self),
    ApiEntry(DescribeDelegationTokenHandler.self),
    // Checked here where a broker's own settings are concerned, then passed on.
    ApiEntry(ForwardedAlterConfigsHandler.self, isForwarded: true),
    ApiEntry(ForwardedIncrementalAlterConfigsHandler.self, isForwarded: true),
  ]

  /// What clients tell of themselves.
  private static let telemetry: [ApiEntry] = [
    ApiEntry(GetTelemetrySubscriptionsHandler.self),
    ApiEntry(PushTelemetryHandler.self),
  ]

  /// What the controller answers.
  private static let forwarded: [ApiEntry] = [
    ApiEntry(forwarding: CreateTopicsRequest.self),
    ApiEntry(forwarding: DeleteTopicsRequest.self),
    ApiEntry(forwarding: CreateAclsRequest.self),
    ApiEntry(forwarding: DeleteAclsRequest.self),
    ApiEntry(forwarding: CreatePartitionsRequest.self),
    ApiEntry(forwarding: ElectLeadersRequest.self),
    ApiEntry(forwarding: AlterPartitionReassignmentsRequest.self),
    ApiEntry(forwarding: ListPartitionReassignmentsRequest.self),
    ApiEntry(forwarding: AlterClientQuotasRequest.self),
    ApiEntry(forwarding: AlterUserScramCredentialsRequest.self),
    ApiEntry(forwarding: UpdateFeaturesRequest.self),
    ApiEntry(forwarding: DescribeQuorumRequest.self),
    ApiEntry(forwarding: UnregisterBrokerRequest.self),
    ApiEntry(forwarding: AddRaftVoterRequest.self),
    ApiEntry(forwarding: RemoveRaftVoterRequest.self),
  ]
}
