/// A broker's part in a ZooKeeper-mode cluster, in the order of its start: a session, the paths
/// that must be there, the cluster's id, configuration, registration, and the contest for the
/// controller.
///
/// When the session expires the broker stays up: a new session is made, it registers again with a
/// new epoch, and competes again.
import Control
import KafkaProtocol
import KafkaTransport
import LogStorage
import Metadata
import MetadataLog
import Platform
import Settings
import Synchronization
import Telemetry
import Values
import ZooKeeperClient

final class ZooKeeperMembership: ClusterMembership, @unchecked Sendable {
  // Parts are made by `join` on the starting thread, then confined to `loop`.
  let loop: EventLoop
  let session: ZooKeeperSession
  private let config: BrokerConfig
  private let version: InterBrokerVersion
  private var services: BrokerServices?
  private var registration: BrokerRegistration?
  private var watcher: ConfigWatcher?
  private var aclWatcher: AclWatcher?
  private var runner: ControllerRunner?
  static let log = Log("zookeeper")

  init(_ config: BrokerConfig, on loop: EventLoop) throws(StartupError) {
    self.config = config
    self.loop = loop
    session = try ZooKeeperSession(config.zooKeeper, on: loop)
    let text = config.identity.interBrokerProtocolVersion.description
    guard let version = InterBrokerVersion(text) else {
      throw StartupError("inter.broker.protocol.version=\(text) is below 1.0")
    }
    self.version = version
  }

  var apis: ApiTable { .zooKeeperBroker }
  var epochOfCleanShutdown: BrokerEpoch { .none }
  /// Nil before `join`.
  var startedServices: BrokerServices? { services }

  func readyLine(_ id: BrokerID) -> String { "[KafkaServer id=\(id.rawValue)] started" }

  func controllerChannel(_ services: BrokerServices, on loop: EventLoop) -> any ControllerChannel {
    BrokerControllerChannel(services: services, loop: loop)
  }

  // MARK: Start

  /// Reaches the cluster, and finds or makes the broker's id. Blocks.
  func identify(_ logs: LogManager) throws(StartupError) -> ClusterIdentity {
    let clusterID = try connect()
    let id: BrokerID
    do {
      id = try MetadataLog.MetaProperties.settle(
        logs.liveDirectories, configured: config.identity.brokerID, clusterID: clusterID
      ) { try self.generateBrokerID() }
    } catch {
      throw (error as? StartupError) ?? StartupError("log.dirs: \(error)")
    }
    return ClusterIdentity(clusterID: clusterID, brokerID: id)
  }

  /// Connects, makes the paths that are missing, and answers the cluster's id. Blocks.
  private func connect() throws(StartupError) -> String {
    let connected = Awaited<Void>()
    loop.perform { [self] in
      session.onSession { event in
        if case .connected = event { connected.fill(.success(())) }
        if event == .authFailed {
          connected.fill(.failure(StartupError("zookeeper.connect: authentication failed")))
        }
      }
      session.client.start()
    }
    let target = "\(session.client.connectString)"
    guard let result = connected.wait(ms: config.zooKeeper.connectionTimeoutMs) else {
      throw StartupError(
        "zookeeper.connect=\(target): no connection within "
          + "\(config.zooKeeper.connectionTimeoutMs) ms")
    }
    try result.get()
    try blocking { ClusterZnodes.create(on: self.session, $0) }
    return try blocking { ClusterZnodes.clusterID(on: self.session, $0) }
  }

  /// A broker id from the cluster, for `broker.id=-1`. Blocks.
  private func generateBrokerID() throws(StartupError) -> BrokerID {
    try blocking {
      ClusterZnodes.nextBrokerID(
        on: self.session, above: self.config.identity.reservedMaxID, $0)
    }
  }

  /// Loads the configuration, registers, sets the services' controller and begins to compete.
  /// Blocks.
  func join(_ services: BrokerServices, endpoints: [Endpoint]) throws(StartupError) {
    var broker = BrokerImage(id: services.brokerID, epoch: .none, endpoints: endpoints)
    broker.rack = config.identity.rack
    let machine = ZooKeeperController(
      brokerID: services.brokerID, version: version,
      listener: config.network.interBrokerListenerName, options: services.controllerOptions,
      seed: SystemRandom.seed())
    let runner = ControllerRunner(
      session: session, machine: machine,
      requestTimeoutMs: config.replication.controllerSocketTimeoutMs,
      peerLimits: services.peerLimits())
    let registration = BrokerRegistration(
      session: session, broker: broker, version: version,
      note: services.replicas.logs.liveDirectories.first.map {
        EarlierSession(directory: $0.path)
      })
    let watcher = ConfigWatcher(session: session) { [unowned services, unowned runner] in
      Self.apply($0, $1, services, runner)
    }
    self.services = services
    self.runner = runner
    self.registration = registration
    self.watcher = watcher
    let acls = services.authorizer.map { _ in
      AclWatcher(session: session) { [unowned services] in services.metadata.setAcls($0) }
    }
    aclWatcher = acls
    let guarded = Unchecked(acls)
    loop.perform { [self] in
      session.onWatch { event in
        watcher.watchFired(event.path)
        guarded.value?.watchFired(event.path)
      }
      runner.attach()
      runner.register(in: services.metrics.registry)
      if config.failureDetection == .fast {
        runner.watchBrokers(
          sessionTimeoutMs: config.zooKeeper.sessionTimeoutMs, metrics: services.metrics.registry)
      }
      session.onSession { [unowned self] event in sessionChanged(event) }
    }
    try blocking { (done: @escaping (StartupError?) -> Void) in watcher.start { done(nil) } }
    if acls != nil { try blocking { guarded.value?.start($0) } }
    // Before the registration: from then on requests come.
    services.controller = ZooKeeperControllerService(
      runner: runner,
      configs: ConfigWriter(session: session, services: services, watcher: watcher),
      acls: acls.map {
        Unchecked(AclWriter(session: session, services: services, watcher: $0))
      },
      services: services)
    services.brokerEpoch = try blocking { registration.register($0) }
    loop.execute {
      runner.sessionStarted()
      self.loop.repeating(everyMs: 1_000) { [weak self] in
        guard let self, !session.isClosed else { return false }
        runner.refreshMetrics()
        return true
      }
    }
    waitForMetadata(services)
  }

  /// Waits for the controller's first word: a broker that serves before would tell clients that
  /// there are no brokers, and some ask again only much later. Without a controller there may be
  /// none for long, so this does not wait for ever.
  private func waitForMetadata(_ services: BrokerServices) {
    let end = Clock.now().advanced(milliseconds: Self.longestWaitForMetadataMs)
    while !services.metadata.isAlive(services.brokerID), Clock.now() < end {
      Thread.sleep(ms: 5)
    }
  }

  private static let longestWaitForMetadataMs: Int64 = 10_000

  private static func apply(
    _ entity: ConfigEntity, _ settings: [String: String], _ services: BrokerServices,
    _ runner: ControllerRunner
  ) {
    guard case .resource(let resource) = entity else {
      return services.applyQuota(entity, settings)
    }
    services.applyConfig(resource, settings)
    if resource.type == .topic {
      runner.tell(.topicConfigChanged(resource.name))
    } else {
      runner.take(services.controllerOptions)
    }
  }

  /// Reads a topic's configuration before the announcement of it comes: a replica that is created
  /// must not begin with the defaults. The completion is called on the session's loop.
  func loadTopicConfigs(_ topics: [String], _ completion: @escaping @Sendable () -> Void) {
    loop.execute { [self] in
      guard let watcher else { return completion() }
      watcher.load(topics.map { "topics/\($0)" }, completion)
    }
  }

  /// `/controller_epoch` rises before a controller says its first word. `sync` brings this
  /// session's server up to date, so that a real controller is never taken for a made-up one.
  func confirmController(
    _ epoch: ControllerEpoch, _ completion: @escaping @Sendable (Bool) -> Void
  ) {
    loop.execute { [self] in
      session.client.sync(ZnodePath.controllerEpoch) { [self] synced in
        if case .failure(.connectionLoss) = synced, !session.isClosed {
          loop.schedule(afterMs: 10) { [self] in confirmController(epoch, completion) }
          return
        }
        guard case .success = synced else { return completion(false) }
        session.read([.data(ZnodePath.controllerEpoch, watch: false)]) { results in
          guard case .content(let content) = results[0],
            let known = ControllerEpochZnode.decode(content.data)
          else { return completion(false) }
          completion(epoch <= known)
        }
      }
    }
  }

  /// Tells the controller that a log directory of this broker failed.
  func reportFailedDirectory() {
    loop.execute { [self] in
      guard let services else { return }
      let data = LogDirEventZnode.encode(services.brokerID)
      session.write([
        ZnodeTransaction([
          .create(path: ZnodePath.logDirEvent, data: data, mode: .persistentSequential)
        ])
      ]) { _ in }
    }
  }

  func noteReached(host: String, port: UInt16) {
    loop.execute { [self] in runner?.noteReached(host: host, port: port) }
  }

  /// From any thread.
  var isController: Bool { runner?.isActive ?? false }
  var controllerMetrics: ControllerRunner.Gauges.Values { runner?.metrics ?? .init() }

  // MARK: Sessions that end

  /// After an expiry the client asks for a new session, which is told as a new connection.
  private func sessionChanged(_ event: SessionEvent) {
    switch event {
    case .expired:
      Self.log.warn("the session expired; registering again")
      runner?.sessionExpired()
      session.client.startNewSession()
    case .connected(_, isNew: true): rejoin()
    case .connected(_, isNew: false), .disconnected, .authFailed: break
    }
  }

  /// In the order of the first start: registered, configured, competing.
  private func rejoin() {
    guard let registration, let watcher, let runner, let services else { return }
    registration.register { [self] result in
      switch result {
      case .success(let epoch):
        services.brokerEpoch = epoch
        watcher.start {}
        // What is known stays in force when nothing can be read now.
        aclWatcher?.start { error in
          if let error { Self.log.error("\(error)") }
        }
        runner.sessionStarted()
      case .failure(let error):
        // Somebody else has our id: what is here cannot be trusted until he is gone.
        Self.log.error("\(error)")
        loop.schedule(afterMs: 1_000) { [weak self] in
          guard let self, !session.isClosed, session.client.isConnected else { return }
          rejoin()
        }
      }
    }
  }

  // MARK: End

  /// Ends the session, and with it the registration and the controllership. Blocks for at most a
  /// second or so.
  func leave() {
    let closed = Awaited<Void>()
    loop.perform { [self] in runner?.close() }
    session.close { closed.fill(.success(())) }
    _ = closed.wait(ms: 2_000)
  }

  // MARK: Waiting

  private func blocking(
    _ body: @escaping (@escaping (StartupError?) -> Void) -> Void
  ) throws(StartupError) {
    try blocking { (done: @escaping (Result<Void, StartupError>) -> Void) in
      body { done($0.map { .failure($0) } ?? .success(())) }
    }
  }

  private func blocking<T: Sendable>(
    _ body: @escaping (@escaping (Result<T, StartupError>) -> Void) -> Void
  ) throws(StartupError) -> T {
    let waiter = Awaited<T>()
    let box = Unchecked(body)
    loop.execute { box.value { waiter.fill($0) } }
    // Everything asked for has its own limit but the connection, which may stay away.
    guard let result = waiter.wait(ms: 120_000) else {
      throw StartupError("the coordination service does not answer")
    }
    return try result.get()
  }
}

/// A result that one thread waits for and another gives, the first one counting.
private final class Awaited<T: Sendable>: Sendable {
  private let result = Mutex<Result<T, StartupError>?>(nil)
  private let semaphore = Semaphore()

  func fill(_ value: Result<T, StartupError>) {
    result.withLock { if $0 == nil { $0 = value } }
    semaphore.signal()
  }

  /// Nil when the time is up.
  func wait(ms: Int64) -> Result<T, StartupError>? {
    _ = semaphore.wait(ms: ms)
    return result.withLock { $0 }
  }
}
