import Authorization
import KafkaMessages
import KafkaProtocol
import Testing

@testable import BrokerNode

/// No API slips by an authorizer.
@Suite struct AccessTableTests {
  /// Every request type of the table, by the API that it is of.
  private static let guarded: [any GuardedRequest.Type] = [
    ListOffsetsRequest.self, MetadataRequest.self, OffsetCommitRequest.self,
    OffsetFetchRequest.self, FindCoordinatorRequest.self, JoinGroupRequest.self,
    HeartbeatRequest.self, LeaveGroupRequest.self, SyncGroupRequest.self,
    DescribeGroupsRequest.self, ListGroupsRequest.self, DeleteRecordsRequest.self,
    InitProducerIdRequest.self, AddPartitionsToTxnRequest.self, AddOffsetsToTxnRequest.self,
    EndTxnRequest.self, WriteTxnMarkersRequest.self, TxnOffsetCommitRequest.self,
    DescribeTransactionsRequest.self, ListTransactionsRequest.self,
    OffsetForLeaderEpochRequest.self, DescribeAclsRequest.self,
    DescribeConfigsRequest.self, DescribeLogDirsRequest.self, DeleteGroupsRequest.self,
    OffsetDeleteRequest.self, DescribeClientQuotasRequest.self,
    DescribeUserScramCredentialsRequest.self, DescribeClusterRequest.self,
    DescribeProducersRequest.self, ListClientMetricsResourcesRequest.self,
    DescribeTopicPartitionsRequest.self, CreateDelegationTokenRequest.self,
    LeaderAndIsrRequest.self, StopReplicaRequest.self, UpdateMetadataRequest.self,
    ControlledShutdownRequest.self, CreateTopicsRequest.self, DeleteTopicsRequest.self,
    CreateAclsRequest.self, DeleteAclsRequest.self, AlterConfigsRequest.self,
    CreatePartitionsRequest.self, ElectLeadersRequest.self, IncrementalAlterConfigsRequest.self,
    AlterPartitionReassignmentsRequest.self, ListPartitionReassignmentsRequest.self,
    AlterPartitionRequest.self, AlterClientQuotasRequest.self, AllocateProducerIdsRequest.self,
  ]

  /// Judged by their handlers, partition by partition.
  private static let judgedInside: Set<ApiKey> = [.produce, .fetch]

  @Test func everyApiOfABrokerIsJudgedSomewhere() {
    let judged = Set(Self.guarded.map { Self.api(of: $0) })
    let tables = [ApiTable.kraftBrokerWithTelemetry, .zooKeeperBroker]
    for entry in tables.flatMap(\.all) where !entry.isForwarded {
      #expect(
        judged.contains(entry.api) || Self.judgedInside.contains(entry.api)
          || AccessGate.open.contains(entry.api), "\(entry.api.name)")
    }
  }

  private static func api(of type: any GuardedRequest.Type) -> ApiKey { type.apiKey }
}
