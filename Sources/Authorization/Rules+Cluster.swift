// Requests that concern the cluster as a whole: one operation on the resource CLUSTER, or nothing.
import Control
import KafkaMessages
import KafkaProtocol

/// Allowed or refused as a whole, by one operation on the cluster.
public protocol ClusterGuardedRequest: GuardedRequest {
  static var neededOperation: AclOperation { get }
  /// The answer CLUSTER_AUTHORIZATION_FAILED, in every place where the API has an error.
  func unauthorized(version: Int16) -> Response
}

extension ClusterGuardedRequest {
  public func restrict(_ access: Access, version: Int16) -> Restriction<Response> {
    access.mayOnCluster(Self.neededOperation) ? .serve : .refuse(unauthorized(version: version))
  }
}

extension ClusterGuardedRequest where Self: ControllerRequest {
  public func unauthorized(version: Int16) -> Response {
    refused(Refusal(.clusterAuthorizationFailed), version: version)
  }
}

/// A response with one error for the whole request.
public protocol ErrorCodeResponse: KafkaResponse {
  var errorCode: Int16 { get set }
}

extension ClusterGuardedRequest where Response: ErrorCodeResponse {
  public func unauthorized(version: Int16) -> Response {
    Response { $0.errorCode = ErrorCode.clusterAuthorizationFailed.rawValue }
  }
}

// MARK: Between servers

extension BrokerRegistrationRequest: ClusterGuardedRequest {
  public static var neededOperation: AclOperation { .clusterAction }
}
extension BrokerHeartbeatRequest: ClusterGuardedRequest {
  public static var neededOperation: AclOperation { .clusterAction }
}
extension ControllerRegistrationRequest: ClusterGuardedRequest {
  public static var neededOperation: AclOperation { .clusterAction }
}
extension AssignReplicasToDirsRequest: ClusterGuardedRequest {
  public static var neededOperation: AclOperation { .clusterAction }
}
extension AlterPartitionRequest: ClusterGuardedRequest {
  public static var neededOperation: AclOperation { .clusterAction }
}
extension AllocateProducerIdsRequest: ClusterGuardedRequest {
  public static var neededOperation: AclOperation { .clusterAction }
}
extension EnvelopeRequest: ClusterGuardedRequest {
  public static var neededOperation: AclOperation { .clusterAction }
}
extension EnvelopeResponse: ErrorCodeResponse {}
extension VoteRequest: ClusterGuardedRequest {
  public static var neededOperation: AclOperation { .clusterAction }
}
extension VoteResponse: ErrorCodeResponse {}
extension BeginQuorumEpochRequest: ClusterGuardedRequest {
  public static var neededOperation: AclOperation { .clusterAction }
}
extension BeginQuorumEpochResponse: ErrorCodeResponse {}
extension EndQuorumEpochRequest: ClusterGuardedRequest {
  public static var neededOperation: AclOperation { .clusterAction }
}
extension EndQuorumEpochResponse: ErrorCodeResponse {}
/// Of the metadata log. A broker judges its own Fetch partition by partition.
extension FetchRequest: ClusterGuardedRequest {
  public static var neededOperation: AclOperation { .clusterAction }
}
extension FetchResponse: ErrorCodeResponse {}
extension FetchSnapshotRequest: ClusterGuardedRequest {
  public static var neededOperation: AclOperation { .clusterAction }
}
extension FetchSnapshotResponse: ErrorCodeResponse {}
extension UpdateRaftVoterRequest: ClusterGuardedRequest {
  public static var neededOperation: AclOperation { .clusterAction }
}
extension UpdateRaftVoterResponse: ErrorCodeResponse {}

// MARK: Between servers of ZooKeeper mode

extension LeaderAndIsrRequest: ClusterGuardedRequest {
  public static var neededOperation: AclOperation { .clusterAction }
}
extension LeaderAndIsrResponse: ErrorCodeResponse {}
extension StopReplicaRequest: ClusterGuardedRequest {
  public static var neededOperation: AclOperation { .clusterAction }
}
extension StopReplicaResponse: ErrorCodeResponse {}
extension UpdateMetadataRequest: ClusterGuardedRequest {
  public static var neededOperation: AclOperation { .clusterAction }
}
extension UpdateMetadataResponse: ErrorCodeResponse {}
extension ControlledShutdownRequest: ClusterGuardedRequest {
  public static var neededOperation: AclOperation { .clusterAction }
}
extension ControlledShutdownResponse: ErrorCodeResponse {}

// MARK: Administration

extension AddRaftVoterRequest: ClusterGuardedRequest {
  public static var neededOperation: AclOperation { .alter }
}
extension AddRaftVoterResponse: ErrorCodeResponse {}
extension RemoveRaftVoterRequest: ClusterGuardedRequest {
  public static var neededOperation: AclOperation { .alter }
}
extension RemoveRaftVoterResponse: ErrorCodeResponse {}
extension DescribeQuorumRequest: ClusterGuardedRequest {
  public static var neededOperation: AclOperation { .describe }
}
extension DescribeQuorumResponse: ErrorCodeResponse {}
extension UnregisterBrokerRequest: ClusterGuardedRequest {
  public static var neededOperation: AclOperation { .alter }
}
extension UpdateFeaturesRequest: ClusterGuardedRequest {
  public static var neededOperation: AclOperation { .alter }
}
extension ElectLeadersRequest: ClusterGuardedRequest {
  public static var neededOperation: AclOperation { .alter }
}
extension AlterPartitionReassignmentsRequest: ClusterGuardedRequest {
  public static var neededOperation: AclOperation { .alter }
}
extension ListPartitionReassignmentsRequest: ClusterGuardedRequest {
  public static var neededOperation: AclOperation { .describe }
}
extension AlterClientQuotasRequest: ClusterGuardedRequest {
  public static var neededOperation: AclOperation { .alterConfigs }
}
extension AlterUserScramCredentialsRequest: ClusterGuardedRequest {
  public static var neededOperation: AclOperation { .alter }
}
extension CreateAclsRequest: ClusterGuardedRequest {
  public static var neededOperation: AclOperation { .alter }
}
extension DeleteAclsRequest: ClusterGuardedRequest {
  public static var neededOperation: AclOperation { .alter }
}
extension DescribeAclsRequest: ClusterGuardedRequest {
  public static var neededOperation: AclOperation { .describe }
}
extension DescribeAclsResponse: ErrorCodeResponse {}
extension DescribeClientQuotasRequest: ClusterGuardedRequest {
  public static var neededOperation: AclOperation { .describeConfigs }
  public func unauthorized(version: Int16) -> DescribeClientQuotasResponse {
    .init {
      $0.errorCode = ErrorCode.clusterAuthorizationFailed.rawValue
      $0.errorMessage = ErrorCode.clusterAuthorizationFailed.message
      $0.entries = nil
    }
  }
}
extension DescribeUserScramCredentialsRequest: ClusterGuardedRequest {
  public static var neededOperation: AclOperation { .describe }
}
extension DescribeUserScramCredentialsResponse: ErrorCodeResponse {}
extension ListClientMetricsResourcesRequest: ClusterGuardedRequest {
  public static var neededOperation: AclOperation { .describeConfigs }
}
extension ListClientMetricsResourcesResponse: ErrorCodeResponse {}
extension DescribeLogDirsRequest: ClusterGuardedRequest {
  public static var neededOperation: AclOperation { .describe }
}
extension DescribeLogDirsResponse: ErrorCodeResponse {}

// MARK: Tokens

extension CreateDelegationTokenRequest: GuardedRequest {
  /// Everybody for themselves; for others with CREATE_TOKENS on the user (KIP-373).
  public func restrict(
    _ access: Access, version: Int16
  ) -> Restriction<CreateDelegationTokenResponse> {
    guard let name = ownerPrincipalName, !name.isEmpty else { return .serve }
    let owner = "\(ownerPrincipalType ?? ""):\(name)"
    if owner == access.principal || access.may(.createTokens, .user, owner) { return .serve }
    return .refuse(
      refused(Refusal(.delegationTokenAuthorizationFailed), version: version))
  }
}
