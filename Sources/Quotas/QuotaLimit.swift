// Which limit counts for a client (KIP-55, KIP-124, KIP-599).
import Metadata

/// A limit, and whom it is shared by: all clients with this user, this client id, or both.
public struct QuotaLimit: Equatable, Sendable {
  public var limit: Double
  public var user: String?
  public var clientID: String?
}

extension ClientQuotasImage {
  /// The limit of the most specific entity that has one; nil without any.
  ///
  /// - Parameter key: as in the image, such as `producer_byte_rate`.
  public func limit(_ key: String, user: String, clientID: String) -> QuotaLimit? {
    typealias Candidate = (entity: [(String, String?)], user: String?, clientID: String?)
    let candidates: [Candidate] = [
      ([("user", user), ("client-id", clientID)], user, clientID),
      ([("user", user), ("client-id", nil)], user, clientID),
      ([("user", user)], user, nil),
      ([("user", nil), ("client-id", clientID)], user, clientID),
      ([("user", nil), ("client-id", nil)], user, clientID),
      ([("user", nil)], user, nil),
      ([("client-id", clientID)], nil, clientID),
      ([("client-id", nil)], nil, clientID),
    ]
    for candidate in candidates {
      let entity = QuotaEntity(
        candidate.entity.map { QuotaEntity.Part(type: $0.0, name: $0.1) })
      if let limit = self[entity][key] {
        return QuotaLimit(limit: limit, user: candidate.user, clientID: candidate.clientID)
      }
    }
    return nil
  }
}
