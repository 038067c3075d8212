/// What IncrementalAlterConfigs does to one key, numbered as on the wire (KIP-339).
public enum ConfigOperation: Int8, Sendable {
  case set = 0
  case delete = 1
  /// Adds to a list what is not in it.
  case append = 2
  /// Takes from a list what is in it.
  case subtract = 3
}

extension ConfigTable {
  /// Applies one operation to stored settings.
  ///
  /// Appending to a list that is not set starts from the key's default.
  /// - Throws: `SettingsError` for an unknown key, a missing value, or a key that is no list.
  public func apply(
    _ operation: ConfigOperation, key name: String, value: String?,
    to settings: inout [String: String]
  ) throws(SettingsError) {
    guard let key = self[BrokerConfig.baseName(name)] else {
      throw SettingsError("unknown configuration key", key: name)
    }
    switch operation {
    case .delete: settings[name] = nil
    case .set:
      guard let value else { throw SettingsError("a null value cannot be set", key: name) }
      settings[name] = value
    case .append, .subtract:
      guard key.type == .list else {
        throw SettingsError("only lists can be appended to and subtracted from", key: name)
      }
      guard let value else { throw SettingsError("a null value cannot be used here", key: name) }
      var list = (settings[name] ?? key.defaultValue.nullableText ?? "").commaSeparated
      let given = value.commaSeparated
      if operation == .append {
        for element in given where !list.contains(element) { list.append(element) }
      } else {
        list.removeAll { given.contains($0) }
      }
      settings[name] = list.joined(separator: ",")
    }
  }
}

extension BrokerConfig {
  /// Checks dynamic broker settings before they are stored.
  /// - Parameter isPerBroker: false for the settings of all brokers.
  /// - Throws: `SettingsError` for a key that is fixed or only per broker, or a value that does not
  ///   fit. Keys nobody knows pass, as Kafka lets them: plug-ins may read them.
  public static func validateDynamic(
    _ settings: [String: String], isPerBroker: Bool
  ) throws(SettingsError) {
    for name in settings.keys.sorted() {
      guard let text = settings[name], let key = ConfigTable.broker[baseName(name)] else {
        continue
      }
      if key.update == .fixed {
        throw SettingsError("Cannot update these configs dynamically: Set(\(name))")
      }
      if key.update == .broker, !isPerBroker {
        throw SettingsError(
          "Cannot update these configs at default cluster level, broker id must be specified: "
            + "Set(\(name))")
      }
      _ = try key.parse(text)
    }
  }
}
