// Changes of the ensemble: requests for them, and what they leave in files and in the tree.

import Bytes
import Platform
import Zab
import ZooKeeperProtocol

extension EnsembleDriver {
  /// Where a server is reached, by the configuration in force or by the one to come.
  func member(_ server: ServerID) -> EnsembleServer? {
    peer.membership.current.server(server.rawValue)
      ?? peer.membership.lastSeen.server(server.rawValue)
  }

  /// `/zookeeper/config` shows the configuration in force; snapshots and logs of others do not know
  /// it.
  func showConfig() {
    coordinator.setEnsembleConfig(configBytes, version: peer.membership.current.version)
  }

  /// The configuration of a vote, where it could be news. Only a server that looks for its leader
  /// listens.
  func newerConfig(in message: ElectionMessage) -> EnsembleConfig? {
    guard config.reconfigEnabled, peer.state == .looking, !message.config.isEmpty,
      message.config != configBytes,
      let heard = try? EnsembleConfig(text: String(decoding: message.config, as: UTF8.self)),
      heard.version > peer.membership.current.version
    else { return nil }
    return heard
  }

  // MARK: Requests

  /// The lines of the configuration that a request asks for, without their version.
  func reconfiguration(_ body: [UInt8]) -> Result<[UInt8], ZooKeeperError> {
    Result { () throws(ZooKeeperError) in
      guard config.reconfigEnabled else { throw .reconfigDisabled }
      let membership = peer.membership
      guard membership.next == nil, reconfigProposed <= membership.current.version else {
        throw .reconfigInProgress
      }
      var reader = ByteReader(body.span.bytes)
      guard let request = try? ReconfigRequest(from: &reader) else { throw .marshallingError }
      guard request.curConfigID == -1 || request.curConfigID == membership.current.version
      else { throw .badVersion }
      let next = try membership.current.changed(by: request)
      // A single participant would run alone after its next start.
      guard next.participantCount >= (config.standaloneEnabled ? 2 : 1) else {
        throw .badArguments
      }
      guard peer.hasSyncedQuorum(of: next) else { throw .newConfigNoQuorum }
      return Array(next.memberLines.map { $0 + "\n" }.joined().utf8)
    }
  }

  // MARK: Effects

  /// A configuration that is not kept could be forgotten by a whole quorum of its voters.
  func configSeen(_ next: EnsembleConfig) {
    guard let file = config.staticFile else { return }
    do throws(SystemError) { try DynamicConfigFile.writeNext(next, of: file) } catch {
      fail(.system(error))
    }
  }

  func configActivated(_ active: EnsembleConfig) {
    configBytes = active.bytes
    let own = active.server(config.serverID)
    if let file = config.staticFile {
      do throws(SystemError) {
        if config.dynamicFile == nil, !hasBackup {
          try DynamicConfigFile.backUp(file)
          hasBackup = true
        }
        _ = try DynamicConfigFile.activate(active, own: own, of: file)
      } catch {
        return fail(.system(error))
      }
    }
    showConfig()
    CoordinatorLog.quorum.info(
      "configuration in force",
      ["version": active.versionText, "members": active.servers.map(\.id)])
    guard let own, let port = own.clientPort else { return }
    onClientAddress?(own.clientHost ?? "0.0.0.0", port)
  }

  /// Stops taking part: a leader finishes what is proposed first. On the loop.
  func resign(_ completion: @escaping () -> Void) {
    onResigned = completion
    handle(.resign)
  }
}
