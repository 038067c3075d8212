/// A broker's part in a KRaft cluster: who it is by its formatted directories, what it knows by the
/// metadata log, and that it lives by heartbeats to the active controller (KIP-500, KIP-631).
import KafkaMessages
import KafkaProtocol
import KafkaRecords
import KafkaTransport
import LogStorage
import Metadata
import MetadataLog
import Platform
import Settings
import Synchronization
import Telemetry
import Values

final class KRaftMembership: ClusterMembership {
  typealias LogOpener = @Sendable (ClusterIdentity, Metrics) throws(StartupError) -> MetadataLogLink

  /// Made on the starting thread one by one; read from others.
  private struct Parts {
    var identity: ClusterIdentity?
    var link: MetadataLogLink?
    var channel: QuorumControllerChannel?
    var services: BrokerServices?
    var follower: MetadataFollower?
    var lifecycle: LifecycleDriver?
  }

  let loop: EventLoop
  private let config: BrokerConfig
  private let openLog: LogOpener
  private let metrics: Metrics?
  private let parts = Mutex(Parts())
  private var now: Parts { parts.withLock { $0 } }
  static let log = Log("BrokerLifecycleManager")

  /// - Parameters:
  ///   - metrics: of the controller in the same process; nil: the broker has its own.
  ///   - openLog: opens the metadata log; called once, when it is known whose it is.
  init(
    _ config: BrokerConfig, on loop: EventLoop, metrics: Metrics? = nil,
    openLog: @escaping LogOpener
  ) {
    self.metrics = metrics
    self.config = config
    self.loop = loop
    self.openLog = openLog
  }

  var apis: ApiTable {
    config.clientTelemetry.isEnabled ? .kraftBrokerWithTelemetry : .kraftBroker
  }
  /// What a start after a clean stop tells the controller: nothing was lost.
  var epochOfCleanShutdown: BrokerEpoch { now.services?.brokerEpoch ?? .none }

  func readyLine(_ id: BrokerID) -> String {
    "[KafkaRaftServer nodeId=\(id.rawValue)] Kafka Server started"
  }

  // MARK: Start

  func identify(_ logs: LogManager) throws(StartupError) -> ClusterIdentity {
    var paths = logs.liveDirectories.map(\.path)
    let metadata = config.quorum.metadataLogDirectory
    if !paths.contains(metadata) { paths.append(metadata) }
    let found = try MetadataLog.MetaProperties.load(
      kraft: paths, nodeID: config.identity.brokerID
    ) {
      var random = SystemRandom()
      return Uuid.random(using: &random)
    }
    var identity = ClusterIdentity(
      clusterID: found.clusterID, brokerID: config.identity.brokerID,
      directories: LogDirectoryIDs(found.directoryIDs))
    if let metrics { identity.metrics = metrics }
    parts.withLock { [identity] in $0.identity = identity }
    return identity
  }

  func controllerChannel(_ services: BrokerServices, on loop: EventLoop) -> any ControllerChannel {
    let made = QuorumControllerChannel(
      clientID: "\(services.brokerID.rawValue)",
      timeoutMs: config.network.requestTimeoutMs, on: loop
    ) { [weak self] in self?.now.link?.controller }
    parts.withLock { $0.channel = made }
    services.holdClients()
    return made
  }

  /// Follows the metadata log, registers, takes over this broker's replicas once it has caught up,
  /// and returns when the controller has unfenced it.
  func join(_ services: BrokerServices, endpoints: [Endpoint]) throws(StartupError) {
    guard let channel = now.channel, let identity = now.identity else { return }
    let link = try openLog(identity, services.metrics.registry)
    let publisher = MetadataPublisher(
      services: services, placements: DirectoryAssignments(services: services, loop: loop))
    let firstPublished = Signal()
    let ownLifePublished = Signal()
    let follower = MetadataFollower(for: services.brokerID) { [weak self] step, done in
      services.replicas.stateChanges.submit { [weak self] in
        publisher.publish(step)
        if step.plan.featuresChanged || step.plan.brokersChanged {
          self?.now.lifecycle?.imageChanged(step.image)
        }
        if step.isFirst { firstPublished.give() }
        if services.metadata.image.brokers.isAlive(services.brokerID) { ownLifePublished.give() }
        done()
      }
    }
    let driver = LifecycleDriver(
      services, channel: channel, loop: loop, endpoints: endpoints,
      previousEpoch: Self.previousEpoch(services.replicas.logs), config: config,
      metadataOffset: { [weak follower] in follower?.offset ?? -1 })
    parts.withLock { parts in
      parts.link = link
      parts.services = services
      parts.follower = follower
      parts.lifecycle = driver
    }
    link.driver.register(self, on: loop, makesSnapshots: !link.isShared)
    if !link.isShared { link.driver.start() }
    driver.start()
    try driver.waitForCatchUp()
    follower.enable()
    firstPublished.wait()
    // Where no broker is alive, a client would be told that there is none, and librdkafka does not
    // ask again for a long time: it waits until this one is.
    let isAlone = services.metadata.image.brokers.alive.isEmpty
    if !isAlone { services.releaseClients() }
    driver.readyToUnfence()
    try driver.waitForUnfencing()
    // The answer to the heartbeat may come before the record of it.
    _ = ownLifePublished.wait(ms: Self.longestPublishingMs)
    if isAlone { services.releaseClients() }
  }

  private static let longestPublishingMs: Int64 = 10_000

  /// The epoch of the last run if it stopped cleanly in every directory, else -1 (KIP-966).
  private static func previousEpoch(_ logs: LogManager) -> BrokerEpoch {
    let epochs = Set(logs.liveDirectories.map { $0.cleanShutdownEpoch ?? -1 })
    guard let only = epochs.first, epochs.count == 1 else { return .none }
    return BrokerEpoch(only)
  }

  /// The image already has what is stored.
  func loadTopicConfigs(_ topics: [String], _ completion: @escaping @Sendable () -> Void) {
    completion()
  }

  func abandonStart() { now.lifecycle?.abandon() }

  func reportFailedDirectory() { now.lifecycle?.directoryFailed() }

  // MARK: End

  func handOver() {
    now.lifecycle?.leave(
      limitMs: Self.longestHandOverMs,
      silenceMs: config.identity.controlledShutdownRetryBackoffMs)
  }

  private static let longestHandOverMs: Int64 = 5 * 60 * 1000

  func leave() {
    now.lifecycle?.stop()
    if let link = now.link, !link.isShared { link.driver.shutdown() }
  }
}

/// All calls come on `loop`.
extension KRaftMembership: MetadataListener {
  func committed(_ batches: [CommittedBatch]) {
    now.follower?.apply(batches)
    if let last = batches.last { now.lifecycle?.metadataApplied(last.lastOffset) }
    noteKRaftVersion()
  }

  func loaded(_ snapshot: LoadedSnapshot) {
    now.follower?.load(snapshot)
    now.lifecycle?.metadataApplied(snapshot.lastOffset)
    noteKRaftVersion()
  }

  func leaderChanged(_ leader: QuorumLeader) { now.channel?.leaderChanged() }

  func makeSnapshot() -> SnapshotContent? { now.follower?.snapshot() }

  private func noteKRaftVersion() {
    let parts = now
    guard let link = parts.link else { return }
    parts.services?.metadata.setKRaftVersion(link.driver.status.kraftVersion)
  }
}

/// The metadata log that a broker follows: one of its own, or that of the controller in the same
/// process, which then starts and stops it.
struct MetadataLogLink: Sendable {
  var driver: RaftDriver
  var isShared: Bool

  /// Where the active controller listens; nil while none is known.
  var controller: ControllerEndpoint? {
    let leader = driver.leader
    guard let id = leader.id, let host = leader.host else { return nil }
    return ControllerEndpoint(id: id, host: host, port: leader.port)
  }
}

/// Something that happens once, and that threads wait for.
final class Signal: Sendable {
  private let isGiven = Atomic<Bool>(false)
  private let semaphore = Semaphore()

  func give() {
    if !isGiven.exchange(true, ordering: .acquiringAndReleasing) { semaphore.signal() }
  }

  var isSet: Bool { isGiven.load(ordering: .acquiring) }

  func wait() {
    semaphore.wait()
    semaphore.signal()
  }

  /// False when the time was up before.
  func wait(ms: Int64) -> Bool {
    guard semaphore.wait(ms: ms) else { return false }
    semaphore.signal()
    return true
  }
}
