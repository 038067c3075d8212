extension ConfigTable {
  /// Broker keys: replication, leadership, topics, quotas, the controller.
  ///
  /// The notation is explained at `ConfigTable`.
  static let replicationKeys = """
    alter.config.policy.class.name class null * fixed low !
      Java classes cannot be loaded: remove this key
    alter.log.dirs.replication.quota.window.num int 11 1.. fixed low -
      replicas are not moved between directories yet
    alter.log.dirs.replication.quota.window.size.seconds int 1 1.. fixed low -
      replicas are not moved between directories yet
    auto.create.topics.enable bool true * fixed high +
      Whether asking for the metadata of a missing topic creates it.
    auto.include.jmx.reporter bool true * fixed low -
      there is no JMX; metrics are served over HTTP
    auto.leader.rebalance.enable bool true * fixed high +
      Whether leadership goes back to preferred replicas by itself.
    controlled.shutdown.enable bool true * fixed medium +
      Whether leadership is handed over before the broker stops.
    controlled.shutdown.max.retries int 3 * fixed medium +
      How often handing over is tried.
    controlled.shutdown.retry.backoff.ms long 5000 * fixed medium +
      Pause between those tries.
    controller.quota.window.num int 11 1.. fixed low +
      Windows in which clients with a quota may save up partitions to create and delete.
    controller.quota.window.size.seconds int 1 1.. fixed low +
      How long one of these windows is.
    controller.socket.timeout.ms int 30000 * fixed medium +
      How long the controller waits for a broker's answer.
    create.topic.policy.class.name class null * fixed low !
      Java classes cannot be loaded: remove this key
    default.replication.factor int 1 * fixed medium +
      Replicas of topics that are created automatically.
    delete.records.purgatory.purge.interval.requests int 1 * fixed medium -
      parked replies leave as soon as they are answered
    delete.topic.enable bool true * fixed high +
      Whether topics can be deleted.
    fetch.max.bytes int 57671680 1024.. fixed medium +
      The most one fetch response may hold.
    fetch.purgatory.purge.interval.requests int 1000 * fixed medium -
      parked replies leave as soon as they are answered
    follower.replication.throttled.rate long 9223372036854775807 0.. broker medium -
      replication quotas are not enforced yet
    inter.broker.listener.name string null * fixed medium +
      Name of the listener brokers use among themselves.
    inter.broker.protocol.version string 3.9-IV0 version fixed medium +
      What is spoken between brokers; must be the same on all.
    leader.imbalance.check.interval.seconds long 300 1.. fixed high +
      How often preferred leadership is looked at.
    leader.imbalance.per.broker.percentage int 10 * fixed high +
      Share of partitions off their preferred leader that sets a rebalance off.
    leader.replication.throttled.rate long 9223372036854775807 0.. broker medium -
      replication quotas are not enforced yet
    max.incremental.fetch.session.cache.slots int 1000 0.. fixed medium +
      The most incremental fetch sessions that are remembered.
    max.request.partition.size.limit int 2000 1.. fixed medium -
      DescribeTopicPartitions is not served in ZooKeeper mode
    num.partitions int 1 1.. fixed medium +
      Partitions of topics that are created automatically.
    num.replica.alter.log.dirs.threads int null * fixed high -
      replicas are not moved between directories yet
    num.replica.fetchers int 1 * cluster high +
      Fetch connections to each leader.
    producer.purgatory.purge.interval.requests int 1000 * fixed medium -
      parked replies leave as soon as they are answered
    quota.window.num int 11 1.. fixed low +
      Samples over which the rates of clients with a quota are measured.
    quota.window.size.seconds int 1 1.. fixed low +
      How long each of them is.
    replica.alter.log.dirs.io.max.bytes.per.second long 9223372036854775807 0.. broker medium -
      replicas are not moved between directories yet
    replica.fetch.backoff.ms int 1000 0.. fixed medium +
      Pause after a failed fetch from a leader.
    replica.fetch.max.bytes int 1048576 0.. fixed medium +
      The most a follower asks for from one partition.
    replica.fetch.min.bytes int 1 * fixed high +
      The least a leader gathers before it answers a follower.
    replica.fetch.response.max.bytes int 10485760 0.. fixed medium +
      The most a follower asks for in one response.
    replica.fetch.wait.max.ms int 500 * fixed high +
      How long a leader may wait to gather that.
    replica.high.watermark.checkpoint.interval.ms long 5000 * fixed high +
      How often high watermarks are written.
    replica.lag.time.max.ms long 30000 * fixed high +
      A follower not caught up for so long leaves the in-sync replicas.
    replica.selector.class string null * fixed medium +
      How consumers are sent to a nearby replica; only Kafka's rack-aware selector is known.
    replica.socket.receive.buffer.bytes int 65536 * fixed high +
      Receive buffer of connections to leaders.
    replica.socket.timeout.ms int 30000 * fixed high +
      How long a follower waits for a leader's answer.
    replication.quota.window.num int 11 1.. fixed low -
      replication quotas are not enforced yet, so nothing reads this
    replication.quota.window.size.seconds int 1 1.. fixed low -
      replication quotas are not enforced yet, so nothing reads this
    """
}
