/// What one topic is configured with: its overrides over the broker's settings over the defaults.
public struct TopicConfig: Hashable, Sendable {
  public var isCompacted: Bool
  public var isDeleted: Bool
  /// `producer`, `uncompressed`, `gzip`, `snappy`, `lz4` or `zstd`.
  public var compressionType: String
  public var compressionGzipLevel: Int32
  public var compressionLz4Level: Int32
  public var compressionZstdLevel: Int32
  public var deleteRetentionMs: Int64
  public var fileDeleteDelayMs: Int64
  public var flushMessages: Int64
  public var flushMs: Int64
  public var indexIntervalBytes: Int32
  public var maxCompactionLagMs: Int64
  public var minCompactionLagMs: Int64
  public var maxMessageBytes: Int32
  public var isDownconversionEnabled: Bool
  public var messageTimestampAfterMaxMs: Int64
  public var messageTimestampBeforeMaxMs: Int64
  /// Whether records are stamped when they are appended, and not by their producer.
  public var isLogAppendTime: Bool
  public var minCleanableDirtyRatio: Double
  public var minInSyncReplicas: Int32
  public var isPreallocated: Bool
  /// -1 for no limit.
  public var retentionBytes: Int64
  /// -1 for ever.
  public var retentionMs: Int64
  public var segmentBytes: Int32
  public var segmentIndexBytes: Int32
  public var segmentJitterMs: Int64
  public var segmentMs: Int64
  public var isUncleanLeaderElectionEnabled: Bool

  /// The defaults of a topic on a broker that was given nothing.
  public static let defaults = TopicConfig(ConfigValues(defaultsOf: .topic))

  /// The config of a topic with these overrides, by key.
  ///
  /// Overrides that cannot be understood count as absent: they were checked when they were made,
  /// and a stored value must not keep a partition from opening. Unknown keys are passed over.
  public init(overrides: [String: String], broker: BrokerConfig) {
    var values = ConfigValues.topicDefaults(of: broker.values)
    for (key, text) in overrides {
      guard let entry = ConfigTable.topic[key], let value = try? entry.parse(text) else { continue }
      values.set(key, value)
    }
    self.init(values)
  }

  init(_ values: ConfigValues) {
    let policies = values.list("cleanup.policy").map { $0.lowercased() }
    isCompacted = policies.contains("compact")
    isDeleted = policies.contains("delete")
    compressionType = values.text("compression.type")?.lowercased() ?? "producer"
    compressionGzipLevel = values.int32("compression.gzip.level")
    compressionLz4Level = values.int32("compression.lz4.level")
    compressionZstdLevel = values.int32("compression.zstd.level")
    deleteRetentionMs = values.int64("delete.retention.ms")
    fileDeleteDelayMs = values.int64("file.delete.delay.ms")
    flushMessages = values.int64("flush.messages")
    flushMs = values.int64("flush.ms")
    indexIntervalBytes = values.int32("index.interval.bytes")
    maxCompactionLagMs = values.int64("max.compaction.lag.ms")
    minCompactionLagMs = values.int64("min.compaction.lag.ms")
    maxMessageBytes = values.int32("max.message.bytes")
    isDownconversionEnabled = values.bool("message.downconversion.enable")
    // The deprecated key counts for either direction that was left at its default (KIP-937).
    let difference = values.int64("message.timestamp.difference.max.ms")
    let after = values.int64("message.timestamp.after.max.ms")
    let before = values.int64("message.timestamp.before.max.ms")
    messageTimestampAfterMaxMs = after == .max ? difference : after
    messageTimestampBeforeMaxMs = before == .max ? difference : before
    isLogAppendTime = values.text("message.timestamp.type")?.lowercased() == "logappendtime"
    minCleanableDirtyRatio = values.double("min.cleanable.dirty.ratio")
    minInSyncReplicas = values.int32("min.insync.replicas")
    isPreallocated = values.bool("preallocate")
    retentionBytes = values.int64("retention.bytes")
    retentionMs = values.int64("retention.ms")
    segmentBytes = values.int32("segment.bytes")
    segmentIndexBytes = values.int32("segment.index.bytes")
    segmentJitterMs = values.int64("segment.jitter.ms")
    segmentMs = values.int64("segment.ms")
    isUncleanLeaderElectionEnabled = values.bool("unclean.leader.election.enable")
  }

  /// The age at which the active segment rolls: compaction can only reach closed segments.
  public var maxSegmentMs: Int64 {
    isCompacted && maxCompactionLagMs > 0 ? min(maxCompactionLagMs, segmentMs) : segmentMs
  }

  /// Checks a topic's overrides before they are stored.
  /// - Throws: `SettingsError` for an unknown key or a value that does not fit.
  public static func validate(
    overrides: [String: String], broker: BrokerConfig
  ) throws(SettingsError) {
    var values = ConfigValues.topicDefaults(of: broker.values)
    for key in overrides.keys.sorted() {
      guard let entry = ConfigTable.topic[key] else {
        throw SettingsError("Unknown topic config name: \(key)")
      }
      guard let text = overrides[key] else { continue }
      values.set(key, try entry.parse(text))
    }
    let lags = (values.int64("min.compaction.lag.ms"), values.int64("max.compaction.lag.ms"))
    if lags.0 > lags.1 {
      throw SettingsError(
        "must not be above max.compaction.lag.ms=\(lags.1)", key: "min.compaction.lag.ms",
        value: "\(lags.0)")
    }
  }
}

// MARK: Synonyms

extension ConfigTable {
  /// The broker keys a topic key falls back to, strongest first, with the factor that turns their
  /// unit into milliseconds.
  public static func brokerSynonyms(ofTopicKey key: String) -> [(name: String, factor: Int64)] {
    switch key {
    case "segment.ms": [("log.roll.ms", 1), ("log.roll.hours", 3_600_000)]
    case "segment.jitter.ms": [("log.roll.jitter.ms", 1), ("log.roll.jitter.hours", 3_600_000)]
    case "retention.ms":
      [
        ("log.retention.ms", 1), ("log.retention.minutes", 60_000),
        ("log.retention.hours", 3_600_000),
      ]
    case "flush.ms": [("log.flush.interval.ms", 1), ("log.flush.scheduler.interval.ms", 1)]
    case "flush.messages": [("log.flush.interval.messages", 1)]
    case "segment.index.bytes": [("log.index.size.max.bytes", 1)]
    case "max.message.bytes": [("message.max.bytes", 1)]
    case "file.delete.delay.ms": [("log.segment.delete.delay.ms", 1)]
    case "min.cleanable.dirty.ratio": [("log.cleaner.min.cleanable.ratio", 1)]
    case "delete.retention.ms", "min.compaction.lag.ms", "max.compaction.lag.ms":
      [("log.cleaner.\(key)", 1)]
    case "unclean.leader.election.enable", "min.insync.replicas", "compression.type",
      "compression.gzip.level", "compression.lz4.level", "compression.zstd.level":
      [(key, 1)]
    case "follower.replication.throttled.replicas", "leader.replication.throttled.replicas",
      "remote.storage.enable", "remote.log.copy.disable", "remote.log.delete.on.disable":
      []
    default: [("log.\(key)", 1)]
    }
  }

  /// Broker keys that say the same thing in other units, strongest first, `key` among them.
  public static func synonyms(ofBrokerKey key: String) -> [String] {
    switch key {
    case "log.roll.ms", "log.roll.hours": ["log.roll.ms", "log.roll.hours"]
    case "log.roll.jitter.ms", "log.roll.jitter.hours":
      ["log.roll.jitter.ms", "log.roll.jitter.hours"]
    case "log.retention.ms", "log.retention.minutes", "log.retention.hours":
      ["log.retention.ms", "log.retention.minutes", "log.retention.hours"]
    case "log.flush.interval.ms": ["log.flush.interval.ms", "log.flush.scheduler.interval.ms"]
    default: [key]
    }
  }
}

extension ConfigValues {
  /// What topics inherit: for each topic key the first broker synonym that has a value.
  static func topicDefaults(of broker: ConfigValues) -> ConfigValues {
    var values = ConfigValues(defaultsOf: .topic)
    for key in ConfigTable.topic.keys {
      for (name, factor) in ConfigTable.brokerSynonyms(ofTopicKey: key.name) {
        var value = broker[name]
        if value == .null { continue }
        if factor != 1, case .integer(let number) = value {
          value = .integer(number.multipliedReportingOverflow(by: factor).partialValue)
        }
        values.set(key.name, value)
        break
      }
    }
    // Any negative retention means none.
    if values.int64("retention.ms") < 0 { values.set("retention.ms", .integer(-1)) }
    return values
  }
}
