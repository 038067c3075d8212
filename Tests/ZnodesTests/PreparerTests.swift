import Bytes
import Testing
import Values
import ZooKeeperProtocol

@testable import Znodes

/// A lone server without files and sockets: prepare, wait, apply.
final class TestServer {
  var database: Database
  var sessions: SessionTracker
  var preparer: RequestPreparer
  var watches = WatchTable()
  var notifications: [WatchNotification] = []
  var pipeline: [Txn] = []
  var time: Int64 = 1_700_000_000_000
  var identities = [AuthID(scheme: "ip", id: "127.0.0.1")]

  init(_ rules: RequestRules = RequestRules(), localServerID: Int64? = nil) {
    database = Database(extendedTypes: rules.extendedTypes)
    sessions = SessionTracker(tickMs: 1000, localServerID: localServerID)
    preparer = RequestPreparer(lastZxid: 0, rules: rules)
    open(session: 1)
    flush()
  }

  func open(session: Int64) {
    var writer = ByteWriter()
    writer.writeInt32(10_000)
    propose(.createSession, writer.array(), session: session)
  }

  @discardableResult
  func propose(_ type: OpCode, _ body: [UInt8], session: Int64 = 1) -> Txn {
    time += 1
    let request = WriteRequest(
      session: session, cxid: 1, type: type, body: body, identities: identities, owner: 0)
    let txn = preparer.prepare(
      request, over: database, sessions: &sessions, at: .zero,
      wallTime: WallTime(milliseconds: time))
    pipeline.append(txn)
    return txn
  }

  /// Applies the oldest transaction of the pipeline.
  @discardableResult
  func applyOne() -> TxnResult {
    let txn = pipeline.removeFirst()
    var changes: [ZnodeChange] = []
    let result = database.replay(txn, changes: &changes)
    for change in changes { watches.trigger(change, into: &notifications) }
    preparer.retire(through: txn.header.zxid)
    if let digest = txn.digest { #expect(digest.treeDigest == database.tree.digest, "\(txn)") }
    if case .closeSession = txn.body { sessions.remove(txn.header.clientID) }
    return result
  }

  func flush() { while !pipeline.isEmpty { applyOne() } }

  @discardableResult
  func run(_ type: OpCode, _ record: some JuteRecord, session: Int64 = 1) -> TxnResult {
    propose(type, record.encoded(), session: session)
    while pipeline.count > 1 { applyOne() }
    return applyOne()
  }

  func create(
    _ path: String, _ data: [UInt8]? = [], mode: CreateMode = .persistent,
    acl: [ACL] = ACL.openUnsafe, session: Int64 = 1
  ) -> TxnResult {
    run(.create2, CreateRequest(path: path, data: data, acl: acl, mode: mode), session: session)
  }
}

@Suite struct PreparerTests {
  @Test func creationFollowsTheRules() {
    let server = TestServer()
    #expect(server.create("/a").error == .ok)
    #expect(server.create("/a").error == .nodeExists)
    #expect(server.create("/b/c").error == .noNode)
    #expect(server.create("/a/").error == .badArguments)
    #expect(server.create("/a//b").error == .noNode)
    #expect(server.create("/a/..").error == .badArguments)
    #expect(server.create("a").error == .badArguments)
    #expect(server.create("/x", acl: []).error == .invalidACL)
    #expect(server.create("/x", session: 9).error == .sessionExpired)
    #expect(server.create("/e", mode: .ephemeral).stat?.ephemeralOwner == 1)
    #expect(server.create("/e/x").error == .noChildrenForEphemerals)
    #expect(server.create("/t", mode: .persistentWithTTL).error == .unimplemented)
    // Refused requests took zxids too.
    #expect(server.database.lastZxid == 13)
  }

  @Test func sequencesCountCreationsOfTheParent() {
    let server = TestServer()
    _ = server.create("/q")
    #expect(server.create("/q/n-", mode: .persistentSequential).path == "/q/n-0000000000")
    _ = server.create("/q/other")
    #expect(server.create("/q/n-", mode: .ephemeralSequential).path == "/q/n-0000000002")
    _ = server.run(.delete, PathVersionRequest(path: "/q/other"))
    #expect(server.create("/q/", mode: .persistentSequential).path == "/q/0000000003")
    #expect(server.database.tree.stat(of: server.database.tree.find("/q")!).cversion == 5)
  }

  @Test func aPipelineIsJudgedByWhatWasProposed() {
    let server = TestServer()
    _ = server.create("/p")
    server.propose(.create, CreateRequest(path: "/p/a", data: []).encoded())
    let refused = server.propose(.delete, PathVersionRequest(path: "/p").encoded())
    #expect(refused.body == .error(.notEmpty))
    server.propose(.setData, SetDataRequest(path: "/p/a", data: [1], version: 0).encoded())
    let stale = server.propose(
      .setData, SetDataRequest(path: "/p/a", data: [2], version: 0).encoded())
    #expect(stale.body == .error(.badVersion))
    server.propose(.delete, PathVersionRequest(path: "/p/a", version: 1).encoded())
    server.propose(.delete, PathVersionRequest(path: "/p").encoded())
    server.flush()
    #expect(server.database.tree.find("/p") == nil)
    #expect(server.preparer.outstandingCount == 0)
  }

  @Test func aFailedMultiChangesNothingAndTellsWhere() {
    let server = TestServer()
    _ = server.create("/m")
    let multi = MultiRequest([
      .create(.create, CreateRequest(path: "/m/s-", data: [], mode: .persistentSequential)),
      .check(PathVersionRequest(path: "/m", version: 7)),
      .delete(PathVersionRequest(path: "/m")),
    ])
    let result = server.run(.multi, multi)
    #expect(result.nested.map(\.error) == [.ok, .badVersion, .runtimeInconsistency])
    #expect(result.nested.allSatisfy { $0.type == .error })
    // The number was not used up.
    #expect(server.create("/m/s-", mode: .persistentSequential).path == "/m/s-0000000000")
  }

  @Test func aMultiSeesItsOwnChanges() {
    let server = TestServer()
    let multi = MultiRequest([
      .create(.create2, CreateRequest(path: "/n", data: [])),
      .setData(SetDataRequest(path: "/n", data: [1], version: 0)),
      .check(PathVersionRequest(path: "/n", version: 1)),
      .create(.create, CreateRequest(path: "/n/x", data: [])),
      .delete(PathVersionRequest(path: "/n/x")),
    ])
    let result = server.run(.multi, multi)
    #expect(result.error == .ok)
    #expect(result.nested.map(\.type) == [.create, .setData, .check, .create, .delete])
    #expect(result.nested[1].stat?.version == 1)
  }

  /// `closeSessionTxn.enabled=false`: as servers of 3.5 write it; what goes is found in the tree.
  @Test func theEndOfASessionNeedNotNameItsEphemerals() {
    var rules = RequestRules()
    rules.namesEphemerals = false
    let server = TestServer(rules)
    server.open(session: 2)
    _ = server.create("/e", mode: .ephemeral, session: 2)
    #expect(server.propose(.closeSession, [], session: 2).body == .closeSession(paths: nil))
    server.flush()
    #expect(server.database.tree.find("/e") == nil)
  }

  @Test func closingASessionTakesItsEphemerals() {
    let server = TestServer()
    server.open(session: 2)
    _ = server.create("/e1", mode: .ephemeral, session: 2)
    // Still in the pipeline when the session is closed.
    server.propose(
      .create, CreateRequest(path: "/e2", data: [], mode: .ephemeral).encoded(), session: 2)
    server.propose(.delete, PathVersionRequest(path: "/e1").encoded())
    let close = server.propose(.closeSession, [], session: 2)
    #expect(close.body == .closeSession(paths: ["/e2"]))
    let late = server.propose(.create, CreateRequest(path: "/z", data: []).encoded(), session: 2)
    #expect(late.body == .error(.sessionExpired))
    server.flush()
    #expect(server.database.tree.find("/e2") == nil)
    #expect(server.database.sessions.keys.sorted() == [1])
    #expect(server.database.tree.ephemeralCount == 0)
  }

  @Test func requestsByWayOfAnotherServerAreMoved() {
    let server = TestServer()
    let request = WriteRequest(
      session: 1, cxid: 1, type: .create, body: CreateRequest(path: "/a", data: []).encoded(),
      owner: 5)
    let txn = server.preparer.prepare(
      request, over: server.database, sessions: &server.sessions, at: .zero,
      wallTime: WallTime(milliseconds: 0))
    #expect(txn.body == .error(.sessionMoved))
  }

  @Test func accessIsControlled() {
    let server = TestServer()
    let alice = AuthID(scheme: "digest", id: "alice:hash")
    #expect(server.create("/x", acl: ACL.creatorAll).error == .invalidACL)
    server.identities.append(alice)
    #expect(server.create("/own", acl: ACL.creatorAll).error == .ok)
    #expect(
      server.create("/local", acl: [ACL(perms: .all, id: AuthID(scheme: "ip", id: "127.0.0.0/8"))])
        .error == .ok)
    server.identities = [AuthID(scheme: "ip", id: "10.1.1.1")]
    #expect(server.create("/own/child").error == .noAuth)
    #expect(server.create("/local/child").error == .noAuth)
    #expect(server.run(.setData, SetDataRequest(path: "/own", data: [])).error == .noAuth)
    server.identities = [AuthID(scheme: "super", id: "")]
    #expect(server.create("/own/child").error == .ok)
    #expect(
      server.run(.setACL, SetACLRequest(path: "/own", acl: ACL.openUnsafe)).stat?.aversion == 1)
    server.identities = []
    #expect(server.create("/own/other").error == .ok)
    #expect(
      server.run(.delete, PathVersionRequest(path: "/zookeeper/quota")).error == .badArguments)
  }

  /// Whatever is asked, in pipelines of any depth: the digest that was predicted is the digest that
  /// comes about, a copy that replays is equal, and replaying twice changes nothing.
  @Test(arguments: 0..<20)
  func randomPipelinesAgree(_ seed: Int) throws {
    var random = SplitMix(seed: UInt64(seed))
    let server = TestServer()
    for session in 2...4 { server.open(session: Int64(session)) }
    server.flush()
    let start = server.database
    var log: [Txn] = []
    for _ in 0..<300 {
      let session = Int64.random(in: 1...4, using: &random)
      let txn: Txn
      switch Int.random(in: 0..<12, using: &random) {
      case 0:
        let operations = (0..<Int.random(in: 1...4, using: &random)).map { _ in
          randomOperation(&random)
        }
        txn = server.propose(.multi, MultiRequest(operations).encoded(), session: session)
      case 1:
        let acl = Bool.random(using: &random) ? ACL.openUnsafe : ACL.openUnsafe + ACL.readUnsafe
        txn = server.propose(
          .setACL, SetACLRequest(path: randomPath(&random), acl: acl).encoded(), session: session)
      case 2 where Int.random(in: 0..<10, using: &random) == 0 && session > 1:
        txn = server.propose(.closeSession, [], session: session)
        log.append(txn)
        server.flush()
        server.open(session: session)
        log.append(server.pipeline[0])
        continue
      default:
        let operation = randomOperation(&random)
        var writer = ByteWriter()
        switch operation {
        case .create(_, let request): request.write(to: &writer)
        case .delete(let request), .check(let request): request.write(to: &writer)
        case .setData(let request): request.write(to: &writer)
        default: break
        }
        txn = server.propose(operation.type, writer.array(), session: session)
      }
      log.append(txn)
      while server.pipeline.count > Int.random(in: 0...8, using: &random) { server.applyOne() }
    }
    server.flush()
    #expect(server.preparer.records.isEmpty)

    var changes: [ZnodeChange] = []
    var copy = start
    for txn in log { _ = copy.replay(txn, changes: &changes) }
    #expect(bytes(copy) == bytes(server.database))
    // A fuzzy snapshot: as if some node had been written before, some after these transactions.
    var fuzzy = copy
    for txn in log { _ = fuzzy.replay(txn, changes: &changes) }
    #expect(fuzzy.tree.digest == recomputedDigest(fuzzy.tree))
    // A recovery leaves digests to its end and comes to the same; so does one that goes over what
    // is there already. Nobody is told of anything.
    for (from, to) in [(start, copy), (copy, fuzzy)] {
      var recovered = from
      recovered.beginRecovery()
      changes = []
      for txn in log { _ = recovered.replay(txn, changes: &changes) }
      #expect(changes.count == 0)
      recovered.endRecovery()
      let isSame = bytes(recovered) == bytes(to)
      #expect(isSame)
      #expect(recovered.tree.digest == to.tree.digest)
    }
    #expect(copy.tree.digest == recomputedDigest(copy.tree))
  }

  private func bytes(_ database: Database) -> [UInt8] {
    var writer = ByteWriter()
    var snapshot = SnapshotWriter(database)
    while snapshot.write(to: &writer, atLeast: 1 << 16) {}
    return writer.array()
  }

  private func recomputedDigest(_ tree: DataTree) -> Int64 {
    var sum: Int64 = 0
    func visit(_ index: NodeIndex, _ path: String) {
      sum &+= Int64(
        NodeDigest.compute(
          path: path, data: tree.data(of: index), stat: tree.statPersisted(of: index)))
      for child in tree.children(of: index) {
        visit(tree.find("\(path)/\(child)")!, "\(path)/\(child)")
      }
    }
    visit(.root, "")
    return sum
  }

  private func randomPath(_ random: inout SplitMix) -> String {
    (0..<Int.random(in: 1...3, using: &random))
      .map { _ in "/" + String(Int.random(in: 0..<4, using: &random)) }.joined()
  }

  private func randomOperation(_ random: inout SplitMix) -> MultiOperation {
    let path = randomPath(&random)
    let version = Int32.random(in: -1...1, using: &random)
    switch Int.random(in: 0..<8, using: &random) {
    case 0...3:
      let mode = CreateMode(rawValue: Int32.random(in: 0...4, using: &random))!
      let type: OpCode = mode == .container ? .createContainer : .create
      return .create(type, CreateRequest(path: path, data: [1, 2], mode: mode))
    case 4: return .setData(SetDataRequest(path: path, data: [3], version: version))
    case 5: return .check(PathVersionRequest(path: path, version: version))
    default: return .delete(PathVersionRequest(path: path, version: version))
    }
  }
}
