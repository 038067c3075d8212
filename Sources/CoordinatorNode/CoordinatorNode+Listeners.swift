// Where clients come in.

import Platform
import Synchronization
import Transport

/// The listeners for clients: the plain port, which a reconfiguration may move, and the secure one.
final class ClientListeners: Sendable {
  private struct Plain {
    /// All there were, the last one listening: connections of the others live on.
    var servers: [Server] = []
    var host: String
    var port: UInt16
  }

  private let config: CoordinatorConfig
  private let group: EventLoopGroup
  private let coordinator: Coordinator
  private let current: Mutex<Plain>
  let secure: Server?

  /// The plain port's; nil when only the secure one is served.
  var plain: Server? { current.withLock { $0.servers.last } }
  var all: [Server] { current.withLock { $0.servers } + (secure.map { [$0] } ?? []) }

  init(
    _ config: CoordinatorConfig, on group: EventLoopGroup, _ coordinator: Coordinator
  ) throws {
    self.config = config
    self.group = group
    self.coordinator = coordinator
    let security = config.security
    var plain = Plain(host: config.clientHost, port: config.clientPort)
    if security.servesPlainClients {
      plain.servers = [try Self.listen(config, at: plain.host, plain.port, group, coordinator)]
    }
    current = Mutex(plain)
    guard let port = security.securePort else {
      secure = nil
      return
    }
    var options = Self.options(config)
    options.name = "secure client"
    options.tls = security.clientTLS
    let address = try Hosts.resolve(security.secureHost, port: port)[0]
    secure = try Server(at: address, on: group, options: options) { _ in
      .stream(GreetingHandler(coordinator))
    }
  }

  private static func listen(
    _ config: CoordinatorConfig, at host: String, _ port: UInt16, _ group: EventLoopGroup,
    _ coordinator: Coordinator
  ) throws -> Server {
    var options = options(config)
    options.name = "client"
    if config.security.unifiesClientPort {
      options.tls = config.security.clientTLS
      options.isTLSOptional = true
    }
    let address = try Hosts.resolve(host, port: port)[0]
    return try Server(at: address, on: group, options: options) { _ in
      .stream(GreetingHandler(coordinator))
    }
  }

  private static func options(_ config: CoordinatorConfig) -> ServerOptions {
    var options = ServerOptions()
    options.limits.maxFrameBytes = config.maxFrameBytes
    options.limits.keepAlive = config.limits.clientKeepAlive
    options.maxConnectionsPerIP =
      config.maxClientConnections == 0 ? .max : config.maxClientConnections
    options.maxConnections = config.maxConnections == 0 ? .max : config.maxConnections
    if config.limits.backlog > 0 { options.backlog = config.limits.backlog }
    options.maxHandshakes = config.security.maxHandshakes
    return options
  }

  /// Listens somewhere else for clients without TLS. Clients that are connected stay. On the loop.
  func move(to host: String, _ port: UInt16) {
    let (oldHost, oldPort) = current.withLock { ($0.host, $0.port) }
    guard host != oldHost || port != oldPort else { return }
    do {
      let server = try Self.listen(config, at: host, port, group, coordinator)
      let former = current.withLock { current in
        defer {
          current.servers.append(server)
          (current.host, current.port) = (host, port)
        }
        return current.servers.last
      }
      former?.stopListening()
      coordinator.listeners = all
      CoordinatorLog.server.info("clients are taken elsewhere", ["clients": server.address])
    } catch {
      CoordinatorLog.server.error(
        "cannot listen at the new client address", ["port": port, "reason": "\(error)"])
    }
  }

  func stopListening() {
    for server in all { server.stopListening() }
  }

  func stop() {
    for server in all { server.stop() }
  }
}
