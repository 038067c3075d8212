import KafkaMessages
import KafkaProtocol

/// ACLs, SCRAM credentials, delegation tokens and quotas, in the protocol's own terms.
extension AdminClient {
  public func describeAcls(
    _ filter: DescribeAclsRequest
  ) async throws(ClientError) -> [DescribeAclsResponse.DescribeAclsResource] {
    let response = try await sendToAny(filter) { ErrorCode($0.errorCode) }
    try check(response.errorCode, response.errorMessage)
    return response.resources
  }

  /// One result for each creation, in order.
  public func createAcls(
    _ creations: [CreateAclsRequest.AclCreation]
  ) async throws(ClientError) -> [Result<Void, ClientError>] {
    let request = CreateAclsRequest { $0.creations = creations }
    let response = try await cluster.sendToController(request, timeoutMs: timeoutMs) {
      Self.controllerError($0.results.map(\.errorCode))
    }
    return response.results.map { result($0.errorCode, $0.errorMessage, ()) }
  }

  /// What each filter has deleted, in order.
  public func deleteAcls(
    _ filters: [DeleteAclsRequest.DeleteAclsFilter]
  ) async throws(ClientError) -> [Result<[DeleteAclsResponse.DeleteAclsMatchingAcl], ClientError>] {
    let request = DeleteAclsRequest { $0.filters = filters }
    let response = try await cluster.sendToController(request, timeoutMs: timeoutMs) {
      Self.controllerError($0.filterResults.map(\.errorCode))
    }
    return response.filterResults.map { result($0.errorCode, $0.errorMessage, $0.matchingAcls) }
  }

  /// Users' SCRAM credentials, without their secrets; nil for all users.
  public func describeScramCredentials(
    _ users: [String]? = nil
  ) async throws(ClientError) -> [DescribeUserScramCredentialsResponse
    .DescribeUserScramCredentialsResult]
  {
    let request = DescribeUserScramCredentialsRequest {
      $0.users = users.map { users in
        users.map { name in
          DescribeUserScramCredentialsRequest.UserName { $0.name = name }
        }
      }
    }
    let response = try await sendToAny(request) { ErrorCode($0.errorCode) }
    try check(response.errorCode, response.errorMessage)
    return response.results
  }

  /// Changes credentials; the salted passwords are computed by the caller.
  public func alterScramCredentials(
    _ request: AlterUserScramCredentialsRequest
  ) async throws(ClientError) -> Outcomes<String, Void> {
    let response = try await cluster.sendToController(request, timeoutMs: timeoutMs) {
      Self.controllerError($0.results.map(\.errorCode))
    }
    var results: Outcomes<String, Void> = [:]
    for entry in response.results {
      results[entry.user] = result(entry.errorCode, entry.errorMessage, ())
    }
    return results
  }

  public func describeQuotas(
    _ request: DescribeClientQuotasRequest
  ) async throws(ClientError) -> [DescribeClientQuotasResponse.EntryData] {
    let response = try await sendToAny(request) { ErrorCode($0.errorCode) }
    try check(response.errorCode, response.errorMessage)
    return response.entries ?? []
  }

  public func alterQuotas(
    _ request: AlterClientQuotasRequest
  ) async throws(ClientError) -> [AlterClientQuotasResponse.EntryData] {
    let response = try await cluster.sendToController(request, timeoutMs: timeoutMs) {
      Self.controllerError($0.entries.map(\.errorCode))
    }
    return response.entries
  }

  public func createDelegationToken(
    _ request: CreateDelegationTokenRequest
  ) async throws(ClientError) -> CreateDelegationTokenResponse {
    let response = try await cluster.sendToController(request, timeoutMs: timeoutMs) {
      ErrorCode($0.errorCode)
    }
    try check(response.errorCode)
    return response
  }

  /// Gives the new time of expiry, in milliseconds since 1970.
  public func renewDelegationToken(
    hmac: [UInt8], periodMs: Int64
  ) async throws(ClientError) -> Int64 {
    let request = RenewDelegationTokenRequest {
      $0.hmac = hmac
      $0.renewPeriodMs = periodMs
    }
    let response = try await cluster.sendToController(request, timeoutMs: timeoutMs) {
      ErrorCode($0.errorCode)
    }
    try check(response.errorCode)
    return response.expiryTimestampMs
  }

  /// Gives the new time of expiry; a negative period ends the token at once.
  public func expireDelegationToken(
    hmac: [UInt8], periodMs: Int64
  ) async throws(ClientError) -> Int64 {
    let request = ExpireDelegationTokenRequest {
      $0.hmac = hmac
      $0.expiryTimePeriodMs = periodMs
    }
    let response = try await cluster.sendToController(request, timeoutMs: timeoutMs) {
      ErrorCode($0.errorCode)
    }
    try check(response.errorCode)
    return response.expiryTimestampMs
  }

  public func describeDelegationTokens(
    _ request: DescribeDelegationTokenRequest
  ) async throws(ClientError) -> [DescribeDelegationTokenResponse.DescribedDelegationToken] {
    let response = try await sendToAny(request) { ErrorCode($0.errorCode) }
    try check(response.errorCode)
    return response.tokens
  }
}
