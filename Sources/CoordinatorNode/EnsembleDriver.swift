// Placeholder of the wiring between the ZAB machine and this server.
import ZooKeeperProtocol
import Znodes
final class EnsembleDriver: Replicator, @unchecked Sendable {  // confined to the coordinator's loop
  init(_ coordinator: Coordinator, recovered: Recovered) throws(StorageError) {
    throw .noSnapshot(directory: "ensembles are not wired yet")
  }
  func start() {}
  func stop() {}
  func submit(_ request: WriteRequest) {}
  func sync(session: Int64, cxid: Int32) {}
  func revalidate(session: Int64, timeoutMs: Int32) {}
  var status: ReplicationStatus { ReplicationStatus(mode: .follower) }
}
