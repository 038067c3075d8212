/// DescribeConfigs of `client-metrics` resources: every key, with its default where it is not set.
import ClientTelemetry
import Settings

enum ClientMetricsDescription {
  /// - Parameters:
  ///   - settings: what is set for the resource.
  ///   - keys: nil or empty for all.
  static func describe(_ settings: [String: String], keys: [String]?) -> [ConfigDescription] {
    let wanted = keys ?? []
    return TelemetrySubscription.keys.filter { wanted.isEmpty || wanted.contains($0) }.map { key in
      let value = TelemetrySubscription.effective(key, settings)
      let isSet = settings[key] != nil
      return ConfigDescription(
        name: key, value: value, source: isSet ? .clientMetrics : .defaultConfig,
        isReadOnly: false, isSensitive: false, type: key == "interval.ms" ? .int : .list,
        synonyms: isSet ? [.init(name: key, value: value, source: .clientMetrics)] : [],
        documentation: documentation[key] ?? "")
    }
  }

  private static let documentation = [
    "interval.ms": "How often clients push, in milliseconds.",
    "match": "Patterns of the clients that are meant.",
    "metrics": "Prefixes of the metrics' names; * for all.",
  ]
}
