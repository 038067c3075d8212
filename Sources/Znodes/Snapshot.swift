// Snapshots: the database as bytes, and back.

import Bytes
import ZooKeeperProtocol

/// Writes a database piece by piece: sessions, ACLs, nodes (parents before children), end mark.
///
/// It owns a copy of the database, which shares memory with the original: the writer may be on
/// another thread and take its time, and still write one state.
public struct SnapshotWriter {
  private let database: Database
  private var state = State.begin
  private var path: [UInt8] = []

  private enum State {
    case begin
    case node(NodeIndex)
    case done
  }

  public init(_ database: Database) { self.database = database }

  /// Appends at least `size` bytes, or all that is left. False: nothing was left.
  public mutating func write(to writer: inout ByteWriter, atLeast size: Int) -> Bool {
    if case .done = state { return false }
    let end = writer.count + size
    if case .begin = state {
      writeHead(to: &writer)
      state = .node(.root)
    }
    while case .node(let index) = state, writer.count < end {
      writeNode(index, to: &writer)
      if let next = advance(from: index) {
        state = .node(next)
      } else {
        writer.writeJuteString(SnapshotFormat.endPath)
        state = .done
      }
    }
    return true
  }

  private func writeHead(to writer: inout ByteWriter) {
    let sessions = database.sessions.keys.sorted()
    writer.writeInt32(Int32(sessions.count))
    for id in sessions {
      SnapshotFormat.SessionEntry(id: id, timeoutMs: database.sessions[id] ?? 0)
        .write(to: &writer)
    }
    let acls = database.tree.acls.entries
    writer.writeInt32(Int32(acls.count))
    for entry in acls { entry.write(to: &writer) }
  }

  private func writeNode(_ index: NodeIndex, to writer: inout ByteWriter) {
    let tree = database.tree
    writer.writeInt32(Int32(path.count))
    writer.writeBytes(path)
    SnapshotFormat.NodeEntry(
      data: tree.nodes.data(of: index), acl: tree.nodes[index].acl,
      stat: tree.statPersisted(of: index)
    ).write(to: &writer)
  }

  /// The next node of a walk in depth, with `path` moved to it.
  private mutating func advance(from index: NodeIndex) -> NodeIndex? {
    let first = database.tree.nodes[index].firstChild
    if first != .none {
      enter(first)
      return first
    }
    var node = index
    while node != .root {
      let next = database.tree.nodes[node].next
      path.removeLast(database.tree.nodes[node].nameCount + 1)
      if next != .none {
        enter(next)
        return next
      }
      node = database.tree.nodes[node].parent
    }
    return nil
  }

  private mutating func enter(_ index: NodeIndex) {
    path.append(UInt8(ascii: "/"))
    database.tree.nodes.withName(of: index) { path.append(contentsOf: $0) }
  }
}

/// Why bytes are not a snapshot.
public enum SnapshotError: Error, Equatable, Sendable {
  case malformed(ByteError)
  /// A node whose parent does not come before it.
  case orphan(path: String)
  /// A node that comes twice.
  case duplicate(path: String)
}

/// Reads a database, from a file or piece by piece as a leader sends it.
public struct SnapshotLoader {
  private var database: Database
  private var state = State.sessionCount

  private enum State: Equatable {
    case sessionCount
    case sessions(Int32)
    case aclCount
    case acls(Int32)
    case nodes
    case done
  }

  public init(extendedTypes: Bool = false) {
    database = Database(tree: DataTree(emptyWithExtendedTypes: extendedTypes))
  }

  /// Takes all whole items at the reader's position. False: more bytes are needed; the reader
  /// stands before the first item that is not whole. True: the end mark was read.
  public mutating func consume(_ reader: inout ByteReader) throws(SnapshotError) -> Bool {
    while state != .done {
      let start = reader.position
      do {
        try consumeItem(&reader)
      } catch .malformed(.endOfInput), .malformed(.invalidLength) {
        // A length beyond what is here may still be right: the caller knows whether more comes,
        // and bounds how much it keeps for us.
        reader.position = start
        return false
      }
    }
    return true
  }

  /// The database, once `consume` has returned true; `zxid` is how far it has come.
  ///
  /// - Parameter endsRecovery: false when a log is to be replayed over it before it is used.
  public consuming func finish(zxid: Int64, endsRecovery: Bool = true) -> Database {
    database.tree.acls.purgeUnused()
    database.tree.addReservedConfig()
    database.tree.restoreQuotas()
    database.lastZxid = zxid
    if endsRecovery { database.endRecovery() }
    return database
  }

  private mutating func consumeItem(_ reader: inout ByteReader) throws(SnapshotError) {
    do throws(ByteError) {
      switch state {
      case .sessionCount: state = .sessions(try reader.readInt32())
      case .sessions(let left) where left > 0:
        let entry = try SnapshotFormat.SessionEntry(from: &reader)
        database.sessions[entry.id] = entry.timeoutMs
        state = .sessions(left - 1)
      case .sessions: state = .aclCount
      case .aclCount: state = .acls(try reader.readInt32())
      case .acls(let left) where left > 0:
        database.tree.acls.load(try SnapshotFormat.ACLEntry(from: &reader))
        state = .acls(left - 1)
      case .acls: state = .nodes
      case .nodes, .done: break
      }
    } catch {
      throw .malformed(error)
    }
    if state == .nodes { try consumeNode(&reader) }
  }

  private mutating func consumeNode(_ reader: inout ByteReader) throws(SnapshotError) {
    let path: String
    let entry: SnapshotFormat.NodeEntry
    do throws(ByteError) {
      path = try reader.readJuteString()
      if path == SnapshotFormat.endPath {
        state = .done
        return
      }
      entry = try SnapshotFormat.NodeEntry(from: &reader)
    } catch {
      throw .malformed(error)
    }
    try database.tree.load(path: path, entry)
  }
}

extension DataTree {
  /// Puts a node of a snapshot in its place.
  mutating func load(
    path: String, _ entry: SnapshotFormat.NodeEntry
  ) throws(SnapshotError) {
    let index: NodeIndex
    if path.isEmpty {
      index = .root
      nodes.setData(of: index, entry.data)
    } else {
      index = try place(path: path, entry.data)
    }
    nodes[index].acl = entry.acl
    nodes[index].czxid = entry.stat.czxid
    nodes[index].mzxid = entry.stat.mzxid
    nodes[index].pzxid = entry.stat.pzxid
    nodes[index].ctime = entry.stat.ctime
    nodes[index].mtime = entry.stat.mtime
    nodes[index].version = entry.stat.version
    nodes[index].cversion = entry.stat.cversion
    nodes[index].aversion = entry.stat.aversion
    nodes.setOwner(of: index, entry.stat.ephemeralOwner)
    acls.addUse(entry.acl)
    if index != .root { register(index) }
    approximateDataSize += Int64(path.utf8.count + (entry.data?.count ?? 0))
    addDigest(of: index, path: path)
  }

  private mutating func place(
    path: String, _ data: [UInt8]?
  ) throws(SnapshotError) -> NodeIndex {
    try path.utf8.span.withUnsafeBufferPointer { (bytes) throws(SnapshotError) in
      guard let slash = bytes.lastIndex(of: UInt8(ascii: "/")),
        let parent = nodes.findParent(NodeChunk.Text(rebasing: bytes[..<slash]))
      else { throw .orphan(path: path) }
      let name = NodeChunk.Text(rebasing: bytes[(slash + 1)...])
      let spot = nodes.spot(of: name, under: parent)
      guard spot.found == nil else { throw .duplicate(path: path) }
      return nodes.insert(Node(), named: name, data: data, under: parent, at: spot)
    }
  }
}
