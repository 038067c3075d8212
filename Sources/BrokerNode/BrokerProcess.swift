/// A broker without its process: what the command runs, and what a simulation runs many of in one
/// process. It touches no signal, reads no environment and never exits.
import MetadataLog
import Platform
import Settings
import Synchronization
import Telemetry

/// The controller in the process of a broker, where a node has both roles.
public struct ControllerPart: Sendable {
  public typealias Maker = (BrokerConfig) throws -> ControllerPart

  /// Its replica of the metadata log, which the broker follows too.
  public var driver: RaftDriver
  /// Its metrics, which the broker serves with its own.
  public var metrics: Metrics
  /// Hands over leadership and ends it; blocks.
  public var stop: @Sendable () -> Void

  public init(driver: RaftDriver, metrics: Metrics, stop: @escaping @Sendable () -> Void) {
    self.driver = driver
    self.metrics = metrics
    self.stop = stop
  }
}

public final class BrokerProcess: Sendable {
  /// On which the broker's part in the cluster lives.
  public let loop: EventLoop
  private let starting = Mutex<(any ClusterMembership)?>(nil)
  private let parts = Mutex(Parts())

  private struct Parts {
    var node: BrokerNode?
    var controller: ControllerPart?
  }

  public init() throws(SystemError) { loop = try EventLoop(name: "control") }

  /// Starts the broker, in front of it the controller of a node that has both roles, and returns
  /// when it serves. Called once.
  ///
  /// - Parameters:
  ///   - sabotage: how it lies; nil: not at all.
  ///   - makeController: starts the controller, where the node is to have one.
  ///   - onFailure: called on any thread when the metadata log cannot be read or written any more:
  ///     the broker has to end.
  public func start(
    _ config: BrokerConfig, sabotage: Sabotage? = nil,
    makeController: ControllerPart.Maker? = nil,
    onFailure: @escaping @Sendable (String) -> Void
  ) throws {
    let controller = config.quorum.isController ? try makeController?(config) : nil
    parts.withLock { $0.controller = controller }
    let node = try BrokerNode(config, controlLoop: loop, sabotage: sabotage) { [self] in
      let made = try Self.membership($0, on: $1, controller, onFailure)
      starting.withLock { $0 = made }
      return made
    }
    starting.withLock { $0 = nil }
    parts.withLock { $0.node = node }
  }

  /// Whether this broker is the controller of a cluster in ZooKeeper mode.
  public var isController: Bool {
    (parts.withLock { $0.node }?.membership as? ZooKeeperMembership)?.isController ?? false
  }

  /// Ends the waiting of a start that is under way, which then fails. From any thread.
  public func abandonStart() { starting.withLock { $0 }?.abandonStart() }

  /// Hands leadership over and ends everything. Blocks.
  public func stop() {
    let parts = parts.withLock { $0 }
    parts.node?.shutdown()
    parts.controller?.stop()
    loop.stop()
  }

  private static func membership(
    _ config: BrokerConfig, on loop: EventLoop, _ controller: ControllerPart?,
    _ fail: @escaping @Sendable (String) -> Void
  ) throws -> any ClusterMembership {
    guard config.quorum.isBroker else { return try ZooKeeperMembership(config, on: loop) }
    return KRaftMembership(config, on: loop, metrics: controller?.metrics) {
      (identity, metrics) throws(StartupError) -> MetadataLogLink in
      if let controller { return MetadataLogLink(driver: controller.driver, isShared: true) }
      let directory = config.quorum.metadataLogDirectory
      var options = RaftDriverOptions(
        broker: config, clusterID: identity.clusterID,
        directoryID: identity.directories.id(ofPath: directory) ?? .zero, metrics: metrics)
      options.onFailure = fail
      return MetadataLogLink(driver: try RaftDriver(options), isShared: false)
    }
  }
}
