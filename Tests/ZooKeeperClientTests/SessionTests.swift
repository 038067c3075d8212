import Platform
import Synchronization
import Testing
import ZooKeeperProtocol

@testable import ZooKeeperClient

/// What a client has told.
final class Told: Sendable {
  let events = Mutex<[SessionEvent]>([])
  let watches = Mutex<[WatchEvent]>([])

  var options: ZooKeeperClient.Options {
    var options = ZooKeeperClient.Options()
    options.sessionTimeoutMs = 3_000
    options.seed = 1
    options.onSession = { event in self.events.withLock { $0.append(event) } }
    options.onWatch = { event in self.watches.withLock { $0.append(event) } }
    return options
  }

  func event(_ matches: @Sendable (SessionEvent) -> Bool) async throws {
    try await eventually { self.events.withLock { $0.contains(where: matches) } }
  }
}

struct NotInTime: Error {}

func eventually(_ body: () -> Bool) async throws {
  for _ in 0..<10_000 {
    if body() { return }
    try await Task.sleep(for: .milliseconds(1))
  }
  throw NotInTime()
}

/// Waits until the client has found the server again. What is sent before it has noticed that the
/// connection is gone fails, and rightly so.
func settle(_ client: ZooKeeperClient) async throws {
  for _ in 0..<1_000 {
    do throws(ZooKeeperError) {
      return try await client.sync()
    } catch {
      if error != .connectionLoss { throw error }
    }
  }
  throw NotInTime()
}

@Suite struct SessionTests {
  private func withServer(
    chroot: String = "",
    _ body: (FakeServer, ZooKeeperClient, Told) async throws -> Void
  ) async throws {
    let server = try FakeServer()
    let loop = try EventLoop(name: "zk")
    let told = Told()
    var connectString = server.connectString
    connectString.chroot = chroot
    let client = ZooKeeperClient(connectString, on: loop, told.options)
    client.start()
    do { try await body(server, client, told) } catch { Issue.record(error) }
    await client.close()
    loop.stop()
    loop.join()
    server.stop()
  }

  @Test func requestsBeforeTheConnectionAreSentWhenItIsThere() async throws {
    try await withServer { server, client, told in
      try await client.create("/a", [1, 2])
      #expect(try await client.getData("/a").data == [1, 2])
      #expect(try await client.exists("/b") == nil)
      try await client.sync()
      await #expect(throws: ZooKeeperError.nodeExists) { try await client.create("/a", nil) }
      #expect(told.events.withLock { $0 } == [.connected(sessionID: 0x101, isNew: true)])
    }
  }

  @Test func pipelinedAnswersComeInOrder() async throws {
    try await withServer { server, client, told in
      let order = Mutex<[Int]>([])
      for index in 0..<1_000 {
        client.exists("/n\(index)") { _ in order.withLock { $0.append(index) } }
      }
      try await eventually { order.withLock { $0.count == 1_000 } }
      #expect(order.withLock { $0 } == Array(0..<1_000))
    }
  }

  @Test func theSessionSurvivesALostConnection() async throws {
    try await withServer { server, client, told in
      try await client.create("/a", [1])
      _ = try await client.getData("/a", watch: true)
      _ = try await client.exists("/later", watch: true)
      server.dropConnections()
      try await told.event { $0 == .connected(sessionID: 0x101, isNew: false) }
      try await settle(client)
      let events = told.events.withLock { $0 }
      #expect(events[1] == .disconnected)
      let seen = server.seen.withLock { $0 }
      #expect(seen.connects[1].sessionID == 0x101)
      #expect(seen.connects[1].password == [UInt8](repeating: 7, count: 16))
      #expect(seen.connects[1].lastZxidSeen == 1)
      #expect(seen.setWatches.map(\.dataWatches) == [["/a"]])
      #expect(seen.setWatches.map(\.existWatches) == [["/later"]])
    }
  }

  @Test func watchesThatStayAreSetAgain() async throws {
    try await withServer { server, client, told in
      try await client.addWatch("/p", mode: .persistent)
      try await client.addWatch("/r", mode: .persistentRecursive)
      try await client.addWatch("/gone", mode: .persistent)
      try await client.removeWatches("/gone")
      await #expect(throws: ZooKeeperError.noWatcher) { try await client.removeWatches("/gone") }
      server.dropConnections()
      try await told.event { $0 == .connected(sessionID: 0x101, isNew: false) }
      try await settle(client)
      let seen = server.seen.withLock { $0 }
      #expect(seen.setWatches.map(\.persistentWatches) == [["/p"]])
      #expect(seen.setWatches.map(\.persistentRecursiveWatches) == [["/r"]])
      #expect(seen.types.contains(.setWatches2))
    }
  }

  @Test func watchesCanBeForgottenWithoutAServer() async throws {
    try await withServer { server, client, told in
      _ = try await client.exists("/x", watch: true)
      server.dropConnections(silent: true)
      try await told.event { $0 == .disconnected }
      try await client.removeWatches("/x", type: .data, isLocal: true)
      server.fallSilent(false)
      server.dropConnections()
      try await settle(client)
      #expect(server.seen.withLock { $0.setWatches.isEmpty })
    }
  }

  @Test func whatWasSentFailsWhenTheConnectionGoes() async throws {
    try await withServer { server, client, told in
      try await client.sync()
      server.fallSilent(true)
      let lost = Task { try await client.getData("/") }
      // The request must be on its way before the connection goes.
      try await eventually { client.loop.perform { client.pending.count } == 1 }
      server.dropConnections(silent: false)
      await #expect(throws: ZooKeeperError.connectionLoss) { try await lost.value }
      try await settle(client)
    }
  }

  @Test func aDeadServerIsPassedOver() async throws {
    let (one, other) = (try FakeServer(), try FakeServer())
    let loop = try EventLoop(name: "zk")
    let told = Told()
    let servers = one.connectString.servers + other.connectString.servers
    let client = ZooKeeperClient(ConnectString(servers: servers), on: loop, told.options)
    client.start()
    try await client.sync()
    let serving = one.seen.withLock { $0.connects.count } == 1 ? one : other
    let remaining = serving === one ? other : one
    remaining.adoptSession(0x101)
    serving.stop()
    try await settle(client)
    try await told.event { $0 == .connected(sessionID: 0x101, isNew: false) }
    #expect(remaining.seen.withLock { $0.connects.map(\.sessionID) } == [0x101])
    await client.close()
    loop.stop()
    loop.join()
    remaining.stop()
  }

  @Test func expiryEndsEverythingUntilANewSession() async throws {
    try await withServer { server, client, told in
      _ = try await client.exists("/x", watch: true)
      server.expireSessions()
      try await told.event { $0 == .expired }
      await #expect(throws: ZooKeeperError.sessionExpired) { try await client.sync() }
      client.startNewSession()
      try await told.event { $0 == .connected(sessionID: 0x102, isNew: true) }
      try await client.sync()
      // The old session's watches are not set again.
      #expect(server.seen.withLock { $0.setWatches.isEmpty })
    }
  }

  @Test func aSilentServerIsLeft() async throws {
    try await withServer { server, client, told in
      server.loop.perform { server.timeoutMs = 300 }
      try await client.sync()
      server.dropConnections()
      try await told.event { $0 == .connected(sessionID: 0x101, isNew: false) }
      server.fallSilent(true)
      try await eventually { told.events.withLock { $0.count { $0 == .disconnected } >= 2 } }
      server.fallSilent(false)
      try await settle(client)
    }
  }

  @Test func pingsKeepAQuietSession() async throws {
    try await withServer { server, client, told in
      server.loop.perform { server.timeoutMs = 600 }
      try await client.sync()
      server.dropConnections()
      try await settle(client)
      // Three sixths of the timeout lie between two pings at most.
      try await eventually { server.seen.withLock { $0.types.count { $0 == .ping } } >= 3 }
      #expect(await client.loop.run { client.session?.id } == 0x101)
    }
  }

  @Test func watchesFireOnceWithTheClientsPath() async throws {
    try await withServer(chroot: "/kafka") { server, client, told in
      #expect(try await client.create("/a", [1]).path == "/a")
      _ = try await client.getData("/a", watch: true)
      server.change("/kafka/a", [2])
      try await eventually { told.watches.withLock { $0 == [WatchEvent(.nodeDataChanged, "/a")] } }
      server.change("/kafka/a", [3])
      #expect(try await client.getData("/a").data == [3])
      #expect(told.watches.withLock { $0.count } == 1)
      server.dropConnections()
      try await settle(client)
      #expect(server.seen.withLock { $0.setWatches.isEmpty })
    }
  }

  @Test func multiShowsWhichOperationFailed() async throws {
    try await withServer(chroot: "/c") { server, client, told in
      let done = try await client.multi([.create("/e", [1]), .create("/f", [2])])
      #expect(done == [.create(path: "/e"), .create(path: "/f")])
      let failed = try await client.multi([
        .create("/g", nil), .check("/e", version: 9), .delete("/f"),
      ])
      #expect(failed.firstFailure?.index == 1)
      #expect(failed.firstFailure?.error == .badVersion)
    }
  }

  @Test func identitiesGoOutAgainOnEveryConnection() async throws {
    try await withServer { server, client, told in
      try await client.addAuth(scheme: "digest", Array("u:p".utf8))
      try await client.sync()
      server.dropConnections()
      try await settle(client)
      #expect(server.seen.withLock { $0.auths.count } == 2)
      server.loop.perform { server.refusesAuth = true }
      await #expect(throws: ZooKeeperError.authFailed) {
        try await client.addAuth(scheme: "digest", [])
      }
      try await told.event { $0 == .authFailed }
      await #expect(throws: ZooKeeperError.authFailed) { try await client.sync() }
    }
  }
}

@Suite struct ConnectStringTests {
  @Test func formsAreRead() throws {
    let string = try ConnectString("a:1, b ,[::1]:3,::1/kafka/x/")
    #expect(string.servers.map(\.description) == ["a:1", "b:2181", "[::1]:3", "[::1]:2181"])
    #expect(string.chroot == "/kafka/x")
    #expect(string.serverPath("/") == "/kafka/x")
    #expect(string.serverPath("/a") == "/kafka/x/a")
    #expect(string.clientPath("/kafka/x/a") == "/a")
    #expect(string.clientPath("/kafka/x") == "/")
    #expect(string.clientPath("/kafka/xy") == "/kafka/xy")
    #expect(try ConnectString("h/").chroot == "")
  }

  @Test(arguments: ["", "/x", "a:b", "a:70000", ":1", "a//b"])
  func otherTextIsRefused(_ text: String) {
    #expect(throws: ConnectString.Invalid.self) { try ConnectString(text) }
  }

  @Test func setWatchesAreCutToSize() {
    var table = WatchTable()
    for index in 0..<1_000 { table.set(by: .getData, "/node\(index)", .ok) }
    table.set(by: .getChildren2, "/", .ok)
    let requests = table.requests(relativeTo: 5, maxBytes: 1_000)
    #expect(requests.count > 10)
    #expect(requests.flatMap(\.dataWatches).count == 1_000)
    #expect(requests.flatMap(\.childWatches) == ["/"])
    #expect(requests.allSatisfy { $0.relativeZxid == 5 })
  }
}
