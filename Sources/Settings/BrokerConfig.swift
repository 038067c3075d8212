/// Everything a broker is configured with: the file, the environment and the flags it started with,
/// and what was changed while it ran.
///
/// A value comes from the first of these that has one: dynamic for this broker, dynamic for all
/// brokers, static, default. The typed areas are computed once, when the config is made; a dynamic
/// change makes a new config.
public struct BrokerConfig: Sendable {
  /// What the broker was started with.
  public let sources: SettingSources
  /// Cluster-wide dynamic settings, by key: `/config/brokers/<default>`.
  public let dynamicDefaults: [String: String]
  /// This broker's dynamic settings, by key: `/config/brokers/<id>`.
  public let dynamicBroker: [String: String]
  /// One line for each key that is unknown or has no effect here, naming it and where it was given.
  public let warnings: [String]

  public let identity: Identity
  public let network: Network
  public let zooKeeper: ZooKeeper
  public let quorum: Quorum
  public let log: Log
  public let replication: Replication
  public let topics: Topics
  public let groups: Groups
  public let producers: Producers
  public let metrics: Metrics
  public let authorization: Authorization
  public let delegationTokens: DelegationTokens
  public let failureDetection: FailureDetection
  public let clientQuotas: ClientQuotas
  public let clientTelemetry: ClientTelemetry
  /// What topics without overrides of their own are configured with.
  public let topicDefaults: TopicConfig

  let values: ConfigValues

  /// Understands and checks everything that was given.
  /// - Throws: `SettingsError`, one line that names the file, the key and the value.
  public init(_ sources: SettingSources) throws(SettingsError) {
    let checked = try Self.check(sources)
    try self.init(
      sources: sources, dynamicDefaults: [:], dynamicBroker: [:], values: checked.values,
      warnings: checked.warnings)
  }

  private init(
    sources: SettingSources, dynamicDefaults: [String: String], dynamicBroker: [String: String],
    values: ConfigValues, warnings: [String]
  ) throws(SettingsError) {
    self.sources = sources
    self.dynamicDefaults = dynamicDefaults
    self.dynamicBroker = dynamicBroker
    self.values = values
    var warnings = warnings
    identity = try Identity(values)
    quorum = try Quorum(values)
    network = try Network(
      values, quorum, isListenersGiven: sources["listeners"] != nil,
      isMapGiven: sources["listener.security.protocol.map"] != nil)
    zooKeeper = try ZooKeeper(values)
    log = try Log(values)
    replication = try Replication(values)
    topics = Topics(values)
    groups = try Groups(values)
    producers = Producers(values)
    metrics = Metrics(values)
    let isKRaft = quorum.isBroker || quorum.isController
    authorization = try Authorization(values, isKRaft: isKRaft)
    try authorization.checkStore(sources)
    clientQuotas = ClientQuotas(values)
    clientTelemetry = try ClientTelemetry(values, isKRaft: isKRaft)
    delegationTokens = try DelegationTokens(values, isKRaft: isKRaft)
    failureDetection =
      FailureDetection(rawValue: values.name("jackdaw.failure.detection") ?? "") ?? .fast
    topicDefaults = TopicConfig(ConfigValues.topicDefaults(of: values))
    if log.directories.count != Set(log.directories).count {
      warnings.append("log.dirs: a directory is named twice")
    }
    self.warnings = warnings
  }

  /// The same broker after dynamic changes.
  ///
  /// Settings that cannot be used (a value that no longer parses, a key that is fixed) are left out
  /// and named in `warnings`: a broker that runs does not stop over what somebody stored.
  public func applying(
    dynamicDefaults: [String: String], dynamicBroker: [String: String]
  ) -> BrokerConfig {
    var merged = values
    var complaints: [String] = []
    func usable(_ layer: [String: String]) -> [String: String] {
      var kept = layer
      for key in layer.keys.sorted() {
        guard let text = layer[key], let entry = ConfigTable.broker[Self.baseName(key)],
          entry.name == key || ConfigValues.perListener.contains(entry.name)
        else { continue }
        do {
          guard entry.update != .fixed else {
            throw SettingsError("cannot be changed while the broker runs", key: key)
          }
          let value = try entry.parse(text, origin: .dynamic)
          if entry.name == key { merged.set(key, value) } else {
            merged.set(entry.name, value, listener: key)
          }
        } catch {
          complaints.append("\(error)")
          kept[key] = nil
        }
      }
      return kept
    }
    let (forAll, forThis) = (usable(dynamicDefaults), usable(dynamicBroker))
    do {
      return try BrokerConfig(
        sources: sources, dynamicDefaults: forAll, dynamicBroker: forThis, values: merged,
        warnings: complaints)
    } catch {
      // Each value is fine, but not together with the others: go on with what there was.
      return self
    }
  }

  /// The effective value of any key of `ConfigTable.broker`.
  public func value(of key: String) -> ConfigValue { values[key] }

  // MARK: Checking

  /// Parses what was given and sorts out what cannot be used.
  private static func check(
    _ sources: SettingSources
  ) throws(SettingsError) -> (values: ConfigValues, warnings: [String]) {
    var values = ConfigValues.brokerDefaults
    var warnings: [String] = []
    for setting in sources.settings {
      guard let key = ConfigTable.broker[baseName(setting.key)] else {
        warnings.append("\(setting.origin): unknown key \(setting.key) has no effect")
        continue
      }
      let value = try key.parse(setting.value, origin: setting.origin)
      if case .withoutEffect(let reason) = key.status, value != key.defaultValue {
        warnings.append("\(setting.origin): \(setting.key) has no effect: \(reason)")
      }
      if key.name == setting.key {
        values.set(key.name, value)
      } else if ConfigValues.perListener.contains(key.name) {
        values.set(key.name, value, listener: setting.key)
      } else if setting.key.hasPrefix("listener.name."), key.status == .honoured {
        warnings.append(
          "\(setting.origin): \(setting.key) has no effect: \(key.name) is the same for all "
            + "listeners")
      }
    }
    if values.list("process.roles").isEmpty {
      for setting in sources.settings where ConfigTable.isForKRaftOnly(setting.key) {
        warnings.append("\(setting.origin): \(setting.key) has no effect in ZooKeeper mode")
      }
    }
    // Either name of the broker's id stands for both.
    if let given = sources["broker.id"], sources["node.id"] == nil {
      values.set("node.id", try parse("broker.id", given))
    } else if let given = sources["node.id"], sources["broker.id"] == nil {
      values.set("broker.id", try parse("node.id", given))
    }
    return (values, warnings)
  }

  private static func parse(
    _ key: String, _ setting: SettingSources.Setting
  ) throws(SettingsError) -> ConfigValue {
    guard let entry = ConfigTable.broker[key] else { return .text(setting.value) }
    return try entry.parse(setting.value, origin: setting.origin)
  }

  /// `listener.name.<listener>.<key>` and `listener.name.<listener>.<mechanism>.<key>` set a key
  /// for one listener; this gives the key.
  public static func baseName(_ key: String) -> String {
    guard key.hasPrefix("listener.name.") else { return key }
    let parts = key.split(separator: ".", maxSplits: 3, omittingEmptySubsequences: false)
    guard parts.count == 4 else { return key }
    let rest = String(parts[3])
    if ConfigTable.broker[rest] != nil { return rest }
    guard let dot = rest.firstIndex(of: ".") else { return rest }
    return String(rest[rest.index(after: dot)...])
  }
}

/// Effective values by key. Keys asked for by name stand in the tables: a test asks for all.
struct ConfigValues: Sendable {
  private var values: [String: ConfigValue]
  /// Keys whose value was given by somebody.
  private(set) var given: Set<String> = []

  static let brokerDefaults = ConfigValues(defaultsOf: .broker)

  init(defaultsOf table: ConfigTable) {
    values = [:]
    for key in table.keys { values[key.name] = key.defaultValue }
  }

  subscript(key: String) -> ConfigValue { values[key] ?? .null }

  /// Keys that a listener can have a value of its own for.
  static let perListener: Set<String> = ["max.connection.creation.rate"]
  private var byListener: [String: [String: ConfigValue]] = [:]

  /// - Parameter full: `listener.name.<listener>.<key>`
  mutating func set(_ key: String, _ value: ConfigValue, listener full: String) {
    let name = full.split(separator: ".", maxSplits: 3)[2].uppercased()
    byListener[key, default: [:]][name] = value
  }

  /// What listeners have of their own, by their names in capitals.
  func integersByListener(_ key: String) -> [String: Int64] {
    (byListener[key] ?? [:]).compactMapValues { value in
      if case .integer(let value) = value { return value }
      return nil
    }
  }

  mutating func set(_ key: String, _ value: ConfigValue) {
    values[key] = value
    given.insert(key)
  }

  func integer(_ key: String) -> Int64? {
    if case .integer(let value) = self[key] { return value }
    return nil
  }

  func int64(_ key: String) -> Int64 { integer(key) ?? 0 }
  func int(_ key: String) -> Int { Int(int64(key)) }
  /// Keys of type int and short only: their range was checked when they were parsed.
  func int32(_ key: String) -> Int32 { Int32(clamping: int64(key)) }
  func int16(_ key: String) -> Int16 { Int16(clamping: int64(key)) }

  func bool(_ key: String) -> Bool { self[key] == .boolean(true) }

  func double(_ key: String) -> Double {
    if case .double(let value) = self[key] { return value }
    return 0
  }

  func text(_ key: String) -> String? { self[key].nullableText }

  /// Nil for empty text too.
  func name(_ key: String) -> String? {
    text(key).flatMap { $0.isEmpty ? nil : $0 }
  }

  func list(_ key: String) -> [String] {
    if case .list(let values) = self[key] { return values }
    return []
  }
}
