// Transactions change the tree: here, and nowhere else.
//
// Everything here may be repeated: a snapshot of a real server is fuzzy, it may hold the effects of
// transactions that are replayed over it. Then a creation finds its node, a deletion does not, and
// counters must not go back.

import ZooKeeperProtocol

/// What one transaction came to.
public struct TxnResult: Hashable, Sendable {
  public var type: OpCode
  public var error = ZooKeeperError.ok
  public var path = ""
  /// Of what was created or changed; nil where the reply has no stat.
  public var stat: Stat?
  /// Of a reconfiguration: the new configuration.
  public var data: [UInt8]?
  /// One for each operation of a multi.
  public var nested: [TxnResult] = []

  init(type: OpCode) { self.type = type }
}

extension DataTree {
  /// Applies a transaction other than the creation of a session. What it changed is appended to
  /// `changes`, in order: watchers must hear of it before anybody is replied to.
  mutating func apply(
    _ header: TxnHeader, _ body: TxnBody, changes: inout [ZnodeChange]
  ) -> TxnResult {
    var result = TxnResult(type: header.type)
    do throws(ZooKeeperError) {
      switch body {
      case .create(let txn):
        result.path = txn.path
        let index = try create(txn, header: header, changes: &changes)
        // The reply of a plain create has no stat.
        if header.type != .create { result.stat = stat(of: index) }
      case .delete(let path):
        result.path = path
        try delete(path, zxid: header.zxid, changes: &changes)
      case .setData(let path, let data, let version):
        result.path = path
        let index = try setData(path, data, version: version, header: header, changes: &changes)
        result.stat = stat(of: index)
        if header.type == .reconfig { result.data = data }
      case .setACL(let path, let acl, let version):
        result.path = path
        let index = try setACL(path, acl, version: version)
        result.stat = stat(of: index)
      case .check(let path, _): result.path = path
      case .closeSession(let paths):
        closeSession(header.clientID, paths: paths, zxid: header.zxid, changes: &changes)
      case .error(let error): result.error = error
      case .multi(let nested):
        result.nested = applyAll(nested, header: header, changes: &changes)
        result.error = result.nested.first { $0.error != .ok }?.error ?? .ok
      case .createSession: break
      }
    } catch {
      result.error = error
    }
    return result
  }

  /// All operations of a multi, or none of them when one is an error.
  private mutating func applyAll(
    _ nested: [NestedTxn], header: TxnHeader, changes: inout [ZnodeChange]
  ) -> [TxnResult] {
    let hasFailed = nested.contains { $0.type == .error }
    var isPastFailure = false
    var results: [TxnResult] = []
    if !isRecovering { results.reserveCapacity(nested.count) }
    for txn in nested {
      var header = header
      header.type = txn.type
      var body = txn.body
      if txn.type == .error { isPastFailure = true }
      if hasFailed, txn.type != .error {
        header.type = .error
        body = .error(isPastFailure ? .runtimeInconsistency : .ok)
      }
      let result = apply(header, body, changes: &changes)
      if !isRecovering { results.append(result) }
    }
    return results
  }

  private mutating func create(
    _ txn: CreateTxn, header: TxnHeader, changes: inout [ZnodeChange]
  ) throws(ZooKeeperError) -> NodeIndex {
    try txn.path.utf8.span.withUnsafeBufferPointer { (path) throws(ZooKeeperError) in
      try create(txn, at: path, header: header, changes: &changes)
    }
  }

  private mutating func create(
    _ txn: CreateTxn, at path: NodeChunk.Text, header: TxnHeader, changes: inout [ZnodeChange]
  ) throws(ZooKeeperError) -> NodeIndex {
    guard let slash = path.lastIndex(of: UInt8(ascii: "/")),
      let parent = nodes.findParent(NodeChunk.Text(rebasing: path[..<slash]))
    else { throw .noNode }
    let name = NodeChunk.Text(rebasing: path[(slash + 1)...])
    let spot = nodes.spot(of: name, under: parent)
    let existing = name.isEmpty ? nodes.find(path) : spot.found
    // A replayed creation may be older than what a fuzzy snapshot holds: the counters of the
    // parent only rise. That holds even where the node is there already.
    if existing == nil || header.type == .create {
      let parentPath = NodeChunk.Text(rebasing: path[..<slash])
      raiseCversion(of: parent, path: parentPath, to: txn.parentCVersion, zxid: header.zxid)
    }
    if existing != nil { throw .nodeExists }
    let owner: Int64 =
      switch header.type {
      case .createContainer: OwnerKind.containerOwner
      case .createTTL: OwnerKind.ttlOwner(txn.ttl)
      default: txn.ephemeral ? header.clientID : 0
      }
    var node = Node()
    (node.czxid, node.mzxid, node.pzxid) = (header.zxid, header.zxid, header.zxid)
    (node.ctime, node.mtime) = (header.time, header.time)
    node.acl = acls.use(txn.acl)
    let index = nodes.insert(node, named: name, data: txn.data, under: parent, at: spot)
    nodes.setOwner(of: index, owner)
    register(index)
    addDigest(of: index, path: path)
    approximateDataSize += Int64(path.count + (txn.data?.count ?? 0))
    countCreation(txn.path, bytes: txn.data?.count ?? 0)
    if !isRecovering {
      changes.append(
        ZnodeChange(
          kind: .created, path: txn.path, acl: closedACL(of: index),
          parentACL: closedACL(of: parent)))
    }
    return index
  }

  private mutating func raiseCversion(
    of parent: NodeIndex, path: NodeChunk.Text, to wanted: Int32, zxid: Int64
  ) {
    // Old servers left the counting to whoever applies.
    let cversion = wanted == -1 ? nodes[parent].cversion &+ 1 : wanted
    guard cversion > nodes[parent].cversion else { return }
    nodes[parent].cversion = cversion
    nodes[parent].pzxid = zxid
    updateDigest(of: parent, path: path)
  }

  private mutating func delete(
    _ path: String, zxid: Int64, changes: inout [ZnodeChange]
  ) throws(ZooKeeperError) {
    guard let parentPath = ZnodePath.parent(of: path), let parent = nodes.find(parentPath)
    else { throw .noNode }
    // The parent notes the deletion even if a fuzzy snapshot has made it already.
    if zxid > nodes[parent].pzxid {
      nodes[parent].pzxid = zxid
      updateDigest(of: parent, path: parentPath)
    }
    guard let index = nodes.find(path), index != .root else { throw .noNode }
    // Replayed over a fuzzy snapshot, a deletion may meet children that the node had in a later
    // life. They are deleted again further on; until then the node stays.
    guard nodes[index].childCount == 0 else { throw .notEmpty }
    let change = ZnodeChange(
      kind: .deleted, path: path, acl: closedACL(of: index), parentACL: closedACL(of: parent))
    unregister(index)
    acls.release(nodes[index].acl)
    digest &-= Int64(nodes[index].digest)
    let bytes = nodes[index].dataCount
    approximateDataSize -= Int64(path.utf8.count + bytes)
    nodes.remove(index)
    countDeletion(path, bytes: bytes)
    if !isRecovering { changes.append(change) }
  }

  private mutating func setData(
    _ path: String, _ data: [UInt8]?, version: Int32, header: TxnHeader,
    changes: inout [ZnodeChange]
  ) throws(ZooKeeperError) -> NodeIndex {
    guard let index = nodes.find(path) else { throw .noNode }
    let growth = (data?.count ?? 0) - nodes[index].dataCount
    approximateDataSize += Int64(growth)
    nodes.setData(of: index, data)
    nodes[index].mtime = header.time
    nodes[index].mzxid = header.zxid
    nodes[index].version = version
    updateDigest(of: index, path: path)
    count(path, bytes: growth, znodes: 0)
    if !isRecovering {
      changes.append(ZnodeChange(kind: .dataChanged, path: path, acl: closedACL(of: index)))
    }
    return index
  }

  private mutating func setACL(
    _ path: String, _ acl: [ACL], version: Int32
  ) throws(ZooKeeperError) -> NodeIndex {
    guard let index = nodes.find(path) else { throw .noNode }
    let old = nodes[index].acl
    nodes[index].acl = acls.use(acl)
    acls.release(old)
    nodes[index].aversion = version
    updateDigest(of: index, path: path)
    return index
  }

  /// Deletes what the transaction lists, then whatever else the session owns here: nothing, unless
  /// an old server wrote the transaction or a snapshot was fuzzy.
  private mutating func closeSession(
    _ session: Int64, paths: [String]?, zxid: Int64, changes: inout [ZnodeChange]
  ) {
    for path in paths ?? [] { try? delete(path, zxid: zxid, changes: &changes) }
    for path in ephemerals(of: session) { try? delete(path, zxid: zxid, changes: &changes) }
    ephemerals[session] = nil
  }

  // MARK: Owners

  mutating func register(_ index: NodeIndex) {
    let owner = nodes.owner(of: index)
    switch OwnerKind(owner, extendedTypes: extendedTypes) {
    case .none: break
    case .container: containers.insert(index)
    case .ttl: ttls.insert(index)
    case .ephemeral: ephemerals[owner, default: []].insert(index)
    }
  }

  private mutating func unregister(_ index: NodeIndex) {
    let owner = nodes.owner(of: index)
    switch OwnerKind(owner, extendedTypes: extendedTypes) {
    case .none: break
    case .container: containers.remove(index)
    case .ttl: ttls.remove(index)
    case .ephemeral:
      ephemerals[owner]?.remove(index)
      if ephemerals[owner]?.isEmpty == true { ephemerals[owner] = nil }
    }
  }
}
