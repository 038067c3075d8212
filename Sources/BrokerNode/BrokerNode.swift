/// A broker process: everything it consists of, in the order in which it comes up and goes down.
///
/// 1. log directories are locked;
/// 2. the cluster is reached, and the directories prove to belong to it;
/// 3. logs are loaded (after a crash: recovered);
/// 4. listeners open;
/// 5. the broker registers, which brings the first assignments, and may become the controller;
/// 6. the ready line.
import HTTP
import LogStorage
import Metadata
import MetadataLog
import Platform
import Settings
import Synchronization
import Telemetry
import Transport
import Values

public final class BrokerNode: Sendable {
  let services: BrokerServices
  let membership: any ClusterMembership
  let loops: EventLoopGroup
  let controlLoop: EventLoop
  let io: IOPool
  let logs: LogManager
  private let servers = Mutex<[Server]>([])
  private let metricsServer = Mutex<HTTPServer?>(nil)
  static let log = Log("KafkaServer")

  /// Starts a broker and returns when it serves.
  init(
    _ config: BrokerConfig, controlLoop: EventLoop, sabotage: Sabotage? = nil,
    membership makeMembership: (BrokerConfig, EventLoop) throws -> any ClusterMembership
  ) throws {
    for warning in config.warnings { Log("config").warn(warning) }
    self.controlLoop = controlLoop
    let parts = try Self.makeParts(config)
    loops = parts.loops
    io = parts.io
    let link = ServicesLink()
    logs = Self.takeDirectories(config, link)
    try Self.checkDirectories(logs)
    membership = try makeMembership(config, controlLoop)
    let identity = try membership.identify(logs)
    services = BrokerServices(
      identity, config: config, apis: membership.apis, io: io, loopCount: parts.loops.loops.count,
      sabotage: sabotage, telemetry: try Self.receiver(config, identity))
    link.attach(services)
    services.membership = membership
    try wire()
    try open()
  }

  private static func makeParts(
    _ config: BrokerConfig
  ) throws(StartupError) -> (loops: EventLoopGroup, io: IOPool) {
    do throws(SystemError) {
      return (
        try EventLoopGroup(count: config.network.threads),
        try IOPool(threads: config.network.ioThreads)
      )
    } catch {
      throw StartupError("threads not started: \(error)")
    }
  }

  private static func receiver(
    _ config: BrokerConfig, _ identity: ClusterIdentity
  ) throws(StartupError) -> TelemetryReceiver? {
    let settings = config.clientTelemetry
    guard settings.isEnabled else { return nil }
    do throws(SystemError) {
      return try TelemetryReceiver(
        maxBytes: settings.maxBytes, directory: settings.directory, metrics: identity.metrics)
    } catch {
      throw StartupError("jackdaw.client.telemetry.directory: \(error)")
    }
  }

  private static func takeDirectories(
    _ config: BrokerConfig, _ link: ServicesLink
  ) -> LogManager {
    LogManager(
      paths: config.log.directories,
      configure: { topic in link.logConfig(topic) ?? LogConfig() },
      onEvent: { event in
        LogEvents.report(event)
        if case .directoryFailed = event { link.directoryFailed() }
      })
  }

  private static func checkDirectories(_ logs: LogManager) throws(StartupError) {
    for (path, error) in logs.unusable { Log("logs").error("\(path): \(error)") }
    guard logs.liveDirectories.isEmpty else { return }
    let reasons = logs.unusable.map { "\($0.path): \($0.error)" }.joined(separator: "; ")
    throw StartupError("log.dirs: no usable directory: \(reasons)")
  }

  // MARK: Coming up

  private func wire() throws(StartupError) {
    let brokerLoops = loops.loops.map {
      BrokerLoop(services: services, eventLoop: $0, loopCount: loops.loops.count)
    }
    services.attach(loops: brokerLoops)
    do throws(SystemError) {
      services.attach(
        replicas: try ReplicaManager(
          services: services, logs: logs, proposerLoop: controlLoop),
        channel: membership.controllerChannel(services, on: controlLoop),
        producerIDs: ProducerIDBlocks(services: services))
    } catch {
      throw StartupError("threads not started: \(error)")
    }
  }

  private func open() throws {
    loadLogs()
    let endpoints = try listen()
    services.observeConfig { [weak self] in self?.limitConnections($0) }
    BrokerGauges.register(services)
    startCoordinators()
    try membership.join(services, endpoints: endpoints)
    services.isServing = true
    if let first = services.loop(0) { services.replicas.startMaintenance(on: first) }
    try serveMetrics()
    Self.log.info("\(membership.readyLine(services.brokerID))")
  }

  /// Before the first assignments, which may make this broker a coordinator.
  private func startCoordinators() {
    services.groups = GroupCoordinator(services: services)
    services.transactions = TransactionCoordinator(services: services)
  }

  private func loadLogs() {
    let began = Clock.now()
    logs.load(
      threadsPerDirectory: services.config.log.recoveryThreadsPerDirectory, now: Clock.wallNow())
    let highWatermarks = logs.checkpointedHighWatermarks()
    for log in logs.logs {
      if let offset = highWatermarks[log.topicPartition] { log.updateHighWatermark(offset) }
    }
    let elapsedMs = Clock.now().milliseconds(since: began)
    Log("logs").info("logs loaded", ["logs": logs.logs.count, "ms": elapsedMs])
  }

  /// Opens every listener; returns what others may connect to.
  private func listen() throws(StartupError) -> [Endpoint] {
    let network = services.config.network
    var ports: [String: UInt16] = [:]
    for listener in network.listeners {
      let server = try listen(listener)
      ports[listener.name] = server.address.port
      servers.withLock { $0.append(server) }
    }
    return network.advertisedListeners.map { listener in
      Endpoint(
        listener: listener.name, host: listener.host.isEmpty ? Hosts.localName : listener.host,
        port: listener.port == 0 ? ports[listener.name] ?? 0 : listener.port,
        securityProtocol: Metadata.SecurityProtocol(rawValue: listener.securityProtocol.code)
          ?? .plaintext)
    }
  }

  private func listen(_ listener: Listener) throws(StartupError) -> Server {
    do {
      guard let address = try Hosts.resolve(listener.host, port: listener.port).first else {
        throw StartupError("listeners: \(listener) has no address")
      }
      let services = services
      return try Server(at: address, on: loops, options: options(listener)) { loop in
        guard let own = services.loop(loop.index) else {
          preconditionFailure("a listener opened before the loops were attached")
        }
        return .frames(ListenerHandler(loop: own, listener: listener.name))
      }
    } catch {
      throw (error as? StartupError) ?? StartupError("listeners: \(listener): \(error)")
    }
  }

  private static func overrides(_ network: BrokerConfig.Network) -> [IPAddress: Int] {
    var overrides: [IPAddress: Int] = [:]
    for (host, limit) in network.maxConnectionsPerIPOverrides {
      if let ip = IPAddress(host) { overrides[ip] = limit }
    }
    return overrides
  }

  /// Limits that were changed while the broker runs.
  private func limitConnections(_ config: BrokerConfig) {
    let network = config.network
    for server in servers.withLock({ $0 }) {
      server.setLimits(
        maxConnections: network.maxConnections, perIP: network.maxConnectionsPerIP,
        overrides: Self.overrides(network))
    }
  }

  private func options(_ listener: Listener) -> ServerOptions {
    let network = services.config.network
    var options = ServerOptions()
    options.name = listener.name
    options.backlog = Int32(clamping: network.listenBacklog)
    options.maxConnections = network.maxConnections
    options.maxConnectionsPerIP = network.maxConnectionsPerIP
    options.perIPOverrides = Self.overrides(network)
    options.admission = { [services] address, now in
      services.connections.admit(address, to: listener.name, at: now)
    }
    options.limits.maxFrameBytes = network.requestMaxBytes
    options.limits.idleTimeoutMs = max(0, network.connectionsMaxIdleMs)
    options.limits.sendBufferBytes = Int32(clamping: network.sendBufferBytes)
    options.limits.receiveBufferBytes = Int32(clamping: network.receiveBufferBytes)
    // A consumer of old records must not hold up those who read what is in memory.
    options.limits.coldReads = services.io
    options.limits.inputBudget = services.inputBudget
    return options
  }

  private func serveMetrics() throws(StartupError) {
    let settings = services.config.metrics
    guard let port = settings.port else { return }
    do {
      let address = try Hosts.resolve(settings.host, port: port).first ?? .loopback(port: port)
      let server = try HTTPServer.serving(services.metrics.registry, at: address, on: loops)
      metricsServer.withLock { $0 = server }
    } catch {
      throw StartupError("jackdaw.metrics.port=\(port): \(error)")
    }
  }

  /// Where clients connect to the first listener.
  var address: SocketAddress? { servers.withLock { $0.first?.address } }
  var metricsAddress: SocketAddress? { metricsServer.withLock { $0?.address } }

  // MARK: Going down

  /// Hands leadership over, closes everything and marks the logs as clean. Blocks.
  public func shutdown() {
    Self.log.info("shutting down")
    if services.config.identity.isControlledShutdownEnabled { membership.handOver() }
    services.isShuttingDown = true
    services.replicas.fetchers.close()
    for server in servers.withLock({ $0 }) { server.stop() }
    metricsServer.withLock { $0 }?.stop()
    services.replicas.stateChanges.stop()
    membership.leave()
    services.controllerChannel.close()
    io.stop()
    logs.shutdown(
      brokerEpoch: membership.epochOfCleanShutdown.rawValue, now: Clock.wallNow())
    loops.stop()
    Self.log.info("shut down completed")
  }
}
