extension BrokerConfig {
  /// Who may do what: `authorizer.class.name` and its own keys.
  public struct Authorization: Sendable {
    /// Kafka's authorizer of KRaft mode, whose rules are followed.
    public static let standardAuthorizer =
      "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
    /// Its sibling of ZooKeeper mode.
    public static let aclAuthorizer = "kafka.security.authorizer.AclAuthorizer"

    /// Whether the authorizer is AclAuthorizer, which keeps entries in znodes.
    public let isAclAuthorizer: Bool
    /// Whether access control lists are enforced.
    public let isEnabled: Bool
    /// Principals as text, `User:admin`.
    public let superUsers: Set<String>
    public let allowsWithoutEntries: Bool

    /// - Throws: `SettingsError` for a class that is not known here, or is that of the other mode.
    init(_ values: ConfigValues, isKRaft: Bool) throws(SettingsError) {
      let name = (values.text("authorizer.class.name") ?? "").trimmed
      isEnabled = !name.isEmpty
      isAclAuthorizer = name == Self.aclAuthorizer
      allowsWithoutEntries = values.bool("allow.everyone.if.no.acl.found")
      superUsers = try Self.principals(values.text("super.users") ?? "")
      guard isEnabled else { return }
      let (ours, others) =
        isKRaft
        ? (Self.standardAuthorizer, Self.aclAuthorizer)
        : (Self.aclAuthorizer, Self.standardAuthorizer)
      guard name == ours else {
        let reason =
          name == others
          ? "is for the other mode; in \(isKRaft ? "KRaft" : "ZooKeeper") mode it is \(ours)"
          : "Java classes cannot be loaded; there is only \(ours)"
        throw SettingsError(reason, key: "authorizer.class.name", value: name)
      }
    }

    /// AclAuthorizer can keep its entries in another ensemble than the cluster's, which is not done
    /// here: a broker that read them elsewhere would guard nothing.
    /// - Throws: `SettingsError` naming the first of the keys `authorizer.zookeeper.…`.
    func checkStore(_ sources: SettingSources) throws(SettingsError) {
      guard isAclAuthorizer else { return }
      for setting in sources.settings where setting.key.hasPrefix("authorizer.zookeeper.") {
        throw SettingsError(
          "access control entries are kept where zookeeper.connect says: remove this key",
          key: setting.key)
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
