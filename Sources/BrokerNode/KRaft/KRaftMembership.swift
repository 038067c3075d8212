/// A broker's part in a KRaft cluster: who it is by its formatted directories, what it knows by the
/// metadata log, and that it lives by heartbeats to the active controller (KIP-500, KIP-631).
import Dispatch
import KafkaMessages
import KafkaProtocol
import KafkaRecords
import KafkaTransport
import LogStorage
import Metadata
import Platform
import Settings
import Synchronization
import Telemetry
import Values

final class KRaftMembership: ClusterMembership, @unchecked Sendable {
  // Parts are made on the starting thread, in `join` at the latest; the lifecycle is confined to
  // `loop`.
  let loop: EventLoop
  private let config: BrokerConfig
  private let makeFeed: (ClusterIdentity) throws -> any MetadataFeed
  private var feed: (any MetadataFeed)?
  private var channel: QuorumControllerChannel?
  private var services: BrokerServices?
  private var loader: MetadataLoader?
  private var publisher: MetadataPublisher?
  private var driver: LifecycleDriver?
  static let log = Log("BrokerLifecycleManager")

  /// - Parameter makeFeed: opens the metadata log; called once it is known whose it is.
  init(
    _ config: BrokerConfig, on loop: EventLoop,
    makeFeed: @escaping (ClusterIdentity) throws -> any MetadataFeed
  ) {
    self.config = config
    self.loop = loop
    self.makeFeed = makeFeed
  }

  var apis: ApiTable { .kraftBroker }
  /// What a start after a clean stop tells the controller: nothing was lost.
  var epochOfCleanShutdown: BrokerEpoch { services?.brokerEpoch ?? .none }

  func readyLine(_ id: BrokerID) -> String {
    "[KafkaRaftServer nodeId=\(id.rawValue)] Kafka Server started"
  }

  // MARK: Start

  func identify(_ logs: LogManager) throws(StartupError) -> ClusterIdentity {
    let identity = try FormattedDirectories.identify(
      paths: logs.liveDirectories.map(\.path), nodeID: config.identity.brokerID)
    do {
      feed = try makeFeed(identity)
    } catch {
      throw (error as? StartupError) ?? StartupError("metadata log: \(error)")
    }
    return identity
  }

  func controllerChannel(_ services: BrokerServices, on loop: EventLoop) -> any ControllerChannel {
    let feed = feed
    let made = QuorumControllerChannel(
      clientID: "\(services.brokerID.rawValue)",
      timeoutMs: config.network.requestTimeoutMs, on: loop
    ) { feed?.leader }
    channel = made
    return made
  }

  /// Follows the metadata log, registers, takes over this broker's replicas once it has caught up,
  /// and returns when the controller has unfenced it.
  func join(_ services: BrokerServices, endpoints: [Endpoint]) throws(StartupError) {
    guard let feed, let channel else { return }
    self.services = services
    let publisher = MetadataPublisher(
      services: services, placements: DirectoryAssignments(services: services, loop: loop))
    let firstPublished = Signal()
    let loader = MetadataLoader(for: services.brokerID) { step, done in
      services.replicas.stateChanges.submit {
        publisher.publish(step)
        if step.isFirst { firstPublished.give() }
        done()
      }
    }
    self.publisher = publisher
    self.loader = loader
    let driver = LifecycleDriver(
      services, channel: channel, loop: loop, endpoints: endpoints,
      previousEpoch: Self.previousEpoch(services.replicas.logs), config: config,
      metadataOffset: { [weak loader] in loader?.offset ?? -1 })
    self.driver = driver
    try feed.start(self)
    driver.start()
    try driver.waitForCatchUp()
    loader.enable()
    firstPublished.wait()
    driver.readyToUnfence()
    try driver.waitForUnfencing()
  }

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

  func reportFailedDirectory() { driver?.directoryFailed() }

  // MARK: End

  func handOver() { driver?.leave(limitMs: Self.longestHandOverMs) }

  private static let longestHandOverMs: Int64 = 5 * 60 * 1000

  func leave() {
    driver?.stop()
    feed?.stop()
  }
}

extension KRaftMembership: MetadataReceiver {
  func committed(_ records: [MetadataRecord], lastOffset: Int64) {
    loader?.apply(records, lastOffset: lastOffset)
    driver?.metadataApplied(lastOffset)
  }

  func loaded(_ image: MetadataImage, lastOffset: Int64) {
    loader?.load(image, lastOffset: lastOffset)
    driver?.metadataApplied(lastOffset)
  }

  func leaderChanged() { channel?.leaderChanged() }

  func kraftVersionChanged(_ level: Int16) { services?.metadata.setKRaftVersion(level) }
}

/// Something that happens once, and that threads wait for.
final class Signal: Sendable {
  private let isGiven = Atomic<Bool>(false)
  private let semaphore = DispatchSemaphore(value: 0)

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
    guard semaphore.wait(timeout: .now() + .milliseconds(Int(clamping: ms))) == .success else {
      return false
    }
    semaphore.signal()
    return true
  }
}
