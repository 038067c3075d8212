// The command line of `jackdaw-coordinator`.

import Platform
import ServerProcess
import Settings
import Telemetry

public enum CoordinatorCommand {
  private static let command = ServerCommand(
    name: "jackdaw-coordinator", version: "ZooKeeper \(Coordinator.version)",
    summary: "Runs one server of the coordination service, compatible with ZooKeeper 3.8.",
    file: "zoo.cfg", log: CoordinatorLog.server, readsEnvironment: false)

  /// Runs until SIGTERM or SIGINT.
  ///
  /// - Parameter arguments: Without the command's own name.
  /// - Returns: The process's exit status.
  public static func run(_ arguments: [String]) -> Int32 {
    command.run(arguments) { sources, file in try serve(try configuration(sources, file)) }
  }

  private static func configuration(
    _ sources: SettingSources, _ file: String
  ) throws -> CoordinatorConfig {
    let (config, warnings) = try CoordinatorConfig.load(sources, file: file)
    for warning in warnings { CoordinatorLog.server.warn(warning) }
    return config
  }

  private static func serve(_ config: CoordinatorConfig) throws -> Int32 {
    // What ends the process is written here once, by whichever comes first.
    let ending = ProcessEnding()
    let node = try CoordinatorNode(config) { failure in
      CoordinatorLog.storage.error("the disk has failed; stopping", ["reason": failure])
      ending.end(with: 10)
    }
    try Signals.onTermination(node.coordinator.loop) { _ in ending.end(with: 0) }
    CoordinatorLog.server.info(
      "coordinator started",
      [
        "clients": node.clientAddress?.description ?? "none",
        "secureClients": node.secureClientAddress?.description ?? "none", "id": config.serverID,
        "mode": config.isEnsemble ? "ensemble" : "standalone",
      ])
    let status = ending.wait()
    node.stop()
    CoordinatorLog.server.info("coordinator stopped")
    return status
  }
}
