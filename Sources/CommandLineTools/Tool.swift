import Settings

/// One subcommand of `jackdaw`.
///
/// A tool has the flags of the Kafka or ZooKeeper tool whose name it bears, writes tables for
/// people by default and JSON for programs with `--output json`, and reports a failure in one line.
protocol Tool: Sendable {
  /// As typed after `jackdaw`.
  var name: String { get }
  /// One line for the list of tools.
  var summary: String { get }
  var syntax: CommandLineSyntax { get }
  /// The arguments as the syntax shall see them; the same ones, unless the tool says otherwise.
  func prepare(_ arguments: [String]) -> [String]
  /// Does the work. Returns the exit status; throws for a failure that is one line of text.
  func run(_ line: ParsedCommandLine, on console: Console) async throws -> Int32
}

extension Tool {
  func prepare(_ arguments: [String]) -> [String] { arguments }
}

/// A failure that is told in one line, without a stack of causes.
struct ToolFailure: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

/// The list of tools, and what happens between `jackdaw` and one of them.
public enum ToolCatalogue {
  static let tools: [any Tool] = [
    LocalTool(),
    DrillTool(),
    SimulateTool(),
    TopicsTool(),
    ConsoleProducerTool(),
    ConsoleConsumerTool(),
    ConfigsTool(),
    ClientMetricsTool(),
    AclsTool(),
    ConsumerGroupsTool(),
    GetOffsetsTool(),
    DeleteRecordsTool(),
    LeaderElectionTool(),
    ReassignPartitionsTool(),
    LogDirsTool(),
    BrokerApiVersionsTool(),
    ClusterTool(),
    MetadataQuorumTool(),
    FeaturesTool(),
    ProducerPerfTool(),
    ConsumerPerfTool(),
    BenchTool(),
    CoordinationBenchTool(),
    MetadataBenchTool(),
    DumpLogTool(),
    StorageTool(),
    MetadataShellTool(),
    ZooKeeperShellTool(),
  ]

  public static let version = "0.1.0"

  /// Runs the tool that the arguments name.
  /// - Returns: 0 when it worked, 1 when it failed, 2 when the command line was wrong.
  public static func run(_ arguments: [String]) async -> Int32 {
    let console = Console()
    defer { console.flush() }
    guard let name = arguments.first, !["--help", "-h", "help"].contains(name) else {
      console.line(help)
      return arguments.isEmpty ? 2 : 0
    }
    if name == "--version" {
      console.line("jackdaw \(version)")
      return 0
    }
    guard let tool = tools.first(where: { $0.name == name }) else {
      console.problem("jackdaw: no tool is called '\(name)'; jackdaw --help lists them")
      return 2
    }
    return await run(tool, Array(arguments.dropFirst()), on: console)
  }

  private static func run(
    _ tool: any Tool, _ arguments: [String], on console: Console
  ) async -> Int32 {
    let line: ParsedCommandLine
    do {
      line = try tool.syntax.parse(tool.prepare(arguments))
    } catch {
      console.problem("jackdaw \(tool.name): \(error)")
      return 2
    }
    if line.has("--help") {
      console.line(tool.syntax.help)
      return 0
    }
    if line.has("--version") {
      console.line("jackdaw \(version)")
      return 0
    }
    do {
      return try await tool.run(line, on: console)
    } catch let error as SettingsError {
      console.problem("jackdaw \(tool.name): \(error)")
      return 2
    } catch {
      console.flush()
      console.problem("jackdaw \(tool.name): \(error)")
      return 1
    }
  }

  private static var help: String {
    let width = tools.map(\.name.count).max() ?? 0
    let rows = tools.map { tool in
      "  \(tool.name.padding(to: width))  \(tool.summary)"
    }
    return """
      jackdaw: the command-line tools of a Jackdaw or Kafka cluster

      usage: jackdaw <tool> [flags]      jackdaw <tool> --help

      \(rows.joined(separator: "\n"))
      """
  }
}

extension String {
  /// The text with spaces after it, to so many characters.
  func padding(to width: Int) -> String {
    count >= width ? self : self + String(repeating: " ", count: width - count)
  }
}
