import Metadata

/// How a topic's creation or a change of configuration can be refused by rules of the operator's
/// (`create.topic.policy.class.name`, `alter.config.policy.class.name`) and how values are checked.
///
/// The rules need every setting's type and range, which only the node knows: it hands them in.
public struct ControllerHooks: Sendable {
  /// Checks the complete configuration that a resource would have; returns why it is not allowed.
  public var validateConfig: @Sendable (ConfigResource, [String: String]) -> Refusal?
  /// Whether a setting is a list, which `append` and `subtract` work on.
  public var isList: @Sendable (ConfigResource, String) -> Bool
  /// The value a setting has where none is set for the resource: what `append` starts from.
  public var defaultValue: @Sendable (ConfigResource, String) -> String?
  /// The operator's own rules for new topics.
  public var createTopicPolicy: (@Sendable (TopicToCreate) -> Refusal?)?
  /// The operator's own rules for configuration.
  public var alterConfigPolicy: (@Sendable (ConfigResource, [String: String]) -> Refusal?)?

  public init() {
    validateConfig = { _, _ in nil }
    isList = { _, _ in false }
    defaultValue = { _, _ in nil }
  }
}

/// The settings the controller decides by; names as in `server.properties`.
public struct ControllerOptions: Sendable {
  /// `num.partitions`
  public var defaultPartitions: Int32 = 1
  /// `default.replication.factor`
  public var defaultReplicationFactor: Int16 = 1
  /// `unclean.leader.election.enable`
  public var isUncleanElectionEnabled = false
  /// `min.insync.replicas`
  public var minISR = 1
  /// `delete.topic.enable`
  public var isTopicDeletionEnabled = true
  /// `auto.leader.rebalance.enable`
  public var isLeaderRebalanceEnabled = true
  /// `leader.imbalance.per.broker.percentage`
  public var leaderImbalancePercentage = 10
  /// `leader.imbalance.check.interval.seconds`
  public var leaderImbalanceCheckIntervalSeconds: Int64 = 300
  /// Whether an unclean leader must report that it has recovered (from 3.2-IV0 on).
  public var isLeaderRecoverySupported = true
  public var hooks = ControllerHooks()

  public init() {}
}
