// Where clients come in.

import Platform
import Synchronization
import Transport

/// The listeners for clients.
final class ClientListeners: Sendable {
  /// The plain port and where it was asked for; a reconfiguration may move it.
  private struct Plain {
    var server: Server?
    var host: String
    var port: UInt16
  }

  private let current: Mutex<Plain>
  let secure: Server?

  /// Nil when only the secure port is served.
  var plain: Server? { current.withLock { $0.server } }
  var all: [Server] { [plain, secure].compactMap { $0 } }

  init(
    _ config: CoordinatorConfig, on group: EventLoopGroup, _ coordinator: Coordinator
  ) throws {
    let security = config.security
    let (host, port) = (config.clientHost, config.clientPort)
    let server =
      security.servesPlainClients
      ? try Self.listen(config, at: host, port, on: group, coordinator) : nil
    current = Mutex(Plain(server: server, host: host, port: port))
    if let port = security.securePort {
      var options = Self.options(config)
      options.name = "secure client"
      options.tls = security.clientTLS
      let address = try Hosts.resolve(security.secureHost, port: port)[0]
      secure = try Server(at: address, on: group, options: options) { _ in
        .stream(GreetingHandler(coordinator))
      }
    } else {
      secure = nil
    }
  }

  private static func listen(
    _ config: CoordinatorConfig, at host: String, _ port: UInt16, on group: EventLoopGroup,
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

  /// Moves the plain port if it is not there yet. Clients that are connected stay.
  func move(
    to host: String, _ port: UInt16, _ config: CoordinatorConfig, on group: EventLoopGroup,
    _ coordinator: Coordinator
  ) throws {
    let now = current.withLock { $0 }
    guard now.host != host || now.port != port else { return }
    // The former one goes first: the new address may only differ in its interface.
    now.server?.stopListening()
    let server = try Self.listen(config, at: host, port, on: group, coordinator)
    current.withLock { $0 = Plain(server: server, host: host, port: port) }
    CoordinatorLog.server.info("clients are taken elsewhere", ["clients": server.address])
  }

  private static func options(_ config: CoordinatorConfig) -> ServerOptions {
    var options = ServerOptions()
    options.limits.maxFrameBytes = config.maxFrameBytes
    options.maxConnectionsPerIP =
      config.maxClientConnections == 0 ? .max : config.maxClientConnections
    options.maxConnections = config.maxConnections == 0 ? .max : config.maxConnections
    if config.limits.backlog > 0 { options.backlog = config.limits.backlog }
    options.maxHandshakes = config.security.maxHandshakes
    return options
  }

  func stopListening() {
    for server in all { server.stopListening() }
  }

  func stop() {
    for server in all { server.stop() }
  }
}
