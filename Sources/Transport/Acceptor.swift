import Glibc
import Platform
import Synchronization
import Telemetry

/// Takes connections off a listening socket, on the group's first loop.
///
/// When the process is out of descriptors, a spare one is given up to take the waiting connection
/// and close it at once: otherwise the socket would stay readable and the loop would spin.
final class Acceptor: ReadinessHandler, @unchecked Sendable {  // mutable state: on `home` only
  let counts: ConnectionCounts
  private let home: EventLoop
  private let group: EventLoopGroup
  private let options: ServerOptions
  private let factory: Server.HandlerFactory
  private let log = Log("transport")
  private var socket: Socket?
  private var watch: Watch?
  private var spare: File?
  /// Whether the listening socket is left alone until a connection has waited its time.
  private var isWaiting = false
  private var lastComplaint: Int64 = .min

  init(
    _ socket: consuming Socket, group: EventLoopGroup, options: ServerOptions,
    factory: @escaping Server.HandlerFactory
  ) {
    self.socket = consume socket
    self.group = group
    self.options = options
    counts = ConnectionCounts(options)
    self.factory = factory
    home = group.loops[0]
    spare = try? File("/dev/null")
  }

  private var key: ObjectIdentifier { ObjectIdentifier(self) }

  func start() {
    for loop in group.loops {
      loop.execute { [self] in
        loop.attachments[key] = ServerLoop(handler: factory(loop))
      }
    }
    home.execute { [self] in listen() }
  }

  private func listen() {
    guard let descriptor = socket?.descriptor else { return }
    do {
      watch = try home.watch(descriptor, for: .readable, self)
    } catch {
      log.error("cannot listen", ["listener": options.name, "reason": error])
    }
  }

  /// Closes the listening socket.
  func stop() {
    let closing: @Sendable () -> Void = { [self] in
      if let watch { home.unwatch(watch) }
      watch = nil
      socket = nil
      spare = nil
    }
    if home.isCurrent { closing() } else { home.perform(closing) }
  }

  /// Listens again at an address; nothing happens when it does.
  /// - Precondition: on the accepting loop.
  func resume(at address: SocketAddress) throws(SystemError) {
    guard socket == nil else { return }
    socket = try Socket.listening(at: address, backlog: options.backlog)
    spare = try? File("/dev/null")
    listen()
  }

  func closeAll() {
    for loop in group.loops {
      loop.perform { [self] in
        guard let own = loop.attachments[key] as? ServerLoop else { return }
        for number in own.connections.keys.sorted() { own.connections[number]?.close(.shutdown) }
        loop.attachments[key] = nil
      }
    }
  }

  // MARK: Accepting

  /// Some for each turn, so that a flood of connections leaves time for those that are made.
  func ready(_ readiness: Readiness) {
    for _ in 0..<64 where !isWaiting {
      do {
        guard let (number, peer) = try socket?.accept() else { return }
        welcome(Socket.adopting(number), peer)
      } catch {
        if !cope(with: error) { return }
      }
    }
  }

  private func welcome(_ socket: consuming Socket, _ peer: SocketAddress) {
    if let limit = counts.enter(peer.ip) {
      complain("connection refused", ["listener": options.name, "peer": peer, "limit": limit])
      return
    }
    let admission = options.admission?(peer.ip, home.now) ?? .serve
    let number = socket.release()
    switch admission {
    case .serve: assign(number, peer)
    case .wait(let milliseconds):
      complain("connections wait", ["listener": options.name, "ms": milliseconds])
      isWaiting = true
      rest(ms: milliseconds) { [self] in
        isWaiting = false
        assign(number, peer)
      }
    case .turnAway(let milliseconds):
      complain("connection turned away", ["listener": options.name, "peer": peer])
      home.schedule(afterMs: milliseconds) { [self] in
        _ = FileDescriptor(owning: number)
        counts.leave(peer.ip)
      }
    }
  }

  private func assign(_ number: Int32, _ peer: SocketAddress) {
    let loop = group.next()
    loop.execute { [self] in serve(Socket.adopting(number), peer, on: loop) }
  }

  private func serve(_ socket: consuming Socket, _ peer: SocketAddress, on loop: EventLoop) {
    guard let own = loop.attachments[key] as? ServerLoop else {
      counts.leave(peer.ip)
      return
    }
    let security = options.tls.map {
      ChannelSecurity(context: $0, isOptional: options.isTLSOptional)
    }
    if security != nil, !counts.beginHandshake(limit: options.maxHandshakes) {
      counts.leave(peer.ip)
      return
    }
    let connection = Connection(
      channel: Channel(socket, security: security), peer: peer, loop: loop, handler: own.handler,
      limits: options.limits, state: .connecting)
    own.connections[connection.id] = connection
    connection.onClose = { [counts, weak own] connection in
      own?.connections[connection.id] = nil
      counts.leave(connection.peer.ip)
    }
    connection.listenerName = options.name
    if security != nil {
      connection.onSecured = { [counts] in counts.endHandshake(succeeded: $0) }
    }
    connection.adopt()
  }

  /// Whether accepting can go on at once.
  private func cope(with error: SystemError) -> Bool {
    switch error.code {
    case EMFILE, ENFILE:
      complain("out of descriptors: connections are turned away", ["listener": options.name])
      spare = nil
      if let (number, _) = try? socket?.accept() { _ = FileDescriptor(owning: number) }
      spare = try? File("/dev/null")
      if spare == nil { rest() }
      return spare != nil
    case ENOBUFS, ENOMEM:
      complain("out of memory for connections", ["listener": options.name, "reason": error])
      rest()
      return false
    default:
      complain("accept failed", ["listener": options.name, "reason": error])
      return false
    }
  }

  /// Leaves the socket alone for a moment.
  private func rest(ms: Int64 = 100, then body: @escaping () -> Void = {}) {
    if let watch { try? home.change(watch, to: []) }
    home.schedule(afterMs: ms) { [self] in
      body()
      if let watch = self.watch { try? home.change(watch, to: .readable) }
    }
  }

  /// One line a second at most: what goes wrong here goes wrong for every connection.
  private func complain(_ message: String, _ fields: Log.Fields) {
    let second = home.now.milliseconds / 1000
    if second == lastComplaint { return }
    lastComplaint = second
    log.warn(message, fields)
  }
}
