// The ensemble that `zoo.cfg` describes, in the machine's terms.

import Zab

extension EnsembleConfig {
  /// What `/zookeeper/config` shows, and NEWLEADER and votes carry.
  var bytes: [UInt8] { Array(text.utf8) }

  var ensemble: Ensemble {
    Ensemble(
      voters: servers.filter { !$0.isObserver }.map { ServerID($0.id) },
      observers: servers.filter(\.isObserver).map { ServerID($0.id) },
      weights: Dictionary(uniqueKeysWithValues: weights.map { (ServerID($0.key), $0.value) }),
      groups: groups.keys.sorted().map { (groups[$0] ?? []).map { ServerID($0) } })
  }
}

extension CoordinatorConfig {
  var ensembleTiming: EnsembleTiming {
    var timing = EnsembleTiming(
      tickTimeMs: Int64(tickTimeMs), initLimit: Int64(initLimit), syncLimit: Int64(syncLimit))
    timing.minNotificationIntervalMs = peers.minNotificationMs
    timing.maxNotificationIntervalMs = peers.maxNotificationMs
    timing.connectRetryMs = peers.connectRetryMs
    return timing
  }

  var peerConfiguration: PeerConfiguration {
    var configuration = PeerConfiguration(
      own: ServerID(serverID), ensemble: membership.ensemble, timing: ensembleTiming,
      configText: membership.bytes)
    configuration.commitLogCount = commitLogCount
    return configuration
  }

  /// The longest data of a packet between servers: a request as long as a client may send, and
  /// what the leader adds to it (`zookeeper.jute.maxbuffer.extrasize`).
  var maxPacketBytes: Int { maxFrameBytes + storage.extraFrameBytes }
}

extension EnsembleServer {
  /// The election address, as a connection's first message gives it.
  var electionAddress: String {
    host.contains(":") ? "[\(host)]:\(electionPort)" : "\(host):\(electionPort)"
  }
}
