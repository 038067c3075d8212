/// CreateDelegationToken (38), RenewDelegationToken (39), ExpireDelegationToken (40) and
/// DescribeDelegationToken (41), versions as in Kafka 3.9 (KIP-48, KIP-900).
///
/// Who is not authenticated has no identity that a token could stand for: over PLAINTEXT the answer
/// is DELEGATION_TOKEN_REQUEST_NOT_ALLOWED, whatever else is configured. From other listeners
/// changes go to the controller.
import Control
import KafkaMessages
import KafkaProtocol
import Settings

enum CreateDelegationTokenHandler: ApiHandler {
  static func handle(_ request: CreateDelegationTokenRequest, _ context: RequestContext) {
    guard let code = context.tokenRefusal else { return Forwarding.forward(context) }
    var response = request.refused(Refusal(code), version: context.version)
    let asker = context.client.requestPrincipal
    (response.principalType, response.principalName) = (asker.type, asker.name)
    response.tokenRequesterPrincipalType = asker.type
    response.tokenRequesterPrincipalName = asker.name
    context.reply(response)
  }
}

enum RenewDelegationTokenHandler: ApiHandler {
  static func handle(_ request: RenewDelegationTokenRequest, _ context: RequestContext) {
    guard let code = context.tokenRefusal else { return Forwarding.forward(context) }
    context.reply(request.refused(Refusal(code), version: context.version))
  }
}

enum ExpireDelegationTokenHandler: ApiHandler {
  static func handle(_ request: ExpireDelegationTokenRequest, _ context: RequestContext) {
    guard let code = context.tokenRefusal else { return Forwarding.forward(context) }
    context.reply(request.refused(Refusal(code), version: context.version))
  }
}

/// Answered by brokers, which know all tokens and their secret.
enum DescribeDelegationTokenHandler: ApiHandler {
  static func handle(_ request: DescribeDelegationTokenRequest, _ context: RequestContext) {
    let services = context.services
    var response = DescribeDelegationTokenResponse()
    if let code = context.tokenRefusal {
      response.errorCode = code.rawValue
      return context.reply(response)
    }
    let asker = context.client.principal
    let image = services.metadata.image.delegationTokens
    let owners = request.owners.map { owners in
      Set(owners.map { "\($0.principalType):\($0.principalName)" })
    }
    response.tokens = image.ids.compactMap { id in
      guard let token = image[id], owners?.contains(token.owner) ?? true,
        token.owner == asker || token.renewers.contains(asker)
          || context.access?.may(.describe, .delegationToken, id, isAsked: false) ?? false
      else { return nil }
      return TokenDescription.describe(
        id, token, secret: services.config.delegationTokens.secretKey ?? "")
    }
    context.reply(response)
  }
}

extension RequestContext {
  /// Why no request about tokens is heard; nil: it is.
  fileprivate var tokenRefusal: ErrorCode? {
    let listeners = services.config.network.listeners
    let isAuthenticated = listeners.contains {
      $0.name == client.listener && $0.securityProtocol != .plaintext
    }
    guard isAuthenticated else { return .delegationTokenRequestNotAllowed }
    return services.config.delegationTokens.secretKey == nil
      ? .delegationTokenAuthDisabled : nil
  }
}
