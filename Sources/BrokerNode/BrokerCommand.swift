/// The command line of `jackdaw-broker`.
import MetadataLog
import Platform
import ServerProcess
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

public enum BrokerCommand {
  private static let log = Log("KafkaServer")
  private static let command = ServerCommand(
    name: "jackdaw-broker", version: "Kafka 3.9.0",
    summary: "Runs one broker of a cluster, compatible with Kafka 3.9.",
    file: "server.properties", log: log, readsEnvironment: true)

  /// Runs until SIGTERM or SIGINT.
  ///
  /// - Parameters:
  ///   - arguments: Without the command's own name.
  ///   - makeController: starts the controller of a node that has both roles.
  /// - Returns: The process's exit status.
  public static func run(
    _ arguments: [String], makeController: @escaping ControllerPart.Maker
  ) -> Int32 {
    command.run(arguments) { sources, _ in
      try serve(try configuration(sources), makeController)
    }
  }

  private static func configuration(_ sources: SettingSources) throws -> BrokerConfig {
    let config = try BrokerConfig(sources)
    if config.quorum.isController, !config.quorum.isBroker {
      throw SettingsError(
        "a node that is a controller only is run by jackdaw-controller", key: "process.roles",
        value: config.identity.processRoles.joined(separator: ","))
    }
    return config
  }

  private static func serve(
    _ config: BrokerConfig, _ makeController: ControllerPart.Maker
  ) throws -> Int32 {
    let loop = try EventLoop(name: "control")
    let ending = ProcessEnding()
    let starting = Mutex<(any ClusterMembership)?>(nil)
    try Signals.onTermination(loop) { _ in
      starting.withLock { $0 }?.abandonStart()
      ending.end(with: 0)
    }
    let fail: @Sendable (String) -> Void = { why in
      // Without its metadata a broker serves what may be long gone.
      log.error("the metadata log failed: \(why)")
      ending.end(with: 1)
    }
    let controller = config.quorum.isController ? try makeController(config) : nil
    let node = try BrokerNode(config, controlLoop: loop) {
      let made = try membership($0, on: $1, controller, fail)
      starting.withLock { $0 = made }
      return made
    }
    starting.withLock { $0 = nil }
    let status = ending.wait()
    node.shutdown()
    controller?.stop()
    loop.stop()
    return status
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
