// One client's connection: its session, its identities, and its requests in their order.

import Bytes
import Containers
import Cryptography
import Transport
import Values
import ZooKeeperProtocol
import Znodes

/// A connection in the protocol's own words, behind the four-letter words and the frames.
///
/// Replies leave in the order of requests. A write is handed to the replicator when it comes, so
/// that a client's writes travel together; what must wait for it (a reading request, a ping, a
/// second write's reply) waits in `queue` until it is committed here.
final class ClientConnection {
  enum Phase {
    /// Waits for the ConnectRequest.
    case greeting
    /// Waits for the session: made by a transaction, or confirmed by the leader.
    case opening
    case open
    case closed
  }

  /// A request that waits for its turn.
  private enum Waiting {
    case write(xid: Int32, type: OpCode, since: Instant)
    case sync(xid: Int32, body: [UInt8], since: Instant)
    case read(xid: Int32, type: OpCode, body: [UInt8], since: Instant)
    /// Refused here, without anybody being asked.
    case refused(xid: Int32, type: OpCode, error: ZooKeeperError, since: Instant)
  }

  unowned let coordinator: Coordinator
  let connection: Connection
  let watcher: WatcherID
  private(set) var phase = Phase.greeting
  private(set) var session: Int64 = 0
  private(set) var timeoutMs: Int32 = 0
  private(set) var identities: [AuthID]
  /// Whether the client sent the `readOnly` byte, and wants to be sent one.
  private var knowsReadOnly = true
  private var queue = RingQueue<Waiting>()
  private var isHeld = false
  var statistics: ConnectionStatistics
  /// Bytes of large requests that wait here.
  var largeRequestBytes = 0
  /// A SASL exchange that is under way.
  var saslExchange: DigestMD5Server?
  /// Waits for room among all requests under way.
  var isThrottled = false

  init(_ coordinator: Coordinator, _ connection: Connection, watcher: WatcherID) {
    self.coordinator = coordinator
    self.connection = connection
    self.watcher = watcher
    identities = [AuthID(scheme: "ip", id: connection.peer.ip.description)]
    statistics = ConnectionStatistics(established: coordinator.loop.wallNow)
  }

  var queuedCount: Int { queue.count }

  /// Notifications come without being asked for: a client that does not read them ends here.
  /// Replies need no such bound, for nothing is read from a client that owes so much less.
  private static let maxUnsentBytes = 16 << 20

  // MARK: Session

  /// The first frame.
  func greet(_ reader: inout ByteReader) throws(CloseReason) {
    coordinator.statistics.connectionRequests += 1
    statistics.received += 1
    coordinator.statistics.packetsReceived += 1
    let request: ConnectRequest
    do { request = try ConnectRequest(from: &reader) } catch {
      throw .malformed("connect request: \(error)")
    }
    try coordinator.admit(request)
    guard request.lastZxidSeen <= coordinator.database.lastZxid else {
      CoordinatorLog.sessions.info(
        "client has seen more than this server; it must try another",
        [
          "peer": connection.peer, "seen": "0x\(zxidText(request.lastZxidSeen))",
          "here": "0x\(zxidText(coordinator.database.lastZxid))",
        ])
      throw .local("client is ahead")
    }
    if coordinator.isReadOnly { try admitReadOnly(request) }
    let config = coordinator.config
    timeoutMs = min(max(request.timeOut, config.minSessionTimeoutMs), config.maxSessionTimeoutMs)
    knowsReadOnly = request.readOnly != nil
    phase = .opening
    // Nothing is read until the session stands.
    connection.hold()
    if request.sessionID == 0 {
      session = coordinator.newSessionID()
      coordinator.adopt(self)
      if coordinator.openLocalSession(session, timeoutMs: timeoutMs) {
        return finishOpening(isValid: true)
      }
      var body = ByteWriter()
      body.writeInt32(timeoutMs)
      submit(.createSession, xid: 0, body: body.array())
    } else {
      reopen(request.sessionID, password: request.password ?? [])
    }
  }

  private func reopen(_ id: Int64, password: [UInt8]) {
    session = id
    coordinator.statistics.connectionRevalidations += 1
    guard password == SessionSecrets.password(of: id) else { return finishOpening(isValid: false) }
    // The client has given up its former connection, whether or not we noticed.
    coordinator.sessions[id]?.connection.close(.local("client has reconnected"))
    coordinator.adopt(self)
    if coordinator.touchLocalSession(id, timeoutMs: timeoutMs) {
      finishOpening(isValid: true)
    } else if coordinator.isReadOnly {
      finishOpening(isValid: false)
    } else if coordinator.leadership != nil {
      finishOpening(
        isValid: coordinator.revalidate(id, timeoutMs: timeoutMs, for: Coordinator.localOwner))
    } else {
      coordinator.replicator?.revalidate(session: id, timeoutMs: timeoutMs)
    }
  }

  func revalidated(isValid: Bool) {
    if phase == .opening { finishOpening(isValid: isValid) }
  }

  private func finishOpening(isValid: Bool) {
    var response = ConnectResponse()
    response.password = [UInt8](repeating: 0, count: SessionSecrets.passwordLength)
    response.readOnly = knowsReadOnly ? coordinator.isReadOnly : nil
    if isValid {
      response.timeOut = timeoutMs
      response.sessionID = session
      response.password = SessionSecrets.password(of: session)
    }
    let frame = connection.output.beginFrame()
    response.write(to: &connection.output)
    connection.output.endFrame(frame)
    statistics.sent += 1
    coordinator.statistics.packetsSent += 1
    guard isValid else {
      CoordinatorLog.sessions.info(
        "session is not valid, probably expired",
        ["session": "0x\(zxidText(session))", "peer": connection.peer])
      phase = .closed
      connection.closeAfterFlush(.local("invalid session"))
      return
    }
    phase = .open
    connection.release()
    coordinator.touch(session, timeoutMs: timeoutMs)
  }

  private var isLocal: Bool { coordinator.isLocal(session) }

  /// Without a quorum only those are served who have asked for it, and who do not expect that a
  /// session of the ensemble is kept.
  private func admitReadOnly(_ request: ConnectRequest) throws(CloseReason) {
    guard request.readOnly == true else { throw .local("client wants more than to read") }
    guard coordinator.database.sessions[request.sessionID] == nil else {
      throw .local("sessions of the ensemble wait for its leader")
    }
  }

  /// The session is over, by the client's wish or by its silence.
  func sessionClosed() {
    guard phase != .closed else { return }
    phase = .closed
    connection.closeAfterFlush(.local("session closed"))
  }

  func disconnected() {
    phase = .closed
    for waiting in queue {
      if case .write = waiting { coordinator.outstanding -= 1 }
    }
    queue.removeAll()
  }

  // MARK: Requests

  /// A frame after the handshake.
  func received(_ reader: inout ByteReader) throws(CloseReason) {
    let header: RequestHeader
    do { header = try RequestHeader(from: &reader) } catch {
      throw .malformed("request header: \(error)")
    }
    statistics.received += 1
    coordinator.statistics.packetsReceived += 1
    coordinator.touch(session, timeoutMs: timeoutMs)
    switch header.type {
    case .auth: try authenticate(header, &reader)
    case .sasl: try authenticateBySASL(header, &reader)
    case _ where !hasRequiredProof(header): break
    case .createSession: throw .malformed("createSession is not for clients")
    case _ where coordinator.isReadOnly && header.type.needsQuorum(isLocal: isLocal):
      refuse(header, .notReadOnly)
    case .sync where isOurs(header): sync(header, &reader)
    case .sync: break
    case .closeSession where coordinator.isLocal(session): enqueue(header, &reader)
    case _ where header.type.isWrite: write(header, Self.rest(&reader))
    default: enqueue(header, &reader)
    }
    holdIfFull()
  }

  /// A request that is answered here, when those before it are.
  private func enqueue(_ header: RequestHeader, _ reader: inout ByteReader) {
    guard isOurs(header) else { return }
    if queue.isEmpty {
      answer(header.xid, header.type, &reader, since: coordinator.loop.now)
    } else {
      let body = Self.rest(&reader)
      queue.append(
        .read(xid: header.xid, type: header.type, body: body, since: coordinator.loop.now))
    }
  }

  private func sync(_ header: RequestHeader, _ reader: inout ByteReader) {
    let body = Self.rest(&reader)
    queue.append(.sync(xid: header.xid, body: body, since: coordinator.loop.now))
    coordinator.replicator?.sync(session: session, cxid: header.xid)
  }

  /// A request that becomes a transaction, if nothing speaks against it here.
  private func write(_ header: RequestHeader, _ body: [UInt8]) {
    // Only the server itself deletes containers, and it does not look at anybody's rights. A client
    // gets what ZooKeeper makes of its request: a path that is none.
    if header.type == .deleteContainer {
      return submit(.deleteContainer, xid: header.xid, body: [0])
    }
    if coordinator.isLocal(session), header.type.createsEphemeral(body) {
      if coordinator.config.requests.localSessionsUpgradingEnabled {
        coordinator.upgrade(session)
      } else if header.type != .multi {
        return refuse(header, .ephemeralOnLocalSession)
      }
    }
    submit(header.type, xid: header.xid, body: body)
  }

  /// Answers with an error, when the requests before this one are answered.
  private func refuse(_ header: RequestHeader, _ error: ZooKeeperError) {
    queue.append(
      .refused(xid: header.xid, type: header.type, error: error, since: coordinator.loop.now))
    drain()
  }

  private static func rest(_ reader: inout ByteReader) -> [UInt8] {
    (try? reader.readBytes(reader.remaining)) ?? []
  }

  private func submit(_ type: OpCode, xid: Int32, body: [UInt8]) {
    queue.append(.write(xid: xid, type: type, since: coordinator.loop.now))
    coordinator.outstanding += 1
    coordinator.replicator?.submit(
      WriteRequest(
        session: session, cxid: xid, type: type, body: body, identities: identities,
        owner: Coordinator.localOwner))
  }

  /// Back-pressure: with so much waiting, no more is read until this connection has its answers.
  private func holdIfFull() {
    let limit = coordinator.config.globalOutstandingLimit
    guard !isHeld, !queue.isEmpty, queue.count >= limit || coordinator.outstanding >= limit
    else { return }
    isHeld = true
    connection.hold()
  }

  // MARK: Answers

  /// A transaction of this session is committed. If it is the one at the head of the queue, its
  /// request is answered, and then everything that waited for it.
  func committed(_ txn: Txn, _ result: TxnResult) {
    guard case .write(let xid, let type, let since) = queue.first, xid == txn.header.cxid,
      txn.header.type == type || txn.header.type == .error
    else { return }
    _ = queue.popFirst()
    coordinator.outstanding -= 1
    if type == .createSession {
      finishOpening(isValid: result.error == .ok)
    } else if result.saysSessionMoved {
      // The client is somewhere else by now: this connection is a leftover.
      connection.close(.local("session moved"))
      return
    } else {
      let isFailedMulti = type == .multi && txn.header.type == .multi
      reply(xid, isFailedMulti ? .ok : result.error, since: since, type) { writer in
        result.writeReply(to: type, writer: &writer)
      }
    }
    drain()
  }

  func synced(cxid: Int32) {
    guard case .sync(let xid, let body, let since) = queue.first, xid == cxid else { return }
    _ = queue.popFirst()
    var reader = ByteReader(body.span.bytes)
    answer(xid, .sync, &reader, since: since)
    drain()
  }

  /// Answers what stands at the head of the queue and waits for nothing any more.
  private func drain() {
    while phase == .open {
      switch queue.first {
      case .read(let xid, let type, let body, let since):
        _ = queue.popFirst()
        var reader = ByteReader(body.span.bytes)
        answer(xid, type, &reader, since: since)
        continue
      case .refused(let xid, let type, let error, let since):
        _ = queue.popFirst()
        reply(xid, error, since: since, type) { _ in }
        continue
      case .write, .sync, nil: break
      }
      break
    }
    if queue.isEmpty { coordinator.settleLargeRequests(of: self) }
    if isHeld, queue.count * 2 <= coordinator.config.globalOutstandingLimit,
      queue.isEmpty || coordinator.outstanding < coordinator.config.globalOutstandingLimit
    {
      isHeld = false
      connection.release()
    }
  }

  /// A request that reads, answered from the tree.
  private func answer(
    _ xid: Int32, _ type: OpCode, _ body: inout ByteReader, since: Instant
  ) {
    if type == .ping { return reply(SpecialXid.ping, .ok, since: since, type) { _ in } }
    if type == .closeSession { return closeLocally(xid, since: since) }
    let requester = Requester(
      session: session, identities: identities, watcher: watcher,
      authority: coordinator.config.requests.authority)
    let mark = connection.output.count
    let frame = connection.output.beginFrame()
    ReplyHeader(xid: xid, zxid: coordinator.database.lastZxid).write(to: &connection.output)
    do throws(ZooKeeperError) {
      try coordinator.database.read(
        type, &body, by: requester, watches: &coordinator.watches,
        notifications: &coordinator.notifications, to: &connection.output)
    } catch {
      connection.output.truncate(to: mark)
      guard error == .unimplemented else { return reply(xid, error, since: since, type) { _ in } }
      // Whoever asks for what no server knows is told so, and left.
      reply(xid, error, zxid: -1, since: since, type) { _ in }
      sessionClosed()
      return
    }
    guard coordinator.notifications.isEmpty else {
      // setWatches has no body of its own: what it found goes out before its answer.
      connection.output.truncate(to: mark)
      coordinator.deliverNotifications()
      return reply(xid, .ok, since: since, type) { _ in }
    }
    connection.output.endFrame(frame)
    count(type, xid, bytes: connection.output.count - mark, since: since)
  }

  /// The end of a session that nobody else knows.
  private func closeLocally(_ xid: Int32, since: Instant) {
    reply(xid, .ok, since: since, .closeSession) { _ in }
    coordinator.closeLocalSession(session)
    sessionClosed()
  }

  /// Whether the session is still ours when a request comes, where that can be told at once; if
  /// not, it is refused in its turn. When it is answered is too late to ask: the end of the session
  /// may be on its way behind it.
  private func isOurs(_ header: RequestHeader) -> Bool {
    do {
      try coordinator.leadership?.tracker.check(session, owner: Coordinator.localOwner)
      return true
    } catch .sessionMoved {
      connection.close(.local("session moved"))
    } catch {
      refuse(header, error)
    }
    return false
  }

  private func reply(
    _ xid: Int32, _ error: ZooKeeperError, zxid: Int64? = nil, since: Instant, _ type: OpCode,
    _ body: (inout ByteWriter) -> Void
  ) {
    let start = connection.output.count
    let frame = connection.output.beginFrame()
    ReplyHeader(xid: xid, zxid: zxid ?? coordinator.database.lastZxid, error: error)
      .write(to: &connection.output)
    if error == .ok { body(&connection.output) }
    connection.output.endFrame(frame)
    count(type, xid, bytes: connection.output.count - start, since: since)
  }

  private func count(_ type: OpCode, _ xid: Int32, bytes: Int, since: Instant) {
    let now = coordinator.loop.now
    statistics.answered(type, xid, zxid: coordinator.database.lastZxid, since: since, at: now)
    coordinator.statistics.answered(type, bytes: bytes, since: since, at: now)
  }

  /// A watch has fired.
  func send(_ notification: WatchNotification, zxid: Int64) {
    guard phase == .open else { return }
    if let acl = notification.acl,
      !coordinator.config.requests.authority.allows(acl, .read, to: identities)
    {
      return
    }
    guard connection.unsentBytes < Self.maxUnsentBytes else {
      // It takes its notifications more slowly than they come, and would take our memory with it.
      CoordinatorLog.sessions.warn(
        "client does not read", ["peer": connection.peer, "unsent": connection.unsentBytes])
      coordinator.statistics.droppedConnections += 1
      return connection.close(.local("client does not read"))
    }
    let mark = connection.output.count
    let frame = connection.output.beginFrame()
    ReplyHeader(xid: SpecialXid.notification, zxid: -1).write(to: &connection.output)
    WatcherEvent(notification.event, path: notification.path).write(to: &connection.output)
    connection.output.endFrame(frame)
    statistics.sent += 1
    coordinator.statistics.packetsSent += 1
    coordinator.statistics.watchBytes += Int64(connection.output.count - mark)
  }

  /// From now on the connection has these identities too.
  func add(_ proved: [AuthID]) {
    for identity in proved where !identities.contains(identity) { identities.append(identity) }
  }

  /// Nothing more is listened to; what was answered still leaves.
  func end(_ reason: String) {
    phase = .closed
    connection.closeAfterFlush(.local(reason))
  }
}
