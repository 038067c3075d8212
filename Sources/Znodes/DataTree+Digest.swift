// The digest: how servers notice that their trees differ.
//
// Every node contributes a CRC-32 over its path, data and stat; the tree's digest is their wrapping
// sum, so that a change costs only the nodes that it touches. What lies under `/zookeeper/` counts
// for nothing: servers may differ there.

import ZooKeeperProtocol

enum NodeDigest {
  static func compute(path: String, data: [UInt8]?, stat: StatPersisted) -> UInt32 {
    path.utf8.span.withUnsafeBufferPointer { path in
      (data ?? []).withUnsafeBytes { compute(path: path, data: $0, stat: stat) }
    }
  }

  /// - Parameter data: Null and empty count alike.
  static func compute(
    path: NodeChunk.Text, data: UnsafeRawBufferPointer?, stat: StatPersisted
  ) -> UInt32 {
    if path.starts(with: reserved) { return 0 }
    var crc = CRC32()
    // The root's path is empty however it was spelled.
    if path.count > 1 { crc.update(UnsafeRawBufferPointer(path)) }
    return compute(after: crc, data: data, stat: stat)
  }

  /// The digest of a node whose path has been summed up already.
  static func compute(
    after path: CRC32, data: UnsafeRawBufferPointer?, stat: StatPersisted
  ) -> UInt32 {
    var crc = path
    if let data { crc.update(data) }
    crc.update(stat)
    return crc.value
  }

  private static let reserved = Array("/zookeeper/".utf8)
}

extension CRC32 {
  fileprivate mutating func update(_ stat: StatPersisted) {
    update(stat.czxid)
    update(stat.mzxid)
    update(stat.pzxid)
    update(stat.ctime)
    update(stat.mtime)
    update(Int64(stat.version) << 32 | Int64(UInt32(bitPattern: stat.cversion)))
    update(Int64(stat.aversion) << 32 | stat.ephemeralOwner >> 32 & 0xffff_ffff)
    update(Int32(truncatingIfNeeded: stat.ephemeralOwner))
  }
}

extension DataTree {
  /// Counts a new node in.
  mutating func addDigest(of index: NodeIndex, path: String) {
    path.utf8.span.withUnsafeBufferPointer { addDigest(of: index, path: $0) }
  }

  mutating func addDigest(of index: NodeIndex, path: NodeChunk.Text) {
    if isRecovering { return }
    let stat = statPersisted(of: index)
    let value = nodes.withData(of: index) { NodeDigest.compute(path: path, data: $0, stat: stat) }
    nodes[index].digest = value
    digest &+= Int64(value)
  }

  /// Counts a node anew after a change.
  mutating func updateDigest(of index: NodeIndex, path: String) {
    path.utf8.span.withUnsafeBufferPointer { updateDigest(of: index, path: $0) }
  }

  mutating func updateDigest(of index: NodeIndex, path: NodeChunk.Text) {
    if isRecovering { return }
    digest &-= Int64(nodes[index].digest)
    addDigest(of: index, path: path)
  }

  /// Makes the digests that were left out while the tree was recovered: each node's once, however
  /// often it was changed, and the beginning of its path once for all of its siblings.
  mutating func endRecovery() {
    guard isRecovering else { return }
    isRecovering = false
    digest = 0
    let reserved = nodes.find(ZnodePath.reserved)
    // Sums over the paths from the root to `index`.
    var paths = [CRC32()]
    var index = NodeIndex.root
    while true {
      settle(index, after: paths[paths.count - 1])
      // What lies under the server's own corner counts for nothing.
      var next = index == reserved ? NodeIndex.none : nodes[index].firstChild
      if next == .none {
        while index != .root, nodes[index].next == .none {
          index = nodes[index].parent
          paths.removeLast()
        }
        if index == .root { return }
        next = nodes[index].next
        paths.removeLast()
      }
      var path = paths[paths.count - 1]
      path.update(UInt8(ascii: "/"))
      nodes.withName(of: next) { path.update(UnsafeRawBufferPointer($0)) }
      paths.append(path)
      index = next
    }
  }

  private mutating func settle(_ index: NodeIndex, after path: CRC32) {
    let stat = statPersisted(of: index)
    let value = nodes.withData(of: index) { NodeDigest.compute(after: path, data: $0, stat: stat) }
    nodes[index].digest = value
    digest &+= Int64(value)
  }
}
