// Quotas: limits on how many znodes a subtree has and how much data they hold.
//
// A quota on `/a` is a pair of znodes that tools create: `/zookeeper/quota/a/zookeeper_limits` with
// the limits, and `zookeeper_stats` beside it, whose data every server keeps up to date by itself.
// That upkeep is no transaction: it shows in no version and no zxid, and what lies under
// `/zookeeper/` counts in no digest.

import ZooKeeperProtocol

/// The data of both znodes: `count=4,bytes=5`, or with hard limits
/// `count=4,bytes=5=;byteHardLimit=9;countHardLimit=8`. −1 stands for no limit.
///
/// The spare `=` hides the newer fields from servers before 3.7.
public struct QuotaRecord: Hashable, Sendable {
  public var count: Int64 = -1
  public var bytes: Int64 = -1
  public var countHardLimit: Int64 = -1
  public var byteHardLimit: Int64 = -1
  /// What else was there, in the order of its keys; kept as it was.
  private var others: [(key: String, value: Int64)] = []

  public init(count: Int64 = -1, bytes: Int64 = -1) {
    self.count = count
    self.bytes = bytes
  }

  /// Reads the data; fields that cannot be read are no limit.
  public init(_ data: [UInt8]?) {
    let isSeparator = { (byte: UInt8) in byte == UInt8(ascii: ",") || byte == UInt8(ascii: ";") }
    for field in (data ?? []).split(whereSeparator: isSeparator) {
      let parts = field.split(separator: UInt8(ascii: "="), omittingEmptySubsequences: false)
      let key = String(decoding: parts[0], as: UTF8.self)
      let text = parts.count > 1 ? String(decoding: parts[1], as: UTF8.self) : ""
      set(key, Int64(text) ?? -1)
    }
  }

  private mutating func set(_ key: String, _ value: Int64) {
    switch key {
    case "count": count = value
    case "bytes": bytes = value
    case "countHardLimit": countHardLimit = value
    case "byteHardLimit": byteHardLimit = value
    default:
      others.removeAll { $0.key == key }
      others.append((key, value))
      others.sort { $0.key < $1.key }
    }
  }

  public var data: [UInt8] {
    var text = "count=\(count),bytes=\(bytes)"
    var extra = others
    if countHardLimit != -1 { extra.append(("countHardLimit", countHardLimit)) }
    if byteHardLimit != -1 { extra.append(("byteHardLimit", byteHardLimit)) }
    if !extra.isEmpty {
      extra.sort { $0.key < $1.key }
      text += "=" + extra.map { ";\($0.key)=\($0.value)" }.joined()
    }
    return Array(text.utf8)
  }

  public static func == (a: Self, b: Self) -> Bool { a.data == b.data }
  public func hash(into hasher: inout Hasher) { hasher.combine(data) }
}

/// What all quotas below one of the root's children allow, and how much of it is used.
public struct QuotaTotals: Equatable, Sendable {
  public var countLimit: Int64 = 0
  public var byteLimit: Int64 = 0
  public var count: Int64 = 0
  public var bytes: Int64 = 0
}

/// Where the znodes of a quota are.
enum QuotaPath {
  static let limits = "zookeeper_limits"
  static let stats = "zookeeper_stats"
  private static let prefix = ZnodePath.quota + "/"

  static func limits(of path: String) -> String { "\(ZnodePath.quota)\(path)/\(limits)" }
  static func stats(of path: String) -> String { "\(ZnodePath.quota)\(path)/\(stats)" }

  /// The path whose quota a znode of this path and name belongs to; nil if it is none of a quota.
  static func target(of path: String, named name: String) -> String? {
    guard path.hasPrefix(prefix), path.hasSuffix("/" + name) else { return nil }
    let target = path.dropFirst(ZnodePath.quota.utf8.count).dropLast(name.utf8.count + 1)
    return target.isEmpty ? nil : String(target)
  }
}

extension DataTree {
  /// The nearest path at or above this one that has a quota.
  func quotaPath(above path: String) -> String? {
    guard !quotas.isEmpty else { return nil }
    var candidate = path
    while candidate.utf8.count > 1 {
      if quotas.contains(candidate) { return candidate }
      guard let parent = ZnodePath.parent(of: candidate) else { return nil }
      candidate = parent
    }
    return nil
  }

  /// Quotas summed up by the first part of their paths, sorted by it. Hard limits take the place of
  /// soft ones; limits that are not set count as ZooKeeper counts them, as −1.
  public var quotaTotals: [(namespace: String, totals: QuotaTotals)] {
    var found: [String: QuotaTotals] = [:]
    for target in quotas {
      var totals = found[ZnodePath.namespace(of: target)] ?? QuotaTotals()
      if let index = nodes.find(QuotaPath.limits(of: target)) {
        let limits = QuotaRecord(nodes.data(of: index))
        totals.countLimit &+= limits.countHardLimit > -1 ? limits.countHardLimit : limits.count
        totals.byteLimit &+= limits.byteHardLimit > -1 ? limits.byteHardLimit : limits.bytes
      }
      if let index = nodes.find(QuotaPath.stats(of: target)) {
        let stats = QuotaRecord(nodes.data(of: index))
        totals.count &+= stats.count
        totals.bytes &+= stats.bytes
      }
      found[ZnodePath.namespace(of: target)] = totals
    }
    return found.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
  }

  /// A znode was created: it may be part of a quota, and it counts in one.
  mutating func countCreation(_ path: String, bytes: Int) {
    if path.utf8.starts(with: ZnodePath.quota.utf8) {
      if let target = QuotaPath.target(of: path, named: QuotaPath.limits) { quotas.insert(target) }
      if let target = QuotaPath.target(of: path, named: QuotaPath.stats) { recount(target) }
    }
    count(path, bytes: bytes, znodes: 1)
  }

  /// A znode was deleted.
  mutating func countDeletion(_ path: String, bytes: Int) {
    if path.utf8.starts(with: ZnodePath.quota.utf8),
      let target = QuotaPath.target(of: path, named: QuotaPath.limits)
    {
      quotas.remove(target)
    }
    count(path, bytes: -bytes, znodes: -1)
  }

  /// Adds to the stats of the quota that a path counts in.
  mutating func count(_ path: String, bytes: Int, znodes: Int64) {
    guard let target = quotaPath(above: path), let index = nodes.find(QuotaPath.stats(of: target))
    else { return }
    var stats = QuotaRecord(nodes.data(of: index))
    // Arithmetic that wraps: whoever writes nonsense into the stats must not stop the server.
    stats.count &+= znodes
    stats.bytes &+= Int64(bytes)
    replaceStats(at: index, stats)
  }

  /// Writes the stats of a quota anew from what is there.
  private mutating func recount(_ target: String) {
    guard let index = nodes.find(QuotaPath.stats(of: target)) else { return }
    var stats = QuotaRecord(count: 0, bytes: 0)
    if let top = nodes.find(target) {
      stats.count = Int64(descendantCount(of: top) + 1)
      stats.bytes = dataSize(of: top)
    }
    replaceStats(at: index, stats)
  }

  private mutating func replaceStats(at index: NodeIndex, _ stats: QuotaRecord) {
    let data = stats.data
    approximateDataSize += Int64(data.count - nodes[index].dataCount)
    nodes.setData(of: index, data)
  }

  /// After a snapshot was loaded: finds the quotas, and counts anew, for a snapshot may have been
  /// taken while the tree changed.
  mutating func restoreQuotas() {
    guard let top = nodes.find(ZnodePath.quota) else { return }
    forEachDescendant(of: top) { tree, index in
      guard tree.nodes[index].childCount == 0, tree.nodes.name(of: index) == QuotaPath.limits,
        let target = QuotaPath.target(of: tree.path(of: index), named: QuotaPath.limits)
      else { return }
      tree.quotas.insert(target)
    }
    for target in quotas.sorted() { recount(target) }
  }

  /// Bytes of data of a znode and everything below it.
  private mutating func dataSize(of top: NodeIndex) -> Int64 {
    var size = Int64(nodes[top].dataCount)
    forEachDescendant(of: top) { tree, index in size += Int64(tree.nodes[index].dataCount) }
    return size
  }

  private mutating func forEachDescendant(
    of top: NodeIndex, _ body: (inout DataTree, NodeIndex) -> Void
  ) {
    var node = nodes[top].firstChild
    while node != .none {
      body(&self, node)
      guard let next = self.node(after: node, below: top) else { return }
      node = next
    }
  }
}
