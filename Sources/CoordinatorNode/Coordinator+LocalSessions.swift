// Sessions that only this server knows (`localSessionsEnabled`).
//
// They cost no transaction to open, to keep and to close, and end when their client goes to another
// server. The first ephemeral makes a session global: its id and its connection stay, the leader
// follows it from then on.

import Bytes
import ZooKeeperProtocol
import Znodes

/// This server's own sessions.
struct LocalSessionBook {
  var tracker: SessionTracker
  /// On their way to be global: neither local any more, nor in the database yet.
  var upgrading: Set<Int64> = []
}

extension Coordinator {
  /// Sessions that are local now.
  var localSessionCount: Int { localSessions?.tracker.count ?? 0 }

  func isLocal(_ session: Int64) -> Bool {
    localSessions?.tracker.contains(session) ?? false
  }

  /// Begins to follow a new session; false where sessions are global from the start.
  func openLocalSession(_ session: Int64, timeoutMs: Int32) -> Bool {
    guard localSessions != nil else { return false }
    localSessions?.tracker.track(session, timeoutMs: timeoutMs, at: loop.now)
    leadership?.tracker.addLocal(session)
    return true
  }

  /// A sign of life of a session that may be local; false if it is not.
  func touchLocalSession(_ session: Int64, timeoutMs: Int32) -> Bool {
    localSessions?.tracker.touch(session, timeoutMs: timeoutMs, at: loop.now) ?? false
  }

  func closeLocalSession(_ session: Int64) {
    localSessions?.tracker.remove(session)
    leadership?.tracker.removeLocal(session)
  }

  /// Makes a local session global: the transaction of a new session goes ahead of the request that
  /// needs it.
  func upgrade(_ session: Int64) {
    guard let timeoutMs = localSessions?.tracker.timeoutMs(of: session) else { return }
    closeLocalSession(session)
    localSessions?.upgrading.insert(session)
    var body = ByteWriter()
    body.writeInt32(timeoutMs)
    CoordinatorLog.sessions.info("upgrading session", ["session": "0x\(zxidText(session))"])
    replicator?.submit(
      WriteRequest(
        session: session, cxid: 0, type: .createSession, body: body.array(),
        owner: Coordinator.localOwner))
  }

  /// A session is global now. It may be here still as a local one if it has moved meanwhile.
  func becameGlobal(_ session: Int64) {
    guard localSessions != nil else { return }
    closeLocalSession(session)
    localSessions?.upgrading.remove(session)
  }

  /// Ends local sessions whose time has run out. No transaction tells of them.
  func expireLocalSessions() {
    for session in localSessions?.tracker.expire(at: loop.now) ?? [] {
      CoordinatorLog.sessions.info(
        "local session expired", ["session": "0x\(zxidText(session))"])
      statistics.expiredSessions += 1
      closeLocalSession(session)
      sessions[session]?.sessionClosed()
    }
  }
}

extension OpCode {
  /// Whether a server without a leader has to refuse the request.
  func needsQuorum(isLocal: Bool) -> Bool {
    self == .sync || (isWrite && !(self == .closeSession && isLocal))
  }

  /// Whether the body of a request creates an ephemeral znode, alone or in a multi.
  func createsEphemeral(_ body: [UInt8]) -> Bool {
    switch self {
    case .create, .create2:
      guard let request = try? CreateRequest(decoding: body) else { return false }
      return CreateMode(rawValue: request.flags)?.isEphemeral ?? false
    case .multi:
      guard let request = try? MultiRequest(decoding: body) else { return false }
      return request.operations.contains { operation in
        guard case .create(_, let create) = operation else { return false }
        return CreateMode(rawValue: create.flags)?.isEphemeral ?? false
      }
    default: return false
    }
  }
}
