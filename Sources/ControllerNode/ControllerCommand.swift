/// The command line of `jackdaw-controller`.
import Platform
import ServerProcess
import Settings
import Telemetry

public enum ControllerCommand {
  private static let log = Log("KafkaRaftServer")
  private static let command = ServerCommand(
    name: "jackdaw-controller", version: "Kafka 3.9.0",
    summary: "Runs one KRaft controller of a cluster, compatible with Kafka 3.9.",
    file: "server.properties", log: log, readsEnvironment: true)

  /// Runs until SIGTERM or SIGINT.
  ///
  /// - Parameter arguments: Without the command's own name.
  /// - Returns: The process's exit status.
  public static func run(_ arguments: [String]) -> Int32 {
    command.run(arguments) { sources, _ in try serve(try configuration(sources)) }
  }

  private static func configuration(_ sources: SettingSources) throws -> BrokerConfig {
    let config = try BrokerConfig(sources)
    let roles = config.identity.processRoles.joined(separator: ",")
    guard config.quorum.isController, !config.quorum.isBroker else {
      throw SettingsError(
        config.quorum.isBroker
          ? "a node with the role broker is run by jackdaw-broker"
          : "must be controller; without it a node is in ZooKeeper mode, and jackdaw-broker's",
        key: "process.roles", value: roles)
    }
    return config
  }

  private static func serve(_ config: BrokerConfig) throws -> Int32 {
    for warning in config.warnings { Log("config").warn(warning) }
    let loop = try EventLoop(name: "control")
    let ending = ProcessEnding()
    try Signals.onTermination(loop) { _ in ending.end(with: 0) }
    let node = try ControllerNode(config) { why in
      log.error("the metadata log failed: \(why)")
      ending.end(with: 1)
    }
    log.info("[KafkaRaftServer nodeId=\(config.identity.brokerID.rawValue)] Kafka Server started")
    let status = ending.wait()
    log.info("shutting down")
    node.shutdown()
    loop.stop()
    log.info("shut down completed")
    return status
  }
}
