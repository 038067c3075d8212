import Bytes
import Testing
import Values
import ZooKeeperProtocol

@testable import Znodes

@Suite struct QuotaTests {
  /// Creates the znodes of a quota as `setquota` does.
  private func setQuota(_ server: TestServer, _ path: String, _ limits: String) {
    var above = "/zookeeper/quota"
    for name in path.split(separator: "/") {
      above += "/\(name)"
      _ = server.create(above)
    }
    #expect(server.create("\(above)/zookeeper_limits", Array(limits.utf8)).error == .ok)
    #expect(server.create("\(above)/zookeeper_stats", Array("count=0,bytes=0".utf8)).error == .ok)
  }

  private func stats(_ database: Database, _ path: String) -> String {
    guard let index = database.tree.find("/zookeeper/quota\(path)/zookeeper_stats")
    else { return "none" }
    return String(decoding: database.tree.data(of: index) ?? [], as: UTF8.self)
  }

  private func enforcing() -> TestServer {
    var rules = RequestRules()
    rules.enforcesQuota = true
    return TestServer(rules)
  }

  @Test func recordsReadWhatTheyWrite() {
    func text(_ source: String) -> String {
      String(decoding: QuotaRecord(Array(source.utf8)).data, as: UTF8.self)
    }
    #expect(text("") == "count=-1,bytes=-1")
    #expect(text("count=4,bytes=5") == "count=4,bytes=5")
    #expect(
      text("count=4,bytes=5=;countHardLimit=8;byteHardLimit=9")
        == "count=4,bytes=5=;byteHardLimit=9;countHardLimit=8")
    #expect(text("count=,bytes=x;new=7;") == "count=-1,bytes=-1=;new=7")
  }

  @Test func statsFollowTheSubtree() {
    let server = TestServer()
    _ = server.create("/a", [1, 2, 3])
    _ = server.create("/a/b", [4])
    setQuota(server, "/a", "count=10,bytes=100")
    // What was there when the quota came counts too, the znode itself included.
    #expect(stats(server.database, "/a") == "count=2,bytes=4")
    _ = server.create("/a/b/c", [5, 6])
    _ = server.run(.setData, SetDataRequest(path: "/a", data: [1]))
    #expect(stats(server.database, "/a") == "count=3,bytes=4")
    _ = server.create("/ab", [1])
    _ = server.run(.delete, PathVersionRequest(path: "/a/b/c"))
    #expect(stats(server.database, "/a") == "count=2,bytes=2")
    let index = server.database.tree.find("/zookeeper/quota/a/zookeeper_stats")!
    #expect(server.database.tree.stat(of: index).version == 0)
  }

  @Test func theNearestQuotaCounts() {
    let server = TestServer()
    _ = server.create("/a")
    _ = server.create("/a/b")
    setQuota(server, "/a", "count=10,bytes=-1")
    setQuota(server, "/a/b", "count=10,bytes=-1")
    _ = server.create("/a/b/c")
    #expect(stats(server.database, "/a/b") == "count=2,bytes=0")
    #expect(stats(server.database, "/a") == "count=2,bytes=0")
    _ = server.run(
      .delete, PathVersionRequest(path: "/zookeeper/quota/a/b/zookeeper_limits"))
    _ = server.create("/a/b/d")
    #expect(stats(server.database, "/a/b") == "count=2,bytes=0")
    #expect(stats(server.database, "/a") == "count=3,bytes=0")
  }

  /// As `quota_*_per_namespace` shows them.
  @Test func quotasAreSummedUpByTheFirstPartOfTheirPaths() {
    let server = enforcing()
    for path in ["/a", "/a/b", "/c"] { _ = server.create(path, [7]) }
    setQuota(server, "/a", "count=10,bytes=20=;byteHardLimit=5;countHardLimit=-1")
    setQuota(server, "/a/b", "count=3,bytes=-1")
    setQuota(server, "/c", "count=4,bytes=1=;byteHardLimit=1")
    let totals = server.database.tree.quotaTotals
    #expect(totals.map(\.namespace) == ["a", "c"])
    #expect(totals[0].totals == QuotaTotals(countLimit: 13, byteLimit: 4, count: 3, bytes: 3))
    #expect(totals[1].totals == QuotaTotals(countLimit: 4, byteLimit: 1, count: 1, bytes: 1))
    server.propose(.create, CreateRequest(path: "/c/d", data: [1]).encoded())
    #expect(server.preparer.refusedQuotas == ["/c"])
  }

  @Test func quotasSurviveASnapshot() throws {
    let server = enforcing()
    _ = server.create("/a", [1, 2, 3])
    setQuota(server, "/a", "count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=2")
    _ = server.create("/a/b")
    var writer = ByteWriter()
    var snapshot = SnapshotWriter(server.database)
    while snapshot.write(to: &writer, atLeast: 1000) {}
    var loader = SnapshotLoader()
    let bytes = writer.array()
    var reader = ByteReader(bytes.span.bytes)
    let isDone = try loader.consume(&reader)
    #expect(isDone)
    let size = server.database.tree.approximateDataSize
    server.database = loader.finish(zxid: server.database.lastZxid)
    #expect(stats(server.database, "/a") == "count=2,bytes=3")
    #expect(server.database.tree.approximateDataSize == size)
    #expect(server.create("/a/c").error == .quotaExceeded)
  }

  @Test func hardLimitsAreKeptWhereEnforced() {
    let server = enforcing()
    _ = server.create("/a", [1])
    setQuota(server, "/a", "count=-1,bytes=-1=;byteHardLimit=10;countHardLimit=3")
    #expect(server.create("/a/1", [0, 0, 0, 0]).error == .ok)
    #expect(server.create("/a/2", [0, 0, 0, 0, 0, 0]).error == .quotaExceeded)
    func set(_ count: Int) -> ZooKeeperError {
      server.run(.setData, SetDataRequest(path: "/a/1", data: .zeros(count))).error
    }
    #expect(set(10) == .quotaExceeded)
    #expect(set(9) == .ok)
    // Nothing grows: allowed however full the quota is.
    #expect(set(9) == .ok)
    #expect(server.create("/a/2").error == .ok)
    #expect(server.create("/a/3").error == .quotaExceeded)
    let lax = TestServer()
    _ = lax.create("/a")
    setQuota(lax, "/a", "count=-1,bytes=-1=;countHardLimit=1")
    #expect(lax.create("/a/1").error == .ok)
  }

  @Test func softLimitsAreToldOf() {
    let server = enforcing()
    _ = server.create("/a")
    setQuota(server, "/a", "count=1,bytes=-1")
    #expect(server.create("/a/1").error == .ok)
    #expect(server.preparer.exceededQuotas == ["/a"])
  }

  @Test func nonsenseInTheStatsDoesNoHarm() {
    let server = TestServer()
    setQuota(server, "/a", "count=1,bytes=1")
    let path = "/zookeeper/quota/a/zookeeper_stats"
    let huge = Array("count=9223372036854775807,bytes=x".utf8)
    _ = server.run(.setData, SetDataRequest(path: path, data: huge))
    #expect(server.create("/a").error == .ok)
    #expect(stats(server.database, "/a") == "count=-9223372036854775808,bytes=-1")
    #expect(server.create("/zookeeper/quota/zookeeper_limits").error == .ok)
    #expect(server.database.tree.quotas == ["/a"])
  }
}

extension [UInt8] {
  fileprivate static func zeros(_ count: Int) -> [UInt8] { .init(repeating: 0, count: count) }
}
