import Platform
import Settings
import Telemetry

/// The command line that every server has: one file of properties, `--override KEY=VALUE`,
/// `--log-level`, `--help` and `--version`.
public struct ServerCommand: Sendable {
  /// As a person types it: `jackdaw-broker`.
  public let name: String
  /// The protocol's version that is told by `--version`: `Kafka 3.9.0`.
  public let version: String
  private let syntax: CommandLineSyntax
  private let log: Log
  /// Whether variables of the environment may stand for keys, as Kafka's images have it.
  private let readsEnvironment: Bool

  public init(
    name: String, version: String, summary: String, file: String, log: Log, readsEnvironment: Bool
  ) {
    self.name = name
    self.version = version
    self.log = log
    self.readsEnvironment = readsEnvironment
    syntax = CommandLineSyntax(
      command: name, summary: summary,
      flags: [
        .value("--override", "KEY=VALUE", repeatable: true, "Overrides a key of the file."),
        .value(
          "--log-level", "LEVEL", default: "info",
          "Lines below it are not printed: debug, info, warn."),
      ],
      operands: [file])
  }

  /// Serves until the process is asked to stop.
  ///
  /// Termination is blocked in this thread and all that come from it, so that whoever serves can
  /// take the signals on an event loop; a peer that goes away, and a file that may not grow, are
  /// errors of a write.
  ///
  /// - Parameters:
  ///   - arguments: without the command's own name.
  ///   - serve: gets the settings and the name of their file; blocks; returns the exit status.
  /// - Returns: the process's exit status; 1 after an error, which is logged.
  public func run(
    _ arguments: [String], _ serve: (SettingSources, String) throws -> Int32
  ) -> Int32 {
    Signals.ignoreBrokenPipes()
    Signals.ignoreFileSizeLimits()
    Signals.blockTermination()
    do {
      let line = try syntax.parse(arguments)
      if line.has("--help") {
        print(syntax.help, terminator: "")
        return 0
      }
      if line.has("--version") {
        print("\(name) (\(version))")
        return 0
      }
      if let name = line.value("--log-level") {
        guard let level = LogLevel(name) else {
          throw SettingsError(
            "must be debug, info, warn, error or off", key: "--log-level", value: name)
        }
        Log.level = level
      }
      let file = line.operands[0]
      return try serve(try settings(line, file), file)
    } catch {
      log.error("\(error)")
      return 1
    }
  }

  private func settings(_ line: ParsedCommandLine, _ file: String) throws -> SettingSources {
    guard let bytes = try FileSystem.readFile(file) else {
      throw SettingsError("\(file): no such file")
    }
    var sources = SettingSources(try Properties(parsing: bytes, file: file))
    if readsEnvironment { sources.apply(environment: ProcessInformation.environment) }
    for assignment in line.all("--override") { try sources.override(assignment) }
    return sources
  }
}
