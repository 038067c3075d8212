// Where clients come in.

import Platform
import Transport

/// The listeners for clients.
struct ClientListeners: Sendable {
  /// The plain port; nil when only the secure one is served.
  private(set) var plain: Server?
  private(set) var secure: Server?

  var all: [Server] { [plain, secure].compactMap { $0 } }

  init(
    _ config: CoordinatorConfig, on group: EventLoopGroup, _ coordinator: Coordinator
  ) throws {
    let security = config.security
    if security.servesPlainClients {
      var options = Self.options(config)
      options.name = "client"
      if security.unifiesClientPort {
        options.tls = security.clientTLS
        options.isTLSOptional = true
      }
      let address = try Hosts.resolve(config.clientHost, port: config.clientPort)[0]
      plain = try Server(at: address, on: group, options: options) { _ in
        .stream(GreetingHandler(coordinator))
      }
    }
    if let port = security.securePort {
      var options = Self.options(config)
      options.name = "secure client"
      options.tls = security.clientTLS
      let address = try Hosts.resolve(security.secureHost, port: port)[0]
      secure = try Server(at: address, on: group, options: options) { _ in
        .stream(GreetingHandler(coordinator))
      }
    }
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

  func stop() {
    for server in all { server.stop() }
  }
}
