import Bytes
import Platform
import Transport
import Values
import ZooKeeperProtocol

// Finding a server, agreeing on a session, keeping it alive, and going elsewhere.

extension ZooKeeperClient {
  /// How long one server may take to accept, in milliseconds.
  private var connectTimeoutMs: Int64 {
    max(1_000, Int64(options.sessionTimeoutMs) / Int64(max(1, servers.count)))
  }

  func connectNext() {
    guard state == .connecting else { return }
    attempt += 1
    let mine = attempt
    let server = servers[nextServer % servers.count]
    nextServer += 1
    serverName = server.host
    Hosts.resolve(server.host, port: server.port, then: loop) { [self] result in
      guard attempt == mine, state == .connecting else { return }
      switch result {
      case .failure(let error):
        log.debug("\(error)")
        tryAgain()
      case .success(let addresses):
        otherAddresses = Array(addresses.dropFirst())
        connect(to: addresses[0])
      }
    }
  }

  private func connect(to address: SocketAddress) {
    var limits = ConnectionLimits()
    limits.maxFrameBytes = options.maxFrameBytes
    limits.connectTimeoutMs = connectTimeoutMs
    connection = Connection.connect(
      to: address, on: loop, .frames(self), limits: limits, tls: options.tls, host: serverName)
    let mine = attempt
    // The handshake has to be answered too, not only the connection made.
    loop.schedule(afterMs: connectTimeoutMs) { [weak self] in
      guard let self, attempt == mine, state == .connecting || state == .handshaking else { return }
      connection?.close(.connectTimedOut)
    }
  }

  /// The next server: at once while there are some that were not tried in this round, then after a
  /// pause. Pauses grow with every round: an ensemble that elects a leader is back soon, one that
  /// is not must not be stormed when it comes.
  private func tryAgain() {
    failuresInARow += 1
    state = .connecting
    failWaitingIfTooOld()
    guard failuresInARow % servers.count == 0 else { return connectNext() }
    let round = failuresInARow / servers.count
    let bound = max(1, min(options.maxReconnectPauseMs, 10 << Int64(min(round, 10))))
    let pause = Int64.random(in: bound / 2...bound, using: &random)
    attempt += 1
    let mine = attempt
    loop.schedule(afterMs: pause) { [weak self] in
      guard let self, attempt == mine else { return }
      connectNext()
    }
  }

  /// What was never sent is kept for another server, but not longer than a session would live.
  private func failWaitingIfTooOld() {
    let away = loop.now.milliseconds(since: disconnectedSince)
    if away > Int64(max(options.sessionTimeoutMs, 1_000)) { failWaiting(.connectionLoss) }
  }

  // MARK: Handshake

  private func sendHandshake() {
    var request = ConnectRequest()
    request.lastZxidSeen = lastZxid
    request.timeOut = options.sessionTimeoutMs
    request.sessionID = sessionID
    request.password = password
    request.readOnly = false
    sendFrame { request.write(to: &$0) }
  }

  private func finishHandshake(_ response: ConnectResponse) {
    guard response.timeOut > 0 else { return expire() }
    let isNew = sessionID != response.sessionID
    sessionID = response.sessionID
    password = response.password ?? password
    negotiatedTimeoutMs = response.timeOut
    failuresInARow = 0
    state = .connected
    hasAnnouncedDisconnect = false
    for auth in auths { sendAuth(auth) }
    // Before any other request: what was missed is told before what is asked next.
    for request in watches.requests(relativeTo: lastZxid) {
      sendFrame { writer in
        RequestHeader(xid: SpecialXid.setWatches, type: request.type).write(to: &writer)
        request.write(to: &writer, type: request.type)
      }
    }
    keepAlive(attempt)
    options.onSession(.connected(sessionID: sessionID, isNew: isNew))
    flushWaiting()
  }

  private func expire() {
    state = .expired
    dropConnection(.local("session expired"))
    failAll(.sessionExpired)
    failWaiting(.sessionExpired)
    watches.removeAll()
    log.info("session expired", ["session": "0x" + String(sessionID, radix: 16)])
    options.onSession(.expired)
  }

  func refuseAuth() {
    state = .authFailed
    dropConnection(.local("authentication failed"))
    failAll(.authFailed)
    failWaiting(.authFailed)
    options.onSession(.authFailed)
  }

  private func dropConnection(_ reason: CloseReason) {
    attempt += 1
    hasAnnouncedDisconnect = true
    let old = connection
    connection = nil
    old?.close(reason)
  }

  // MARK: Keeping alive

  /// Looks six times in a timeout: pings when nothing was sent for a third of it, and gives the
  /// server up when nothing came for two thirds.
  private func keepAlive(_ mine: Int) {
    loop.schedule(afterMs: max(10, Int64(negotiatedTimeoutMs) / 6)) { [weak self] in
      guard let self, attempt == mine, state == .connected, let connection else { return }
      let timeout = Int64(negotiatedTimeoutMs)
      if loop.now.milliseconds(since: connection.lastReceived) >= timeout * 2 / 3 {
        connection.close(.local("server silent for two thirds of the session timeout"))
        return
      }
      if loop.now.milliseconds(since: lastSent) >= min(timeout / 3 - timeout / 12, 10_000) {
        sendFrame { RequestHeader(xid: SpecialXid.ping, type: .ping).write(to: &$0) }
      }
      keepAlive(mine)
    }
  }
}

extension ZooKeeperClient: FrameHandler {
  public func opened(_ connection: Connection) {
    guard connection === self.connection, state == .connecting else { return }
    state = .handshaking
    sendHandshake()
  }

  public func received(
    frame: UnsafeMutableRawBufferPointer, on connection: Connection
  ) throws(CloseReason) {
    guard connection === self.connection else { return }
    var reader = ByteReader(RawSpan(_unsafeBytes: UnsafeRawBufferPointer(frame)))
    do throws(ByteError) {
      if state == .handshaking {
        finishHandshake(try ConnectResponse(from: &reader))
      } else {
        try take(&reader)
      }
    } catch {
      throw .malformed("\(error)")
    }
  }

  public func closed(_ connection: Connection, because reason: CloseReason) {
    guard connection === self.connection else { return }
    self.connection = nil
    attempt += 1
    if state == .closing { return finishClosing() }
    guard state == .connected || state == .handshaking || state == .connecting else { return }
    if state == .connecting, !otherAddresses.isEmpty {
      return connect(to: otherAddresses.removeFirst())
    }
    let wasConnected = state == .connected
    state = .connecting
    if wasConnected {
      disconnectedSince = loop.now
      log.debug("disconnected", ["server": connection.peer, "reason": reason])
    }
    failAll(.connectionLoss)
    if !hasAnnouncedDisconnect {
      hasAnnouncedDisconnect = true
      options.onSession(.disconnected)
    }
    tryAgain()
  }
}
