// Requests become transactions: the leader's decision, or that of a lone server.
//
// The tree shows only what is committed, but a request must be judged by everything that was
// proposed before it. The preparer keeps those changes as records over the tree until they are
// applied. Every request takes a zxid, the refused ones too: their transaction is the error, so
// that all servers give the same answer.

import Bytes
import Values
import ZooKeeperProtocol

/// A request that changes something, as it reaches the preparer.
public struct WriteRequest: Hashable, Sendable {
  public var session: Int64
  public var cxid: Int32
  public var type: OpCode
  /// The request's body as the client sent it.
  public var body: [UInt8]
  /// Identities of the connection.
  public var identities: [AuthID]
  /// The server that the client is connected to.
  public var owner: Int64
  /// Of a reconfig: the lines of the new configuration without its version, or why there is none.
  public var reconfiguration: Result<[UInt8], ZooKeeperError>?

  public init(
    session: Int64, cxid: Int32, type: OpCode, body: [UInt8], identities: [AuthID] = [],
    owner: Int64
  ) {
    self.session = session
    self.cxid = cxid
    self.type = type
    self.body = body
    self.identities = identities
    self.owner = owner
  }
}

/// A path as it will be once everything proposed is applied.
struct ChangeRecord: Sendable {
  var zxid: Int64
  /// Nil: it will not be there.
  var stat: StatPersisted?
  var childCount: Int32 = 0
  var acl: [ACL] = []
  var data: [UInt8]?
  var digest: UInt32 = 0
}

/// What a server's configuration says about requests.
public struct RequestRules: Sendable {
  /// `digest.enabled`
  public var computesDigests = true
  /// `extendedTypesEnabled`: there are znodes with a time to live.
  public var extendedTypes = false
  /// `enforceQuota`: hard limits are kept, not only counted.
  public var enforcesQuota = false
  /// `closeSessionTxn.enabled`: the end of a session names the znodes that go with it. Servers
  /// before 3.6 write it without, and find them in their trees.
  public var namesEphemerals = true
  public var authority = Authority()

  public init() {}
}

/// Makes transactions of requests.
public struct RequestPreparer: Sendable {
  /// The zxid given last.
  public private(set) var lastZxid: Int64
  let rules: RequestRules
  var computesDigests: Bool { rules.computesDigests }
  var extendedTypes: Bool { rules.extendedTypes }
  /// Quotas whose soft limit a request has passed, to be warned about; the caller takes them out.
  public var exceededQuotas: [String] = []
  /// Paths whose hard limits have refused a request, one for each; the caller takes them out.
  public var refusedQuotas: [String] = []
  var records: [String: ChangeRecord] = [:]
  /// Paths with records, in the order of their zxids; from `head` on.
  private var order: [(zxid: Int64, path: String)] = []
  private var head = 0
  /// The tree's digest once everything proposed is applied; nil while nothing is outstanding.
  var pendingDigest: Int64?

  /// - Parameter lastZxid: Requests are numbered from here; a new leader begins its epoch at 0.
  public init(lastZxid: Int64, rules: RequestRules = RequestRules()) {
    self.lastZxid = lastZxid
    self.rules = rules
  }

  /// Records that are not applied yet.
  public var outstandingCount: Int { order.count - head }

  /// Makes the transaction for a request. Its zxid is one above the last.
  ///
  /// - Parameter database: The committed state.
  public mutating func prepare(
    _ request: WriteRequest, over database: borrowing Database, sessions: inout SessionTracker,
    at now: Instant, wallTime: WallTime
  ) -> Txn {
    lastZxid += 1
    var header = TxnHeader(
      clientID: request.session, cxid: request.cxid, zxid: lastZxid, time: wallTime.milliseconds,
      type: request.type)
    do throws(ZooKeeperError) {
      let body = try self.body(
        for: request, header: header, over: database, sessions: &sessions, at: now)
      let digest = computesDigests ? TxnDigest(treeDigest: treeDigest(database)) : nil
      return Txn(header: header, body: body, digest: digest)
    } catch {
      header.type = .error
      return Txn(header: header, body: .error(error))
    }
  }

  private mutating func body(
    for request: WriteRequest, header: TxnHeader, over database: borrowing Database,
    sessions: inout SessionTracker, at now: Instant
  ) throws(ZooKeeperError) -> TxnBody {
    switch request.type {
    case .createSession:
      let timeoutMs = try decode { (reader: inout ByteReader) throws(ByteError) in
        try reader.readInt32()
      }
      sessions.track(request.session, timeoutMs: timeoutMs, at: now)
      sessions.setOwner(request.session, request.owner)
      return .createSession(timeOutMs: timeoutMs)
    case .closeSession:
      // Nobody's leave is asked: expiry closes sessions that are not its own.
      let paths = closeSession(request.session, zxid: header.zxid, over: database)
      sessions.setClosing(request.session)
      return .closeSession(paths: rules.namesEphemerals ? paths : nil)
    case .deleteContainer:
      return try deleteContainer(
        String(decoding: request.body, as: UTF8.self), header: header, over: database)
    case .reconfig: return try prepareReconfig(request, header: header, over: database)
    case .multi:
      let multi = try decode { (reader: inout ByteReader) throws(ByteError) in
        try MultiRequest(from: &reader)
      }
      guard multi.operations.allSatisfy(\.canBePrepared) else { throw .marshallingError }
      return .multi(
        prepareAll(
          multi.operations, of: request, header: header, over: database, sessions: &sessions))
    default:
      let operation = try self.operation(of: request)
      return try prepare(
        operation, of: request, header: header, over: database, sessions: &sessions)
    }

    func decode<T>(
      _ read: (inout ByteReader) throws(ByteError) -> T
    ) throws(ZooKeeperError) -> T {
      var reader = ByteReader(request.body.span.bytes)
      do { return try read(&reader) } catch { throw .marshallingError }
    }
  }

  private func operation(of request: WriteRequest) throws(ZooKeeperError) -> PreparedOperation {
    var reader = ByteReader(request.body.span.bytes)
    do throws(ByteError) {
      switch request.type {
      case .create, .create2, .createContainer:
        return .create(request.type, try CreateRequest(from: &reader), ttl: -1)
      case .createTTL:
        let body = try CreateTTLRequest(from: &reader)
        return .create(.createTTL, body.create, ttl: body.ttl)
      case .delete: return .delete(try PathVersionRequest(from: &reader))
      case .setData: return .setData(try SetDataRequest(from: &reader))
      case .setACL: return .setACL(try SetACLRequest(from: &reader))
      case .check: return .check(try PathVersionRequest(from: &reader))
      default: throw .invalidValue(Int64(request.type.rawValue))
      }
    } catch {
      throw .marshallingError
    }
  }

  // MARK: Records

  private static func key(_ path: String) -> String { path == "/" ? "" : path }

  /// A path as it will be, or an error if it will not be there.
  func record(
    _ path: String, over database: borrowing Database
  ) throws(ZooKeeperError) -> (ChangeRecord, StatPersisted) {
    if let record = records[Self.key(path)] {
      guard let stat = record.stat else { throw .noNode }
      return (record, stat)
    }
    guard let index = database.tree.find(path) else { throw .noNode }
    let node = database.tree.nodes[index]
    let stat = database.tree.statPersisted(of: index)
    return (
      ChangeRecord(
        zxid: -1, stat: stat, childCount: node.childCount, acl: database.tree.acls[node.acl],
        data: database.tree.data(of: index), digest: node.digest),
      stat
    )
  }

  mutating func add(_ record: ChangeRecord, at path: String) {
    records[Self.key(path)] = record
    order.append((record.zxid, Self.key(path)))
  }

  /// The changes that are outstanding, oldest first.
  var outstandingPaths: ArraySlice<(zxid: Int64, path: String)> { order[head...] }

  /// Forgets the records of transactions up to this one, which are applied.
  public mutating func retire(through zxid: Int64) {
    while head < order.count, order[head].zxid <= zxid {
      let path = order[head].path
      // A later transaction may have a record of its own for the path.
      if let record = records[path], record.zxid <= zxid { records[path] = nil }
      head += 1
    }
    if head == order.count {
      order.removeAll(keepingCapacity: true)
      head = 0
      pendingDigest = nil
    } else if head > 1024, head > order.count / 2 {
      order.removeFirst(head)
      head = 0
    }
  }

  /// What a failed multi has to put back.
  struct Mark {
    var records: [(path: String, record: ChangeRecord)]
    var count: Int
    var digest: Int64?
  }

  /// Remembers how the paths of a multi stand before it. Sequential names are not known yet; what
  /// is added for them is found by its zxid.
  func mark(paths: [String]) -> Mark {
    var saved: [(path: String, record: ChangeRecord)] = []
    for path in paths {
      let key = Self.key(path)
      if let record = records[key] { saved.append((key, record)) }
    }
    return Mark(records: saved, count: order.count, digest: pendingDigest)
  }

  mutating func rollBack(to mark: Mark) {
    for entry in order[mark.count...] { records[entry.path] = nil }
    order.removeSubrange(mark.count...)
    for (path, record) in mark.records { records[path] = record }
    pendingDigest = mark.digest
  }

  // MARK: Digests

  func treeDigest(_ database: borrowing Database) -> Int64 {
    pendingDigest ?? database.tree.digest
  }

  /// Counts a node's change into the digest.
  mutating func moveDigest(from old: UInt32, to new: UInt32, over database: borrowing Database) {
    guard computesDigests else { return }
    pendingDigest = treeDigest(database) &- Int64(old) &+ Int64(new)
  }
}
