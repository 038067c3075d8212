import Values

extension BrokerConfig {
  /// Who this broker is, and what it speaks.
  public struct Identity: Sendable {
    /// -1 when the cluster is to give one.
    public let brokerID: BrokerID
    public let isIDGenerated: Bool
    /// Generated ids are above this one.
    public let reservedMaxID: Int32
    public let rack: String?
    /// Empty in ZooKeeper mode.
    public let processRoles: [String]
    public let interBrokerProtocolVersion: MetadataVersion
    public let isControlledShutdownEnabled: Bool
    public let controlledShutdownMaxRetries: Int
    public let controlledShutdownRetryBackoffMs: Int64

    init(_ values: ConfigValues) throws(SettingsError) {
      brokerID = BrokerID(values.int32("broker.id"))
      let nodeID = values.int32("node.id")
      guard nodeID == brokerID.rawValue else {
        throw SettingsError(
          "must equal broker.id=\(brokerID.rawValue)", key: "node.id", value: "\(nodeID)")
      }
      reservedMaxID = values.int32("reserved.broker.max.id")
      let mayGenerate = values.bool("broker.id.generation.enable")
      isIDGenerated = mayGenerate && brokerID == .none
      rack = values.name("broker.rack")
      processRoles = values.list("process.roles")
      interBrokerProtocolVersion =
        values.text("inter.broker.protocol.version").flatMap { MetadataVersion($0) } ?? .latest
      isControlledShutdownEnabled = values.bool("controlled.shutdown.enable")
      controlledShutdownMaxRetries = values.int("controlled.shutdown.max.retries")
      controlledShutdownRetryBackoffMs = values.int64("controlled.shutdown.retry.backoff.ms")
      try check(mayGenerate: mayGenerate)
    }

    private func check(mayGenerate: Bool) throws(SettingsError) {
      let id = brokerID.rawValue
      if id < (mayGenerate ? -1 : 0) {
        throw SettingsError(
          "must be at least \(mayGenerate ? -1 : 0)", key: "broker.id", value: "\(id)")
      }
      if mayGenerate, id > reservedMaxID {
        throw SettingsError(
          "must not be above reserved.broker.max.id=\(reservedMaxID) while "
            + "broker.id.generation.enable is true", key: "broker.id", value: "\(id)")
      }
    }
  }

  /// Listeners, sockets and their limits.
  public struct Network: Sendable {
    /// Those of the broker; empty for a node that is a controller only.
    public let listeners: [Listener]
    /// The same as `listeners` where nothing is advertised; hosts may be empty then.
    public let advertisedListeners: [Listener]
    /// Those of the controller, where the node is one.
    public let controllerListeners: [Listener]
    public let advertisedControllerListeners: [Listener]
    /// Name of the listener that brokers use among themselves, in capitals.
    public let interBrokerListenerName: String
    public let securityProtocols: [String: SecurityProtocol]
    /// Event loops.
    public let threads: Int
    /// Threads for work that blocks.
    public let ioThreads: Int
    /// -1 leaves it to the system.
    public let sendBufferBytes: Int
    public let receiveBufferBytes: Int
    public let requestMaxBytes: Int
    public let listenBacklog: Int
    /// -1 for no limit.
    public let queuedMaxRequestBytes: Int64
    public let maxConnections: Int
    public let maxConnectionsPerIP: Int
    /// Limits by address text.
    public let maxConnectionsPerIPOverrides: [String: Int]
    /// Connections a second; nil for no limit.
    public let maxConnectionRate: Int?
    /// The same for single listeners, by their names in capitals.
    public let maxConnectionRates: [String: Int]
    /// Negative for never.
    public let connectionsMaxIdleMs: Int64
    public let connectionSetupTimeoutMs: Int64
    public let connectionSetupTimeoutMaxMs: Int64
    public let requestTimeoutMs: Int64

    init(
      _ values: ConfigValues, _ quorum: Quorum, isListenersGiven: Bool, isMapGiven: Bool
    ) throws(SettingsError) {
      var map = try Listener.parseMap(
        values.text("listener.security.protocol.map") ?? "",
        key: "listener.security.protocol.map", origin: nil)
      // Without a map of somebody's own, listeners of controllers are PLAINTEXT.
      for name in quorum.controllerListenerNames where !isMapGiven && map[name] == nil {
        map[name] = .plaintext
      }
      securityProtocols = map
      var listeners = try Listener.parse(
        values.text("listeners") ?? "", map: map, key: "listeners", origin: nil)
      // A broker that nobody told where to listen keeps to this machine.
      if !isListenersGiven {
        for index in listeners.indices { listeners[index].host = "127.0.0.1" }
      }
      let advertised =
        if let text = values.name("advertised.listeners") {
          try Listener.parse(text, map: map, key: "advertised.listeners", origin: nil)
        } else { listeners }
      let isOfController = { (listener: Listener) in
        quorum.controllerListenerNames.contains(listener.name)
      }
      self.listeners = listeners.filter { !isOfController($0) }
      controllerListeners = listeners.filter(isOfController)
      advertisedListeners = advertised.filter { !isOfController($0) }
      let advertisedController = advertised.filter(isOfController)
      advertisedControllerListeners =
        advertisedController.isEmpty ? listeners.filter(isOfController) : advertisedController
      interBrokerListenerName =
        (values.name("inter.broker.listener.name")
        ?? values.text("security.inter.broker.protocol") ?? "PLAINTEXT").uppercased()
      threads = values.int("num.network.threads")
      ioThreads = values.int("num.io.threads")
      sendBufferBytes = values.int("socket.send.buffer.bytes")
      receiveBufferBytes = values.int("socket.receive.buffer.bytes")
      requestMaxBytes = values.int("socket.request.max.bytes")
      listenBacklog = values.int("socket.listen.backlog.size")
      queuedMaxRequestBytes = values.int64("queued.max.request.bytes")
      maxConnections = values.int("max.connections")
      maxConnectionsPerIP = values.int("max.connections.per.ip")
      maxConnectionsPerIPOverrides = try Self.perIP(
        values.text("max.connections.per.ip.overrides") ?? "")
      let rate = values.int("max.connection.creation.rate")
      maxConnectionRate = rate == Int32.max ? nil : rate
      maxConnectionRates = values.integersByListener("max.connection.creation.rate")
        .mapValues { Int($0) }
      connectionsMaxIdleMs = values.int64("connections.max.idle.ms")
      connectionSetupTimeoutMs = values.int64("socket.connection.setup.timeout.ms")
      connectionSetupTimeoutMaxMs = values.int64("socket.connection.setup.timeout.max.ms")
      requestTimeoutMs = values.int64("request.timeout.ms")
      try check(all: listeners)
      if quorum.isBroker || quorum.isController {
        try checkRoles(quorum)
      }
      if !quorum.isController || quorum.isBroker { try checkBroker() }
    }

    private static func perIP(_ text: String) throws(SettingsError) -> [String: Int] {
      var limits: [String: Int] = [:]
      for entry in text.commaSeparated where !entry.isEmpty {
        // The last colon: addresses of version 6 have colons of their own.
        guard let colon = entry.lastIndex(of: ":"), colon != entry.startIndex,
          let limit = Int(entry[entry.index(after: colon)...].trimmed), limit >= 0
        else {
          throw SettingsError(
            "expected address:count in '\(entry)'", key: "max.connections.per.ip.overrides",
            value: text)
        }
        limits[String(entry[..<colon]).trimmed] = limit
      }
      return limits
    }

    /// Which listeners a node has follows from its roles.
    private func checkRoles(_ quorum: Quorum) throws(SettingsError) {
      let names = quorum.controllerListenerNames.joined(separator: ",")
      if !quorum.isController, let wrong = controllerListeners.first {
        throw SettingsError(
          "\(wrong.name) is one of controller.listener.names, which a node without the role "
            + "controller must not have", key: "listeners", value: wrong.description)
      }
      if quorum.isController, controllerListeners.isEmpty {
        throw SettingsError(
          "names none of controller.listener.names=\(names), which the role controller needs",
          key: "listeners")
      }
      if !quorum.isBroker, let wrong = listeners.first {
        throw SettingsError(
          "\(wrong.name) is not one of controller.listener.names=\(names); a node without the "
            + "role broker has no others", key: "listeners", value: wrong.description)
      }
      for name in quorum.controllerListenerNames {
        guard let found = securityProtocols[name] else {
          throw SettingsError(
            "listener.security.protocol.map has no entry for \(name)",
            key: "controller.listener.names", value: names)
        }
        if found != .plaintext {
          throw SettingsError(
            "\(name) speaks \(found.rawValue); only PLAINTEXT listeners are served yet",
            key: "controller.listener.names", value: names)
        }
      }
      if quorum.controllerListenerNames.contains(interBrokerListenerName) {
        throw SettingsError(
          "must not be one of controller.listener.names=\(names)",
          key: "inter.broker.listener.name", value: interBrokerListenerName)
      }
    }

    private func check(all listeners: [Listener]) throws(SettingsError) {
      guard !listeners.isEmpty else { throw SettingsError("names no listener", key: "listeners") }
      let names = listeners.map(\.name)
      guard Set(names).count == names.count else {
        throw SettingsError("names a listener twice", key: "listeners")
      }
      let ports = listeners.filter { $0.port != 0 }.map { "\($0.host):\($0.port)" }
      guard Set(ports).count == ports.count else {
        throw SettingsError("uses a port twice", key: "listeners")
      }
      for listener in listeners where listener.securityProtocol != .plaintext {
        throw SettingsError(
          "\(listener.name) speaks \(listener.securityProtocol.rawValue); only PLAINTEXT listeners "
            + "are served yet", key: "listeners", value: listener.description)
      }
      for listener in advertisedListeners + advertisedControllerListeners {
        if listener.host == "0.0.0.0" || listener.host == "::" {
          throw SettingsError(
            "nobody can connect to \(listener.host); name an address others can reach",
            key: "advertised.listeners", value: listener.description)
        }
        if !names.contains(listener.name) {
          throw SettingsError(
            "\(listener.name) is not among listeners", key: "advertised.listeners",
            value: listener.description)
        }
      }
      if queuedMaxRequestBytes > 0, queuedMaxRequestBytes < Int64(requestMaxBytes) {
        throw SettingsError(
          "must be at least socket.request.max.bytes=\(requestMaxBytes)",
          key: "queued.max.request.bytes", value: "\(queuedMaxRequestBytes)")
      }
      if maxConnectionsPerIP == 0, maxConnectionsPerIPOverrides.isEmpty {
        throw SettingsError(
          "0 lets nobody in unless max.connections.per.ip.overrides names somebody",
          key: "max.connections.per.ip")
      }
    }

    /// What only a broker needs.
    private func checkBroker() throws(SettingsError) {
      guard !listeners.isEmpty else {
        throw SettingsError("names no listener of the broker", key: "listeners")
      }
      guard advertisedListeners.contains(where: { $0.name == interBrokerListenerName }) else {
        throw SettingsError(
          "is not among the advertised listeners "
            + advertisedListeners.map(\.name).joined(separator: ", "),
          key: "inter.broker.listener.name", value: interBrokerListenerName)
      }
    }
  }

  /// How the coordination service is reached.
  public struct ZooKeeper: Sendable {
    /// `host:port` of each server.
    public let servers: [String]
    /// The path everything lies under: empty, or `/kafka`.
    public let chroot: String
    public let sessionTimeoutMs: Int64
    public let connectionTimeoutMs: Int64
    public let maxInFlightRequests: Int
    public let setsACL: Bool
    /// `zookeeper.ssl.*` as they were given or by default, for whoever makes the connections.
    public let securityKeys: [String: String]

    init(_ values: ConfigValues) throws(SettingsError) {
      var keys: [String: String] = [:]
      for key in ConfigTable.broker.keys where key.name.hasPrefix("zookeeper.ssl.") {
        if values[key.name] != .null { keys[key.name] = values[key.name].description }
      }
      securityKeys = keys
      sessionTimeoutMs = values.int64("zookeeper.session.timeout.ms")
      connectionTimeoutMs =
        values.integer("zookeeper.connection.timeout.ms") ?? sessionTimeoutMs
      maxInFlightRequests = values.int("zookeeper.max.in.flight.requests")
      setsACL = values.bool("zookeeper.set.acl")
      guard let text = values.name("zookeeper.connect") else {
        guard !values.list("process.roles").isEmpty else {
          throw SettingsError("is required, and has no default", key: "zookeeper.connect")
        }
        servers = []
        chroot = ""
        return
      }
      let slash = text.firstIndex(of: "/") ?? text.endIndex
      let path = String(text[slash...])
      chroot = path == "/" ? "" : path
      servers = text[..<slash].commaSeparated.filter { !$0.isEmpty }.map {
        // The port after the last colon, unless that colon belongs to a bare address of version 6.
        $0.hasSuffix("]") || !$0.contains(":") ? "\($0):2181" : $0
      }
      if servers.isEmpty || chroot.hasSuffix("/") || chroot.contains("//") {
        throw SettingsError(
          "expected host:port,… with an optional /path at the end", key: "zookeeper.connect",
          value: text)
      }
    }
  }

  /// How brokers that died are missed: `jackdaw.failure.detection`.
  public enum FailureDetection: String, Sendable {
    /// A listener that refuses connections, when it has taken them before, proves a death.
    case fast
    /// Only the end of a session counts.
    case session
  }

  /// Where metrics are served.
  public struct Metrics: Sendable {
    public let host: String
    /// Nil for nowhere; 0 for any free port.
    public let port: UInt16?

    init(_ values: ConfigValues) {
      host = values.name("jackdaw.metrics.host") ?? "127.0.0.1"
      port = UInt16(exactly: values.int64("jackdaw.metrics.port"))
    }
  }
}
