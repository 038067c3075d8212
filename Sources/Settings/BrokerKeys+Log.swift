extension ConfigTable {
  /// Broker keys: segments, retention, flushing, cleaning.
  ///
  /// The notation is explained at `ConfigTable`.
  static let logKeys = """
    compression.gzip.level int -1 -1|1..9 cluster medium +
      Level for topics that compress with gzip.
    compression.lz4.level int 9 1..17 cluster medium +
      Level for topics that compress with lz4.
    compression.type string producer {uncompressed,zstd,lz4,snappy,gzip,producer} cluster high +
      Codec batches are stored in; producer keeps the one they came in.
    compression.zstd.level int 3 -131072..22 cluster medium +
      Level for topics that compress with zstd.
    log.cleaner.backoff.ms long 15000 0.. cluster medium +
      Pause of the cleaner when nothing is dirty.
    log.cleaner.dedupe.buffer.size long 134217728 * cluster medium +
      Memory for the cleaner's table of keys, over all its threads.
    log.cleaner.delete.retention.ms long 86400000 0.. cluster medium +
      How long tombstones stay readable after compaction.
    log.cleaner.enable bool true * fixed medium +
      Whether compacted topics are cleaned.
    log.cleaner.io.buffer.load.factor double 0.9 * cluster medium +
      How full the cleaner's table of keys may get.
    log.cleaner.io.buffer.size int 524288 0.. cluster medium -
      the cleaner reads and writes batch by batch
    log.cleaner.io.max.bytes.per.second double 1.7976931348623157E308 * cluster medium +
      The cleaner's reads and writes together stay below this rate.
    log.cleaner.max.compaction.lag.ms long 9223372036854775807 1.. cluster medium +
      The longest a record may stay uncompacted.
    log.cleaner.min.cleanable.ratio double 0.5 0..1 cluster medium +
      Share of a log that must be dirty before it is cleaned.
    log.cleaner.min.compaction.lag.ms long 0 0.. cluster medium +
      The shortest a record stays uncompacted.
    log.cleaner.threads int 1 0.. cluster medium -
      one log is cleaned at a time, on a thread of num.io.threads
    log.cleanup.policy list delete {compact,delete} cluster medium +
      What happens to old segments: delete, compact, or both.
    log.dir string /tmp/kafka-logs * fixed high +
      Where logs are kept when log.dirs is absent.
    log.dir.failure.timeout.ms long 30000 1.. fixed low -
      read in KRaft mode only, which is not supported yet
    log.dirs string null * fixed high +
      Directories logs are kept in, separated by commas.
    log.flush.interval.messages long 9223372036854775807 1.. cluster high +
      Records after which a log is forced to disk.
    log.flush.interval.ms long null * cluster high +
      Time after which a log is forced to disk.
    log.flush.offset.checkpoint.interval.ms int 60000 0.. fixed high +
      How often recovery points are written.
    log.flush.scheduler.interval.ms long 9223372036854775807 * fixed high +
      How often logs are looked at for forcing to disk; also the default of log.flush.interval.ms.
    log.flush.start.offset.checkpoint.interval.ms int 60000 0.. fixed high +
      How often log start offsets are written.
    log.index.interval.bytes int 4096 0.. cluster medium +
      Bytes of log between two index entries.
    log.index.size.max.bytes int 10485760 4.. cluster medium +
      The most an index file may take.
    log.local.retention.bytes long -2 -2.. cluster medium -
      tiered storage is not supported yet, so nothing reads this
    log.local.retention.ms long -2 -2.. cluster medium -
      tiered storage is not supported yet, so nothing reads this
    log.message.downconversion.enable bool true * cluster low +
      Whether old clients get records converted to the format they know.
    log.message.format.version string 3.0-IV1 version fixed medium -
      ignored since inter.broker.protocol.version 3.0; batches are stored in format 2
    log.message.timestamp.after.max.ms long 9223372036854775807 0.. cluster medium +
      How far ahead of the broker's clock a record's timestamp may be.
    log.message.timestamp.before.max.ms long 9223372036854775807 0.. cluster medium +
      How far behind the broker's clock a record's timestamp may be.
    log.message.timestamp.difference.max.ms long 9223372036854775807 0.. cluster medium +
      Both of the above at once; deprecated.
    log.message.timestamp.type string CreateTime {CreateTime,LogAppendTime} cluster medium +
      Whether a record's timestamp is its creation or its append.
    log.preallocate bool false * cluster medium -
      segments grow as they are written
    log.retention.bytes long -1 * cluster high +
      The most a partition's log may hold before old segments go; -1 for no limit.
    log.retention.check.interval.ms long 300000 1.. fixed medium +
      How often old segments are looked for.
    log.retention.hours int 168 * fixed high +
      How long segments are kept, unless given in minutes or milliseconds.
    log.retention.minutes int null * fixed high +
      How long segments are kept, unless given in milliseconds.
    log.retention.ms long null * cluster high +
      How long segments are kept; -1 for ever.
    log.roll.hours int 168 1.. fixed high +
      Age at which a segment is closed, unless given in milliseconds.
    log.roll.jitter.hours int 0 0.. fixed high +
      Spread of that age, unless given in milliseconds.
    log.roll.jitter.ms long null * cluster high +
      Spread of log.roll.ms, so that logs do not roll together.
    log.roll.ms long null * cluster high +
      Age at which a segment is closed.
    log.segment.bytes int 1073741824 14.. cluster high +
      Size at which a segment is closed.
    log.segment.delete.delay.ms long 60000 0.. cluster high +
      How long a deleted segment's files stay on disk.
    message.max.bytes int 1048588 0.. cluster high +
      The largest record batch that is accepted.
    min.insync.replicas int 1 1.. cluster high +
      In-sync replicas that acks=all needs.
    num.recovery.threads.per.data.dir int 1 1.. cluster high +
      Threads that recover logs at start, for each directory.
    unclean.leader.election.enable bool false * cluster high +
      Whether a replica that is behind may lead when no other is left, losing records.
    unclean.leader.election.interval.ms long 300000 1.. fixed low -
      unclean leaders are elected as soon as that is allowed, in ZooKeeper mode
    """
}
