import KafkaMessages
import KafkaRecords
import Metadata
import Values

/// The settings of a KRaft controller; names as in `server.properties`.
public struct QuorumControllerOptions: Sendable {
  /// Defaults of topics, elections and rebalancing, which both modes have.
  public var base = ControllerOptions()
  /// `node.id`
  public var nodeID: BrokerID
  /// From `meta.properties`: what a registration has to state.
  public var clusterID: String
  /// `broker.session.timeout.ms`
  public var brokerSessionTimeoutMs: Int64 = 9000
  /// `metadata.max.idle.interval.ms`; 0 writes no NoOpRecord.
  public var maxIdleIntervalMs: Int64 = 500
  /// What the first leader of an empty log writes: the content of `bootstrap.checkpoint`, whose
  /// FeatureLevelRecord of `metadata.version` comes first.
  public var bootstrap: [MetadataRecord]
  /// Said in the log line of the activation: where `bootstrap` came from.
  public var bootstrapSource = "the binary bootstrap metadata file"
  /// `unstable.feature.versions.enable`
  public var areUnstableFeaturesEnabled = false
  /// The controllers of the quorum: of `controller.quorum.voters`, or the voter set.
  public var controllerIDs: [BrokerID] = []
  /// `delegation.token.max.lifetime.ms`
  public var tokenMaxLifetimeMs: Int64 = 604_800_000
  /// `delegation.token.expiry.time.ms`
  public var tokenExpiryTimeMs: Int64 = 86_400_000
  /// `delegation.token.expiry.check.interval.ms`
  public var tokenExpiryCheckIntervalMs: Int64 = 3_600_000
  public var hooks = QuorumControllerHooks()

  public init(nodeID: BrokerID, clusterID: String, bootstrap: [MetadataRecord]) {
    self.nodeID = nodeID
    self.clusterID = clusterID
    self.bootstrap = bootstrap
  }
}

/// What the node lends the machine: functions of their arguments alone.
public struct QuorumControllerHooks: Sendable {
  /// HMAC of a delegation token's id under `delegation.token.secret.key`; nil when there is no key,
  /// which switches delegation tokens off.
  public var tokenHMAC: (@Sendable (String) -> [UInt8])?
  /// Stored key and server key of a salted password (RFC 5802).
  public var scramKeys:
    (@Sendable (ScramMechanism, [UInt8]) -> (storedKey: [UInt8], serverKey: [UInt8]))?
  /// The complete configuration of a new topic as CreateTopics answers it, from what was set.
  public var describeTopic: @Sendable ([String: String]) -> [CreateTopicsResponse.CreatableTopicConfigs]

  public init() {
    describeTopic = { _ in [] }
  }
}
