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
  /// `eligible.leader.replicas.enable`; has an effect from metadata.version 4.0-IV0 on.
  public var areEligibleReplicasKept = false
  /// `unclean.leader.election.interval.ms`
  public var uncleanElectionIntervalMs: Int64 = 300_000
  /// The finalized level of `kraft.version`, which Raft keeps in its log.
  public var kraftVersion: Int16 = 0
  /// The controllers of the quorum: of `controller.quorum.voters`, or the voter set.
  public var controllerIDs: [BrokerID] = []
  /// `delegation.token.max.lifetime.ms`
  public var tokenMaxLifetimeMs: Int64 = 604_800_000
  /// `delegation.token.expiry.time.ms`
  public var tokenExpiryTimeMs: Int64 = 86_400_000
  /// `delegation.token.expiry.check.interval.ms`
  public var tokenExpiryCheckIntervalMs: Int64 = 3_600_000
  /// `controller.quota.window.num`
  public var mutationSampleCount = 11
  /// `controller.quota.window.size.seconds`, in milliseconds.
  public var mutationSampleMs: Int64 = 1000
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
  public var describeTopic:
    @Sendable ([String: String]) -> [CreateTopicsResponse.CreatableTopicConfigs]

  public init() {
    describeTopic = { _ in [] }
  }
}

/// Features that Kafka 3.9 knows in production.
public enum FeatureNames {
  public static let metadataVersion = MetadataVersion.featureName
  /// Whether voters are in the log (KIP-853); fixed when a directory is formatted.
  public static let kraftVersion = "kraft.version"
}

extension QuorumControllerOptions {
  /// The highest level of metadata.version that this controller takes.
  public var latestMetadataVersion: MetadataVersion {
    .latest(isUnstableAllowed: areUnstableFeaturesEnabled)
  }

  /// What this controller supports, as it registers and lists it.
  public var supportedFeatures: [SupportedFeature] {
    [
      SupportedFeature(name: FeatureNames.kraftVersion, minimum: 0, maximum: 1),
      SupportedFeature(
        name: FeatureNames.metadataVersion, minimum: MetadataVersion.minimum.rawValue,
        maximum: latestMetadataVersion.rawValue),
    ]
  }
}

extension QuorumController {
  /// Finalized levels by name, metadata.version always among them.
  var finalizedFeatures: [String: Int16] {
    var features = pending.image.features
    features[MetadataVersion.featureName] = pending.image.metadataVersion.rawValue
    return features
  }
}
