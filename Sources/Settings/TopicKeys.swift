extension ConfigTable {
  /// Topic keys. The notation is explained at `ConfigTable`.
  static let topicKeys = """
    cleanup.policy list delete {compact,delete} cluster medium +
      What happens to old segments: delete, compact, or both.
    compression.gzip.level int -1 -1|1..9 cluster medium +
      Level for topics that compress with gzip.
    compression.lz4.level int 9 1..17 cluster medium +
      Level for topics that compress with lz4.
    compression.type string producer {uncompressed,zstd,lz4,snappy,gzip,producer} cluster medium +
      Codec batches are stored in; producer keeps the one they came in.
    compression.zstd.level int 3 -131072..22 cluster medium +
      Level for topics that compress with zstd.
    delete.retention.ms long 86400000 0.. cluster medium +
      How long tombstones stay readable after compaction.
    file.delete.delay.ms long 60000 0.. cluster medium +
      How long a deleted segment's files stay on disk.
    flush.messages long 9223372036854775807 1.. cluster medium +
      Records after which the log is forced to disk.
    flush.ms long 9223372036854775807 0.. cluster medium +
      Time after which the log is forced to disk.
    follower.replication.throttled.replicas list [] throttled cluster medium -
      replication quotas are not enforced yet
    index.interval.bytes int 4096 0.. cluster medium +
      Bytes of log between two index entries.
    leader.replication.throttled.replicas list [] throttled cluster medium -
      replication quotas are not enforced yet
    local.retention.bytes long -2 -2.. cluster medium -
      tiered storage is not supported yet, so nothing reads this
    local.retention.ms long -2 -2.. cluster medium -
      tiered storage is not supported yet, so nothing reads this
    max.compaction.lag.ms long 9223372036854775807 1.. cluster medium +
      The longest a record may stay uncompacted.
    max.message.bytes int 1048588 0.. cluster medium +
      The largest record batch that is accepted.
    message.downconversion.enable bool true * cluster low +
      Whether old clients get records converted to the format they know.
    message.format.version string 3.0-IV1 version cluster medium -
      ignored since inter.broker.protocol.version 3.0; batches are stored in format 2
    message.timestamp.after.max.ms long 9223372036854775807 0.. cluster medium +
      How far ahead of the broker's clock a record's timestamp may be.
    message.timestamp.before.max.ms long 9223372036854775807 0.. cluster medium +
      How far behind the broker's clock a record's timestamp may be.
    message.timestamp.difference.max.ms long 9223372036854775807 0.. cluster medium +
      Both of the above at once; deprecated.
    message.timestamp.type string CreateTime {CreateTime,LogAppendTime} cluster medium +
      Whether a record's timestamp is its creation or its append.
    min.cleanable.dirty.ratio double 0.5 0..1 cluster medium +
      Share of the log that must be dirty before it is cleaned.
    min.compaction.lag.ms long 0 0.. cluster medium +
      The shortest a record stays uncompacted.
    min.insync.replicas int 1 1.. cluster medium +
      In-sync replicas that acks=all needs.
    preallocate bool false * cluster medium -
      segments grow as they are written
    remote.log.copy.disable bool false * cluster medium -
      tiered storage is not supported yet, so nothing reads this
    remote.log.delete.on.disable bool false * cluster medium -
      tiered storage is not supported yet, so nothing reads this
    remote.storage.enable bool false * cluster medium !
      tiered storage is not supported yet
    retention.bytes long -1 * cluster medium +
      The most the log may hold before old segments go; -1 for no limit.
    retention.ms long 604800000 -1.. cluster medium +
      How long segments are kept; -1 for ever.
    segment.bytes int 1073741824 14.. cluster medium +
      Size at which a segment is closed.
    segment.index.bytes int 10485760 4.. cluster medium +
      The most an index file may take.
    segment.jitter.ms long 0 0.. cluster medium +
      Spread of segment.ms, so that logs do not roll together.
    segment.ms long 604800000 1.. cluster medium +
      Age at which a segment is closed.
    unclean.leader.election.enable bool false * cluster medium +
      Whether a replica that is behind may lead when no other is left, losing records.
    """
}
