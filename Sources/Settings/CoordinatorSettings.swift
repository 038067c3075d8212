/// `zoo.cfg` as it was given: every key parsed and checked against `ConfigTable.coordinator`.
///
/// System properties of ZooKeeper's server may be given beside the file's own keys, with or without
/// the prefix `zookeeper.`, and under the names that its documentation has for them.
public struct CoordinatorSettings: Sendable {
  private var values = ConfigValues(defaultsOf: .coordinator)
  private var order: [String] = []
  private var origins: [String: SettingSources.Setting] = [:]
  /// `server.N`, `group.N` and `weight.N`, in the order of the file.
  public private(set) var members: [SettingSources.Setting] = []
  /// `authProvider.*`, in the order of the file.
  public private(set) var authProviders: [SettingSources.Setting] = []
  /// One line for each key that is unknown or has no effect here, naming it and where it was given.
  public private(set) var warnings: [String] = []

  /// - Throws: `SettingsError`, one line that names the file, the key and the value.
  public init(_ sources: SettingSources) throws(SettingsError) {
    for setting in sources.settings { try take(setting) }
    let hasDynamicFile = isGiven("dynamicConfigFile")
    if hasDynamicFile, let member = members.first {
      throw SettingsError(
        "must be in the dynamic configuration file", key: member.key, value: member.value,
        origin: member.origin)
    }
    for (address, port) in [
      ("clientPortAddress", "clientPort"), ("secureClientPortAddress", "secureClientPort"),
    ] where isGiven(address) && !isGiven(port) {
      throw error("is set, but \(port) is not", address)
    }
  }

  private mutating func take(_ setting: SettingSources.Setting) throws(SettingsError) {
    let name = Self.canonicalName(setting.key)
    for prefix in ["server.", "group.", "weight."] where name.hasPrefix(prefix) {
      return members.append(setting)
    }
    if name.hasPrefix("authProvider.") { return authProviders.append(setting) }
    guard let key = ConfigTable.coordinator[name] else {
      warnings.append("\(setting.origin): \(setting.key): unknown key, has no effect")
      return
    }
    let value: ConfigValue
    do { value = try key.parse(setting.value, origin: setting.origin) } catch {
      // The complaint names the key as it was given.
      var named = error
      named.key = setting.key
      throw named
    }
    // The file's own key yields to the system property, wherever either stands.
    if let other = origins[name], Self.isSystemProperty(other.key),
      !Self.isSystemProperty(setting.key)
    {
      return warnings.append(
        "\(setting.origin): \(setting.key) has no effect: \(other.key) prevails")
    }
    if case .withoutEffect(let reason) = key.status, value != key.defaultValue {
      warnings.append("\(setting.origin): \(setting.key) has no effect: \(reason)")
    }
    values.set(name, value)
    if origins[name] == nil { order.append(name) }
    origins[name] = setting
  }

  /// The table's name of a key: without the prefix of system properties, and without the names that
  /// only the documentation uses.
  public static func canonicalName(_ key: String) -> String {
    let name = key.hasPrefix("zookeeper.") ? String(key.dropFirst(10)) : key
    return documentedNames[name] ?? name
  }

  /// Whether a name is a system property's of ZooKeeper, where the file has a key of its own.
  private static func isSystemProperty(_ key: String) -> Bool {
    key == "observer.syncEnabled" || key == "zookeeper.observer.syncEnabled"
  }

  private static let documentedNames: [String: String] = [
    "advancedFlowControlEnabled": "netty.advancedFlowControl.enabled",
    "connectionDecreaseRatio": "connection_throttle_decrease_ratio",
    "connectionDropDecrease": "connection_throttle_drop_decrease",
    "connectionDropIncrease": "connection_throttle_drop_increase",
    "connectionFreezeTime": "connection_throttle_freeze_time",
    "connectionMaxTokens": "connection_throttle_tokens",
    "connectionTokenFillCount": "connection_throttle_fill_count",
    "connectionTokenFillTime": "connection_throttle_fill_time",
    "maxConcurrentDiffSyncs": "leader.maxConcurrentDiffSyncs",
    "maxConcurrentSnapSyncs": "leader.maxConcurrentSnapSyncs",
    "maxTimeToWaitForEpoch": "leader.maxTimeToWaitForEpoch",
    "observer.syncEnabled": "syncEnabled",
    "outstandingHandshake.limit": "netty.server.outstandingHandshake.limit",
    "requestStaleConnectionCheck": "request_stale_connection_check",
    "requestStaleLatencyCheck": "request_stale_latency_check",
    "requestThrottleDropStale": "request_throttle_drop_stale",
    "requestThrottleLimit": "request_throttle_max_requests",
    "requestThrottleStallTime": "request_throttle_stall_time",
    "throttledOpWaitTime": "throttled_op_wait_time",
  ]

  /// What was given, in the order of the file, for those who look at a server; what is secret is
  /// hidden.
  public var given: [(key: String, value: String)] {
    order.compactMap { name in
      origins[name].map { setting in
        let isHidden = ConfigTable.coordinator[name]?.isSensitive ?? true
        return (setting.key, isHidden ? "[hidden]" : setting.value)
      }
    } + members.map { ($0.key, $0.value) }
  }

  // MARK: Values

  /// Whether somebody gave the key.
  public func isGiven(_ key: String) -> Bool { origins[key] != nil }

  public func int(_ key: String) -> Int { values.int(key) }
  public func int32(_ key: String) -> Int32 { values.int32(key) }
  public func int64(_ key: String) -> Int64 { values.int64(key) }
  public func double(_ key: String) -> Double { values.double(key) }
  public func list(_ key: String) -> [String] { values.list(key) }
  /// Nil when there is none, or an empty one.
  public func text(_ key: String) -> String? { values.name(key) }

  /// Of keys that say true and false as well as of those that say yes and no.
  public func bool(_ key: String) -> Bool {
    values.bool(key) || text(key)?.lowercased() == "yes"
  }

  /// Nil unless given: some keys have no default.
  public func port(_ key: String) -> UInt16? { values.integer(key).map { UInt16(clamping: $0) } }

  /// A complaint about a key's value, naming where it was given.
  public func error(_ reason: String, _ key: String) -> SettingsError {
    let setting = origins[key]
    let isSensitive = ConfigTable.coordinator[key]?.isSensitive ?? false
    return SettingsError(
      reason, key: setting?.key ?? key,
      value: setting.map { isSensitive ? "[hidden]" : $0.value }, origin: setting?.origin)
  }
}
