extension ConfigTable {
  /// Broker keys: KRaft quorum, metadata log, tiered storage.
  ///
  /// The notation is explained at `ConfigTable`.
  static let quorumKeys = """
    broker.heartbeat.interval.ms int 2000 * fixed medium +
      KRaft mode: how often a broker tells the controller that it lives.
    broker.session.timeout.ms int 9000 * fixed medium +
      KRaft mode: a broker unheard of for so long is fenced.
    controller.listener.names string null * fixed high +
      KRaft mode: names of the listeners of controllers; brokers use the first.
    controller.quorum.append.linger.ms int 25 * fixed medium +
      How long the leader gathers records before it writes them.
    controller.quorum.bootstrap.servers list [] nonempty fixed high +
      Controllers that can be asked who the leader is: host:port, …
    controller.quorum.election.backoff.max.ms int 1000 * fixed high +
      The longest wait before another election after one that nobody won.
    controller.quorum.election.timeout.ms int 1000 * fixed high +
      How long a candidate waits for votes.
    controller.quorum.fetch.timeout.ms int 2000 * fixed high +
      Without a successful fetch for so long a voter stands for election, and a leader resigns.
    controller.quorum.request.timeout.ms int 2000 * fixed medium +
      How long a request among the quorum may take.
    controller.quorum.retry.backoff.ms int 20 * fixed low +
      The wait before a failed request among the quorum is repeated.
    controller.quorum.voters list [] nonempty fixed high +
      The voters of a static quorum: id@host:port, …
    early.start.listeners string null * fixed high -
      read in KRaft mode only; every listener starts when the broker serves
    eligible.leader.replicas.enable bool false * fixed high +
      Controllers keep eligible leader replicas (KIP-966); from metadata.version 4.0-IV0 on.
    initial.broker.registration.timeout.ms int 60000 * fixed medium +
      A broker that no controller registers within this time gives up.
    metadata.log.dir string null * fixed high +
      Where the metadata log is; by default the first of log.dirs.
    metadata.log.max.record.bytes.between.snapshots long 20971520 1.. fixed high +
      A snapshot is written after so many bytes of records.
    metadata.log.max.snapshot.interval.ms long 3600000 0.. fixed high +
      A snapshot is written after this time if there is anything new; 0 for never.
    metadata.log.segment.bytes int 1073741824 12.. fixed high +
      The size of a segment of the metadata log.
    metadata.log.segment.min.bytes int 8388608 12.. fixed high -
      Not used here.
    metadata.log.segment.ms long 604800000 * fixed high +
      The age at which a segment of the metadata log is rolled.
    metadata.max.idle.interval.ms int 500 0.. fixed low +
      How often the active controller writes a record when there is nothing else; 0 for never.
    metadata.max.retention.bytes long 104857600 * fixed high +
      The size of log and snapshots together above which old ones go.
    metadata.max.retention.ms long 604800000 * fixed high +
      The age at which old snapshots and the log before them go.
    node.id int -1 * fixed high +
      The same as broker.id.
    process.roles list [] {broker,controller} fixed high +
      The roles of a node of a KRaft cluster; empty for ZooKeeper mode.
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
      Not used here.
    unstable.api.versions.enable bool false * fixed high !
      unstable API versions are not served
    unstable.feature.versions.enable bool false * fixed high +
      Supports metadata.version 4.0-IV0 and 4.0-IV1, which are not for production.
    """

  /// Keys that say nothing to a broker in ZooKeeper mode.
  static func isForKRaftOnly(_ key: String) -> Bool {
    for prefix in ["controller.quorum.", "metadata.log.", "metadata.max."]
    where key.hasPrefix(prefix) {
      return true
    }
    return [
      "broker.heartbeat.interval.ms", "broker.session.timeout.ms",
      "eligible.leader.replicas.enable", "initial.broker.registration.timeout.ms",
      "unstable.feature.versions.enable",
    ].contains(key)
  }
}
