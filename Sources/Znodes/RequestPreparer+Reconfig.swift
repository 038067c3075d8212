// Changes of the ensemble, as far as the tree is concerned.

import ZooKeeperProtocol

extension RequestPreparer {
  /// A reconfiguration is written to `/zookeeper/config` like data. Its version is the zxid, and
  /// the znode's own version stays −1. Who may write that znode may change the ensemble.
  mutating func prepareReconfig(
    _ request: WriteRequest, header: TxnHeader, over database: borrowing Database
  ) throws(ZooKeeperError) -> TxnBody {
    let members: [UInt8]
    switch request.reconfiguration {
    case .success(let lines): members = lines
    case .failure(let error): throw error
    case nil: throw .reconfigDisabled
    }
    var (node, stat) = try record(ZnodePath.config, over: database)
    try authorize(request, .write, on: node)
    let version = "version=" + String(UInt64(bitPattern: header.zxid), radix: 16)
    let text = members + Array(version.utf8)
    stat.version = -1
    (stat.mzxid, stat.mtime) = (header.zxid, header.time)
    (node.zxid, node.stat, node.data) = (header.zxid, stat, text)
    add(node, at: ZnodePath.config)
    return .setData(path: ZnodePath.config, data: text, version: -1)
  }
}
