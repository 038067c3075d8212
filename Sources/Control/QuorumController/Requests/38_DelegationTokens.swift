// CreateDelegationToken (38), RenewDelegationToken (39), ExpireDelegationToken (40) and
// DescribeDelegationToken (41) in KRaft mode (KIP-48, KIP-900).
//
// Who may ask at all is the host's to check: not over a connection without authentication, and not
// with a token.
import KafkaMessages
import KafkaProtocol
import KafkaRecords
import Metadata
import Values

extension QuorumController {
  /// - Throws: DELEGATION_TOKEN_AUTH_DISABLED without a secret key, UNSUPPORTED_VERSION below
  ///   3.6-IV2.
  fileprivate func tokenHMAC() throws(Refusal) -> @Sendable (String) -> [UInt8] {
    guard let hmac = options.hooks.tokenHMAC else {
      throw Refusal(.delegationTokenAuthDisabled)
    }
    guard pending.image.metadataVersion.hasDelegationTokens else {
      throw Refusal(.unsupportedVersion)
    }
    return hmac
  }

  /// The token with this HMAC. Only the ids are stored, so all of them are tried: there are few.
  fileprivate func token(_ hmac: [UInt8]) throws(Refusal) -> (id: String, DelegationToken) {
    let function = try tokenHMAC()
    let tokens = pending.image.delegationTokens
    for id in tokens.ids {
      if function(id) == hmac, let token = tokens[id] { return (id, token) }
    }
    throw Refusal(.delegationTokenNotFound)
  }

  fileprivate func checkAlive(_ token: DelegationToken) throws(Refusal) {
    let now = wallTime.milliseconds
    if token.maxTimestamp < now || token.expirationTimestamp < now {
      throw Refusal(.delegationTokenExpired)
    }
  }
}

extension DelegationToken {
  /// Whether a principal may renew the token or let it expire.
  fileprivate func isManaged(by principal: Principal) -> Bool {
    owner == principal.description || renewers.contains(principal.description)
  }
}

extension CreateDelegationTokenRequest: ControllerRequest {
  public func refused(_ refusal: Refusal, version: Int16) -> CreateDelegationTokenResponse {
    .init {
      $0.errorCode = refusal.code.rawValue
      $0.issueTimestampMs = -1
      $0.expiryTimestampMs = -1
      $0.maxTimestampMs = -1
    }
  }

  public func decide(
    _ machine: inout QuorumController, _ context: RequestContext
  ) -> QuorumController.Outcome<CreateDelegationTokenResponse> {
    var owner = context.principal
    if let name = ownerPrincipalName, !name.isEmpty {
      owner = Principal(type: ownerPrincipalType ?? "", name: name)
    }
    do throws(Refusal) {
      let hmac = try machine.tokenHMAC()
      if renewers.contains(where: { $0.principalType != "User" }) {
        throw Refusal(.invalidPrincipalType)
      }
      let now = machine.wallTime.milliseconds
      var lifetime = machine.options.tokenMaxLifetimeMs
      if maxLifetimeMs > 0 { lifetime = min(lifetime, maxLifetimeMs) }
      var record = DelegationTokenRecord()
      record.owner = owner.description
      record.requester = context.principal.description
      record.renewers = renewers.map {
        Principal(type: $0.principalType, name: $0.principalName).description
      }
      record.issueTimestamp = now
      record.maxTimestamp = now.addingSaturating(lifetime)
      record.expirationTimestamp = min(
        record.maxTimestamp, now.addingSaturating(machine.options.tokenExpiryTimeMs))
      record.tokenID = Uuid.random(using: &machine.random).description
      var response = answer(owner, context.principal)
      response.issueTimestampMs = record.issueTimestamp
      response.expiryTimestampMs = record.expirationTimestamp
      response.maxTimestampMs = record.maxTimestamp
      response.tokenID = record.tokenID
      response.hmac = hmac(record.tokenID)
      return .init([.delegationToken(record)], response)
    } catch {
      var response = answer(owner, context.principal)
      response.errorCode = error.code.rawValue
      return .init(response)
    }
  }

  private func answer(
    _ owner: Principal, _ requester: Principal
  ) -> CreateDelegationTokenResponse {
    .init {
      $0.principalType = owner.type
      $0.principalName = owner.name
      $0.tokenRequesterPrincipalType = requester.type
      $0.tokenRequesterPrincipalName = requester.name
    }
  }
}

extension RenewDelegationTokenRequest: ControllerRequest {
  public func refused(_ refusal: Refusal, version: Int16) -> RenewDelegationTokenResponse {
    .init {
      $0.errorCode = refusal.code.rawValue
      $0.expiryTimestampMs = -1
    }
  }

  public func decide(
    _ machine: inout QuorumController, _ context: RequestContext
  ) -> QuorumController.Outcome<RenewDelegationTokenResponse> {
    do throws(Refusal) {
      var (id, token) = try machine.token(hmac)
      try machine.checkAlive(token)
      guard token.isManaged(by: context.principal) else {
        throw Refusal(.delegationTokenOwnerMismatch)
      }
      var period = machine.options.tokenExpiryTimeMs
      if renewPeriodMs > 0 { period = min(period, renewPeriodMs) }
      token.expirationTimestamp = min(
        token.maxTimestamp, machine.wallTime.milliseconds.addingSaturating(period))
      let expiry = token.expirationTimestamp
      return .init(
        [.delegationToken(token.record(id: id))], .init { $0.expiryTimestampMs = expiry })
    } catch {
      return .init(refused(error, version: context.version))
    }
  }
}

extension ExpireDelegationTokenRequest: ControllerRequest {
  public func refused(_ refusal: Refusal, version: Int16) -> ExpireDelegationTokenResponse {
    .init {
      $0.errorCode = refusal.code.rawValue
      $0.expiryTimestampMs = -1
    }
  }

  /// A negative period ends the token at once.
  public func decide(
    _ machine: inout QuorumController, _ context: RequestContext
  ) -> QuorumController.Outcome<ExpireDelegationTokenResponse> {
    do throws(Refusal) {
      var (id, token) = try machine.token(hmac)
      guard token.isManaged(by: context.principal) else {
        throw Refusal(.delegationTokenOwnerMismatch)
      }
      let now = machine.wallTime.milliseconds
      if expiryTimePeriodMs < 0 {
        return .init(
          [.removeDelegationToken(.init { $0.tokenID = id })],
          .init { $0.expiryTimestampMs = now })
      }
      try machine.checkAlive(token)
      token.expirationTimestamp = min(
        token.maxTimestamp, now.addingSaturating(expiryTimePeriodMs))
      let expiry = token.expirationTimestamp
      return .init(
        [.delegationToken(token.record(id: id))], .init { $0.expiryTimestampMs = expiry })
    } catch {
      return .init(refused(error, version: context.version))
    }
  }
}

extension Int64 {
  /// Periods come from requests: the sum must not trap.
  fileprivate func addingSaturating(_ other: Int64) -> Int64 {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? (other > 0 ? .max : .min) : sum
  }
}
