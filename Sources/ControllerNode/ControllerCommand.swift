/// The command line of `jackdaw-controller`.
import Dispatch
import Platform
import Settings
import Synchronization
import Telemetry

public enum ControllerCommand {
  private static let log = Log("KafkaRaftServer")
  private static let syntax = CommandLineSyntax(
    command: "jackdaw-controller",
    summary: "Runs one KRaft controller of a cluster, compatible with Kafka 3.9.",
    flags: [
      .value("--override", "KEY=VALUE", repeatable: true, "Overrides a key of the file."),
      .value(
        "--log-level", "LEVEL", default: "info", "Lines below it are not printed: debug, info, …"),
    ],
    operands: ["server.properties"])

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
        print("jackdaw-controller (Kafka 3.9.0)")
        return 0
      }
      if let level = line.value("--log-level").flatMap({ LogLevel($0) }) { Log.level = level }
      return try serve(try configuration(line))
    } catch {
      log.error("\(error)")
      return 1
    }
  }

  private static func configuration(_ line: ParsedCommandLine) throws -> BrokerConfig {
    let file = line.operands[0]
    guard let bytes = try FileSystem.readFile(file) else {
      throw SettingsError("\(file): no such file")
    }
    var sources = SettingSources(try Properties(parsing: bytes, file: file))
    sources.apply(environment: ProcessInformation.environment)
    for assignment in line.all("--override") { try sources.override(assignment) }
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
    let ending = DispatchSemaphore(value: 0)
    let hasFailed = Atomic<Bool>(false)
    try Signals.onTermination(loop) { _ in ending.signal() }
    let node = try ControllerNode(config) { why in
      log.error("the metadata log failed: \(why)")
      hasFailed.store(true, ordering: .relaxed)
      ending.signal()
    }
    log.info("[KafkaRaftServer nodeId=\(config.identity.brokerID.rawValue)] Kafka Server started")
    ending.wait()
    log.info("shutting down")
    node.shutdown()
    loop.stop()
    log.info("shut down completed")
    return hasFailed.load(ordering: .relaxed) ? 1 : 0
  }
}
