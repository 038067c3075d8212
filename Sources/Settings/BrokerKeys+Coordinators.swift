extension ConfigTable {
  /// Broker keys: group and transaction coordinators, producer ids.
  ///
  /// The notation is explained at `ConfigTable`.
  static let coordinatorsKeys = """
    group.consumer.assignors list \
    org.apache.kafka.coordinator.group.assignor.UniformAssignor,\
    org.apache.kafka.coordinator.group.assignor.RangeAssignor \
    * fixed medium -
      the new consumer protocol needs KRaft mode; classic groups do not read this
    group.consumer.heartbeat.interval.ms int 5000 1.. fixed medium -
      the new consumer protocol needs KRaft mode; classic groups do not read this
    group.consumer.max.heartbeat.interval.ms int 15000 1.. fixed medium -
      the new consumer protocol needs KRaft mode; classic groups do not read this
    group.consumer.max.session.timeout.ms int 60000 1.. fixed medium -
      the new consumer protocol needs KRaft mode; classic groups do not read this
    group.consumer.max.size int 2147483647 1.. fixed medium -
      the new consumer protocol needs KRaft mode; classic groups do not read this
    group.consumer.min.heartbeat.interval.ms int 5000 1.. fixed medium -
      the new consumer protocol needs KRaft mode; classic groups do not read this
    group.consumer.min.session.timeout.ms int 45000 1.. fixed medium -
      the new consumer protocol needs KRaft mode; classic groups do not read this
    group.consumer.session.timeout.ms int 45000 1.. fixed medium -
      the new consumer protocol needs KRaft mode; classic groups do not read this
    group.coordinator.append.linger.ms int 10 0.. fixed medium -
      offsets of one turn of an event loop are appended together anyway
    group.coordinator.new.enable bool true * fixed medium -
      there is one group coordinator here, which keeps the classic one's formats
    group.coordinator.rebalance.protocols list classic {consumer,classic,share} fixed medium !
      only classic groups are coordinated in ZooKeeper mode
    group.coordinator.threads int 1 1.. fixed medium -
      group coordinators live on the event loops (num.network.threads)
    group.initial.rebalance.delay.ms int 3000 * fixed medium +
      How long a new group waits for more members before its first rebalance.
    group.max.session.timeout.ms int 1800000 * fixed medium +
      The longest session a consumer may ask for.
    group.max.size int 2147483647 1.. fixed medium +
      The most members a group may have.
    group.min.session.timeout.ms int 6000 * fixed medium +
      The shortest session a consumer may ask for.
    group.share.delivery.count.limit int 5 2..10 fixed medium -
      share groups are an early preview of 3.9 and not served
    group.share.heartbeat.interval.ms int 5000 1.. fixed medium -
      share groups are an early preview of 3.9 and not served
    group.share.max.groups short 10 1..100 fixed medium -
      share groups are an early preview of 3.9 and not served
    group.share.max.heartbeat.interval.ms int 15000 1.. fixed medium -
      share groups are an early preview of 3.9 and not served
    group.share.max.record.lock.duration.ms int 60000 30000..3600000 fixed medium -
      share groups are an early preview of 3.9 and not served
    group.share.max.session.timeout.ms int 60000 1.. fixed medium -
      share groups are an early preview of 3.9 and not served
    group.share.max.size short 200 10..1000 fixed medium -
      share groups are an early preview of 3.9 and not served
    group.share.min.heartbeat.interval.ms int 5000 1.. fixed medium -
      share groups are an early preview of 3.9 and not served
    group.share.min.record.lock.duration.ms int 15000 1000..30000 fixed medium -
      share groups are an early preview of 3.9 and not served
    group.share.min.session.timeout.ms int 45000 1.. fixed medium -
      share groups are an early preview of 3.9 and not served
    group.share.partition.max.record.locks int 200 100..10000 fixed medium -
      share groups are an early preview of 3.9 and not served
    group.share.record.lock.duration.ms int 30000 1000..60000 fixed medium -
      share groups are an early preview of 3.9 and not served
    group.share.session.timeout.ms int 45000 1.. fixed medium -
      share groups are an early preview of 3.9 and not served
    offset.metadata.max.bytes int 4096 * fixed high +
      The most metadata a committed offset may carry.
    offsets.commit.required.acks short -1 * fixed high !
      offset commits are always acknowledged by all in-sync replicas (-1)
    offsets.commit.timeout.ms int 5000 1.. fixed high +
      How long an offset commit may wait for replication.
    offsets.load.buffer.size int 5242880 1.. fixed high -
      offsets are loaded in reads of a fixed size
    offsets.retention.check.interval.ms long 600000 1.. fixed high +
      How often expired offsets are looked for.
    offsets.retention.minutes int 10080 1.. fixed high +
      How long offsets of an empty group are kept.
    offsets.topic.compression.codec int 0 * fixed high +
      Codec of offset batches: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd.
    offsets.topic.num.partitions int 50 1.. fixed high +
      Partitions of __consumer_offsets; fixed once it exists.
    offsets.topic.replication.factor short 3 1.. fixed high +
      Replicas of __consumer_offsets.
    offsets.topic.segment.bytes int 104857600 1.. fixed high +
      Segment size of __consumer_offsets.
    producer.id.expiration.ms int 86400000 1.. cluster low +
      How long an idle producer's sequence numbers are remembered.
    transaction.abort.timed.out.transaction.cleanup.interval.ms int 10000 1.. fixed low +
      How often transactions whose time is up are looked for.
    transaction.max.timeout.ms int 900000 1.. fixed high +
      The longest transaction timeout that a producer may ask for.
    transaction.partition.verification.enable bool true * cluster low +
      Whether leaders ask the coordinator before a transaction begins in a partition.
    transaction.remove.expired.transaction.cleanup.interval.ms int 3600000 1.. fixed low +
      How often transactional ids that expired are looked for.
    transaction.state.log.load.buffer.size int 5242880 1.. fixed high -
      transactional state is loaded in reads of a fixed size
    transaction.state.log.min.isr int 2 1.. fixed high +
      min.insync.replicas of __transaction_state.
    transaction.state.log.num.partitions int 50 1.. fixed high +
      Partitions of __transaction_state; fixed once it exists.
    transaction.state.log.replication.factor short 3 1.. fixed high +
      Replicas of __transaction_state.
    transaction.state.log.segment.bytes int 104857600 1.. fixed high +
      Segment size of __transaction_state.
    transactional.id.expiration.ms int 604800000 1.. fixed high +
      How long an unused transactional id is remembered.
    """
}
