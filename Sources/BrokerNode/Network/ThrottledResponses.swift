/// The answers that say for how long a client will not be heard (KIP-219).
import Bytes
import KafkaMessages
import KafkaProtocol

/// An answer with a throttle time; versions without one leave it out when it is written.
protocol ThrottledResponse: KafkaResponse {
  var throttleTimeMs: Int32 { get set }
}

enum ThrottleTime {
  /// The answer with the time in it, unless it says a longer one already.
  static func adding(
    _ milliseconds: Int64, to response: any KafkaResponse
  ) -> any KafkaResponse {
    guard var throttled = response as? any ThrottledResponse else { return response }
    throttled.throttleTimeMs = max(throttled.throttleTimeMs, Int32(clamping: milliseconds))
    return throttled
  }

  /// The time in an encoded answer of the controller, header included: those that count what
  /// clients change say it first. Zero for all others.
  static func inForwarded(_ bytes: [UInt8], _ api: ApiKey, _ version: Int16) -> Int64 {
    guard let first = firstVersion[api], version >= first else { return 0 }
    var reader = ByteReader(bytes.span.bytes)
    do throws(ByteError) {
      _ = try ResponseHeader(from: &reader, version: api.responseHeaderVersion(version))
      return Int64(max(0, try reader.readInt32()))
    } catch {
      return 0
    }
  }

  private static let firstVersion: [ApiKey: Int16] = [
    .createTopics: 2, .deleteTopics: 1, .createPartitions: 0,
  ]
}

extension AddOffsetsToTxnResponse: ThrottledResponse {}
extension AddPartitionsToTxnResponse: ThrottledResponse {}
extension AddRaftVoterResponse: ThrottledResponse {}
extension AllocateProducerIdsResponse: ThrottledResponse {}
extension AlterClientQuotasResponse: ThrottledResponse {}
extension AlterConfigsResponse: ThrottledResponse {}
extension AlterPartitionReassignmentsResponse: ThrottledResponse {}
extension AlterPartitionResponse: ThrottledResponse {}
extension AlterReplicaLogDirsResponse: ThrottledResponse {}
extension AlterUserScramCredentialsResponse: ThrottledResponse {}
extension ApiVersionsResponse: ThrottledResponse {}
extension AssignReplicasToDirsResponse: ThrottledResponse {}
extension BrokerHeartbeatResponse: ThrottledResponse {}
extension BrokerRegistrationResponse: ThrottledResponse {}
extension ConsumerGroupDescribeResponse: ThrottledResponse {}
extension ConsumerGroupHeartbeatResponse: ThrottledResponse {}
extension ControllerRegistrationResponse: ThrottledResponse {}
extension CreateAclsResponse: ThrottledResponse {}
extension CreateDelegationTokenResponse: ThrottledResponse {}
extension CreatePartitionsResponse: ThrottledResponse {}
extension CreateTopicsResponse: ThrottledResponse {}
extension DeleteAclsResponse: ThrottledResponse {}
extension DeleteGroupsResponse: ThrottledResponse {}
extension DeleteRecordsResponse: ThrottledResponse {}
extension DeleteTopicsResponse: ThrottledResponse {}
extension DescribeAclsResponse: ThrottledResponse {}
extension DescribeClientQuotasResponse: ThrottledResponse {}
extension DescribeClusterResponse: ThrottledResponse {}
extension DescribeConfigsResponse: ThrottledResponse {}
extension DescribeDelegationTokenResponse: ThrottledResponse {}
extension DescribeGroupsResponse: ThrottledResponse {}
extension DescribeLogDirsResponse: ThrottledResponse {}
extension DescribeProducersResponse: ThrottledResponse {}
extension DescribeTopicPartitionsResponse: ThrottledResponse {}
extension DescribeTransactionsResponse: ThrottledResponse {}
extension DescribeUserScramCredentialsResponse: ThrottledResponse {}
extension ElectLeadersResponse: ThrottledResponse {}
extension EndTxnResponse: ThrottledResponse {}
extension ExpireDelegationTokenResponse: ThrottledResponse {}
extension FetchResponse: ThrottledResponse {}
extension FetchSnapshotResponse: ThrottledResponse {}
extension FindCoordinatorResponse: ThrottledResponse {}
extension GetTelemetrySubscriptionsResponse: ThrottledResponse {}
extension HeartbeatResponse: ThrottledResponse {}
extension IncrementalAlterConfigsResponse: ThrottledResponse {}
extension InitProducerIdResponse: ThrottledResponse {}
extension JoinGroupResponse: ThrottledResponse {}
extension LeaveGroupResponse: ThrottledResponse {}
extension ListClientMetricsResourcesResponse: ThrottledResponse {}
extension ListGroupsResponse: ThrottledResponse {}
extension ListOffsetsResponse: ThrottledResponse {}
extension ListPartitionReassignmentsResponse: ThrottledResponse {}
extension ListTransactionsResponse: ThrottledResponse {}
extension MetadataResponse: ThrottledResponse {}
extension OffsetCommitResponse: ThrottledResponse {}
extension OffsetDeleteResponse: ThrottledResponse {}
extension OffsetFetchResponse: ThrottledResponse {}
extension OffsetForLeaderEpochResponse: ThrottledResponse {}
extension ProduceResponse: ThrottledResponse {}
extension PushTelemetryResponse: ThrottledResponse {}
extension RemoveRaftVoterResponse: ThrottledResponse {}
extension RenewDelegationTokenResponse: ThrottledResponse {}
extension ShareAcknowledgeResponse: ThrottledResponse {}
extension ShareFetchResponse: ThrottledResponse {}
extension ShareGroupDescribeResponse: ThrottledResponse {}
extension ShareGroupHeartbeatResponse: ThrottledResponse {}
extension SyncGroupResponse: ThrottledResponse {}
extension TxnOffsetCommitResponse: ThrottledResponse {}
extension UnregisterBrokerResponse: ThrottledResponse {}
extension UpdateFeaturesResponse: ThrottledResponse {}
extension UpdateRaftVoterResponse: ThrottledResponse {}
