/// The command line of `jackdaw-broker`.
import MetadataLog
import Platform
import ServerProcess
import Settings
import Telemetry

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
    _ config: BrokerConfig, _ makeController: @escaping ControllerPart.Maker
  ) throws -> Int32 {
    let broker = try BrokerProcess()
    let ending = ProcessEnding()
    try Signals.onTermination(broker.loop) { _ in
      broker.abandonStart()
      ending.end(with: 0)
    }
    let sabotage = try Sabotage.wanted(ProcessInformation.environment)
    try broker.start(config, sabotage: sabotage, makeController: makeController) { why in
      // Without its metadata a broker serves what may be long gone.
      log.error("the metadata log failed: \(why)")
      ending.end(with: 1)
    }
    let status = ending.wait()
    broker.stop()
    return status
  }
}
