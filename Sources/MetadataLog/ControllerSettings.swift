/// What a controller of either mode decides by, from a node's settings.
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
    isLeaderRebalanceEnabled = config.replication.isAutoLeaderRebalanceEnabled
    leaderImbalancePercentage = config.replication.leaderImbalancePerBrokerPercentage
    leaderImbalanceCheckIntervalSeconds = max(
      1, config.replication.leaderImbalanceCheckIntervalMs / 1000)
    hooks.validateConfig = { resource, settings in
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
      let table = resource.type == .topic ? ConfigTable.topic : ConfigTable.broker
      return table[BrokerConfig.baseName(key)]?.type == .list
    }
    hooks.defaultValue = { resource, key in
      let table = resource.type == .topic ? ConfigTable.topic : ConfigTable.broker
      return table[BrokerConfig.baseName(key)]?.defaultValue.nullableText
    }
  }
}
