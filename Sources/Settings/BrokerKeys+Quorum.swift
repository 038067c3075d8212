extension ConfigTable {
  /// Broker keys: KRaft quorum, metadata log, tiered storage.
  ///
  /// The notation is explained at `ConfigTable`.
  static let quorumKeys = """
    broker.heartbeat.interval.ms int 2000 * fixed medium -
      read in KRaft mode only; ZooKeeper sessions keep brokers alive here
    broker.session.timeout.ms int 9000 * fixed medium -
      read in KRaft mode only; see zookeeper.session.timeout.ms
    controller.listener.names string null * fixed high !
      must not be set in ZooKeeper mode
    controller.quorum.append.linger.ms int 25 * fixed medium -
      read in KRaft mode only, which is not supported yet
    controller.quorum.bootstrap.servers list [] nonempty fixed high -
      read in KRaft mode only, which is not supported yet
    controller.quorum.election.backoff.max.ms int 1000 * fixed high -
      read in KRaft mode only, which is not supported yet
    controller.quorum.election.timeout.ms int 1000 * fixed high -
      read in KRaft mode only, which is not supported yet
    controller.quorum.fetch.timeout.ms int 2000 * fixed high -
      read in KRaft mode only, which is not supported yet
    controller.quorum.request.timeout.ms int 2000 * fixed medium -
      read in KRaft mode only, which is not supported yet
    controller.quorum.retry.backoff.ms int 20 * fixed low -
      read in KRaft mode only, which is not supported yet
    controller.quorum.voters list [] nonempty fixed high -
      read in KRaft mode only, which is not supported yet
    early.start.listeners string null * fixed high -
      read in KRaft mode only; every listener starts when the broker serves
    eligible.leader.replicas.enable bool false * fixed high !
      KRaft mode is not supported yet
    initial.broker.registration.timeout.ms int 60000 * fixed medium -
      read in KRaft mode only, which is not supported yet
    metadata.log.dir string null * fixed high -
      read in KRaft mode only, which is not supported yet
    metadata.log.max.record.bytes.between.snapshots long 20971520 1.. fixed high -
      read in KRaft mode only, which is not supported yet
    metadata.log.max.snapshot.interval.ms long 3600000 0.. fixed high -
      read in KRaft mode only, which is not supported yet
    metadata.log.segment.bytes int 1073741824 12.. fixed high -
      read in KRaft mode only, which is not supported yet
    metadata.log.segment.min.bytes int 8388608 12.. fixed high -
      read in KRaft mode only, which is not supported yet
    metadata.log.segment.ms long 604800000 * fixed high -
      read in KRaft mode only, which is not supported yet
    metadata.max.idle.interval.ms int 500 0.. fixed low -
      read in KRaft mode only, which is not supported yet
    metadata.max.retention.bytes long 104857600 * fixed high -
      read in KRaft mode only, which is not supported yet
    metadata.max.retention.ms long 604800000 * fixed high -
      read in KRaft mode only, which is not supported yet
    node.id int -1 * fixed high +
      The same as broker.id.
    process.roles list [] {broker,controller} fixed high !
      KRaft mode is not supported yet: remove this key for ZooKeeper mode
    remote.fetch.max.wait.ms int 500 1.. cluster medium -
      tiered storage is not supported yet, so nothing reads this
    remote.log.index.file.cache.total.size.bytes long 1073741824 1.. cluster low -
      tiered storage is not supported yet, so nothing reads this
    remote.log.manager.copier.thread.pool.size int -1 -1|1.. fixed medium -
      tiered storage is not supported yet, so nothing reads this
    remote.log.manager.copy.max.bytes.per.second long 9223372036854775807 1.. cluster medium -
      tiered storage is not supported yet, so nothing reads this
    remote.log.manager.copy.quota.window.num int 11 1.. fixed medium -
      tiered storage is not supported yet, so nothing reads this
    remote.log.manager.copy.quota.window.size.seconds int 1 1.. fixed medium -
      tiered storage is not supported yet, so nothing reads this
    remote.log.manager.expiration.thread.pool.size int -1 -1|1.. fixed medium -
      tiered storage is not supported yet, so nothing reads this
    remote.log.manager.fetch.max.bytes.per.second long 9223372036854775807 1.. cluster medium -
      tiered storage is not supported yet, so nothing reads this
    remote.log.manager.fetch.quota.window.num int 11 1.. fixed medium -
      tiered storage is not supported yet, so nothing reads this
    remote.log.manager.fetch.quota.window.size.seconds int 1 1.. fixed medium -
      tiered storage is not supported yet, so nothing reads this
    remote.log.manager.task.interval.ms long 30000 1.. fixed low -
      tiered storage is not supported yet, so nothing reads this
    remote.log.manager.thread.pool.size int 10 1.. fixed medium -
      tiered storage is not supported yet, so nothing reads this
    remote.log.metadata.custom.metadata.max.bytes int 128 0.. fixed low -
      tiered storage is not supported yet, so nothing reads this
    remote.log.metadata.manager.class.name string \
    org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager \
    nonempty fixed medium -
      tiered storage is not supported yet, so nothing reads this
    remote.log.metadata.manager.class.path string null * fixed medium -
      tiered storage is not supported yet, so nothing reads this
    remote.log.metadata.manager.impl.prefix string rlmm.config. nonempty fixed medium -
      tiered storage is not supported yet, so nothing reads this
    remote.log.metadata.manager.listener.name string null nonempty fixed medium -
      tiered storage is not supported yet, so nothing reads this
    remote.log.reader.max.pending.tasks int 100 1.. fixed medium -
      tiered storage is not supported yet, so nothing reads this
    remote.log.reader.threads int 10 1.. fixed medium -
      tiered storage is not supported yet, so nothing reads this
    remote.log.storage.manager.class.name string null nonempty fixed medium -
      tiered storage is not supported yet, so nothing reads this
    remote.log.storage.manager.class.path string null * fixed medium -
      tiered storage is not supported yet, so nothing reads this
    remote.log.storage.manager.impl.prefix string rsm.config. nonempty fixed medium -
      tiered storage is not supported yet, so nothing reads this
    remote.log.storage.system.enable bool false * fixed medium !
      tiered storage is not supported yet
    server.max.startup.time.ms long 9223372036854775807 0.. fixed medium -
      read in KRaft mode only, which is not supported yet
    unstable.api.versions.enable bool false * fixed high !
      unstable API versions are not served
    unstable.feature.versions.enable bool false * fixed high !
      unstable feature versions are not supported
    """
}
