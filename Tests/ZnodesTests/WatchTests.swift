import Bytes
import Testing
import Values
import ZooKeeperProtocol

@testable import Znodes

@Suite struct WatchTests {
  private let me = WatcherID(rawValue: 7)

  private func fired(_ server: TestServer) -> [String] {
    defer { server.notifications = [] }
    return server.notifications.map { "\($0.event) \($0.path)" }
  }

  @Test func watchesFireOnceForWhatTheyWaitFor() {
    let server = TestServer()
    server.watches.watchData("/a", me)
    server.watches.watchChildren("/", me)
    _ = server.create("/a")
    #expect(fired(server) == ["nodeCreated /a", "nodeChildrenChanged /"])
    _ = server.run(.setData, SetDataRequest(path: "/a", data: [1]))
    #expect(fired(server) == [])
    server.watches.watchData("/a", me)
    server.watches.watchChildren("/a", me)
    _ = server.run(.delete, PathVersionRequest(path: "/a"))
    // Both watches of one watcher make one notification of the end.
    #expect(fired(server) == ["nodeDeleted /a"])
    #expect(server.watches.count == 0)
  }

  @Test func recursiveWatchesStayAndSeeEverythingBelow() {
    let server = TestServer()
    server.watches.add("/r", me, mode: .persistentRecursive)
    _ = server.create("/r")
    _ = server.create("/r/x")
    _ = server.create("/r/x/y")
    _ = server.create("/rx")
    _ = server.run(.delete, PathVersionRequest(path: "/r/x/y"))
    #expect(
      fired(server) == [
        "nodeCreated /r", "nodeCreated /r/x", "nodeCreated /r/x/y", "nodeDeleted /r/x/y",
      ])
    let hadWatch = server.watches.remove("/r", me, type: .any)
    #expect(hadWatch)
    _ = server.create("/r/z")
    #expect(fired(server) == [])
    #expect(server.watches.data.recursiveCount == 0)
  }

  /// CVE-2024-23944: a path may be as secret as what is there.
  @Test func notificationsSayWhoMayHearOfThem() {
    let server = TestServer()
    server.watches.add("/", me, mode: .persistentRecursive)
    server.watches.watchChildren("/secret", me)
    let own = [ACL(perms: .all, id: AuthID(scheme: "digest", id: "a:h"))]
    _ = server.create("/open")
    server.identities = [own[0].id]
    _ = server.create("/secret", acl: own)
    _ = server.run(.setData, SetDataRequest(path: "/secret", data: [1]))
    _ = server.create("/secret/x")
    _ = server.run(.delete, PathVersionRequest(path: "/secret/x"))
    _ = server.run(.delete, PathVersionRequest(path: "/secret"))
    let told = server.notifications.map { "\($0.event) \($0.path) \($0.acl == nil)" }
    #expect(
      told == [
        "nodeCreated /open true", "nodeCreated /secret false", "nodeDataChanged /secret false",
        "nodeCreated /secret/x true", "nodeChildrenChanged /secret false",
        "nodeDeleted /secret/x true", "nodeDeleted /secret false",
      ])
  }

  @Test func persistentWatchesStayAndSeeTheirPathAlone() {
    let server = TestServer()
    server.watches.add("/p", me, mode: .persistent)
    _ = server.create("/p")
    _ = server.create("/p/x")
    _ = server.create("/p/x/y")
    #expect(fired(server) == ["nodeCreated /p", "nodeChildrenChanged /p"])
    server.watches.removeAll(of: me)
    #expect(server.watches.count == 0)
  }

  @Test func watchesSetAgainFireForWhatWasMissed() throws {
    let server = TestServer()
    _ = server.create("/old")
    let seen = server.database.lastZxid
    _ = server.create("/new")
    _ = server.run(.setData, SetDataRequest(path: "/old", data: [1]))
    _ = server.create("/quiet")
    var request = SetWatchesRequest(relativeZxid: seen)
    request.dataWatches = ["/old", "/gone"]
    request.existWatches = ["/new", "/never"]
    request.childWatches = ["/", "/old"]
    var body = ByteWriter()
    request.write(to: &body, type: .setWatches)
    var reader = ByteReader(body.span)
    var reply = ByteWriter()
    try server.database.read(
      .setWatches, &reader, by: Requester(session: 1, identities: [], watcher: me),
      watches: &server.watches, notifications: &server.notifications, to: &reply)
    #expect(
      fired(server) == [
        "nodeDataChanged /old", "nodeDeleted /gone", "nodeCreated /new", "nodeChildrenChanged /",
      ])
    #expect(server.watches.count == 2)
  }
}

@Suite struct SmallPartsTests {
  @Test func pathsAreJudgedAsZooKeeperDoes() {
    for good in ["/", "/a", "/a.b", "/...", "/a/.b", "/žluť", "/a b"] {
      #expect(ZnodePath.isValid(good), "\(good)")
    }
    for bad in [
      "", "a", "/a/", "//", "/a//b", "/.", "/..", "/a/./b", "/a/..", "/a\u{0}", "/\u{1}", "/\u{7f}",
      "/\u{85}", "/\u{e000}", "/\u{fff0}", "/😀",
    ] {
      #expect(!ZnodePath.isValid(bad), "\(bad)")
    }
  }

  @Test func sequenceNumbersArePadded() {
    #expect(ZnodePath.sequenceSuffix(0) == "0000000000")
    #expect(ZnodePath.sequenceSuffix(.max) == "2147483647")
    #expect(ZnodePath.sequenceSuffix(-5) == "-000000005")
    #expect(ZnodePath.sequenceSuffix(.min) == "-2147483648")
  }

  @Test func networksContainAddresses() throws {
    func has(_ network: String, _ address: String) throws -> Bool {
      try #require(Network(network)).contains(try #require(Network.address(address)))
    }
    #expect(try has("10.0.0.0/8", "10.255.1.2"))
    #expect(try !has("10.0.0.0/8", "11.0.0.0"))
    #expect(try has("192.168.1.128/25", "192.168.1.200"))
    #expect(try !has("192.168.1.128/25", "192.168.1.100"))
    #expect(try has("0.0.0.0/0", "1.2.3.4"))
    #expect(try has("::1", "0:0:0:0:0:0:0:1"))
    #expect(try has("fe80::/10", "fe80::1%eth0"))
    for bad in [
      "", "10.0.0.0/33", "10.0.0", "10.0.0.256", "1.2.3.4/x", ":::1", "::/129", "+1.2.3.4",
    ] {
      #expect(Network(bad) == nil, "\(bad)")
    }
  }

  @Test func sessionsExpireByTheTick() {
    var tracker = SessionTracker(tickMs: 1000)
    func expire(_ ms: Int64) -> [Int64] { tracker.expire(at: Instant(milliseconds: ms)) }
    func touch(_ id: Int64, _ ms: Int64) -> Bool {
      tracker.touch(id, at: Instant(milliseconds: ms))
    }
    tracker.track(1, timeoutMs: 3000, at: .zero)
    tracker.track(2, timeoutMs: 5000, at: .zero)
    #expect(expire(3500) == [])
    #expect(touch(2, 3500))
    #expect(expire(4000) == [1])
    #expect(!touch(1, 4000))
    #expect(throws: ZooKeeperError.sessionExpired) { try tracker.check(1, owner: 0) }
    tracker.remove(1)
    #expect(tracker.nextExpiry == Instant(milliseconds: 9000))
    #expect(expire(9000) == [2])
    #expect(tracker.nextExpiry == nil)
  }

  @Test func sessionsOfOneServerOwnNoEphemerals() {
    let server = TestServer(localServerID: 2)
    let (own, others, expired): (Int64, Int64, Int64) = (2 << 56 | 1, 3 << 56 | 1, 2 << 56 | 2)
    server.sessions.addLocal(own)
    #expect(server.create("/own", session: own).error == .ok)
    #expect(server.create("/others", session: others).error == .ok)
    #expect(server.create("/expired", session: expired).error == .sessionExpired)
    let ephemeral = CreateMode.ephemeral
    #expect(
      server.create("/e", mode: ephemeral, session: own).error == .ephemeralOnLocalSession)
    #expect(server.create("/e", mode: ephemeral, session: others).error == .sessionExpired)
    server.open(session: own)
    #expect(server.create("/e", mode: ephemeral, session: own).stat?.ephemeralOwner == own)
    server.sessions.removeLocal(own)
    #expect(server.create("/own2", session: own).error == .ok)
  }

  /// The table against a dictionary, through growth, removal and copies.
  @Test func theNodeTableIsATable() {
    var random = SplitMix(seed: 3)
    var table = NodeTable()
    var model: [String: NodeIndex] = [:]
    for round in 0..<20_000 {
      let name = "node-\(Int.random(in: 0..<3000, using: &random))"
      if let index = model[name] {
        if Bool.random(using: &random) {
          table.remove(index)
          model[name] = nil
        }
      } else {
        model[name] = table.insert(Node(), named: name, data: nil, under: .root)
      }
      if round % 5000 == 0 {
        let copy = table
        for (name, index) in model { #expect(copy.find("/" + name) == index) }
      }
    }
    #expect(table.count == model.count + 1)
    #expect(Int(table[.root].childCount) == model.count)
    for name in (0..<3000).map({ "node-\($0)" }) { #expect(table.find("/" + name) == model[name]) }
  }
}
