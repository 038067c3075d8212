/// A delegation token as DescribeDelegationToken tells it.
import Cryptography
import KafkaMessages
import Metadata

enum TokenDescription {
  typealias Described = DescribeDelegationTokenResponse.DescribedDelegationToken

  /// - Parameter secret: `delegation.token.secret.key`, under which a token's HMAC is that of its
  ///   id.
  static func describe(_ id: String, _ token: DelegationToken, secret: String) -> Described {
    let (owner, requester) = (principal(token.owner), principal(token.requester))
    return Described {
      ($0.principalType, $0.principalName) = owner
      ($0.tokenRequesterPrincipalType, $0.tokenRequesterPrincipalName) = requester
      $0.issueTimestamp = token.issueTimestamp
      $0.expiryTimestamp = token.expirationTimestamp
      $0.maxTimestamp = token.maxTimestamp
      $0.tokenID = id
      $0.hmac = Digest.sha512.authenticate(Array(id.utf8), key: Array(secret.utf8))
      $0.renewers = token.renewers.map { renewer in
        let (type, name) = principal(renewer)
        return .init {
          $0.principalType = type
          $0.principalName = name
        }
      }
    }
  }

  /// The type, which has no colon, and the name.
  private static func principal(_ text: String) -> (String, String) {
    guard let colon = text.firstIndex(of: ":") else { return ("User", text) }
    return (String(text[..<colon]), String(text[text.index(after: colon)...]))
  }
}
