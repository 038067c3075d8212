// The ensemble that `zoo.cfg` describes, in the machine's terms.

import Zab

extension CoordinatorConfig {
  func server(_ id: Int64) -> EnsembleServer? { servers.first { $0.id == id } }

  /// What `/zookeeper/config` shows, and NEWLEADER and votes carry.
  var ensembleBytes: [UInt8] { Array(ensembleText.utf8) }

  var ensemble: Ensemble {
    Ensemble(
      voters: servers.filter { !$0.isObserver }.map { ServerID($0.id) },
      observers: servers.filter(\.isObserver).map { ServerID($0.id) })
  }

  var ensembleTiming: EnsembleTiming {
    EnsembleTiming(
      tickTimeMs: Int64(tickTimeMs), initLimit: Int64(initLimit), syncLimit: Int64(syncLimit))
  }

  var peerConfiguration: PeerConfiguration {
    var configuration = PeerConfiguration(
      own: ServerID(serverID), ensemble: ensemble, timing: ensembleTiming,
      configText: ensembleBytes)
    configuration.commitLogCount = commitLogCount
    return configuration
  }

  /// The longest data of a packet between servers: a request as long as a client may send, and
  /// what the leader adds to it (`zookeeper.jute.maxbuffer.extrasize`).
  var maxPacketBytes: Int { maxFrameBytes + max(maxFrameBytes, 1024) }
}

extension EnsembleServer {
  /// The election address, as a connection's first message gives it.
  var electionAddress: String {
    host.contains(":") ? "[\(host)]:\(electionPort)" : "\(host):\(electionPort)"
  }
}
