import Foundation
import Platform
import Settings
import Synchronization
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
      ], operands: ["host:port[/chroot]"], takesMoreOperands: true)
  }

  /// What follows the address is the command, dashes and all.
  func prepare(_ arguments: [String]) -> [String] {
    var rest = arguments[...]
    var front: [String] = []
    while let argument = rest.first, argument.hasPrefix("-") {
      front.append(rest.removeFirst())
      if argument.hasPrefix("--"), !argument.contains("="), argument.hasSuffix("timeout"),
        let value = rest.first
      {
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
      console)
    try await session.connect(limitMs: try line.integer("--timeout", in: 1...600_000) ?? 15_000)
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
      last = await session.perform(ShellWords.split(text))
      console.flush()
      if last == .ended { break }
    }
    await session.close()
    return last == .failed ? 1 : 0
  }
}

/// A connected session and the commands run in it.
final class ShellSession: Sendable {
  enum Outcome { case done, failed, ended }

  private let loop: EventLoop
  let client: ZooKeeperClient
  let console: Console
  private let connected: AsyncStream<SessionEvent>

  init(_ address: ConnectString, timeoutMs: Int32, _ console: Console) throws {
    loop = try EventLoop(name: "zookeeper-shell")
    self.console = console
    let (stream, continuation) = AsyncStream.makeStream(of: SessionEvent.self)
    connected = stream
    var options = ZooKeeperClient.Options()
    options.sessionTimeoutMs = timeoutMs
    options.onSession = { continuation.yield($0) }
    options.onWatch = { event in
      console.line("WATCHER:: \(event.type) path:\(event.path)")
      console.flush()
    }
    client = ZooKeeperClient(address, on: loop, options)
  }

  func connect(limitMs: Int) async throws {
    client.start()
    let stream = connected
    let isConnected = await withTaskGroup(of: Bool.self) { group in
      group.addTask {
        for await event in stream {
          if case .connected = event { return true }
        }
        return false
      }
      group.addTask {
        try? await Task.sleep(for: .milliseconds(limitMs))
        return false
      }
      defer { group.cancelAll() }
      return await group.next() ?? false
    }
    guard isConnected else {
      throw ToolFailure("no server of \(client.connectString) answered within \(limitMs) ms")
    }
  }

  func close() async {
    await client.close()
    loop.stop()
  }

  func perform(_ words: [String]) async -> Outcome {
    guard let name = words.first else { return .done }
    if ["quit", "close"].contains(name) { return .ended }
    do {
      try await ShellCommand.run(name, ShellArguments(Array(words.dropFirst())), in: self)
      return .done
    } catch let error as ShellCommand.Problem {
      console.problem(error.description)
    } catch {
      console.problem("\(error)")
    }
    return .failed
  }
}

/// Splits a line into words; quotes keep spaces.
enum ShellWords {
  static func split(_ line: String) -> [String] {
    var words: [String] = []
    var word = ""
    var quote: Character?
    var isOpen = false
    for character in line {
      if let open = quote {
        if character == open { quote = nil } else { word.append(character) }
      } else if character == "\"" || character == "'" {
        quote = character
        isOpen = true
      } else if character.isWhitespace {
        if isOpen { words.append(word) }
        word = ""
        isOpen = false
      } else {
        word.append(character)
        isOpen = true
      }
    }
    if isOpen { words.append(word) }
    return words
  }
}
