import Platform
import Synchronization
import Telemetry
import Values

/// What a server listens with.
public struct ServerOptions: Sendable {
  public var limits = ConnectionLimits()
  /// `max.connections`
  public var maxConnections = Int.max
  /// `max.connections.per.ip`
  public var maxConnectionsPerIP = Int.max
  /// `max.connections.per.ip.overrides`
  public var perIPOverrides: [IPAddress: Int] = [:]
  /// `socket.listen.backlog.size`
  public var backlog: Int32 = 512
  /// How connections are encrypted; nil: not at all.
  public var tls: TLSContext?
  /// Whether clients may do without TLS: `portUnification`.
  public var isTLSOptional = false
  /// Handshakes under way above which no more are begun.
  public var maxHandshakes = Int.max
  /// Asked about every connection that the limits above let in; nil: all are served.
  public var admission: (@Sendable (IPAddress, Instant) -> Admission)?
  /// What log lines call this listener.
  public var name = "listener"

  public init() {}
}

/// What becomes of a new connection.
public enum Admission: Equatable, Sendable {
  case serve
  /// Not before so many milliseconds have passed; those that come after it wait too.
  case wait(ms: Int64)
  /// Never: it is closed when so many milliseconds have passed, so that a client that comes again
  /// at once does not come faster for it.
  case turnAway(afterMs: Int64)
}

/// Accepts TCP connections and deals them out to the loops of a group.
public final class Server: Sendable {
  /// Makes the handler of one loop, on that loop; all of its connections share it.
  public typealias HandlerFactory = @Sendable (EventLoop) -> InputHandler

  /// Where it listens; the true port when 0 was asked for.
  public let address: SocketAddress
  private let acceptor: Acceptor

  /// Binds and begins to accept.
  ///
  /// - Parameters:
  ///   - address: loopback by default; port 0 lets the kernel choose.
  ///   - factory: called once for each loop.
  public init(
    at address: SocketAddress = .loopback(), on group: EventLoopGroup,
    options: ServerOptions = ServerOptions(), _ factory: @escaping HandlerFactory
  ) throws(SystemError) {
    let socket = try Socket.listening(at: address, backlog: options.backlog)
    self.address = try socket.localAddress()
    acceptor = Acceptor(socket, group: group, options: options, factory: factory)
    acceptor.start()
  }

  /// Connections that are open now.
  public var connectionCount: Int { acceptor.counts.total }
  /// Connections accepted, and turned away by a limit, since the start.
  public var acceptedTotal: Int { acceptor.counts.accepted }
  public var refusedTotal: Int { acceptor.counts.refused }

  /// TLS handshakes under way, and those that have failed or were too many since the start.
  public var pendingHandshakes: Int { acceptor.counts.handshakes.pending }
  public var failedHandshakes: Int { acceptor.counts.handshakes.failed }
  public var exceededHandshakes: Int { acceptor.counts.handshakes.exceeded }

  /// Changes how many connections there may be. Those that there are stay.
  public func setLimits(
    maxConnections: Int, perIP: Int, overrides: [IPAddress: Int]
  ) {
    acceptor.counts.setLimits(
      ConnectionCounts.Limits(total: maxConnections, perIP: perIP, overrides: overrides))
  }

  /// Stops listening. Connections stay.
  public func stopListening() { acceptor.stop() }

  /// Listens again, at the same address, after `stopListening`.
  /// - Precondition: on the group's first loop.
  public func resumeListening() throws(SystemError) { try acceptor.resume(at: address) }

  /// Stops listening and closes all connections; returns when they are closed.
  /// - Precondition: not on one of the loops.
  public func stop() {
    acceptor.stop()
    acceptor.closeAll()
  }
}

/// How many connections there are, by address. Counted on the accepting loop, discounted on the
/// loops of the connections.
final class ConnectionCounts: Sendable {
  private struct State {
    var total = 0
    var perIP: [IPAddress: Int] = [:]
    var accepted = 0
    var refused = 0
    var handshakes = Handshakes()
    var limits: Limits
  }

  struct Limits {
    var total: Int
    var perIP: Int
    var overrides: [IPAddress: Int]
  }

  struct Handshakes {
    var pending = 0
    var failed = 0
    var exceeded = 0
  }
  private let state: Mutex<State>

  init(_ options: ServerOptions) {
    state = Mutex(
      State(
        limits: Limits(
          total: options.maxConnections, perIP: options.maxConnectionsPerIP,
          overrides: options.perIPOverrides)))
  }

  func setLimits(_ limits: Limits) { state.withLock { $0.limits = limits } }

  var total: Int { state.withLock { $0.total } }
  var accepted: Int { state.withLock { $0.accepted } }
  var refused: Int { state.withLock { $0.refused } }

  var handshakes: Handshakes { state.withLock { $0.handshakes } }

  /// A handshake begins; false when there are too many.
  func beginHandshake(limit: Int) -> Bool {
    state.withLock { state in
      guard state.handshakes.pending < limit else {
        state.handshakes.exceeded += 1
        return false
      }
      state.handshakes.pending += 1
      return true
    }
  }

  func endHandshake(succeeded: Bool) {
    state.withLock { state in
      state.handshakes.pending -= 1
      if !succeeded { state.handshakes.failed += 1 }
    }
  }

  /// Counts a new connection in; nil when it may stay, else the name of the limit it would exceed.
  func enter(_ ip: IPAddress) -> String? {
    state.withLock { state in
      let limit = state.limits.overrides[ip] ?? state.limits.perIP
      if state.total >= state.limits.total {
        state.refused += 1
        return "max.connections"
      }
      if state.perIP[ip, default: 0] >= limit {
        state.refused += 1
        return "max.connections.per.ip"
      }
      state.total += 1
      state.accepted += 1
      state.perIP[ip, default: 0] += 1
      return nil
    }
  }

  func leave(_ ip: IPAddress) {
    state.withLock { state in
      state.total -= 1
      let left = state.perIP[ip, default: 1] - 1
      state.perIP[ip] = left > 0 ? left : nil
    }
  }
}

/// What a server has on each loop: the handler and its connections.
final class ServerLoop {
  let handler: InputHandler
  /// By their numbers.
  var connections: [UInt64: Connection] = [:]
  init(handler: InputHandler) { self.handler = handler }
}
