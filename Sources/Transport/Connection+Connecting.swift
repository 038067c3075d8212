import Platform
import Values

extension Connection: TimerTarget {
  /// Begins a connection to an address. `opened` comes when it is made; `closed` when it is not.
  /// Output may be written at once, and leaves when the connection is made.
  ///
  /// - Parameters:
  ///   - tls: How it is encrypted; nil: not at all.
  ///   - host: The name that `address` was found by, for the comparison with the certificate.
  /// - Precondition: on `loop`.
  public static func connect(
    to address: SocketAddress, on loop: EventLoop, _ handler: InputHandler,
    limits: ConnectionLimits = ConnectionLimits(), context: AnyObject? = nil,
    tls: TLSContext? = nil, host: String? = nil
  ) -> Connection {
    precondition(loop.isCurrent, "a connection is made on its own loop")
    // What this side sends is its own affair. Were answers not read while requests wait, two sides
    // that hold back could wait for each other for ever.
    var limits = limits
    limits.highWaterBytes = .max
    limits.maxParkedReplies = .max
    let socket: Socket
    do {
      socket = try Socket.connecting(to: address)
    } catch {
      return refused(address, on: loop, handler, limits, context, .failed(error))
    }
    let security = tls.map { ChannelSecurity(context: $0, host: host ?? address.ip.description) }
    let connection = Connection(
      channel: Channel(socket, security: security), peer: address, loop: loop, handler: handler,
      limits: limits, state: .connecting)
    connection.context = context
    connection.interest = .writable
    do {
      connection.watch = try loop.watch(
        connection.channel.descriptor, for: .writable, connection)
    } catch {
      connection.finishLater(.failed(error))
      return connection
    }
    connection.timer = loop.schedule(
      afterMs: limits.connectTimeoutMs, connection, tag: Connection.connectTag)
    return connection
  }

  private static var connectTag: Int { 1 }
  private static var idleTag: Int { 2 }
  private static var lingerTag: Int { 3 }
  static var secureTag: Int { 4 }

  /// Waits for the peer to take what is owed, but not for ever.
  func linger(_ reason: CloseReason) {
    closeReason = reason
    scheduleFlush()
    guard state == .closing else { return }
    loop.cancel(timer)
    timer = loop.schedule(afterMs: 30_000, self, tag: Connection.lingerTag)
  }

  private static func refused(
    _ address: SocketAddress, on loop: EventLoop, _ handler: InputHandler,
    _ limits: ConnectionLimits, _ context: AnyObject?, _ reason: CloseReason
  ) -> Connection {
    let connection = Connection(
      channel: Channel(), peer: address, loop: loop, handler: handler, limits: limits,
      state: .connecting)
    connection.context = context
    connection.finishLater(reason)
    return connection
  }

  /// The caller does not hold the connection yet: `closed` must not come before it does.
  private func finishLater(_ reason: CloseReason) {
    loop.execute { [self] in finish(reason) }
  }

  /// The socket has become writable or broken: made, or failed.
  func finishConnecting() {
    if let error = channel.pendingError(on: peer.description) {
      finish(.failed(error))
      return
    }
    if channel.needsSecuring { secure() } else { begin() }
  }

  /// The connection is made: from here on both ways are open.
  func begin() {
    state = closeReason == nil ? .open : .closing
    loop.cancel(timer)
    channel.prepare(limits)
    local = channel.localAddress()
    lastReceived = loop.now
    lastMoved = loop.now
    if let closeReason {
      linger(closeReason)
    } else if limits.idleTimeoutMs > 0 {
      timer = loop.schedule(afterMs: limits.idleTimeoutMs, self, tag: Connection.idleTag)
    }
    handler.opened(self)
    guard state != .closed else { return }
    if unsentBytes > 0 || state == .closing || channel.hasInput { scheduleFlush() }
    updateInterest()
  }

  /// Takes an accepted socket into service on this loop.
  func adopt() {
    do {
      interest = .readable
      watch = try loop.watch(channel.descriptor, for: .readable, self)
    } catch {
      finish(.failed(error))
      return
    }
    if channel.needsSecuring { secure() } else { begin() }
  }

  public func timerFired(tag: Int) {
    guard state != .closed else { return }
    if tag == Connection.connectTag { return finish(.connectTimedOut) }
    if tag == Connection.secureTag { return finish(.handshakeFailed("not finished in time")) }
    if tag == Connection.lingerTag { return finish(closeReason ?? .idle) }
    // Setting the timer anew for every frame would cost more than looking now and then.
    let quiet = loop.now.milliseconds(since: lastMoved)
    if quiet >= limits.idleTimeoutMs {
      close(.idle)
    } else {
      timer = loop.schedule(
        afterMs: limits.idleTimeoutMs - quiet, self, tag: Connection.idleTag)
    }
  }
}
