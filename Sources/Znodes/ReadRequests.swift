// Requests that change nothing (but watches): answered by any server from what it has applied.

import Bytes
import ZooKeeperProtocol

/// Whose request it is.
public struct Requester: Sendable {
  public var session: Int64
  public var identities: [AuthID]
  public var watcher: WatcherID
  /// The rules by which the identities are judged.
  public var authority: Authority

  public init(
    session: Int64, identities: [AuthID], watcher: WatcherID, authority: Authority = Authority()
  ) {
    self.session = session
    self.identities = identities
    self.watcher = watcher
    self.authority = authority
  }

  fileprivate func may(_ permissions: Permissions, _ acl: [ACL]) -> Bool {
    authority.allows(acl, permissions, to: identities)
  }
}

extension Database {
  /// Answers a reading request: the reply's body is written to `writer`. On an error nothing must
  /// be sent but the error; the caller takes back what was written.
  ///
  /// - Parameter notifications: what setWatches finds to have happened meanwhile; goes out first.
  /// - Throws: What the reply's header says.
  public func read(
    _ type: OpCode, _ body: inout ByteReader, by requester: Requester,
    watches: inout WatchTable, notifications: inout [WatchNotification],
    to writer: inout ByteWriter
  ) throws(ZooKeeperError) {
    do throws(ReadFailure) {
      switch type {
      case .exists, .getData, .getChildren, .getChildren2:
        let request = try decode { (r) throws(ByteError) in try PathWatchRequest(from: &r) }
        try readNode(type, request, by: requester, watches: &watches, to: &writer)
      case .getACL, .getAllChildrenNumber, .getEphemerals:
        let path = try decode { (r) throws(ByteError) in try r.readOptionalJuteString() }
        try readPath(type, path ?? "", by: requester, to: &writer)
      case .sync:
        let path = try decode { (r) throws(ByteError) in try PathRecord(from: &r) }
        path.write(to: &writer)
      case .multiRead:
        let request = try decode { (r) throws(ByteError) in try MultiRequest(from: &r) }
        try readAll(request, by: requester, watches: &watches, to: &writer)
      case .setWatches, .setWatches2:
        let request = try decode { (r) throws(ByteError) in
          try SetWatchesRequest(from: &r, type: type)
        }
        restore(request, for: requester.watcher, in: &watches, notifications: &notifications)
      case .addWatch:
        let request = try decode { (r) throws(ByteError) in try PathKindRequest(from: &r) }
        guard let mode = AddWatchMode(rawValue: request.kind) else {
          throw .error(.marshallingError)
        }
        watches.add(request.path, requester.watcher, mode: mode)
        IntRecord(0).write(to: &writer)
      case .removeWatches, .checkWatches:
        let request = try decode { (r) throws(ByteError) in try PathKindRequest(from: &r) }
        guard let kind = WatcherType(rawValue: request.kind) else {
          throw .error(.marshallingError)
        }
        let had =
          type == .checkWatches
          ? watches.contains(request.path, requester.watcher, type: kind)
          : watches.remove(request.path, requester.watcher, type: kind)
        if !had { throw .error(.noWatcher) }
      case .whoAmI: WhoAmIResponse(clientInfo: requester.users).write(to: &writer)
      default: throw .error(.unimplemented)
      }
    } catch {
      switch error {
      case .error(let code): throw code
      case .malformed: throw .marshallingError
      }
    }

    func decode<T>(
      _ parse: (inout ByteReader) throws(ByteError) -> T
    ) throws(ReadFailure) -> T {
      do { return try parse(&body) } catch { throw .malformed }
    }
  }

  private enum ReadFailure: Error {
    case error(ZooKeeperError)
    case malformed
  }

  private func node(
    _ path: String, _ permissions: Permissions, _ requester: Requester
  ) throws(ReadFailure) -> NodeIndex {
    guard let index = tree.find(path) else { throw .error(.noNode) }
    guard requester.may(permissions, tree.acl(of: index)) else { throw .error(.noAuth) }
    return index
  }

  private func readNode(
    _ type: OpCode, _ request: PathWatchRequest, by requester: Requester,
    watches: inout WatchTable, to writer: inout ByteWriter
  ) throws(ReadFailure) {
    if type == .exists {
      guard !request.path.utf8.contains(0) else { throw .error(.badArguments) }
      // A watch for existence is set whether or not the node is there, and needs no permission.
      if request.watch { watches.watchData(request.path, requester.watcher) }
      guard let index = tree.find(request.path) else { throw .error(.noNode) }
      return tree.stat(of: index).write(to: &writer)
    }
    let index = try node(request.path, .read, requester)
    if type == .getData {
      if request.watch { watches.watchData(request.path, requester.watcher) }
      writer.writeJuteBuffer(tree.data(of: index))
      return tree.stat(of: index).write(to: &writer)
    }
    if request.watch { watches.watchChildren(request.path, requester.watcher) }
    writer.writeJuteStrings(tree.children(of: index))
    if type == .getChildren2 { tree.stat(of: index).write(to: &writer) }
  }

  private func readPath(
    _ type: OpCode, _ path: String, by requester: Requester, to writer: inout ByteWriter
  ) throws(ReadFailure) {
    switch type {
    case .getACL:
      let index = try node(path, [.read, .admin], requester)
      let acl = tree.acl(of: index)
      let mayAdminister = requester.may(.admin, acl)
      GetACLResponse(
        acl: mayAdminister ? acl : Authority.redacted(acl), stat: tree.stat(of: index)
      ).write(to: &writer)
    case .getAllChildrenNumber:
      let index = try node(path, .read, requester)
      // Below the empty path there is the root too.
      let count = tree.descendantCount(of: index) + (path.isEmpty ? 1 : 0)
      writer.writeInt32(Int32(clamping: count))
    default:
      let all = tree.ephemerals(of: requester.session)
      let trimmed = path.utf8.filter { $0 > 0x20 }
      let prefix = trimmed.isEmpty || trimmed.elementsEqual("/".utf8) ? "" : path
      writer.writeJuteStrings(all.filter { $0.utf8.starts(with: prefix.utf8) })
    }
  }

  private func readAll(
    _ request: MultiRequest, by requester: Requester, watches: inout WatchTable,
    to writer: inout ByteWriter
  ) throws(ReadFailure) {
    var results: [MultiResult] = []
    for operation in request.operations {
      do throws(ReadFailure) {
        switch operation {
        case .getChildren(let read):
          let index = try node(read.path, .read, requester)
          if read.watch { watches.watchChildren(read.path, requester.watcher) }
          results.append(.getChildren(tree.children(of: index)))
        case .getData(let read):
          let index = try node(read.path, .read, requester)
          if read.watch { watches.watchData(read.path, requester.watcher) }
          results.append(.getData(tree.data(of: index), tree.stat(of: index)))
        default: throw .malformed
        }
      } catch {
        guard case .error(let code) = error else { throw error }
        results.append(.error(code))
      }
    }
    MultiResponse(results).write(to: &writer)
  }

  /// Watches of a client that has come back: set again, or fired if what they wait for happened
  /// while it was away.
  private func restore(
    _ request: SetWatchesRequest, for watcher: WatcherID, in watches: inout WatchTable,
    notifications: inout [WatchNotification]
  ) {
    func tell(_ event: WatchEventType, _ path: String) {
      notifications.append(WatchNotification(watcher: watcher, event: event, path: path))
    }
    for path in request.dataWatches {
      guard let index = tree.find(path) else {
        tell(.nodeDeleted, path)
        continue
      }
      if tree.nodes[index].mzxid > request.relativeZxid {
        tell(.nodeDataChanged, path)
      } else {
        watches.watchData(path, watcher)
      }
    }
    for path in request.existWatches {
      if tree.find(path) != nil {
        tell(.nodeCreated, path)
      } else {
        watches.watchData(path, watcher)
      }
    }
    for path in request.childWatches {
      guard let index = tree.find(path) else {
        tell(.nodeDeleted, path)
        continue
      }
      if tree.nodes[index].pzxid > request.relativeZxid {
        tell(.nodeChildrenChanged, path)
      } else {
        watches.watchChildren(path, watcher)
      }
    }
    for path in request.persistentWatches { watches.add(path, watcher, mode: .persistent) }
    for path in request.persistentRecursiveWatches {
      watches.add(path, watcher, mode: .persistentRecursive)
    }
  }
}

extension Requester {
  /// Who the connection is, without anything secret.
  fileprivate var users: [AuthID] {
    identities.map { AuthID(scheme: $0.scheme, id: Authority.user(of: $0)) }
  }
}
