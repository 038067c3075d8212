extension BrokerConfig {
  /// Log directories, flushing, retention and cleaning, apart from what topics can override.
  public struct Log: Sendable {
    public let directories: [String]
    public let recoveryThreadsPerDirectory: Int
    public let flushSchedulerIntervalMs: Int64
    public let flushOffsetCheckpointIntervalMs: Int64
    public let flushStartOffsetCheckpointIntervalMs: Int64
    public let retentionCheckIntervalMs: Int64
    public let isCleanerEnabled: Bool
    public let cleanerThreads: Int
    public let cleanerDedupeBufferSize: Int64
    public let cleanerDedupeBufferLoadFactor: Double
    public let cleanerIOBufferSize: Int
    public let cleanerIOMaxBytesPerSecond: Double
    public let cleanerBackoffMs: Int64

    init(_ values: ConfigValues) throws(SettingsError) {
      directories = (values.name("log.dirs") ?? values.name("log.dir") ?? "").commaSeparated
      recoveryThreadsPerDirectory = values.int("num.recovery.threads.per.data.dir")
      flushSchedulerIntervalMs = values.int64("log.flush.scheduler.interval.ms")
      flushOffsetCheckpointIntervalMs = values.int64("log.flush.offset.checkpoint.interval.ms")
      flushStartOffsetCheckpointIntervalMs = values.int64(
        "log.flush.start.offset.checkpoint.interval.ms")
      retentionCheckIntervalMs = values.int64("log.retention.check.interval.ms")
      isCleanerEnabled = values.bool("log.cleaner.enable")
      cleanerThreads = values.int("log.cleaner.threads")
      cleanerDedupeBufferSize = values.int64("log.cleaner.dedupe.buffer.size")
      cleanerDedupeBufferLoadFactor = values.double("log.cleaner.io.buffer.load.factor")
      cleanerIOBufferSize = values.int("log.cleaner.io.buffer.size")
      cleanerIOMaxBytesPerSecond = values.double("log.cleaner.io.max.bytes.per.second")
      cleanerBackoffMs = values.int64("log.cleaner.backoff.ms")
      if directories.isEmpty || directories.contains("") {
        throw SettingsError("names no directory, or an empty one", key: "log.dirs")
      }
      if cleanerThreads > 0, cleanerDedupeBufferSize / Int64(cleanerThreads) <= 1 << 20 {
        throw SettingsError(
          "must be more than 1 MiB for each of log.cleaner.threads=\(cleanerThreads)",
          key: "log.cleaner.dedupe.buffer.size", value: "\(cleanerDedupeBufferSize)")
      }
    }
  }

  /// Followers, in-sync replicas, leadership.
  public struct Replication: Sendable {
    public let fetchers: Int
    public let fetchMaxBytes: Int32
    public let fetchMinBytes: Int32
    public let fetchResponseMaxBytes: Int32
    public let fetchWaitMaxMs: Int32
    public let fetchBackoffMs: Int64
    public let socketTimeoutMs: Int64
    public let socketReceiveBufferBytes: Int
    public let lagTimeMaxMs: Int64
    public let highWatermarkCheckpointIntervalMs: Int64
    /// Whether consumers are sent to replicas in their rack (KIP-392).
    public let selectsByRack: Bool
    public let isAutoLeaderRebalanceEnabled: Bool
    public let leaderImbalancePerBrokerPercentage: Int
    public let leaderImbalanceCheckIntervalMs: Int64
    public let uncleanLeaderElectionIntervalMs: Int64
    public let controllerSocketTimeoutMs: Int64
    /// The most one fetch response may hold, whoever asks.
    public let consumerFetchMaxBytes: Int
    public let maxIncrementalFetchSessions: Int

    init(_ values: ConfigValues) throws(SettingsError) {
      fetchers = values.int("num.replica.fetchers")
      fetchMaxBytes = values.int32("replica.fetch.max.bytes")
      fetchMinBytes = values.int32("replica.fetch.min.bytes")
      fetchResponseMaxBytes = values.int32("replica.fetch.response.max.bytes")
      fetchWaitMaxMs = values.int32("replica.fetch.wait.max.ms")
      fetchBackoffMs = values.int64("replica.fetch.backoff.ms")
      socketTimeoutMs = values.int64("replica.socket.timeout.ms")
      socketReceiveBufferBytes = values.int("replica.socket.receive.buffer.bytes")
      lagTimeMaxMs = values.int64("replica.lag.time.max.ms")
      highWatermarkCheckpointIntervalMs = values.int64(
        "replica.high.watermark.checkpoint.interval.ms")
      let selector = values.name("replica.selector.class")
      selectsByRack = selector?.hasSuffix("RackAwareReplicaSelector") ?? false
      isAutoLeaderRebalanceEnabled = values.bool("auto.leader.rebalance.enable")
      leaderImbalancePerBrokerPercentage = values.int("leader.imbalance.per.broker.percentage")
      leaderImbalanceCheckIntervalMs =
        Int64(clamping: values.int64("leader.imbalance.check.interval.seconds")) * 1000
      uncleanLeaderElectionIntervalMs = values.int64("unclean.leader.election.interval.ms")
      controllerSocketTimeoutMs = values.int64("controller.socket.timeout.ms")
      consumerFetchMaxBytes = values.int("fetch.max.bytes")
      maxIncrementalFetchSessions = values.int("max.incremental.fetch.session.cache.slots")
      try check(selector: selector)
    }

    private func check(selector: String?) throws(SettingsError) {
      if Int64(fetchWaitMaxMs) > socketTimeoutMs {
        throw SettingsError(
          "must not be above replica.socket.timeout.ms=\(socketTimeoutMs)",
          key: "replica.fetch.wait.max.ms", value: "\(fetchWaitMaxMs)")
      }
      if Int64(fetchWaitMaxMs) > lagTimeMaxMs {
        throw SettingsError(
          "must not be above replica.lag.time.max.ms=\(lagTimeMaxMs)",
          key: "replica.fetch.wait.max.ms", value: "\(fetchWaitMaxMs)")
      }
      if let selector, !selectsByRack, !selector.hasSuffix("LeaderSelector") {
        throw SettingsError(
          "Java classes cannot be loaded; known is "
            + "org.apache.kafka.common.replica.RackAwareReplicaSelector",
          key: "replica.selector.class", value: selector)
      }
    }
  }

  /// How topics come and go.
  public struct Topics: Sendable {
    public let isAutoCreationEnabled: Bool
    public let isDeletionEnabled: Bool
    public let defaultPartitions: Int32
    public let defaultReplicationFactor: Int16
    public let maxRequestPartitionSizeLimit: Int

    init(_ values: ConfigValues) {
      isAutoCreationEnabled = values.bool("auto.create.topics.enable")
      isDeletionEnabled = values.bool("delete.topic.enable")
      defaultPartitions = values.int32("num.partitions")
      defaultReplicationFactor = values.int16("default.replication.factor")
      maxRequestPartitionSizeLimit = values.int("max.request.partition.size.limit")
    }
  }

  /// The group coordinator and its topic.
  public struct Groups: Sendable {
    public let minSessionTimeoutMs: Int32
    public let maxSessionTimeoutMs: Int32
    public let maxSize: Int
    public let initialRebalanceDelayMs: Int64
    public let offsetMetadataMaxBytes: Int
    public let offsetsCommitTimeoutMs: Int64
    public let offsetsRetentionMs: Int64
    public let offsetsRetentionCheckIntervalMs: Int64
    public let offsetsTopicPartitions: Int32
    public let offsetsTopicReplicationFactor: Int16
    public let offsetsTopicSegmentBytes: Int
    /// 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd.
    public let offsetsTopicCompressionCodec: Int

    init(_ values: ConfigValues) throws(SettingsError) {
      minSessionTimeoutMs = values.int32("group.min.session.timeout.ms")
      maxSessionTimeoutMs = values.int32("group.max.session.timeout.ms")
      maxSize = values.int("group.max.size")
      initialRebalanceDelayMs = values.int64("group.initial.rebalance.delay.ms")
      offsetMetadataMaxBytes = values.int("offset.metadata.max.bytes")
      offsetsCommitTimeoutMs = values.int64("offsets.commit.timeout.ms")
      offsetsRetentionMs = values.int64("offsets.retention.minutes") * 60_000
      offsetsRetentionCheckIntervalMs = values.int64("offsets.retention.check.interval.ms")
      offsetsTopicPartitions = values.int32("offsets.topic.num.partitions")
      offsetsTopicReplicationFactor = values.int16("offsets.topic.replication.factor")
      offsetsTopicSegmentBytes = values.int("offsets.topic.segment.bytes")
      offsetsTopicCompressionCodec = values.int("offsets.topic.compression.codec")
      guard (0...4).contains(offsetsTopicCompressionCodec) else {
        throw SettingsError(
          "must be from 0 to 4", key: "offsets.topic.compression.codec",
          value: "\(offsetsTopicCompressionCodec)")
      }
    }
  }

  /// Idempotent producers and the transaction topic.
  public struct Producers: Sendable {
    public let idExpirationMs: Int64
    public let transactionMaxTimeoutMs: Int32
    public let transactionTopicPartitions: Int32
    public let transactionTopicReplicationFactor: Int16
    public let transactionTopicMinISR: Int
    public let transactionTopicSegmentBytes: Int
    public let transactionAbortIntervalMs: Int64
    public let transactionalIDExpirationMs: Int64
    public let transactionalIDCleanupIntervalMs: Int64
    /// Whether leaders ask the coordinator before a transaction begins in a partition (KIP-890).
    public let isVerificationEnabled: Bool

    init(_ values: ConfigValues) {
      idExpirationMs = values.int64("producer.id.expiration.ms")
      transactionMaxTimeoutMs = values.int32("transaction.max.timeout.ms")
      transactionTopicPartitions = values.int32("transaction.state.log.num.partitions")
      transactionTopicReplicationFactor = values.int16("transaction.state.log.replication.factor")
      transactionTopicMinISR = values.int("transaction.state.log.min.isr")
      transactionTopicSegmentBytes = values.int("transaction.state.log.segment.bytes")
      transactionAbortIntervalMs = values.int64(
        "transaction.abort.timed.out.transaction.cleanup.interval.ms")
      transactionalIDExpirationMs = values.int64("transactional.id.expiration.ms")
      transactionalIDCleanupIntervalMs = values.int64(
        "transaction.remove.expired.transaction.cleanup.interval.ms")
      isVerificationEnabled = values.bool("transaction.partition.verification.enable")
    }
  }
}
