// Many sessions, each with one operation after the other.
import Glibc
import Platform
import Synchronization
import Values
import ZooKeeperClient
import ZooKeeperProtocol

/// A number of sessions on one event loop. The same generator serves every ensemble that is
/// measured.
final class SessionLoad: Sendable {
  enum Operation: String, Codable, CaseIterable {
    /// setData of 100 bytes on a znode of the session's own.
    case write
    /// getData of the same.
    case read
  }

  /// What a stretch of load came to.
  struct Figures: Sendable {
    var count = 0
    var failed = 0
    var latency = LatencyHistogram()
    var seconds = 0.0
  }

  private let loop: EventLoop
  private let clients: [ZooKeeperClient]

  /// - Parameter pauseMs: how long a client without a server pauses at most.
  init(
    connect: String, sessions: Int, timeoutMs: Int32 = 30_000, pauseMs: Int64 = 1_000
  ) throws {
    loop = try EventLoop(name: "sessions")
    let address = try ConnectString(connect)
    let ready = Counter()
    var clients: [ZooKeeperClient] = []
    for _ in 0..<sessions {
      var options = ZooKeeperClient.Options()
      options.sessionTimeoutMs = timeoutMs
      options.maxReconnectPauseMs = pauseMs
      options.onSession = { if case .connected(_, isNew: true) = $0 { ready.add() } }
      clients.append(ZooKeeperClient(address, on: loop, options))
    }
    self.clients = clients
    // Not all at once: a listen backlog has an end.
    for (index, client) in clients.enumerated() {
      client.start()
      if index % 100 == 99 { try ready.wait(for: index - 400, limitMs: 60_000) }
    }
    try ready.wait(for: sessions, limitMs: 120_000)
  }

  var first: ZooKeeperClient { clients[0] }

  func close() async {
    for client in clients.dropFirst() { client.close {} }
    await clients[0].close()
    loop.stop()
  }

  /// Makes each session's znode.
  func prepare() async throws {
    _ = try? await first.create("/bench", nil)
    for (index, client) in clients.enumerated() {
      let path = "/bench/\(index)"
      if try await client.exists(path) == nil { try await client.create(path, Self.payload) }
    }
  }

  private static let payload = [UInt8](repeating: 120, count: 100)

  /// Runs for a time; what is under way at its end counts.
  func run(_ operation: Operation, milliseconds: Int64) async -> Figures {
    let started = Clock.now()
    let end = started.advanced(milliseconds: milliseconds)
    let stretch = Stretch(operation, until: end)
    await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
      let left = Counter(clients.count) { continuation.resume() }
      loop.execute { [clients] in
        for (index, client) in clients.enumerated() {
          stretch.next(client, "/bench/\(index)", left)
        }
      }
    }
    var figures = stretch.figures
    figures.seconds = Double(Clock.now().nanoseconds - started.nanoseconds) / 1e9
    return figures
  }

  /// One stretch of load, confined to the loop until it is over.
  private final class Stretch: Sendable {
    private let operation: Operation
    private let end: Instant
    private let state = Mutex(Figures())

    init(_ operation: Operation, until end: Instant) {
      self.operation = operation
      self.end = end
    }

    var figures: Figures { state.withLock { $0 } }

    func next(_ client: ZooKeeperClient, _ path: String, _ left: Counter) {
      let begin = Clock.now()
      guard begin < end else { return left.subtract() }
      switch operation {
      case .write:
        client.setData(path, SessionLoad.payload, version: -1) { [self] result in
          if case .success = result {
            note(isDone: true, begin)
          } else {
            note(isDone: false, begin)
          }
          next(client, path, left)
        }
      case .read:
        client.getData(path) { [self] result in
          if case .success = result {
            note(isDone: true, begin)
          } else {
            note(isDone: false, begin)
          }
          next(client, path, left)
        }
      }
    }

    private func note(isDone: Bool, _ begin: Instant) {
      let microseconds = (Clock.now().nanoseconds - begin.nanoseconds) / 1000
      state.withLock { state in
        if isDone {
          state.count += 1
          state.latency.record(microseconds)
        } else {
          state.failed += 1
        }
      }
    }
  }
}

/// A count that one thread waits for, or that tells when it reaches zero.
final class Counter: Sendable {
  private let value: Mutex<Int>
  private let whenZero: (@Sendable () -> Void)?

  init(_ start: Int = 0, whenZero: (@Sendable () -> Void)? = nil) {
    value = Mutex(start)
    self.whenZero = whenZero
  }

  func add() { value.withLock { $0 += 1 } }

  func subtract() {
    let now = value.withLock { value in
      value -= 1
      return value
    }
    if now == 0 { whenZero?() }
  }

  func wait(for wanted: Int, limitMs: Int64) throws {
    let deadline = Clock.now().advanced(milliseconds: limitMs)
    while value.withLock({ $0 }) < wanted {
      guard Clock.now() < deadline else {
        throw BenchmarkFailure("only \(value.withLock { $0 }) of \(wanted) sessions in time")
      }
      usleep(1_000)
    }
  }
}
