// Ends a broker's session as an operator's script does: by taking it over and closing it.
import Platform
import Values
import ZooKeeperClient
import ZooKeeperProtocol

enum SessionExpiry {
  /// What a broker's registration says of its session.
  struct Registration: Sendable {
    /// The zxid of the registration: the broker epoch.
    var epoch: Int64
    var session: Int64
  }

  static func registration(
    of broker: Int32, at coordination: String
  ) async throws -> Registration {
    let stat = try await withSession(at: coordination, resuming: nil) { client in
      try await client.exists("/brokers/ids/\(broker)")
    }
    guard let stat else { throw DrillProblem("broker \(broker) is not registered") }
    return Registration(epoch: stat.czxid, session: stat.ephemeralOwner)
  }

  /// The number that a znode holds as text.
  static func number(in path: String, at coordination: String) async throws -> Int32? {
    let answer = try await withSession(at: coordination, resuming: nil) { client in
      try await client.getData(path)
    }
    return Int32(String(decoding: answer.data ?? [], as: UTF8.self))
  }

  /// Closing a session ends it for whoever believed to hold it.
  static func end(_ session: Int64, at coordination: String) async throws {
    try await withSession(at: coordination, resuming: session) { _ in }
  }

  private static func withSession<T: Sendable>(
    at coordination: String, resuming session: Int64?,
    _ body: (ZooKeeperClient) async throws -> T
  ) async throws -> T {
    let address: ConnectString
    do {
      address = try ConnectString(coordination)
    } catch {
      throw DrillProblem("\(coordination): \(error)")
    }
    let loop = try EventLoop(name: "expiry")
    defer { loop.stop() }
    let session = ZnodeSession(address, on: loop, timeoutMs: 10_000, resuming: session)
    guard await session.connect(limitMs: 10_000, StopSignal()) else {
      throw DrillProblem("no session at \(coordination)")
    }
    do {
      let result = try await body(session.client)
      await session.close()
      return result
    } catch {
      await session.close()
      throw error
    }
  }
}
