// The command line of `jackdaw-coordinator`.

import Dispatch
import Platform
import Settings
import Synchronization
import Telemetry

public enum CoordinatorCommand {
  private static let syntax = CommandLineSyntax(
    command: "jackdaw-coordinator",
    summary: "Runs one server of the coordination service, compatible with ZooKeeper 3.8.",
    flags: [
      .value("--override", "KEY=VALUE", repeatable: true, "Overrides a key of the file."),
      .value(
        "--log-level", "LEVEL", default: "info",
        "Lines below it are not printed: debug, info, warn."),
    ],
    operands: ["zoo.cfg"])

  /// Runs until SIGTERM or SIGINT.
  ///
  /// - Parameter arguments: Without the command's own name.
  /// - Returns: The process's exit status.
  public static func run(_ arguments: [String]) -> Int32 {
    Signals.ignoreBrokenPipes()
    Signals.blockTermination()
    do {
      let line = try syntax.parse(arguments)
      if line.has("--help") {
        print(syntax.help, terminator: "")
        return 0
      }
      if line.has("--version") {
        print("jackdaw-coordinator (ZooKeeper \(Coordinator.version))")
        return 0
      }
      if let level = line.value("--log-level").flatMap({ LogLevel($0) }) { Log.level = level }
      return try serve(try configuration(line))
    } catch {
      complain("\(error)")
      return 1
    }
  }

  private static func configuration(
    _ line: ParsedCommandLine
  ) throws -> CoordinatorConfig {
    let file = line.operands[0]
    guard let bytes = try FileSystem.readFile(file) else {
      throw SettingsError("\(file): no such file")
    }
    var sources = SettingSources(try Properties(parsing: bytes, file: file))
    for assignment in line.all("--override") { try sources.override(assignment) }
    let (config, warnings) = try CoordinatorConfig.load(sources, file: file)
    for warning in warnings { CoordinatorLog.server.warn(warning) }
    return config
  }

  private static func serve(_ config: CoordinatorConfig) throws -> Int32 {
    // What ends the process is written here once, by whichever comes first.
    let ending = Ending()
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

  private static func complain(_ text: String) {
    CoordinatorLog.server.error(text)
  }
}

/// The end of a process: told by any thread, waited for by the first.
private final class Ending: Sendable {
  private let semaphore = DispatchSemaphore(value: 0)
  private let status = StatusBox()

  func end(with code: Int32) {
    if status.set(code) { semaphore.signal() }
  }

  func wait() -> Int32 {
    semaphore.wait()
    return status.value
  }
}

private final class StatusBox: Sendable {
  private let code = Mutex<Int32?>(nil)

  var value: Int32 { code.withLock { $0 ?? 0 } }

  /// False when it was set before.
  func set(_ value: Int32) -> Bool {
    code.withLock { code in
      defer { code = code ?? value }
      return code == nil
    }
  }
}
