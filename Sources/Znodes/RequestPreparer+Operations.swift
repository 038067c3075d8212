// What each operation requires, and the transaction it becomes.

import ZooKeeperProtocol

/// One operation, alone or in a multi.
enum PreparedOperation {
  case create(OpCode, CreateRequest, ttl: Int64)
  case delete(PathVersionRequest)
  case setData(SetDataRequest)
  case setACL(SetACLRequest)
  case check(PathVersionRequest)
}

extension RequestPreparer {
  /// Judges one operation and records what it will change.
  mutating func prepare(
    _ operation: PreparedOperation, of request: WriteRequest, header: TxnHeader,
    over database: borrowing Database, sessions: inout SessionTracker
  ) throws(ZooKeeperError) -> TxnBody {
    if case .create(let type, let create, let ttl) = operation {
      return try prepareCreate(
        type, create, ttl: ttl, of: request, header: header, over: database, sessions: &sessions)
    }
    try sessions.check(request.session, owner: request.owner)
    switch operation {
    case .delete(let delete):
      return try prepareDelete(delete, of: request, header: header, over: database)
    case .setData(let setData):
      return try prepareSetData(setData, of: request, header: header, over: database)
    case .setACL(let setACL):
      return try prepareSetACL(setACL, of: request, header: header, over: database)
    case .check(let check):
      guard ZnodePath.isValid(check.path) else { throw .badArguments }
      let (node, stat) = try record(check.path, over: database)
      try authorize(request, .read, on: node)
      return .check(path: check.path, version: try next(stat.version, expected: check.version))
    case .create: throw .badArguments
    }
  }

  private func next(_ version: Int32, expected: Int32) throws(ZooKeeperError) -> Int32 {
    guard expected == -1 || expected == version else { throw .badVersion }
    return version &+ 1
  }

  func authorize(
    _ request: WriteRequest, _ permission: Permissions, on node: ChangeRecord
  ) throws(ZooKeeperError) {
    guard rules.authority.allows(node.acl, permission, to: request.identities)
    else { throw .noAuth }
  }

  // MARK: create

  private mutating func prepareCreate(
    _ type: OpCode, _ create: CreateRequest, ttl: Int64, of request: WriteRequest,
    header: TxnHeader, over database: borrowing Database, sessions: inout SessionTracker
  ) throws(ZooKeeperError) -> TxnBody {
    guard let mode = CreateMode(rawValue: create.flags) else { throw .badArguments }
    if mode.hasTTL || type == .createTTL {
      guard extendedTypes else { throw .unimplemented }
      guard mode.hasTTL, ttl > 0, ttl <= OwnerKind.maxTTL else { throw .badArguments }
    }
    if mode.isEphemeral {
      try sessions.checkGlobal(request.session, owner: request.owner)
    } else {
      try sessions.check(request.session, owner: request.owner)
    }
    guard let parentPath = ZnodePath.parent(of: create.path), !create.path.utf8.contains(0)
    else { throw .badArguments }
    let acl = try rules.authority.resolve(create.acl, for: request.identities)
    let (parent, parentStat) = try record(parentPath, over: database)
    try authorize(request, .create, on: parent)
    var path = create.path
    if mode.isSequential { path += ZnodePath.sequenceSuffix(parentStat.cversion) }
    guard ZnodePath.isValid(path) else { throw .badArguments }
    if exists(path, over: database) { throw .nodeExists }
    if OwnerKind(parentStat.ephemeralOwner, extendedTypes: extendedTypes) == .ephemeral {
      throw .noChildrenForEphemerals
    }
    try checkQuota(of: path, bytes: create.data?.count ?? 0, znodes: 1, over: database)

    var txn = CreateTxn(
      path: path, data: create.data, acl: acl, ephemeral: mode.isEphemeral,
      parentCVersion: parentStat.cversion &+ 1)
    if type == .createTTL { txn.ttl = ttl }
    // The transaction's type decides, whatever the flags say: so will everybody who applies it.
    let owner: Int64 =
      switch type {
      case .createContainer: OwnerKind.containerOwner
      case .createTTL: OwnerKind.ttlOwner(ttl)
      default: mode.isEphemeral ? request.session : 0
      }
    changeParent(parentPath, parent, header: header, children: 1, over: database) { stat in
      stat.cversion = txn.parentCVersion
    }
    var stat = StatPersisted()
    (stat.czxid, stat.mzxid, stat.pzxid) = (header.zxid, header.zxid, header.zxid)
    (stat.ctime, stat.mtime) = (header.time, header.time)
    stat.ephemeralOwner = owner
    addRecord(
      ChangeRecord(zxid: header.zxid, stat: stat, acl: acl, data: create.data), at: path,
      replacing: 0, over: database)
    return .create(txn)
  }

  private func exists(_ path: String, over database: borrowing Database) -> Bool {
    (try? record(path, over: database)) != nil
  }

  // MARK: delete

  private mutating func prepareDelete(
    _ delete: PathVersionRequest, of request: WriteRequest, header: TxnHeader,
    over database: borrowing Database
  ) throws(ZooKeeperError) -> TxnBody {
    let parentPath = try parentOfDeletable(delete.path)
    let (parent, _) = try record(parentPath, over: database)
    try authorize(request, .delete, on: parent)
    let (node, stat) = try record(delete.path, over: database)
    _ = try next(stat.version, expected: delete.version)
    guard node.childCount == 0 else { throw .notEmpty }
    remove(delete.path, node, parentPath, parent, header: header, over: database)
    return .delete(path: delete.path)
  }

  /// The server's own request, for a container or a TTL znode that has had its time.
  mutating func deleteContainer(
    _ path: String, header: TxnHeader, over database: borrowing Database
  ) throws(ZooKeeperError) -> TxnBody {
    let parentPath = try parentOfDeletable(path)
    let (node, stat) = try record(path, over: database)
    guard node.childCount == 0 else { throw .notEmpty }
    let kind = OwnerKind(stat.ephemeralOwner, extendedTypes: extendedTypes)
    guard kind == .container || kind == .ttl else { throw .badVersion }
    let (parent, _) = try record(parentPath, over: database)
    remove(path, node, parentPath, parent, header: header, over: database)
    return .delete(path: path)
  }

  private func parentOfDeletable(_ path: String) throws(ZooKeeperError) -> String {
    guard let parent = ZnodePath.parent(of: path), !path.utf8.contains(0),
      !ZnodePath.isSpecial(path)
    else { throw .badArguments }
    return parent
  }

  private mutating func remove(
    _ path: String, _ node: ChangeRecord, _ parentPath: String, _ parent: ChangeRecord,
    header: TxnHeader, over database: borrowing Database
  ) {
    changeParent(parentPath, parent, header: header, children: -1, over: database) { _ in }
    moveDigest(from: node.digest, to: 0, over: database)
    add(ChangeRecord(zxid: header.zxid, stat: nil), at: path)
  }

  // MARK: setData, setACL

  private mutating func prepareSetData(
    _ setData: SetDataRequest, of request: WriteRequest, header: TxnHeader,
    over database: borrowing Database
  ) throws(ZooKeeperError) -> TxnBody {
    guard ZnodePath.isValid(setData.path) else { throw .badArguments }
    var (node, stat) = try record(setData.path, over: database)
    try authorize(request, .write, on: node)
    let growth = (setData.data?.count ?? 0) - (node.data?.count ?? 0)
    try checkQuota(of: setData.path, bytes: growth, znodes: 0, over: database)
    stat.version = try next(stat.version, expected: setData.version)
    stat.mtime = header.time
    stat.mzxid = header.zxid
    node.data = setData.data
    node.stat = stat
    node.zxid = header.zxid
    addRecord(node, at: setData.path, replacing: node.digest, over: database)
    return .setData(path: setData.path, data: setData.data, version: stat.version)
  }

  private mutating func prepareSetACL(
    _ setACL: SetACLRequest, of request: WriteRequest, header: TxnHeader,
    over database: borrowing Database
  ) throws(ZooKeeperError) -> TxnBody {
    guard ZnodePath.isValid(setACL.path) else { throw .badArguments }
    let acl = try rules.authority.resolve(setACL.acl, for: request.identities)
    var (node, stat) = try record(setACL.path, over: database)
    try authorize(request, .admin, on: node)
    stat.aversion = try next(stat.aversion, expected: setACL.version)
    node.stat = stat
    // Later requests in the pipeline are judged by the new list.
    node.acl = acl
    node.zxid = header.zxid
    addRecord(node, at: setACL.path, replacing: node.digest, over: database)
    return .setACL(path: setACL.path, acl: acl, version: stat.aversion)
  }

  // MARK: closeSession

  /// The ephemerals that go with a session, those still on their way included, sorted.
  mutating func closeSession(
    _ session: Int64, zxid: Int64, over database: borrowing Database
  ) -> [String] {
    var paths = Set(database.tree.ephemerals(of: session))
    for (_, path) in outstandingPaths {
      // Only the newest record of a path counts, and it is the one that is kept.
      guard let record = records[path] else { continue }
      if record.stat == nil {
        paths.remove(path)
      } else if record.stat?.ephemeralOwner == session {
        paths.insert(path)
      }
    }
    let header = TxnHeader(clientID: session, cxid: 0, zxid: zxid, time: 0, type: .closeSession)
    let doomed = paths.sorted()
    for path in doomed {
      guard let parentPath = ZnodePath.parent(of: path),
        let (parent, _) = try? record(parentPath, over: database),
        let (node, _) = try? record(path, over: database)
      else { continue }
      remove(path, node, parentPath, parent, header: header, over: database)
    }
    return doomed
  }

  // MARK: multi

  /// All operations of a multi, or an error for each of them.
  mutating func prepareAll(
    _ operations: [MultiOperation], of request: WriteRequest, header: TxnHeader,
    over database: borrowing Database, sessions: inout SessionTracker
  ) -> [NestedTxn] {
    let touched = operations.flatMap { [$0.path, ZnodePath.parent(of: $0.path) ?? ""] }
    let mark = mark(paths: touched)
    var nested: [NestedTxn] = []
    nested.reserveCapacity(operations.count)
    var hasFailed = false
    for operation in operations {
      if hasFailed {
        nested.append(NestedTxn(type: .error, body: .error(.runtimeInconsistency)))
        continue
      }
      do throws(ZooKeeperError) {
        let (type, prepared) = try Self.prepared(operation)
        let body = try prepare(
          prepared, of: request, header: header, over: database, sessions: &sessions)
        nested.append(NestedTxn(type: type, body: body))
      } catch {
        hasFailed = true
        nested.append(NestedTxn(type: .error, body: .error(error)))
        rollBack(to: mark)
      }
    }
    return nested
  }

  /// The type that an operation has in the transaction: for creations the flags decide, not what
  /// the client called them.
  private static func prepared(
    _ operation: MultiOperation
  ) throws(ZooKeeperError) -> (OpCode, PreparedOperation) {
    switch operation {
    case .create(_, let create):
      let isContainer = CreateMode(rawValue: create.flags) == .container
      let type: OpCode = isContainer ? .createContainer : .create
      return (type, .create(type, create, ttl: -1))
    case .createTTL(let request):
      return (.createTTL, .create(.createTTL, request.create, ttl: request.ttl))
    case .delete(let delete): return (.delete, .delete(delete))
    case .setData(let setData): return (.setData, .setData(setData))
    case .check(let check): return (.check, .check(check))
    case .getChildren, .getData: throw .badArguments
    }
  }

  // MARK: Records with digests

  private mutating func changeParent(
    _ path: String, _ parent: ChangeRecord, header: TxnHeader, children: Int32,
    over database: borrowing Database, _ change: (inout StatPersisted) -> Void
  ) {
    var parent = parent
    parent.zxid = header.zxid
    parent.childCount += children
    if var stat = parent.stat {
      stat.pzxid = header.zxid
      change(&stat)
      parent.stat = stat
    }
    addRecord(parent, at: path, replacing: parent.digest, over: database)
  }

  /// Adds a record for a node that will be there, with its digest in place of an old one.
  private mutating func addRecord(
    _ record: ChangeRecord, at path: String, replacing old: UInt32,
    over database: borrowing Database
  ) {
    var record = record
    if computesDigests, let stat = record.stat {
      record.digest = NodeDigest.compute(path: path, data: record.data, stat: stat)
      moveDigest(from: old, to: record.digest, over: database)
    }
    add(record, at: path)
  }
}

extension MultiOperation {
  /// Whether a multi that changes something may hold it. If not, the multi is no multi at all.
  var canBePrepared: Bool {
    switch self {
    case .getChildren, .getData: false
    // Without a TTL in the request there is none to give.
    case .create(_, let create): CreateMode(rawValue: create.flags)?.hasTTL != true
    default: true
    }
  }
}
