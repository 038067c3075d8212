import Foundation
import Platform
import Synchronization
import ZooKeeperClient
import ZooKeeperProtocol

/// A session with an ensemble, the commands run in it, and what they were.
final class ShellSession: Sendable {
  enum Outcome { case done, failed, ended }

  /// Commands about the session itself.
  static let usages = [
    "close", "connect host:port", "help", "history", "printwatches on|off", "quit", "redo cmdno",
  ]

  private struct State {
    var client: ZooKeeperClient?
    var printsWatches = true
    /// Lines of the prompt, oldest first.
    var history: [String] = []
  }

  let console: Console
  private let loop: EventLoop
  private let address: ConnectString
  private let timeoutMs: Int32
  private let limitMs: Int
  private let tls: TLSContext?
  private let state = Mutex(State())

  /// - Parameters:
  ///   - timeoutMs: Of the session, asked of the ensemble.
  ///   - limitMs: How long a connection is waited for.
  init(
    _ address: ConnectString, timeoutMs: Int32, limitMs: Int, tls: TLSContext?, _ console: Console
  ) throws {
    loop = try EventLoop(name: "zookeeper-shell")
    self.address = address
    self.timeoutMs = timeoutMs
    self.limitMs = limitMs
    self.tls = tls
    self.console = console
  }

  /// The client; commands that need one fail without.
  func client() throws(ZooKeeperError) -> ZooKeeperClient {
    guard let client = state.withLock({ $0.client }) else { throw .connectionLoss }
    return client
  }

  // MARK: Connecting

  /// Connects, in place of the connection there was.
  func connect(to address: ConnectString? = nil) async throws {
    await disconnect()
    let address = address ?? self.address
    let (events, continuation) = AsyncStream.makeStream(of: SessionEvent.self)
    var options = ZooKeeperClient.Options()
    options.sessionTimeoutMs = timeoutMs
    options.tls = tls
    options.onSession = { continuation.yield($0) }
    options.onWatch = { [weak self] in self?.show($0) }
    let client = ZooKeeperClient(address, on: loop, options)
    client.start()
    let limit = limitMs
    let isConnected = await withTaskGroup(of: Bool.self) { group in
      group.addTask {
        for await event in events {
          if case .connected = event { return true }
        }
        return false
      }
      group.addTask {
        try? await Task.sleep(for: .milliseconds(limit))
        return false
      }
      defer { group.cancelAll() }
      return await group.next() ?? false
    }
    guard isConnected else {
      await client.close()
      throw ToolFailure("no server of \(address) answered within \(limit) ms")
    }
    state.withLock { $0.client = client }
  }

  private func disconnect() async {
    let client = state.withLock { state in
      defer { state.client = nil }
      return state.client
    }
    await client?.close()
  }

  func close() async {
    await disconnect()
    loop.stop()
  }

  /// A watch has fired: ZooKeeper's two lines, which scripts wait for.
  private func show(_ event: WatchEvent) {
    guard state.withLock({ $0.printsWatches }) else { return }
    let name = "\(event.type)".prefix(1).uppercased() + "\(event.type)".dropFirst()
    console.line("\nWATCHER::\n")
    console.line("WatchedEvent state:SyncConnected type:\(name) path:\(event.path)")
    console.flush()
  }

  // MARK: Commands

  /// Runs a line of the prompt, and remembers it.
  func perform(line: String) async -> Outcome {
    let words = ShellWords.split(line)
    guard !words.isEmpty else { return .done }
    state.withLock { $0.history.append(line) }
    return await perform(words)
  }

  func perform(_ words: [String]) async -> Outcome {
    guard let name = words.first else { return .done }
    do {
      switch name {
      case "quit": return .ended
      case "close": await disconnect()
      case "help": console.line(ShellCommand.help)
      case "connect": try await connect(to: words.count > 1 ? try ConnectString(words[1]) : nil)
      case "history": showHistory()
      case "printwatches": try printWatches(words)
      case "redo": return try await redo(words)
      default:
        guard ShellCommand.entries[name] == nil || name == "version" || isOpen else {
          throw ShellCommand.Problem("Not connected")
        }
        try await ShellCommand.run(name, Array(words.dropFirst()), in: self)
      }
      return .done
    } catch let error as ShellCommand.Problem {
      console.problem(error.description)
    } catch {
      console.problem("\(error)")
    }
    return .failed
  }

  private var isOpen: Bool { state.withLock { $0.client != nil } }

  /// The last eleven commands with their numbers.
  private func showHistory() {
    let history = state.withLock { $0.history }
    for (number, line) in history.enumerated().suffix(11) { console.line("\(number) - \(line)") }
  }

  private func printWatches(_ words: [String]) throws {
    guard words.count > 1 else {
      let isOn = state.withLock { $0.printsWatches }
      return console.line("printwatches is \(isOn ? "on" : "off")")
    }
    state.withLock { $0.printsWatches = words[1] == "on" }
  }

  private func redo(_ words: [String]) async throws -> Outcome {
    guard words.count > 1, let number = Int(words[1]) else {
      throw ShellCommand.Problem("usage: redo cmdno")
    }
    let line = state.withLock { state -> String? in
      // The line that asks is the last one.
      guard number >= 0, number < state.history.count - 1 else { return nil }
      let line = state.history[number]
      state.history[state.history.count - 1] = line
      return line
    }
    guard let line else { throw ShellCommand.Problem("Command index out of range") }
    let words = ShellWords.split(line)
    guard words.first != "redo" else { throw ShellCommand.Problem("No redoing redos") }
    return await perform(words)
  }
}
