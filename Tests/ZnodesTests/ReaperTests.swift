import Testing
import Values
import ZooKeeperProtocol

@testable import Znodes

@Suite struct ReaperTests {
  private func server() -> TestServer {
    var rules = RequestRules()
    rules.extendedTypes = true
    return TestServer(rules)
  }

  private func createTTL(_ server: TestServer, _ path: String, _ ttl: Int64) {
    let create = CreateRequest(path: path, data: [], mode: .persistentWithTTL)
    #expect(server.run(.createTTL, CreateTTLRequest(create: create, ttl: ttl)).error == .ok)
  }

  private func createContainer(_ server: TestServer, _ path: String) {
    let create = CreateRequest(path: path, data: [], mode: .container)
    #expect(server.run(.createContainer, create).error == .ok)
  }

  @Test func containersGoWhenTheirLastChildHasGone() {
    let server = server()
    for path in ["/empty", "/used", "/full"] { createContainer(server, path) }
    for path in ["/used/x", "/full/x"] { _ = server.create(path) }
    _ = server.run(.delete, PathVersionRequest(path: "/used/x"))
    var reaper = ContainerReaper(maxPerMinute: 10_000, maxNeverUsedMs: 0)
    reaper.look(at: server.database.tree, now: server.time + 1_000_000)
    #expect(reaper.next() == "/used")
    #expect(reaper.next() == nil)
    // Stat shows no owner for what is no ephemeral.
    let index = server.database.tree.find("/full")!
    #expect(server.database.tree.stat(of: index).ephemeralOwner == 0)
  }

  @Test func containersThatWereNeverUsedGoAfterTheirTime() {
    let server = server()
    createContainer(server, "/c")
    var reaper = ContainerReaper(maxPerMinute: 10_000, maxNeverUsedMs: 5000)
    reaper.look(at: server.database.tree, now: server.time + 5000)
    #expect(reaper.isIdle)
    reaper.look(at: server.database.tree, now: server.time + 5001)
    #expect(reaper.next() == "/c")
  }

  @Test func ttlsGoWhenNothingHasChangedForTheirTime() {
    let server = server()
    createTTL(server, "/short", 100)
    createTTL(server, "/long", 100_000)
    createTTL(server, "/parent", 100)
    _ = server.create("/parent/x")
    var reaper = ContainerReaper(maxPerMinute: 60, maxNeverUsedMs: 0)
    #expect(reaper.intervalMs == 1000)
    reaper.look(at: server.database.tree, now: server.time)
    #expect(reaper.isIdle)
    reaper.look(at: server.database.tree, now: server.time + 200)
    #expect(reaper.next() == "/short")
    #expect(reaper.isIdle)
    _ = server.run(.setData, SetDataRequest(path: "/short", data: [1]))
    reaper.look(at: server.database.tree, now: server.time + 100)
    #expect(reaper.isIdle)
  }

  /// Between the look and its turn a znode may have come to life again.
  @Test func aDeletionIsJudgedWhenItsTurnComes() {
    let server = server()
    createContainer(server, "/c")
    _ = server.create("/c/x")
    _ = server.create("/plain")
    func reap(_ path: String) -> ZooKeeperError {
      server.propose(.deleteContainer, Array(path.utf8), session: 0)
      return server.applyOne().error
    }
    #expect(reap("/c") == .notEmpty)
    #expect(reap("/none") == .noNode)
    #expect(reap("/zookeeper") == .badArguments)
    _ = server.run(.delete, PathVersionRequest(path: "/c/x"))
    #expect(reap("/c") == .ok)
    #expect(server.database.tree.find("/c") == nil)
  }

  @Test func timesToLiveHaveLimits() {
    let server = server()
    let create = CreateRequest(path: "/t", data: [], mode: .persistentWithTTL)
    for ttl in [0, -1, 0x0100_0000_0000] as [Int64] {
      let request = CreateTTLRequest(create: create, ttl: ttl)
      #expect(server.run(.createTTL, request).error == .badArguments)
    }
    #expect(server.run(.create, create).error == .badArguments)
    #expect(server.run(
      .createTTL, CreateTTLRequest(create: create, ttl: 0xff_ffff_ffff)).error == .ok)
    let sequential = CreateRequest(path: "/s-", data: [], mode: .persistentSequentialWithTTL)
    let result = server.run(.createTTL, CreateTTLRequest(create: sequential, ttl: 5))
    #expect(result.path == "/s-0000000001")
    #expect(result.stat?.ephemeralOwner == 0)
  }
}
