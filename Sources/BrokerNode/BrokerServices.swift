/// What all loops and handlers of a broker share.
import Authorization
import Control
import KafkaProtocol
import Metadata
import MetadataLog
import Platform
import Settings
import Synchronization
import Telemetry
import Transport
import Values

final class BrokerServices: Sendable {
  let brokerID: BrokerID
  /// The configuration that the broker started with; `currentConfig` has dynamic changes.
  let config: BrokerConfig
  /// `/cluster/id`, or that of `meta.properties`.
  let clusterID: String
  /// Empty in ZooKeeper mode.
  let directories: LogDirectoryIDs
  let apis: ApiTable
  let metadata = MetadataCache()
  let partitions = PartitionTable()
  let metrics: BrokerMetrics
  /// Threads for work that blocks.
  let io: IOPool
  /// `queued.max.request.bytes`; nil: no bound.
  let inputBudget: InputBudget?
  /// Nil: none is configured, and everybody may do everything.
  let authorizer: StandardAuthorizer?
  /// Nil in every broker but those that drills are tested with.
  let sabotage: Sabotage?
  let throttle: ClientThrottle
  let autoTopicCreation = AutoTopicCreation()
  let connections: ConnectionGate
  /// Nil: nobody takes what clients tell of themselves.
  let telemetry: TelemetryReceiver?
  /// Knows which controllers are real.
  let controllerGate = ControllerGate()

  private let liveConfig: Mutex<BrokerConfig>
  private let epoch = Atomic<Int64>(-1)
  private let loopTable = Mutex<[BrokerLoop]>([])
  private let attached = Mutex(Attached())
  private let serving = Atomic<Bool>(false)
  private let shuttingDown = Atomic<Bool>(false)
  private let holding = Atomic<Bool>(false)

  /// Parts that are made after the services, because they need them.
  private struct Attached {
    var controller: (any ControllerService)?
    var groups: (any GroupService)?
    var transactions: TransactionCoordinator?
    var replicas: ReplicaManager?
    var channel: (any ControllerChannel)?
    var producerIDs: ProducerIDBlocks?
    var membership: (any ClusterMembership)?
    var configObserver: (@Sendable (BrokerConfig) -> Void)?
  }

  init(
    _ identity: ClusterIdentity, config: BrokerConfig, apis: ApiTable, io: IOPool, loopCount: Int,
    sabotage: Sabotage? = nil, telemetry: TelemetryReceiver? = nil
  ) {
    brokerID = identity.brokerID
    clusterID = identity.clusterID
    directories = identity.directories
    self.config = config
    self.apis = apis
    self.io = io
    self.sabotage = sabotage
    self.telemetry = telemetry
    let queued = config.network.queuedMaxRequestBytes
    inputBudget = queued > 0 ? InputBudget(bytes: queued) : nil
    metrics = BrokerMetrics(loopCount: loopCount, registry: identity.metrics)
    throttle = ClientThrottle(
      sampleCount: config.clientQuotas.sampleCount, sampleMs: config.clientQuotas.sampleMs)
    connections = ConnectionGate(config)
    authorizer = StandardAuthorizer(config.authorization)
    liveConfig = Mutex(config)
  }

  // MARK: Loops

  func attach(loops: [BrokerLoop]) { loopTable.withLock { $0 = loops } }

  func loop(_ index: Int) -> BrokerLoop? {
    loopTable.withLock { $0.indices.contains(index) ? $0[index] : nil }
  }

  var loops: [BrokerLoop] { loopTable.withLock { $0 } }

  // MARK: State

  /// The czxid of this broker's registration, in KRaft mode the offset of its record; -1 until it
  /// is registered, changed when it has to register again.
  var brokerEpoch: BrokerEpoch {
    get { BrokerEpoch(epoch.load(ordering: .acquiring)) }
    set { epoch.store(newValue.rawValue, ordering: .releasing) }
  }

  /// Whether clients may ask: the broker is registered, and knows the cluster.
  var isServing: Bool {
    get { serving.load(ordering: .relaxed) }
    set { serving.store(newValue, ordering: .relaxed) }
  }

  var isShuttingDown: Bool {
    get { shuttingDown.load(ordering: .relaxed) }
    set { shuttingDown.store(newValue, ordering: .relaxed) }
  }

  /// Clients may connect, but are not heard yet.
  var isHoldingClients: Bool { holding.load(ordering: .acquiring) }

  /// Lets clients wait while the broker does not know the cluster: an answer from an empty image
  /// would tell them that there are no brokers and no topics.
  func holdClients() { holding.store(true, ordering: .releasing) }

  func releaseClients() {
    isServing = true
    holding.store(false, ordering: .releasing)
    for loop in loops { loop.eventLoop.execute { loop.releaseHeld() } }
  }

  var currentConfig: BrokerConfig { liveConfig.withLock { $0 } }

  /// Takes over what is stored for a topic or for brokers; called by whoever watches the store.
  func applyConfig(_ resource: ConfigResource, _ settings: [String: String]) {
    metadata.setConfig(resource, settings)
    configChanged(resource)
  }

  /// Takes over what is stored for a user, a client or an address; called by whoever watches the
  /// store.
  func applyQuota(_ entity: ConfigEntity, _ settings: [String: String]) {
    let quotas = metadata.setQuota(entity, settings)
    throttle.take(quotas)
    connections.take(quotas)
  }

  /// Acts on what the metadata now say is set for a topic or for brokers.
  func configChanged(_ resource: ConfigResource) {
    if resource.type == .broker {
      let image = metadata.image
      let defaults = image.configs[.brokerDefault]
      let own = image.configs[.broker("\(brokerID.rawValue)")]
      let updated = config.applying(dynamicDefaults: defaults, dynamicBroker: own)
      liveConfig.withLock { $0 = updated }
      connections.take(updated)
      attached.withLock { $0.configObserver }?(updated)
      for warning in updated.warnings { Log("config").warn(warning) }
    }
    replicas.configChanged(resource)
  }

  /// Calls `observer` with the configuration whenever it changes.
  func observeConfig(_ observer: @escaping @Sendable (BrokerConfig) -> Void) {
    attached.withLock { $0.configObserver = observer }
  }

  /// The effective settings of a topic.
  func topicConfig(_ topic: String) -> TopicConfig {
    let overrides = metadata.configs(.topic(topic))
    let config = currentConfig
    if overrides.isEmpty { return config.topicDefaults }
    return TopicConfig(overrides: overrides, broker: config)
  }

  /// The versions of an API that are served: with what is passed on, only those that the
  /// controller serves too. Nil for none.
  func servedVersions(_ entry: ApiEntry) -> ClosedRange<Int16>? {
    guard entry.isForwarded,
      let theirs = (controllerChannel as? QuorumControllerChannel)?.controllerVersions
    else { return entry.versions }
    return theirs[entry.api].flatMap { range in
      entry.versions.overlaps(range) ? entry.versions.clamped(to: range) : nil
    }
  }

  /// A topic's name by its id, from the metadata or from the replicas here.
  func topicName(_ id: Uuid) -> String? { metadata.topicName(id) ?? partitions.topicName(id) }

  /// Limits of connections to other brokers.
  func peerLimits(receiveBufferBytes: Int = -1) -> ConnectionLimits {
    var limits = ConnectionLimits()
    limits.connectTimeoutMs = config.network.connectionSetupTimeoutMs
    limits.receiveBufferBytes = Int32(clamping: receiveBufferBytes)
    return limits
  }

  /// The racks of the live brokers, for sending consumers to a replica near them.
  func replicaSelector() -> ReplicaSelector {
    var racks: [BrokerID: String] = [:]
    for broker in metadata.image.brokers.alive { racks[broker.id] = broker.rack }
    return ReplicaSelector(localID: brokerID, racks: racks)
  }

  // MARK: Parts

  /// The controller in this process; nil until it is started.
  var controller: (any ControllerService)? {
    get { attached.withLock { $0.controller } }
    set { attached.withLock { $0.controller = newValue } }
  }

  /// The group coordinator; nil until it is started.
  var groups: (any GroupService)? {
    get { attached.withLock { $0.groups } }
    set { attached.withLock { $0.groups = newValue } }
  }

  /// The transaction coordinator; nil until it is started.
  var transactions: TransactionCoordinator? {
    get { attached.withLock { $0.transactions } }
    set { attached.withLock { $0.transactions = newValue } }
  }

  /// The broker's part in the cluster; nil in tests of single parts.
  var membership: (any ClusterMembership)? {
    get { attached.withLock { $0.membership } }
    set { attached.withLock { $0.membership = newValue } }
  }

  func attach(
    replicas: ReplicaManager, channel: any ControllerChannel, producerIDs: ProducerIDBlocks
  ) {
    attached.withLock {
      $0.replicas = replicas
      $0.channel = channel
      $0.producerIDs = producerIDs
    }
  }

  var replicas: ReplicaManager {
    guard let replicas = attached.withLock({ $0.replicas }) else {
      preconditionFailure("services used before they were attached")
    }
    return replicas
  }

  /// Requests to the controller, wherever it is.
  var controllerChannel: any ControllerChannel {
    guard let channel = attached.withLock({ $0.channel }) else {
      preconditionFailure("services used before they were attached")
    }
    return channel
  }

  var producerIDs: ProducerIDBlocks {
    guard let blocks = attached.withLock({ $0.producerIDs }) else {
      preconditionFailure("services used before they were attached")
    }
    return blocks
  }
}
