import Records

/// One topic's log settings, defaults as in Kafka 3.9. Names follow the topic configurations.
public struct LogConfig: Sendable {
  public var segmentBytes = 1 << 30
  public var segmentMs: Int64 = 7 * 24 * 3_600_000
  /// Spreads time-based rolls: up to this much is taken off `segmentMs`, by partition.
  public var segmentJitterMs: Int64 = 0
  public var segmentIndexBytes = 10 << 20
  public var indexIntervalBytes = 4096
  public var flushMessages = Int64.max
  public var flushMs = Int64.max
  /// -1: no limit.
  public var retentionBytes: Int64 = -1
  /// -1: no limit.
  public var retentionMs: Int64 = 7 * 24 * 3_600_000
  public var fileDeleteDelayMs: Int64 = 60_000
  public var deleteRetentionMs: Int64 = 24 * 3_600_000
  public var minCompactionLagMs: Int64 = 0
  public var maxCompactionLagMs = Int64.max
  public var minCleanableDirtyRatio = 0.5
  /// `cleanup.policy` contains `compact`.
  public var isCompacted = false
  /// `cleanup.policy` contains `delete`.
  public var deletesOldSegments = true
  /// `producer.id.expiration.ms` of the broker.
  public var producerIDExpirationMs: Int64 = 86_400_000
  /// The rules for records that a leader appends; `requiresKeys` follows `isCompacted`.
  public var rules = AppendRules()

  public init() {}

  var effectiveRules: AppendRules {
    var rules = rules
    rules.requiresKeys = isCompacted
    return rules
  }
}
