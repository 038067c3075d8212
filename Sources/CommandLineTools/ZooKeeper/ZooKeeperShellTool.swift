import Foundation
import Platform
import Settings
import ZooKeeperClient
import ZooKeeperProtocol

/// `jackdaw zookeeper-shell host:port[/chroot] [command]`: one command, or a prompt.
struct ZooKeeperShellTool: Tool {
  let name = "zookeeper-shell"
  let summary = "Look at and change znodes."

  var syntax: CommandLineSyntax {
    CommandLineSyntax(
      command: "jackdaw zookeeper-shell",
      summary: """
        Look at and change znodes, as zookeeper-shell does: one command, or commands line by line.

        \(ShellCommand.help)
        """,
      flags: [
        .value("--session-timeout", "MS", default: "30000", "Asked of the ensemble."),
        .value("--timeout", "MS", default: "15000", "How long to wait for a connection."),
        .value(
          "--zk-tls-config-file", "FILE",
          "zookeeper.ssl.* keys of a TLS connection; also -zk-tls-config-file."),
      ], operands: ["host:port[/chroot]"], takesMoreOperands: true)
  }

  /// What follows the address is the command, dashes and all; Kafka's one flag has one dash, and
  /// may stand behind the address.
  func prepare(_ arguments: [String]) -> [String] {
    var rest = arguments[...]
    var front: [String] = []
    if let place = rest.firstIndex(of: "-zk-tls-config-file"), place + 1 < rest.endIndex {
      front = ["--zk-tls-config-file", rest[place + 1]]
      rest.removeSubrange(place...(place + 1))
    }
    while let argument = rest.first, argument.hasPrefix("-") {
      front.append(rest.removeFirst())
      let takesValue = argument.hasSuffix("timeout") || argument == "--zk-tls-config-file"
      if argument.hasPrefix("--"), !argument.contains("="), takesValue, let value = rest.first {
        front.append(value)
        rest.removeFirst()
      }
    }
    guard let address = rest.popFirst() else { return front }
    return front + [address, "--"] + rest
  }

  func run(_ line: ParsedCommandLine, on console: Console) async throws -> Int32 {
    let address: ConnectString
    do {
      address = try ConnectString(line.operands[0])
    } catch {
      throw SettingsError("\(error)", key: "host:port")
    }
    let session = try ShellSession(
      address, timeoutMs: Int32(try line.integer("--session-timeout", in: 1...1_000_000) ?? 30_000),
      limitMs: try line.integer("--timeout", in: 1...600_000) ?? 15_000,
      tls: try Self.tls(line.value("--zk-tls-config-file")), console)
    try await session.connect()
    let words = Array(line.operands.dropFirst())
    if !words.isEmpty {
      let status = await session.perform(words)
      await session.close()
      return status == .failed ? 1 : 0
    }
    console.problem("connected to \(address); 'help' lists the commands, 'quit' ends")
    var last: ShellSession.Outcome = .done
    while true {
      if isatty(0) != 0 {
        console.write("[zk: \(address)] ")
        console.flush()
      }
      guard let text = readLine() else { break }
      let outcome = await session.perform(line: text)
      console.flush()
      if outcome == .ended { break }
      last = outcome
    }
    await session.close()
    return last == .failed ? 1 : 0
  }

  /// - Parameter flag: how the flag is named in complaints.
  static func tls(_ file: String?, flag: String = "-zk-tls-config-file") throws -> TLSContext? {
    guard let file else { return nil }
    guard let bytes = try FileSystem.readFile(file) else {
      throw SettingsError("no such file", key: flag, value: file)
    }
    let sources = SettingSources(try Properties(parsing: bytes, file: file))
    do {
      guard let settings = try TLSSettings(zooKeeperKeys: { sources[$0]?.value }) else {
        throw TLSError("zookeeper.ssl.client.enable is not true")
      }
      return try TLSContext(settings, as: .client)
    } catch {
      throw SettingsError("\(error)", key: flag, value: file)
    }
  }
}
