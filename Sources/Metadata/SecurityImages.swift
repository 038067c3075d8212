// Quotas, credentials, access control and tokens: what fills from records of these kinds.
import KafkaRecords
import Values

// MARK: Client quotas

/// Whom a quota limits: one or two of user, client id, ip. A nil name stands for the default
/// (KIP-546).
public struct QuotaEntity: Hashable, Comparable, Sendable {
  public struct Part: Hashable, Comparable, Sendable {
    /// `user`, `client-id` or `ip`.
    public var type: String
    public var name: String?

    public init(type: String, name: String?) {
      self.type = type
      self.name = name
    }

    public static func < (a: Self, b: Self) -> Bool {
      if a.type != b.type { return a.type < b.type }
      // The default sorts before every name.
      guard let left = a.name else { return b.name != nil }
      guard let right = b.name else { return false }
      return left < right
    }
  }

  /// What a part may be of.
  public static let types = ["user", "client-id", "ip"]

  /// In the order of types.
  public let parts: [Part]

  public init(_ parts: [Part]) { self.parts = parts.sorted() }

  /// The name for a type of part: nil if the entity has no such part, `.some(nil)` for its
  /// default.
  public func name(of type: String) -> String?? {
    parts.first { $0.type == type }.map(\.name)
  }

  public static func < (a: Self, b: Self) -> Bool {
    a.parts.lexicographicallyPrecedes(b.parts)
  }
}

/// Limits by entity.
public struct ClientQuotasImage: Equatable, Sendable {
  private var byEntity: [QuotaEntity: [String: Double]] = [:]

  public init() {}

  public var isEmpty: Bool { byEntity.isEmpty }

  /// Every entity with a limit, in order.
  public var entities: [QuotaEntity] { byEntity.keys.sorted() }

  /// The limits set for an entity, by key (`producer_byte_rate`, …); empty if there are none.
  public subscript(entity: QuotaEntity) -> [String: Double] { byEntity[entity] ?? [:] }

  mutating func apply(_ record: ClientQuotaRecord) -> QuotaEntity {
    let entity = QuotaEntity(
      record.entity.map { QuotaEntity.Part(type: $0.entityType, name: $0.entityName) })
    if record.remove {
      byEntity[entity]?[record.key] = nil
      if byEntity[entity]?.isEmpty == true { byEntity[entity] = nil }
    } else {
      byEntity[entity, default: [:]][record.key] = record.value
    }
    return entity
  }
}

// MARK: SCRAM credentials

/// The `mechanism` of SCRAM records and requests (KIP-554).
public enum ScramMechanism: Int8, Sendable, CaseIterable {
  case sha256 = 1
  case sha512 = 2

  public var name: String { self == .sha256 ? "SCRAM-SHA-256" : "SCRAM-SHA-512" }

  public init?(name: String) {
    guard let match = Self.allCases.first(where: { $0.name == name }) else { return nil }
    self = match
  }
}

/// What a server keeps of a password (RFC 5802): not enough to log in with.
public struct ScramCredential: Equatable, Sendable {
  public var salt: [UInt8]
  public var storedKey: [UInt8]
  public var serverKey: [UInt8]
  public var iterations: Int32

  public init(salt: [UInt8], storedKey: [UInt8], serverKey: [UInt8], iterations: Int32) {
    self.salt = salt
    self.storedKey = storedKey
    self.serverKey = serverKey
    self.iterations = iterations
  }
}

/// Credentials by user and mechanism.
public struct ScramImage: Equatable, Sendable {
  private var byUser: [String: [ScramMechanism: ScramCredential]] = [:]

  public init() {}

  /// Users with a credential, in order.
  public var users: [String] { byUser.keys.sorted() }

  public subscript(user: String, mechanism: ScramMechanism) -> ScramCredential? {
    byUser[user]?[mechanism]
  }

  mutating func apply(_ record: UserScramCredentialRecord) {
    guard let mechanism = ScramMechanism(rawValue: record.mechanism) else { return }
    byUser[record.name, default: [:]][mechanism] = ScramCredential(
      salt: record.salt, storedKey: record.storedKey, serverKey: record.serverKey,
      iterations: record.iterations)
  }

  mutating func remove(_ record: RemoveUserScramCredentialRecord) {
    guard let mechanism = ScramMechanism(rawValue: record.mechanism) else { return }
    byUser[record.name]?[mechanism] = nil
    if byUser[record.name]?.isEmpty == true { byUser[record.name] = nil }
  }
}

// MARK: Delegation tokens

/// A delegation token without its secret, which is derived from the id (KIP-48). Times in ms.
public struct DelegationToken: Equatable, Sendable {
  public var owner: String
  public var requester: String
  public var renewers: [String]
  public var issueTimestamp: Int64
  public var maxTimestamp: Int64
  public var expirationTimestamp: Int64

  public init(_ record: DelegationTokenRecord) {
    owner = record.owner
    requester = record.requester
    renewers = record.renewers
    issueTimestamp = record.issueTimestamp
    maxTimestamp = record.maxTimestamp
    expirationTimestamp = record.expirationTimestamp
  }

  public func record(id: String) -> DelegationTokenRecord {
    DelegationTokenRecord {
      $0.owner = owner
      $0.requester = requester
      $0.renewers = renewers
      $0.issueTimestamp = issueTimestamp
      $0.maxTimestamp = maxTimestamp
      $0.expirationTimestamp = expirationTimestamp
      $0.tokenID = id
    }
  }
}

public struct DelegationTokensImage: Equatable, Sendable {
  private var byID: [String: DelegationToken] = [:]

  public init() {}

  public var ids: [String] { byID.keys.sorted() }

  public subscript(id: String) -> DelegationToken? { byID[id] }

  mutating func apply(_ record: DelegationTokenRecord) {
    byID[record.tokenID] = DelegationToken(record)
  }
  mutating func remove(_ id: String) { byID[id] = nil }
}

// MARK: Controllers

/// A registered KRaft controller (KIP-919).
public struct ControllerRegistration: Equatable, Sendable {
  public var id: BrokerID
  public var incarnationID: Uuid
  public var isZkMigrationReady: Bool
  public var endpoints: [Endpoint]
  public var features: [SupportedFeature]

  public init(_ record: RegisterControllerRecord) {
    id = BrokerID(record.controllerID)
    incarnationID = record.incarnationID
    isZkMigrationReady = record.zkMigrationReady
    endpoints = record.endPoints.map {
      Endpoint(
        listener: $0.name, host: $0.host, port: $0.port,
        securityProtocol: SecurityProtocol(rawValue: $0.securityProtocol) ?? .plaintext)
    }
    features = record.features.map {
      SupportedFeature(
        name: $0.name, minimum: $0.minSupportedVersion, maximum: $0.maxSupportedVersion)
    }
  }

  public var record: RegisterControllerRecord {
    RegisterControllerRecord { record in
      record.controllerID = id.rawValue
      record.incarnationID = incarnationID
      record.zkMigrationReady = isZkMigrationReady
      record.endPoints = endpoints.map { endpoint in
        .init {
          $0.name = endpoint.listener
          $0.host = endpoint.host
          $0.port = endpoint.port
          $0.securityProtocol = endpoint.securityProtocol.rawValue
        }
      }
      record.features = features.map { feature in
        .init {
          $0.name = feature.name
          $0.minSupportedVersion = feature.minimum
          $0.maxSupportedVersion = feature.maximum
        }
      }
    }
  }
}
