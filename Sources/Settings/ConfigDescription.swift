/// Where a value comes from, numbered as on the wire (KIP-226, KIP-569).
public enum ConfigSource: Int8, Sendable {
  case dynamicTopic = 1
  case dynamicBroker = 2
  case dynamicDefaultBroker = 3
  case staticBroker = 4
  case defaultConfig = 5
  case clientMetrics = 7
}

/// One line of DescribeConfigs.
public struct ConfigDescription: Hashable, Sendable {
  public struct Synonym: Hashable, Sendable {
    public var name: String
    public var value: String?
    public var source: ConfigSource

    public init(name: String, value: String?, source: ConfigSource) {
      self.name = name
      self.value = value
      self.source = source
    }
  }

  public var name: String
  /// Nil for sensitive keys, and where there is no value.
  public var value: String?
  public var source: ConfigSource
  public var isReadOnly: Bool
  public var isSensitive: Bool
  public var type: ConfigType
  /// Everything that was given for the key or a synonym, strongest first.
  public var synonyms: [Synonym]
  public var documentation: String

  public init(
    name: String, value: String?, source: ConfigSource, isReadOnly: Bool, isSensitive: Bool,
    type: ConfigType, synonyms: [Synonym], documentation: String
  ) {
    self.name = name
    self.value = value
    self.source = source
    self.isReadOnly = isReadOnly
    self.isSensitive = isSensitive
    self.type = type
    self.synonyms = synonyms
    self.documentation = documentation
  }

  /// Versions of DescribeConfigs without sources have this flag instead.
  public var isDefault: Bool { source == .defaultConfig }
}

extension BrokerConfig {
  /// Describes this broker.
  /// - Parameter keys: nil or empty for every key; unknown ones are left out.
  public func describe(keys: [String]? = nil) -> [ConfigDescription] {
    let wanted = keys.flatMap { $0.isEmpty ? nil : Set($0) }
    return ConfigTable.broker.keys.compactMap { key in
      // Keys of our own would puzzle tools that know Kafka's; show them when somebody gave them.
      if key.name.hasPrefix("jackdaw."), !values.given.contains(key.name) { return nil }
      if let wanted, !wanted.contains(key.name) { return nil }
      let synonyms = synonyms(of: ConfigTable.synonyms(ofBrokerKey: key.name), sensitive: key)
      // A synonym in another unit is not this key's value: begin at the key itself.
      let own = Array(synonyms.drop { $0.name != key.name })
      return ConfigDescription(
        name: key.name, value: key.isSensitive ? nil : values[key.name].nullableText,
        source: own.first?.source ?? .defaultConfig, isReadOnly: key.update == .fixed,
        isSensitive: key.isSensitive, type: key.type, synonyms: own,
        documentation: key.documentation)
    }
  }

  /// Describes the cluster-wide dynamic settings: the broker resource with an empty name.
  public func describeDynamicDefaults(keys: [String]? = nil) -> [ConfigDescription] {
    let wanted = keys.flatMap { $0.isEmpty ? nil : Set($0) }
    return dynamicDefaults.keys.sorted().compactMap { name in
      if let wanted, !wanted.contains(name) { return nil }
      let key = ConfigTable.broker[name]
      let value = key?.isSensitive == true ? nil : dynamicDefaults[name]
      return ConfigDescription(
        name: name, value: value, source: .dynamicDefaultBroker,
        isReadOnly: key?.update == .fixed, isSensitive: key?.isSensitive ?? false,
        type: key?.type ?? .unknown,
        synonyms: [.init(name: name, value: value, source: .dynamicDefaultBroker)],
        documentation: key?.documentation ?? "")
    }
  }

  /// What was given for any of `names`, by strength of source, then of name.
  func synonyms(
    of names: [String], sensitive key: ConfigKey
  ) -> [ConfigDescription.Synonym] {
    var synonyms: [ConfigDescription.Synonym] = []
    func add(_ source: ConfigSource, _ value: (String) -> String?) {
      for name in names {
        guard let text = value(name) else { continue }
        synonyms.append(
          .init(name: name, value: key.isSensitive ? nil : text, source: source))
      }
    }
    add(.dynamicBroker) { dynamicBroker[$0] }
    add(.dynamicDefaultBroker) { dynamicDefaults[$0] }
    add(.staticBroker) { sources[$0]?.value }
    add(.defaultConfig) { ConfigTable.broker[$0]?.defaultValue.nullableText }
    return synonyms
  }
}

extension TopicConfig {
  /// Describes a topic.
  /// - Parameters:
  ///   - overrides: the topic's own settings, by key.
  ///   - keys: nil or empty for every key; unknown ones are left out.
  public static func describe(
    overrides: [String: String], broker: BrokerConfig, keys: [String]? = nil
  ) -> [ConfigDescription] {
    let wanted = keys.flatMap { $0.isEmpty ? nil : Set($0) }
    let inherited = ConfigValues.topicDefaults(of: broker.values)
    return ConfigTable.topic.keys.compactMap { key in
      if let wanted, !wanted.contains(key.name) { return nil }
      // Only the strongest broker key and what says the same in other units.
      var synonyms =
        ConfigTable.brokerSynonyms(ofTopicKey: key.name).first.map { first in
          broker.synonyms(of: ConfigTable.synonyms(ofBrokerKey: first.name), sensitive: key)
        } ?? []
      var value = inherited[key.name]
      if let text = overrides[key.name] {
        value = ConfigValue(parsing: text, as: key.type) ?? .text(text)
        synonyms.insert(
          .init(name: key.name, value: value.nullableText, source: .dynamicTopic), at: 0)
      }
      return ConfigDescription(
        name: key.name, value: value.nullableText,
        source: synonyms.first?.source ?? .defaultConfig, isReadOnly: false,
        isSensitive: key.isSensitive, type: key.type, synonyms: synonyms,
        documentation: key.documentation)
    }
  }
}
