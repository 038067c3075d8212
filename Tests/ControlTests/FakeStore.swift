import Control
import Values

/// A ZooKeeper small enough for these tests: nodes with versions, multis that are atomic,
/// ephemerals of sessions, and one-shot watches.
final class FakeStore {
  struct Node {
    var data: [UInt8]
    var version: Int32 = 0
    var czxid: Int64
    var mzxid: Int64 = 0
    var owner: Int?
    var sequence = 0
  }

  private(set) var nodes: [String: Node] = [:]

  /// FNV-1a over all paths and data, in order of path.
  var digest: UInt64 {
    var digest: UInt64 = 14_695_981_039_346_656_037
    for path in nodes.keys.sorted() {
      for byte in Array(path.utf8) + (nodes[path]?.data ?? []) {
        digest = (digest ^ UInt64(byte)) &* 1_099_511_628_211
      }
    }
    return digest
  }

  private(set) var zxid: Int64 = 0
  /// Sessions that watch a path: data and existence, and children.
  private var dataWatches: [String: Set<Int>] = [:]
  private var childWatches: [String: Set<Int>] = [:]
  /// Watches that fired and are not delivered yet.
  var fired: [(session: Int, path: String)] = []

  init() {
    for path in ZnodePath.persistent + ["/admin", "/config", "/brokers"] { makeParents(path) }
    nodes[ZnodePath.producerIDBlock] = Node(data: [], czxid: 0)
  }

  private func makeParents(_ path: String) {
    var built = ""
    for part in path.split(separator: "/") {
      built += "/\(part)"
      if nodes[built] == nil { nodes[built] = Node(data: [], czxid: 0) }
    }
  }

  func children(_ path: String) -> [String] {
    nodes.keys.compactMap { key -> String? in
      guard key.hasPrefix(path + "/") else { return nil }
      let rest = key.dropFirst(path.utf8.count + 1)
      return rest.contains("/") ? nil : String(rest)
    }.sorted()
  }

  func read(_ read: ZnodeRead, session: Int) -> ZnodeReadResult {
    switch read {
    case .children(let path, let watch):
      guard nodes[path] != nil else { return .missing }
      if watch { childWatches[path, default: []].insert(session) }
      return .children(children(path))
    case .data(let path, let watch):
      if watch { dataWatches[path, default: []].insert(session) }
      guard let node = nodes[path] else { return .missing }
      return .content(
        ZnodeContent(
          data: node.data, version: node.version, createdZxid: node.czxid,
          modifiedZxid: max(node.czxid, node.mzxid)))
    }
  }

  /// All or nothing.
  func apply(_ ops: [ZnodeOp], session: Int) -> ZnodeOutcome {
    let before = nodes
    zxid += 1
    var touched: [(path: String, isChild: Bool)] = []
    for (index, op) in ops.enumerated() {
      if let failure = apply(op, session, &touched) {
        nodes = before
        return .failed(index: index, failure)
      }
    }
    for (path, isChild) in touched { fire(path, isChild) }
    return .done
  }

  private func apply(
    _ op: ZnodeOp, _ session: Int, _ touched: inout [(path: String, isChild: Bool)]
  ) -> ZnodeFailure? {
    let parent = String(op.path[..<(op.path.lastIndex(of: "/") ?? op.path.startIndex)])
    switch op {
    case .check(let path, let version):
      guard let node = nodes[path] else { return .noNode }
      return node.version == version ? nil : .badVersion
    case .create(var path, let data, let mode):
      guard parent.isEmpty || nodes[parent] != nil else { return .noNode }
      if mode == .persistentSequential {
        let number = nodes[parent]?.sequence ?? 0
        nodes[parent]?.sequence += 1
        let digits = String(number)
        path += String(repeating: "0", count: 10 - digits.count) + digits
      }
      guard nodes[path] == nil else { return .nodeExists }
      nodes[path] = Node(
        data: data ?? [], czxid: zxid, owner: mode == .ephemeral ? session : nil)
      touched += [(path, false), (parent, true)]
    case .setData(let path, let data, let version):
      guard let node = nodes[path] else { return .noNode }
      guard version == -1 || version == node.version else { return .badVersion }
      nodes[path]?.data = data
      nodes[path]?.version += 1
      nodes[path]?.mzxid = zxid
      touched.append((path, false))
    case .delete(let path, let version):
      guard let node = nodes[path] else { return .noNode }
      guard version == -1 || version == node.version else { return .badVersion }
      guard children(path).isEmpty else { return .notEmpty }
      nodes[path] = nil
      touched += [(path, false), (parent, true)]
    }
    return nil
  }

  private func fire(_ path: String, _ isChild: Bool) {
    let sessions =
      isChild ? childWatches.removeValue(forKey: path) : dataWatches.removeValue(forKey: path)
    for session in (sessions ?? []).sorted() { fired.append((session, path)) }
  }

  /// The session is over: its ephemerals go, its watches too.
  func expire(_ session: Int) {
    for path in nodes.keys.sorted() where nodes[path]?.owner == session {
      _ = apply([.delete(path: path, version: -1)], session: session)
    }
    for path in dataWatches.keys { dataWatches[path]?.remove(session) }
    for path in childWatches.keys { childWatches[path]?.remove(session) }
    fired.removeAll { $0.session == session }
  }
}
