// The znode tree: what a server knows after a number of transactions.

import ZooKeeperProtocol

/// What a transaction did to one path, for those who watch it.
public struct ZnodeChange: Hashable, Sendable {
  public enum Kind: Hashable, Sendable { case created, deleted, dataChanged }

  public var kind: Kind
  public var path: String
  /// The znode's list at the time of the change, its parent's, or nil for a list that is open to
  /// all: whoever may not read a znode must not learn its path from a watch above it.
  var acl: [ACL]?
  var parentACL: [ACL]?
}

/// All znodes with their ACLs, owners and digest.
///
/// Only `apply` (in `DataTree+Apply.swift`) changes it, so trees that applied the same transactions
/// are equal. A copy shares its memory with the original until one of them changes: taking a
/// snapshot is making a copy, which is then written by another thread.
public struct DataTree: Sendable {
  var nodes = NodeTable()
  var acls = ACLCache()
  /// Ephemerals of every session that has any.
  var ephemerals: [Int64: Set<NodeIndex>] = [:]
  var containers: Set<NodeIndex> = []
  var ttls: Set<NodeIndex> = []
  /// Paths that have a quota.
  var quotas: Set<String> = []
  /// Sum over all nodes of CRC-32s, wrapping: the digest of transactions and snapshots.
  public internal(set) var digest: Int64 = 0
  /// Bytes of paths and data, roughly what a snapshot holds.
  public internal(set) var approximateDataSize: Int64 = 0
  /// While a snapshot and a log are read: nobody watches, nobody waits for an answer, and the
  /// digest is made at the end.
  var isRecovering = false
  /// Whether owners with a high byte of 0xff are TTLs (`extendedTypesEnabled`).
  let extendedTypes: Bool

  /// A tree with nothing but the root and the server's own znodes.
  public init(extendedTypes: Bool = false) {
    self.extendedTypes = extendedTypes
    addDigest(of: .root, path: "")
    for path in [ZnodePath.reserved, ZnodePath.quota] { addReserved(path) }
    addReservedConfig()
  }

  /// A tree with the root alone: what a snapshot is loaded into.
  init(emptyWithExtendedTypes extendedTypes: Bool) {
    self.extendedTypes = extendedTypes
    isRecovering = true
  }

  private mutating func addReserved(_ path: String) {
    guard nodes.find(path) == nil, let parent = ZnodePath.parent(of: path),
      let parentIndex = nodes.find(parent)
    else { return }
    let name = String(path.dropFirst(parent.count + 1))
    let index = nodes.insert(Node(), named: name, data: [], under: parentIndex)
    approximateDataSize += Int64(path.utf8.count)
    addDigest(of: index, path: path)
  }

  /// The znode that shows the ensemble's configuration: readable by all, changed by nobody. Its
  /// ACL version is −1, as ZooKeeper makes it.
  mutating func addReservedConfig() {
    addReserved(ZnodePath.config)
    guard let index = nodes.find(ZnodePath.config), nodes[index].acl == ACLCache.open
    else { return }
    nodes[index].acl = acls.use(ACL.readUnsafe)
    nodes[index].aversion = -1
  }

  // MARK: Reading

  /// Znodes, the root and the server's own included.
  public var count: Int { nodes.count }

  public func find(_ path: String) -> NodeIndex? { nodes.find(path) }

  public func stat(of index: NodeIndex) -> Stat {
    let persisted = statPersisted(of: index)
    let children = nodes[index].childCount
    let kind = OwnerKind(persisted.ephemeralOwner, extendedTypes: extendedTypes)
    return Stat(
      persisted, dataLength: nodes[index].dataCount, numChildren: children,
      showsOwner: kind == .ephemeral)
  }

  func statPersisted(of index: NodeIndex) -> StatPersisted {
    var stat = StatPersisted()
    stat.czxid = nodes[index].czxid
    stat.mzxid = nodes[index].mzxid
    stat.pzxid = nodes[index].pzxid
    stat.ctime = nodes[index].ctime
    stat.mtime = nodes[index].mtime
    stat.version = nodes[index].version
    stat.cversion = nodes[index].cversion
    stat.aversion = nodes[index].aversion
    stat.ephemeralOwner = nodes.owner(of: index)
    return stat
  }

  public func data(of index: NodeIndex) -> [UInt8]? { nodes.data(of: index) }

  public func acl(of index: NodeIndex) -> [ACL] { acls[nodes[index].acl] }

  /// As `acl(of:)`, but nil for the list that is open to all.
  func closedACL(of index: NodeIndex) -> [ACL]? {
    let number = nodes[index].acl
    return number == ACLCache.open ? nil : acls[number]
  }

  /// Names of the children, newest first.
  public func children(of index: NodeIndex) -> [String] {
    var names: [String] = []
    names.reserveCapacity(Int(nodes[index].childCount))
    var child = nodes[index].firstChild
    while child != .none {
      names.append(nodes.name(of: child))
      child = nodes[child].next
    }
    return names
  }

  /// The path of a node.
  public func path(of index: NodeIndex) -> String {
    var names: [String] = []
    var node = index
    while node != .root {
      names.append(nodes.name(of: node))
      node = nodes[node].parent
    }
    if names.isEmpty { return "/" }
    var path = ""
    for name in names.reversed() {
      path += "/"
      path += name
    }
    return path
  }

  /// Znodes below a node, at every depth.
  public func descendantCount(of index: NodeIndex) -> Int {
    if index == .root { return count - 1 }
    var total = 0
    var node = nodes[index].firstChild
    while node != .none {
      total += 1
      node = self.node(after: node, below: index) ?? .none
    }
    return total
  }

  /// The next node of a walk in depth through everything below `top`; nil at its end.
  func node(after node: NodeIndex, below top: NodeIndex) -> NodeIndex? {
    if nodes[node].firstChild != .none { return nodes[node].firstChild }
    var node = node
    // Up until there is a sibling, but not past where we began.
    while nodes[node].next == .none {
      node = nodes[node].parent
      if node == top { return nil }
    }
    return nodes[node].next
  }

  /// Paths of a session's ephemerals, sorted.
  public func ephemerals(of session: Int64) -> [String] {
    (ephemerals[session] ?? []).map { path(of: $0) }.sorted()
  }

  public var ephemeralCount: Int { ephemerals.values.reduce(0) { $0 + $1.count } }

  /// Sessions that own ephemerals, sorted.
  public var ephemeralOwners: [Int64] { ephemerals.keys.sorted() }
}

extension Stat {
  /// The stat that clients see. They count deletions of children in cversion, the tree does not.
  init(_ stat: StatPersisted, dataLength: Int, numChildren: Int32, showsOwner: Bool) {
    self.init()
    czxid = stat.czxid
    mzxid = stat.mzxid
    ctime = stat.ctime
    mtime = stat.mtime
    version = stat.version
    aversion = stat.aversion
    pzxid = stat.pzxid
    ephemeralOwner = showsOwner ? stat.ephemeralOwner : 0
    self.dataLength = Int32(clamping: dataLength)
    self.numChildren = numChildren
    cversion = stat.cversion &* 2 &- numChildren
  }
}
