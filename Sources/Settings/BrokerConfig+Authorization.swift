extension BrokerConfig {
  /// Who may do what: `authorizer.class.name` and its own keys.
  public struct Authorization: Sendable {
    /// Kafka's authorizer of KRaft mode, whose rules are followed.
    public static let standardAuthorizer =
      "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
    /// Its sibling of ZooKeeper mode.
    private static let aclAuthorizer = "kafka.security.authorizer.AclAuthorizer"

    /// Whether access control lists are enforced.
    public let isEnabled: Bool
    /// Principals as text, `User:admin`.
    public let superUsers: Set<String>
    public let allowsWithoutEntries: Bool

    /// - Throws: `SettingsError` for a class that is not known here, and in ZooKeeper mode for any:
    ///   a cluster must not seem to be guarded when it is not.
    init(_ values: ConfigValues, isKRaft: Bool) throws(SettingsError) {
      let name = (values.text("authorizer.class.name") ?? "").trimmed
      isEnabled = !name.isEmpty
      allowsWithoutEntries = values.bool("allow.everyone.if.no.acl.found")
      superUsers = try Self.principals(values.text("super.users") ?? "")
      guard isEnabled else { return }
      guard name == Self.standardAuthorizer, isKRaft else {
        let reason: String
        if !isKRaft {
          reason = "access control lists are enforced in KRaft mode only: remove this key"
        } else if name == Self.aclAuthorizer {
          reason = "is for ZooKeeper mode; in KRaft mode it is \(Self.standardAuthorizer)"
        } else {
          reason = "Java classes cannot be loaded; there is only \(Self.standardAuthorizer)"
        }
        throw SettingsError(reason, key: "authorizer.class.name", value: name)
      }
    }

    /// Principals are separated by semicolons, because names of certificates have commas.
    private static func principals(_ text: String) throws(SettingsError) -> Set<String> {
      var found: Set<String> = []
      for part in text.split(separator: ";") {
        let principal = part.trimmed
        if principal.isEmpty { continue }
        guard let colon = principal.firstIndex(of: ":"), colon > principal.startIndex else {
          throw SettingsError(
            "each principal is written type:name, as in User:admin", key: "super.users",
            value: text)
        }
        found.insert(String(principal))
      }
      return found
    }
  }
}

extension BrokerConfig {
  /// Delegation tokens (KIP-48), which controllers issue.
  public struct DelegationTokens: Sendable {
    /// Nil switches tokens off.
    public let secretKey: String?
    public let maxLifetimeMs: Int64
    public let expiryTimeMs: Int64
    public let expiryCheckIntervalMs: Int64

    /// - Throws: `SettingsError` in ZooKeeper mode, whose tokens are kept in another place.
    init(_ values: ConfigValues, isKRaft: Bool) throws(SettingsError) {
      secretKey = values.text("delegation.token.secret.key")
        ?? values.text("delegation.token.master.key")
      maxLifetimeMs = values.int64("delegation.token.max.lifetime.ms")
      expiryTimeMs = values.int64("delegation.token.expiry.time.ms")
      expiryCheckIntervalMs = values.int64("delegation.token.expiry.check.interval.ms")
      guard secretKey == nil || isKRaft else {
        throw SettingsError(
          "delegation tokens are issued in KRaft mode only: remove this key",
          key: "delegation.token.secret.key", value: "[hidden]")
      }
    }
  }
}

extension BrokerConfig {
  /// How the rates of clients with a quota are measured (KIP-13).
  public struct ClientQuotas: Sendable {
    public let sampleCount: Int
    public let sampleMs: Int64
    /// Of what clients create and delete (KIP-599).
    public let mutationSampleCount: Int
    public let mutationSampleMs: Int64

    init(_ values: ConfigValues) {
      mutationSampleCount = values.int("controller.quota.window.num")
      mutationSampleMs = values.int64("controller.quota.window.size.seconds") * 1000
      sampleCount = values.int("quota.window.num")
      sampleMs = values.int64("quota.window.size.seconds") * 1000
    }
  }
}

extension BrokerConfig {
  /// What clients may tell of themselves (KIP-714).
  public struct ClientTelemetry: Sendable {
    public let isEnabled: Bool
    /// Nil: what they tell is shown, and kept nowhere.
    public let directory: String?
    public let maxBytes: Int

    /// - Throws: `SettingsError` in ZooKeeper mode, which has no subscriptions, and for a directory
    ///   that nothing would be written to.
    init(_ values: ConfigValues, isKRaft: Bool) throws(SettingsError) {
      isEnabled = values.bool("jackdaw.client.telemetry.enable")
      directory = values.name("jackdaw.client.telemetry.directory")
      maxBytes = values.int("telemetry.max.bytes")
      guard !isEnabled || isKRaft else {
        throw SettingsError(
          "subscriptions to clients' metrics exist in KRaft mode only: remove this key",
          key: "jackdaw.client.telemetry.enable", value: "true")
      }
      if let directory, !isEnabled {
        throw SettingsError(
          "nothing is written without jackdaw.client.telemetry.enable=true",
          key: "jackdaw.client.telemetry.directory", value: directory)
      }
    }
  }
}
