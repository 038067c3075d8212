/// The command line of `jackdaw-broker`.
import Dispatch
import Platform
import Settings
import Synchronization
import Telemetry

public enum BrokerCommand {
  private static let log = Log("KafkaServer")
  private static let syntax = CommandLineSyntax(
    command: "jackdaw-broker",
    summary: "Runs one broker of a cluster, compatible with Kafka 3.9.",
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
        print("jackdaw-broker (Kafka 3.9.0)")
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
    guard config.identity.processRoles.isEmpty else {
      throw SettingsError(
        "KRaft mode is not available yet; leave the key out and name zookeeper.connect",
        key: "process.roles", value: config.identity.processRoles.joined(separator: ","))
    }
    return config
  }

  private static func serve(_ config: BrokerConfig) throws -> Int32 {
    let loop = try EventLoop(name: "control")
    let ending = DispatchSemaphore(value: 0)
    let isEnding = Atomic<Bool>(false)
    try Signals.onTermination(loop) { _ in
      // A second signal while shutting down has nothing to add.
      if !isEnding.exchange(true, ordering: .relaxed) { ending.signal() }
    }
    let node = try BrokerNode(config, controlLoop: loop) {
      try ZooKeeperMembership($0, on: $1)
    }
    ending.wait()
    node.shutdown()
    loop.stop()
    return 0
  }
}
