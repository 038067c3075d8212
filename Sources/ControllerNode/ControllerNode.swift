/// A KRaft controller: everything it consists of, in the order in which it comes up and goes down.
///
/// 1. the directories prove to be formatted, and this node's;
/// 2. the metadata log is opened (after a crash: recovered);
/// 3. listeners open;
/// 4. the quorum is joined; whoever leads it is the active controller;
/// 5. the ready line. Neither a leader nor a majority is waited for: others may start later.
import Authorization
import Control
import Cryptography
import HTTP
import KafkaMessages
import KafkaTransport
import LogStorage
import Metadata
import MetadataLog
import Platform
import Raft
import Settings
import Synchronization
import Telemetry
import Transport
import Values

public final class ControllerNode: Sendable {
  public let driver: RaftDriver
  public let metrics: Metrics
  private let config: BrokerConfig
  private let loops: EventLoopGroup
  /// On which the machine decides.
  private let loop: EventLoop
  private let host: Unchecked<ControllerHost>
  private let registrar: Unchecked<ControllerRegistrar>
  /// What is served.
  let apis: ServedApis
  private let servers: [Server]
  private let metricsServer: HTTPServer?
  private let lock: File?
  static let log = Log("KafkaRaftServer")

  /// Starts a controller and returns when its listeners are open.
  ///
  /// - Parameters:
  ///   - metrics: where its gauges go; it serves them itself unless the broker of the same process
  ///     does (`servesMetrics`).
  ///   - onFailure: the process has to end: the metadata log cannot be read or written.
  public init(
    _ config: BrokerConfig, metrics: Metrics = Metrics(), servesMetrics: Bool = true,
    onFailure: @escaping @Sendable (String) -> Void
  ) throws {
    self.config = config
    self.metrics = metrics
    let directory = config.quorum.metadataLogDirectory
    lock = try Self.takeLock(directory, config)
    let identity = try Self.identify(config)
    loops = try EventLoopGroup(count: config.network.threads, name: "controller-network")
    loop = try EventLoop(name: "controller")
    let ports = try Self.reservePorts(config)
    let endpoints = Self.endpoints(config, ports)
    var options = RaftDriverOptions(
      controller: config, clusterID: identity.clusterID, directoryID: identity.directoryID,
      endpoints: endpoints.map {
        Raft.Endpoint(listener: $0.listener, host: $0.host, port: $0.port)
      }, metrics: metrics)
    options.onFailure = onFailure
    driver = try RaftDriver(options)
    let view = SharedView()
    let settings = try Self.controllerOptions(config, identity.clusterID)
    let made = ControllerHost(settings, driver: driver, loop: loop, view: view)
    host = Unchecked(made)
    registrar = Unchecked(
      ControllerRegistrar(
        nodeID: config.identity.brokerID, incarnationID: Self.randomID(), endpoints: endpoints,
        features: settings.supportedFeatures, driver: driver, loop: loop, view: view))
    if config.failureDetection == .fast {
      loop.perform { [host] in
        host.value.watchBrokers(
          listener: config.network.interBrokerListenerName,
          sessionTimeoutMs: config.quorum.sessionTimeoutMs, metrics: metrics)
      }
    }
    made.onChange = { [registrar] in registrar.value.check() }
    let apis = ControllerApis(
      driver: driver, clusterID: identity.clusterID, view: view, loop: loop, host: host,
      features: settings.supportedFeatures, config: config,
      authorizer: StandardAuthorizer(config.authorization))
    self.apis = apis.table
    servers = try Self.listen(config, ports, self.apis, metrics, on: loops)
    ControllerMetrics.register(view, in: metrics)
    metricsServer = servesMetrics ? try Self.serve(metrics, config, on: loops) : nil
    driver.register(made, on: loop)
    driver.start()
  }

  /// Hands over leadership and closes everything. Blocks.
  public func shutdown() {
    // Requests go on being answered while the others elect a new leader.
    driver.shutdown()
    loop.perform { [host, registrar] in
      host.value.stop()
      registrar.value.stop()
    }
    for server in servers { server.stop() }
    metricsServer?.stop()
    loop.stop()
    loop.join()
    loops.stop()
  }

  /// Where the first controller listener is.
  public var address: SocketAddress? { servers.first?.address }
}

// MARK: Coming up

extension ControllerNode {
  /// Against a second process on the same directory. A broker of this process locks its own.
  private static func takeLock(
    _ directory: String, _ config: BrokerConfig
  ) throws(StartupError) -> File? {
    if config.quorum.isBroker, config.log.directories.contains(directory) { return nil }
    do throws(SystemError) {
      guard FileSystem.exists(directory) else { return nil }
      let file = try File("\(directory)/.lock", [.read, .write, .create])
      guard try file.tryLock() else {
        throw SystemError("flock", code: 11, on: "\(directory)/.lock, which another process holds")
      }
      return file
    } catch { throw StartupError("metadata.log.dir: \(error)") }
  }

  private static func identify(
    _ config: BrokerConfig
  ) throws(StartupError) -> (clusterID: String, directoryID: Uuid) {
    let metadata = config.quorum.metadataLogDirectory
    var paths = config.log.directories
    if !paths.contains(metadata) { paths.append(metadata) }
    let found = try MetaProperties.load(
      kraft: paths, nodeID: config.identity.brokerID, random: randomID)
    guard let id = found.directoryIDs[metadata] else {
      throw StartupError("\(metadata): no directory.id")
    }
    return (found.clusterID, id)
  }

  static func randomID() -> Uuid {
    var random = SystemRandom()
    return Uuid.random(using: &random)
  }

  /// What the machine decides by.
  private static func controllerOptions(
    _ config: BrokerConfig, _ clusterID: String
  ) throws(StartupError) -> QuorumControllerOptions {
    let directory = config.quorum.metadataLogDirectory
    var bootstrap = try BootstrapFile.read(directory)?.map(\.record)
    var source = BootstrapFile.path(directory)
    if bootstrap == nil {
      // Formatted by a release before bootstrap files: the level is that of this release.
      bootstrap = [
        .featureLevel(
          .init {
            $0.name = FeatureNames.metadataVersion
            $0.featureLevel = MetadataVersion.latestProduction.rawValue
          })
      ]
      source = "the default bootstrap"
    }
    var options = QuorumControllerOptions(
      nodeID: config.identity.brokerID, clusterID: clusterID, bootstrap: bootstrap ?? [])
    options.base = ControllerOptions(config)
    options.bootstrapSource = source
    options.areUnstableFeaturesEnabled = config.quorum.supportsUnstableFeatures
    options.areEligibleReplicasKept = config.quorum.keepsEligibleReplicas
    options.brokerSessionTimeoutMs = config.quorum.sessionTimeoutMs
    options.maxIdleIntervalMs = config.quorum.maxIdleIntervalMs
    options.tokenMaxLifetimeMs = config.delegationTokens.maxLifetimeMs
    options.tokenExpiryTimeMs = config.delegationTokens.expiryTimeMs
    options.tokenExpiryCheckIntervalMs = config.delegationTokens.expiryCheckIntervalMs
    options.mutationSampleCount = config.clientQuotas.mutationSampleCount
    options.mutationSampleMs = config.clientQuotas.mutationSampleMs
    options.hooks = Self.hooks(config)
    options.controllerIDs = config.quorum.voters.map { BrokerID($0.id) }
    return options
  }

  private static func hooks(_ config: BrokerConfig) -> QuorumControllerHooks {
    var hooks = QuorumControllerHooks()
    hooks.scramKeys = { mechanism, salted in
      let keys = ScramKeys(
        saltedPassword: salted, mechanism == .sha256 ? Digest.sha256 : .sha512)
      return (keys.storedKey, keys.serverKey)
    }
    if let secret = config.delegationTokens.secretKey {
      hooks.tokenHMAC = { id in
        Digest.sha512.authenticate(Array(id.utf8), key: Array(secret.utf8))
      }
    }
    hooks.describeTopic = { overrides in
      TopicConfig.describe(overrides: overrides, broker: config).map { entry in
        CreateTopicsResponse.CreatableTopicConfigs {
          $0.name = entry.name
          $0.value = entry.value
          $0.readOnly = entry.isReadOnly
          $0.configSource = entry.source.rawValue
          $0.isSensitive = entry.isSensitive
        }
      }
    }
    return hooks
  }

  // MARK: Listeners

  /// The machine has to know its ports before anybody can connect to them, and others ask for them
  /// by name; so a port must be given.
  private static func reservePorts(
    _ config: BrokerConfig
  ) throws(StartupError) -> [String: UInt16] {
    var ports: [String: UInt16] = [:]
    for listener in config.network.controllerListeners {
      guard listener.port != 0 else {
        throw StartupError("listeners: \(listener) needs a port, as other controllers dial it")
      }
      ports[listener.name] = listener.port
    }
    return ports
  }

  private static func endpoints(
    _ config: BrokerConfig, _ ports: [String: UInt16]
  ) -> [Metadata.Endpoint] {
    config.network.advertisedControllerListeners.map { listener in
      Metadata.Endpoint(
        listener: listener.name, host: listener.host.isEmpty ? Hosts.localName : listener.host,
        port: listener.port == 0 ? ports[listener.name] ?? 0 : listener.port,
        securityProtocol: Metadata.SecurityProtocol(rawValue: listener.securityProtocol.code)
          ?? .plaintext)
    }
  }

  private static func listen(
    _ config: BrokerConfig, _ ports: [String: UInt16], _ apis: ServedApis, _ metrics: Metrics,
    on loops: EventLoopGroup
  ) throws -> [Server] {
    let observer = ControllerRequestMetrics(metrics)
    return try config.network.controllerListeners.map { listener in
      do {
        guard let address = try Hosts.resolve(listener.host, port: listener.port).first else {
          throw StartupError("listeners: \(listener) has no address")
        }
        var options = ServerOptions()
        options.name = listener.name
        options.backlog = Int32(clamping: config.network.listenBacklog)
        options.maxConnections = config.network.maxConnections
        options.maxConnectionsPerIP = config.network.maxConnectionsPerIP
        options.limits.maxFrameBytes = config.network.requestMaxBytes
        options.limits.idleTimeoutMs = max(0, config.network.connectionsMaxIdleMs)
        return try Server(at: address, on: loops, options: options) { _ in
          .frames(RequestServer(apis, listener: listener.name, observer: observer))
        }
      } catch {
        throw (error as? StartupError) ?? StartupError("listeners: \(listener): \(error)")
      }
    }
  }

  private static func serve(
    _ metrics: Metrics, _ config: BrokerConfig, on loops: EventLoopGroup
  ) throws(StartupError) -> HTTPServer? {
    guard let port = config.metrics.port else { return nil }
    do {
      let address =
        try Hosts.resolve(config.metrics.host, port: port).first ?? .loopback(port: port)
      return try HTTPServer.serving(metrics, at: address, on: loops)
    } catch {
      throw StartupError("jackdaw.metrics.port=\(port): \(error)")
    }
  }
}
