// The AdminServer: the four-letter words' successor, JSON over HTTP.

import HTTP
import Platform
import Transport

/// Serves `<commandURL>` (a list of the commands) and `<commandURL>/<command>`, as ZooKeeper's
/// JettyAdminServer does. It shares the coordinator's loop, so that a command may look at
/// everything without a lock.
final class AdminServer: Sendable {
  private let server: HTTPServer
  var address: SocketAddress { server.address }

  /// Begins to serve; nil when that is not wanted, or when the port is taken: a coordination
  /// service does not stay away because somebody else has port 8080.
  static func start(
    _ settings: OperationsSettings, of coordinator: Coordinator, on group: EventLoopGroup
  ) throws -> AdminServer? {
    guard settings.adminEnabled else { return nil }
    let address = try Hosts.resolve(settings.adminHost, port: settings.adminPort)[0]
    do {
      let server = try AdminServer(address, settings, coordinator, group)
      CoordinatorLog.server.info(
        "AdminServer started", ["address": server.address, "commands": settings.commandURL])
      return server
    } catch {
      CoordinatorLog.server.warn(
        "AdminServer not started; admin.serverPort chooses another port, admin.enableServer=false"
          + " does without", ["reason": error])
      return nil
    }
  }

  private init(
    _ address: SocketAddress, _ settings: OperationsSettings, _ coordinator: Coordinator,
    _ group: EventLoopGroup
  ) throws(SystemError) {
    let url = settings.commandURL
    server = try HTTPServer(
      at: address, on: group, idleTimeoutMs: settings.adminIdleTimeoutMs
    ) { request in
      guard request.method == "GET" || request.method == "HEAD" else {
        return .text("\(request.method) is not supported\n", status: 405)
      }
      if request.path == url || request.path == url + "/" { return Self.list(url) }
      guard request.path.hasPrefix(url + "/") else { return .text("not found\n", status: 404) }
      let name = String(request.path.dropFirst(url.count + 1))
      coordinator.statistics.insecureAdminCommands += 1
      let members = coordinator.run(adminCommand: name, request.query)
      return .json(JSONValue.object(members).pretty + "\n")
    }
  }

  /// Links to the commands.
  private static func list(_ url: String) -> HTTPResponse {
    let links = AdminCommand.allCases.map {
      "<a href=\"\(url)/\($0.rawValue)\">\($0.rawValue)</a>\n<br/>\n"
    }
    return .text(links.joined(), contentType: "text/html; charset=utf-8")
  }

  func stop() { server.stop() }
}

/// The commands of 3.8 by their first names, sorted.
enum AdminCommand: String, CaseIterable {
  case configuration
  case connectionStatReset = "connection_stat_reset"
  case connections
  case dirs
  case dump
  case environment
  case getTraceMask = "get_trace_mask"
  case hash
  case initialConfiguration = "initial_configuration"
  case isReadOnly = "is_read_only"
  case lastSnapshot = "last_snapshot"
  case leader
  case monitor
  case observerConnectionStatReset = "observer_connection_stat_reset"
  case observers
  case ruok
  case serverStats = "server_stats"
  case setTraceMask = "set_trace_mask"
  case statReset = "stat_reset"
  case stats
  case systemProperties = "system_properties"
  case votingView = "voting_view"
  case watchSummary = "watch_summary"
  case watches
  case watchesByPath = "watches_by_path"
  case zabState = "zabstate"

  /// By any of its names.
  init?(named name: String) {
    guard let command = Self(rawValue: name) ?? Self.others[name] else { return nil }
    self = command
  }

  private static let others: [String: AdminCommand] = [
    "conf": .configuration, "config": .configuration, "crst": .connectionStatReset,
    "cons": .connections, "env": .environment, "envi": .environment, "gtmk": .getTraceMask,
    "icfg": .initialConfiguration, "isro": .isReadOnly, "lsnp": .lastSnapshot, "lead": .leader,
    "mntr": .monitor, "orst": .observerConnectionStatReset, "obsr": .observers,
    "srvr": .serverStats, "stmk": .setTraceMask, "srst": .statReset, "stat": .stats,
    "sysp": .systemProperties, "wchs": .watchSummary, "wchc": .watches, "wchp": .watchesByPath,
  ]

  /// Whether it is answered while the server looks for a leader.
  var needsNoService: Bool {
    switch self {
    case .environment, .getTraceMask, .monitor, .setTraceMask, .systemProperties, .zabState: true
    default: false
    }
  }
}
