// The digest: how servers notice that their trees differ.
//
// Every node contributes a CRC-32 over its path, data and stat; the tree's digest is their wrapping
// sum, so that a change costs only the nodes that it touches. What lies under `/zookeeper/` counts
// for nothing: servers may differ there.

import ZooKeeperProtocol

enum NodeDigest {
  static func compute(path: String, data: [UInt8]?, stat: StatPersisted) -> UInt32 {
    (data ?? []).withUnsafeBytes { compute(path: path, data: $0, stat: stat) }
  }

  /// - Parameter data: Null and empty count alike.
  static func compute(
    path: String, data: UnsafeRawBufferPointer?, stat: StatPersisted
  ) -> UInt32 {
    if path.utf8.starts(with: "/zookeeper/".utf8) { return 0 }
    var crc = CRC32()
    // The root's path is empty however it was spelled.
    if path.utf8.count > 1 {
      var path = path
      path.withUTF8 { crc.update(UnsafeRawBufferPointer($0)) }
    }
    if let data { crc.update(data) }
    crc.update(stat.czxid)
    crc.update(stat.mzxid)
    crc.update(stat.pzxid)
    crc.update(stat.ctime)
    crc.update(stat.mtime)
    crc.update(stat.version)
    crc.update(stat.cversion)
    crc.update(stat.aversion)
    crc.update(stat.ephemeralOwner)
    return crc.value
  }
}

extension DataTree {
  /// Counts a new node in.
  mutating func addDigest(of index: NodeIndex, path: String) {
    let stat = statPersisted(of: index)
    let value = nodes.withData(of: index) { NodeDigest.compute(path: path, data: $0, stat: stat) }
    nodes[index].digest = value
    digest &+= Int64(value)
  }

  /// Counts a node anew after a change.
  mutating func updateDigest(of index: NodeIndex, path: String) {
    digest &-= Int64(nodes[index].digest)
    addDigest(of: index, path: path)
  }
}
