// The level of the metadata's format: which records may be written, and in which version.
import KafkaRecords

/// A finalized level of the feature `metadata.version` (KIP-778). Levels and what came with them
/// are Kafka's; a record's version follows from the level alone, so that every node of a cluster
/// can read what the active controller writes.
public struct MetadataVersion: RawRepresentable, Hashable, Comparable, Sendable {
  public var rawValue: Int16
  public init(rawValue: Int16) { self.rawValue = rawValue }
  public init(_ level: Int16) { rawValue = level }

  /// The feature's name in FeatureLevelRecord, registrations and ApiVersions.
  public static let featureName = "metadata.version"
  /// 3.0-IV1: what a log without any level counts as.
  public static let minimum = MetadataVersion(1)
  /// 3.3-IV0: the first level that the log itself can state, and so that a cluster can begin with.
  public static let minimumBootstrap = MetadataVersion(4)
  /// 3.9-IV0: what a cluster is formatted with.
  public static let latestProduction = MetadataVersion(21)
  /// 4.0-IV1: refused unless `unstable.feature.versions.enable=true`.
  public static let latestUnstable = MetadataVersion(23)

  /// The highest level that a node takes, by its `unstable.feature.versions.enable`.
  public static func latest(isUnstableAllowed: Bool) -> MetadataVersion {
    isUnstableAllowed ? latestUnstable : latestProduction
  }

  public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }

  private struct Row: Sendable {
    let name: String
    /// Whether a downgrade across this level would lose metadata.
    let changesMetadata: Bool
  }

  /// By level, from 1 on.
  private static let rows: [Row] = [
    Row(name: "3.0-IV1", changesMetadata: true), Row(name: "3.1-IV0", changesMetadata: false),
    Row(name: "3.2-IV0", changesMetadata: true), Row(name: "3.3-IV0", changesMetadata: false),
    Row(name: "3.3-IV1", changesMetadata: true), Row(name: "3.3-IV2", changesMetadata: true),
    Row(name: "3.3-IV3", changesMetadata: true), Row(name: "3.4-IV0", changesMetadata: true),
    Row(name: "3.5-IV0", changesMetadata: false), Row(name: "3.5-IV1", changesMetadata: false),
    Row(name: "3.5-IV2", changesMetadata: true), Row(name: "3.6-IV0", changesMetadata: false),
    Row(name: "3.6-IV1", changesMetadata: true), Row(name: "3.6-IV2", changesMetadata: true),
    Row(name: "3.7-IV0", changesMetadata: true), Row(name: "3.7-IV1", changesMetadata: false),
    Row(name: "3.7-IV2", changesMetadata: true), Row(name: "3.7-IV3", changesMetadata: false),
    Row(name: "3.7-IV4", changesMetadata: false), Row(name: "3.8-IV0", changesMetadata: false),
    Row(name: "3.9-IV0", changesMetadata: false), Row(name: "4.0-IV0", changesMetadata: true),
    Row(name: "4.0-IV1", changesMetadata: false),
  ]

  private var row: Row? {
    let index = Int(rawValue) - 1
    return Self.rows.indices.contains(index) ? Self.rows[index] : nil
  }

  /// Whether Kafka 3.9 knows the level at all.
  public var isKnown: Bool { row != nil }

  /// `3.9-IV0`; the bare number for a level that is not known.
  public var name: String { row?.name ?? "\(rawValue)" }

  /// Reads `3.9-IV0`, or `3.9` for the last level of that release.
  public init?(name: String) {
    let match =
      Self.rows.lastIndex { $0.name == name }
      ?? Self.rows.lastIndex { $0.name.hasPrefix(name + "-IV") }
    guard let match else { return nil }
    self.init(Int16(match + 1))
  }

  /// Whether going from this level down to `lower` would lose metadata.
  public func losesMetadata(downTo lower: MetadataVersion) -> Bool {
    guard lower < self else { return false }
    return (lower.rawValue + 1...rawValue).contains {
      MetadataVersion($0).row?.changesMetadata ?? true
    }
  }

  // MARK: What came with which level

  /// An unclean leader reports that it has recovered (KIP-704).
  public var hasLeaderRecovery: Bool { rawValue >= 3 }
  /// NoOpRecord (KIP-835).
  public var hasNoOpRecord: Bool { rawValue >= 5 }
  /// BrokerRegistrationChangeRecord in place of FenceBrokerRecord and UnfenceBrokerRecord.
  public var hasBrokerRegistrationChange: Bool { rawValue >= 6 }
  /// A broker in controlled shutdown is marked in the log (KIP-841).
  public var hasControlledShutdownState: Bool { rawValue >= 7 }
  /// ZkMigrationStateRecord (KIP-866).
  public var hasMigration: Bool { rawValue >= 8 }
  /// SCRAM credentials in the log.
  public var hasScram: Bool { rawValue >= 11 }
  /// A smaller ISR needs a new leader epoch (until KAFKA-15021).
  public var bumpsLeaderEpochOnShrink: Bool { rawValue < 12 }
  /// Begin-, End- and AbortTransactionRecord (KIP-868).
  public var hasTransactions: Bool { rawValue >= 13 }
  /// Delegation tokens in the log.
  public var hasDelegationTokens: Bool { rawValue >= 14 }
  /// RegisterControllerRecord (KIP-919).
  public var hasControllerRegistration: Bool { rawValue >= 15 }
  /// Log directories of replicas (KIP-858).
  public var hasDirectoryAssignment: Bool { rawValue >= 17 }
  /// Eligible leader replicas (KIP-966).
  public var hasEligibleLeaderReplicas: Bool { rawValue >= 22 }

  /// The version in which a record is written at this level.
  public func recordVersion(of record: MetadataRecord) -> Int16 {
    switch record {
    case .registerBroker:
      hasDirectoryAssignment ? 3 : hasMigration ? 2 : hasControlledShutdownState ? 1 : 0
    case .partition, .partitionChange:
      hasEligibleLeaderReplicas ? 2 : hasDirectoryAssignment ? 1 : 0
    // By what it changes: the lowest version that has the field.
    case .brokerRegistrationChange(let record):
      !record.logDirs.isEmpty ? 2 : record.inControlledShutdown != 0 ? 1 : 0
    default: 0
    }
  }
}

/// A record with the version it is written in.
public struct VersionedRecord: Sendable {
  public var record: MetadataRecord
  public var version: Int16

  public init(_ record: MetadataRecord, version: Int16) {
    self.record = record
    self.version = version
  }

  /// In the version that belongs to the level.
  public init(_ record: MetadataRecord, at level: MetadataVersion) {
    self.init(record, version: level.recordVersion(of: record))
  }
}

extension MetadataImage {
  /// The finalized level; a log that states none counts as the lowest.
  public var metadataVersion: MetadataVersion {
    features[MetadataVersion.featureName].map { MetadataVersion($0) } ?? .minimum
  }
}
