// The seam between the server that clients talk to and whatever makes its transactions durable and
// agreed: nothing but the log (standalone), or the ensemble.
//
// Everything here happens on the coordinator's loop. The way of a write:
//
//   client frame -> Coordinator -> Replicator.submit
//     leader, standalone: Coordinator.prepare (RequestPreparer: request -> Txn with the next zxid)
//                         -> TxnStore.append, proposals to the followers
//     follower:           REQUEST to the leader, which does the above; PROPOSAL comes back
//   TxnStore.onFlushed (the log thread has synced; back on the loop) -> ACK, quorum
//   -> Coordinator.commit(txn), in the order of zxids, on every server: the tree applies it,
//      watches fire, and the server whose client asked replies.
//
// Reads never come here: they are answered from the tree, behind the session's own writes.

import Containers
import ZooKeeperProtocol
import Znodes

/// What takes requests from the server to agreement. Set as `Coordinator.replicator`.
public protocol Replicator: AnyObject {
  /// A request of a client of this server that changes something (createSession and closeSession
  /// too). Its answer is `Coordinator.commit` of a transaction with the same session and cxid.
  func submit(_ request: WriteRequest)

  /// A client wants to see everything that was committed before now. The answer is
  /// `Coordinator.synced(session:cxid:)`, after all of that has been committed here.
  func sync(session: Int64, cxid: Int32)

  /// A client has come with a session that was made elsewhere. The answer is
  /// `Coordinator.revalidated(session:isValid:)`. Leaders and lone servers are not asked: they
  /// have the tracker.
  func revalidate(session: Int64, timeoutMs: Int32)

  /// What `srvr`, `stat` and `mntr` say about it.
  var status: ReplicationStatus { get }

  /// Whether there is a log, which snapshots keep short: not on an observer that keeps neither.
  var keepsLog: Bool { get }

  /// `srst`: forgets the sizes of proposals.
  func resetStatistics()
}

extension Replicator {
  var keepsLog: Bool { true }
  func resetStatistics() {}
}

/// How a server stands in its ensemble, for the four-letter words.
public struct ReplicationStatus: Sendable {
  public enum Mode: String, Sendable { case standalone, leader, follower, observer
    case readOnly = "read-only"
  }

  public var mode: Mode
  /// `leading - broadcast`, `following - broadcast`; nil when standalone.
  public var peerState: String?
  /// The server that leads, as far as it is known.
  public var leader: Int64?
  /// Followers and observers that are connected; leaders only.
  public var learners = 0
  public var syncedFollowers = 0
  public var syncedObservers = 0
  public var nonVotingFollowers = 0
  public var pendingSyncs = 0
  /// Voters in the ensemble.
  public var quorumSize = 0
  /// Of proposals sent: last, smallest, largest, in bytes; leaders only.
  public var proposalSizes: (last: Int, min: Int, max: Int) = (-1, -1, -1)

  public init(mode: Mode) { self.mode = mode }
}

/// A server alone: what is durable is agreed.
final class StandaloneReplicator: Replicator {
  private unowned let coordinator: Coordinator
  private let store: TxnStore
  /// Prepared and appended, not durable yet; from `head` on.
  private var inFlight = RingQueue<Txn>()
  /// Syncs with the transaction that they wait for.
  private var syncs = RingQueue<(zxid: Int64, session: Int64, cxid: Int32)>()

  init(_ coordinator: Coordinator, _ store: TxnStore) {
    self.coordinator = coordinator
    self.store = store
    store.onFlushed = { [unowned self] zxid in flushed(zxid) }
  }

  var status: ReplicationStatus { ReplicationStatus(mode: .standalone) }

  func submit(_ request: WriteRequest) {
    var request = request
    if request.type == .reconfig {
      // A lone server has no ensemble to change.
      let isEnabled = coordinator.config.reconfigEnabled
      request.reconfiguration = .failure(isEnabled ? .unimplemented : .reconfigDisabled)
    }
    guard let txn = coordinator.prepare(request) else { return }
    store.append(txn.header.zxid, txn.encoded())
    inFlight.append(txn)
  }

  func sync(session: Int64, cxid: Int32) {
    guard let last = inFlight.last else {
      return coordinator.synced(session: session, cxid: cxid)
    }
    syncs.append((last.header.zxid, session, cxid))
  }

  func revalidate(session: Int64, timeoutMs: Int32) {
    coordinator.revalidated(session: session, isValid: false)
  }

  private func flushed(_ zxid: Int64) {
    while let txn = inFlight.first, txn.header.zxid <= zxid {
      _ = inFlight.popFirst()
      coordinator.commit(txn)
      while let sync = syncs.first, sync.zxid <= txn.header.zxid {
        _ = syncs.popFirst()
        coordinator.synced(session: sync.session, cxid: sync.cxid)
      }
    }
  }
}
