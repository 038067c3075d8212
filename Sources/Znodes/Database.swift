// The state of the coordination service: the tree, the sessions, and how far they have come.

import ZooKeeperProtocol

/// Everything that transactions change and snapshots hold.
public struct Database: Sendable {
  public internal(set) var tree: DataTree
  /// Timeouts in milliseconds of all sessions that are open.
  public internal(set) var sessions: [Int64: Int32] = [:]
  /// The newest transaction that was applied.
  public internal(set) var lastZxid: Int64 = 0

  public init(extendedTypes: Bool = false) {
    tree = DataTree(extendedTypes: extendedTypes)
  }

  init(tree: DataTree) { self.tree = tree }

  /// From here on transactions are replayed for their effects alone: no changes are told, results
  /// of operations in multis are left out, and there is no digest before `endRecovery`.
  public mutating func beginRecovery() { tree.isRecovering = true }

  /// Makes the digest; everything is told again from here on.
  public mutating func endRecovery() { tree.endRecovery() }

  /// Applies a committed transaction. In the order of zxids; those that a snapshot may already
  /// contain can be applied again.
  ///
  /// - Parameter changes: what changed is appended, for the watches.
  public mutating func replay(_ txn: Txn, changes: inout [ZnodeChange]) -> TxnResult {
    switch txn.body {
    case .createSession(let timeOutMs): sessions[txn.header.clientID] = timeOutMs
    case .closeSession: sessions[txn.header.clientID] = nil
    default: break
    }
    let result = tree.apply(txn.header, txn.body, changes: &changes)
    lastZxid = max(lastZxid, txn.header.zxid)
    return result
  }

  /// A leader's epoch has begun here: what clients see from now on is not older than its zero,
  /// which no transaction has.
  public mutating func beginEpoch(at zxid: Int64) { lastZxid = max(lastZxid, zxid) }

  /// Sets what `/zookeeper/config` shows; not a transaction, each server does it for itself.
  public mutating func setConfig(_ text: [UInt8], version: Int64, time: Int64) {
    tree.setConfig(text, version: version, time: time)
  }

  /// The digest of the tree as it is.
  public var treeDigest: Int64 { tree.digest }

  /// Whether the tree is the one that `txn` was made for. Nil where that cannot be told.
  public func matches(_ digest: TxnDigest?) -> Bool? {
    guard let digest, digest.version == TxnDigest.currentVersion else { return nil }
    return digest.treeDigest == tree.digest
  }
}

extension DataTree {
  fileprivate mutating func setConfig(_ text: [UInt8], version: Int64, time: Int64) {
    addReservedConfig()
    guard let index = nodes.find(ZnodePath.config) else { return }
    approximateDataSize += Int64(text.count - nodes[index].dataCount)
    nodes.setData(of: index, text)
    nodes[index].version = -1
    nodes[index].mzxid = version
    nodes[index].mtime = time
  }
}
