import Foundation
import Settings

/// `jackdaw metadata-shell`: looks around in the cluster's metadata as if they were files.
struct MetadataShellTool: Tool {
  let name = "metadata-shell"
  let summary = "Look into a snapshot or the log of the cluster's metadata."

  var syntax: CommandLineSyntax {
    CommandLineSyntax(
      command: "jackdaw metadata-shell",
      summary: """
        Look into the cluster's metadata as if they were files: one command, or commands line by
        line at a prompt. 'ls /image' shows what there is, 'help' lists the commands.
        """,
      flags: [
        .value("--snapshot", "FILE", aliases: ["-s"], "The snapshot or log segment to read."),
        .value(
          "--directory", "DIR", aliases: ["-d"],
          "The log directory to read: its newest snapshot, and the log behind it."),
      ], takesMoreOperands: true)
  }

  /// What follows the first word that is no flag is the command.
  func prepare(_ arguments: [String]) -> [String] {
    var rest = arguments[...]
    var front: [String] = []
    while let argument = rest.first, argument.hasPrefix("-"), argument != "--" {
      front.append(rest.removeFirst())
      let takesValue = ["--snapshot", "-s", "--directory", "-d"].contains(argument)
      if takesValue, let value = rest.popFirst() { front.append(value) }
    }
    if rest.first == "--" { rest.removeFirst() }
    return rest.isEmpty ? front : front + ["--"] + rest
  }

  func run(_ line: ParsedCommandLine, on console: Console) async throws -> Int32 {
    let source: MetadataShellSource
    switch (line.value("--snapshot"), line.value("--directory")) {
    case (let file?, nil): source = try MetadataShellSource(file: file)
    case (nil, let directory?): source = try MetadataShellSource(directory: directory)
    default:
      throw SettingsError("name either of --snapshot and --directory", key: "--snapshot")
    }
    for warning in source.warnings { console.problem(warning) }
    guard line.operands.isEmpty else {
      var shell = MetadataShell(source.content, isInteractive: false) { console.line($0) }
      return shell.perform(line.operands) == .failed ? 1 : 0
    }
    let isTerminal = isatty(0) != 0
    var shell = MetadataShell(
      source.content, isInteractive: true, width: isTerminal ? Self.terminalWidth : nil
    ) { console.line($0) }
    console.line("[ Kafka Metadata Shell ]")
    while true {
      console.write(">> ")
      console.flush()
      guard let text = readLine(), shell.perform(line: text) != .ended else { break }
    }
    if isTerminal { console.line("") }
    // The lock on the directory is held until here.
    return withExtendedLifetime(source) { 0 }
  }

  /// Columns of the terminal; 80 if it does not say.
  private static var terminalWidth: Int {
    var size = winsize()
    return ioctl(1, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0 ? Int(size.ws_col) : 80
  }
}
