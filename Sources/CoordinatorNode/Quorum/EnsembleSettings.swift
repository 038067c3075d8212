// The ensemble that `zoo.cfg` describes, in the machine's terms.

import Platform
import Zab

extension CoordinatorConfig {
  var ensembleTiming: EnsembleTiming {
    var timing = EnsembleTiming(
      tickTimeMs: Int64(tickTimeMs), initLimit: Int64(initLimit), syncLimit: Int64(syncLimit))
    timing.minNotificationIntervalMs = peers.minNotificationMs
    timing.maxNotificationIntervalMs = peers.maxNotificationMs
    timing.connectRetryMs = peers.connectRetryMs
    timing.connectLimit = Int64(connectToLearnerMasterLimit)
    timing.epochWaitMs = peers.epochWaitMs
    return timing
  }

  var peerConfiguration: PeerConfiguration {
    var configuration = PeerConfiguration(
      own: ServerID(serverID),
      membership: Membership(membership, next: lastSeenMembership, isChangeable: reconfigEnabled),
      timing: ensembleTiming)
    configuration.commitLogCount = commitLogCount
    configuration.maxConcurrentSnapshots = peers.maxConcurrentSnapshots
    configuration.maxConcurrentDiffs = peers.maxConcurrentDiffs
    configuration.forcesSnapshots = peers.forcesSnapshots
    configuration.observerKeepsLog = peers.observerKeepsLog
    configuration.observerElectionDelayMs = peers.observerElectionDelayMs
    configuration.observerReconnectDelayMs = peers.observerReconnectDelayMs
    configuration.seed = SystemRandom.seed()
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
