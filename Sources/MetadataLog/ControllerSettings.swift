/// What a controller of either mode decides by, from a node's settings.
import ClientTelemetry
import Control
import Metadata
import Settings

extension ControllerOptions {
  public init(_ config: BrokerConfig) {
    self.init()
    defaultPartitions = config.topics.defaultPartitions
    defaultReplicationFactor = config.topics.defaultReplicationFactor
    isTopicDeletionEnabled = config.topics.isDeletionEnabled
    isUncleanElectionEnabled = config.topicDefaults.isUncleanLeaderElectionEnabled
    minISR = Int(config.topicDefaults.minInSyncReplicas)
    isLeaderRebalanceEnabled = config.replication.isAutoLeaderRebalanceEnabled
    leaderImbalancePercentage = config.replication.leaderImbalancePerBrokerPercentage
    leaderImbalanceCheckIntervalSeconds = max(
      1, config.replication.leaderImbalanceCheckIntervalMs / 1000)
    hooks.validateConfig = { resource, settings in
      if resource.type == .clientMetrics { return Self.refusal(resource.name, settings) }
      do throws(SettingsError) {
        switch resource.type {
        case .topic: try TopicConfig.validate(overrides: settings, broker: config)
        case .broker:
          try BrokerConfig.validateDynamic(settings, isPerBroker: !resource.name.isEmpty)
        default: break
        }
        return nil
      } catch {
        return Refusal(.invalidConfig, "\(error)")
      }
    }
    hooks.isList = { resource, key in
      if resource.type == .clientMetrics { return key == "metrics" || key == "match" }
      let table = resource.type == .topic ? ConfigTable.topic : ConfigTable.broker
      return table[BrokerConfig.baseName(key)]?.type == .list
    }
    hooks.defaultValue = { resource, key in
      if resource.type == .clientMetrics { return "" }
      let table = resource.type == .topic ? ConfigTable.topic : ConfigTable.broker
      return table[BrokerConfig.baseName(key)]?.defaultValue.nullableText
    }
  }

  /// Why a subscription to clients' metrics cannot be like this; nil: it can.
  private static func refusal(_ name: String, _ settings: [String: String]) -> Refusal? {
    do throws(TelemetrySubscription.Refusal) {
      _ = try TelemetrySubscription(name: name, settings)
      return nil
    } catch {
      return Refusal(error.code, error.message)
    }
  }
}
