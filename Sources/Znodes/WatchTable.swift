// Watches: who wants to hear what happens to which path. Each server keeps those of its own
// connections; they are no part of the replicated state.

import ZooKeeperProtocol

/// Whoever watches: a connection, by a number that its server gives it.
public struct WatcherID: RawRepresentable, Hashable, Comparable, Sendable {
  public var rawValue: Int
  public init(rawValue: Int) { self.rawValue = rawValue }
  public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// A notification that is due.
public struct WatchNotification: Hashable, Sendable {
  public var watcher: WatcherID
  public var event: WatchEventType
  public var path: String
  /// Who may hear of it: whoever may read what it is about; nil for everybody.
  public var acl: [ACL]?
}

/// How long a watch lasts and how far it sees; one watcher may have all kinds on a path.
struct WatchKinds: OptionSet, Sendable {
  var rawValue: UInt8
  static let once = WatchKinds(rawValue: 1)
  static let persistent = WatchKinds(rawValue: 2)
  static let recursive = WatchKinds(rawValue: 4)
}

/// Watches of one sort: on data, or on children.
struct WatchIndex: Sendable {
  /// Watchers of a path in order of their ids. Most paths have one.
  private var watchers: [String: [(id: WatcherID, kinds: WatchKinds)]] = [:]
  private var paths: [WatcherID: Set<String>] = [:]
  private(set) var recursiveCount = 0
  /// Watches, counted by watcher and path.
  private(set) var count = 0

  var pathCount: Int { watchers.count }
  var watcherCount: Int { paths.count }

  /// Paths in order, each with its watchers.
  var byPath: [(path: String, watchers: [WatcherID])] {
    watchers.keys.sorted().map { ($0, watchers[$0]?.map(\.id) ?? []) }
  }

  /// Watchers in order, each with its paths.
  var byWatcher: [(watcher: WatcherID, paths: [String])] {
    paths.keys.sorted().map { ($0, paths[$0]?.sorted() ?? []) }
  }

  private static func position(
    of id: WatcherID, in list: [(id: WatcherID, kinds: WatchKinds)]
  ) -> Int {
    var (low, high) = (0, list.count)
    while low < high {
      let middle = (low + high) / 2
      if list[middle].id < id { low = middle + 1 } else { high = middle }
    }
    return low
  }

  mutating func add(_ path: String, _ id: WatcherID, _ kinds: WatchKinds) {
    var list = watchers.removeValue(forKey: path) ?? []
    let position = Self.position(of: id, in: list)
    if position < list.count, list[position].id == id {
      if kinds.contains(.recursive), !list[position].kinds.contains(.recursive) {
        recursiveCount += 1
      }
      list[position].kinds.formUnion(kinds)
    } else {
      list.insert((id, kinds), at: position)
      paths[id, default: []].insert(path)
      count += 1
      if kinds.contains(.recursive) { recursiveCount += 1 }
    }
    watchers[path] = list
  }

  func contains(_ path: String, _ id: WatcherID) -> Bool { paths[id]?.contains(path) ?? false }

  /// Takes away these kinds; true if the watcher had any of them.
  mutating func remove(_ path: String, _ id: WatcherID, _ kinds: WatchKinds) -> Bool {
    guard var list = watchers[path] else { return false }
    let position = Self.position(of: id, in: list)
    guard position < list.count, list[position].id == id,
      !list[position].kinds.isDisjoint(with: kinds)
    else { return false }
    watchers[path] = nil
    let had = list[position].kinds
    if had.contains(.recursive), kinds.contains(.recursive) { recursiveCount -= 1 }
    list[position].kinds.subtract(kinds)
    if list[position].kinds.isEmpty {
      list.remove(at: position)
      forget(path, of: id)
    }
    if !list.isEmpty { watchers[path] = list }
    return true
  }

  private mutating func forget(_ path: String, of id: WatcherID) {
    paths[id]?.remove(path)
    if paths[id]?.isEmpty == true { paths[id] = nil }
    count -= 1
  }

  /// Forgets all watches of a connection that is gone.
  mutating func removeAll(of id: WatcherID) {
    for path in (paths[id] ?? []).sorted() {
      _ = remove(path, id, [.once, .persistent, .recursive])
    }
  }

  /// Who is to hear of `event` at `path`; one-shot watches are used up.
  mutating func trigger(_ path: String, _ event: WatchEventType) -> [WatcherID] {
    var found: [WatcherID] = []
    if let list = watchers[path] {
      for (id, kinds) in list {
        if !kinds.isDisjoint(with: [.once, .persistent])
          || (kinds.contains(.recursive) && event != .nodeChildrenChanged)
        {
          found.append(id)
        }
        if kinds.contains(.once) { _ = remove(path, id, .once) }
      }
    }
    guard recursiveCount > 0, event != .nodeChildrenChanged else { return found }
    var parent = ZnodePath.parent(of: path)
    while let above = parent, path.utf8.count > 1 {
      for (id, kinds) in watchers[ZnodePath.watchable(above)] ?? []
      where kinds.contains(.recursive) && !found.contains(id) {
        found.append(id)
      }
      parent = above.isEmpty ? nil : ZnodePath.parent(of: above)
    }
    return found
  }
}

/// All watches of one server.
public struct WatchTable: Sendable {
  var data = WatchIndex()
  var children = WatchIndex()

  public init() {}

  /// Watches, counted by watcher, path and sort.
  public var count: Int { data.count + children.count }
  /// Paths with a watch on their data or existence.
  public var watchedPathCount: Int { data.pathCount }
  public var watcherCount: Int { data.watcherCount }
  public var dataWatchCount: Int { data.count }

  /// Data watches by path, for the four-letter word.
  public var byPath: [(path: String, watchers: [WatcherID])] { data.byPath }
  public var byWatcher: [(watcher: WatcherID, paths: [String])] { data.byWatcher }

  public mutating func watchData(_ path: String, _ id: WatcherID) { data.add(path, id, .once) }
  public mutating func watchChildren(_ path: String, _ id: WatcherID) {
    children.add(path, id, .once)
  }

  /// A watch that stays, on the path alone or on everything below it.
  public mutating func add(_ path: String, _ id: WatcherID, mode: AddWatchMode) {
    let kinds: WatchKinds = mode == .persistent ? .persistent : .recursive
    data.add(path, id, kinds)
    children.add(path, id, kinds)
  }

  public func contains(_ path: String, _ id: WatcherID, type: WatcherType) -> Bool {
    (type != .children && data.contains(path, id))
      || (type != .data && children.contains(path, id))
  }

  /// Takes a watcher's watches away from a path; true if there were any.
  public mutating func remove(_ path: String, _ id: WatcherID, type: WatcherType) -> Bool {
    let all: WatchKinds = [.once, .persistent, .recursive]
    let hadData = type != .children && data.remove(path, id, all)
    let hadChildren = type != .data && children.remove(path, id, all)
    return hadData || hadChildren
  }

  public mutating func removeAll(of id: WatcherID) {
    data.removeAll(of: id)
    children.removeAll(of: id)
  }

  /// Appends the notifications that a change calls for, in the order in which they go out.
  public mutating func trigger(
    _ change: ZnodeChange, into notifications: inout [WatchNotification]
  ) {
    func tell(_ watchers: [WatcherID], _ event: WatchEventType, _ path: String, _ acl: [ACL]?) {
      for id in watchers {
        notifications.append(WatchNotification(watcher: id, event: event, path: path, acl: acl))
      }
    }
    let (path, acl) = (change.path, change.acl)
    let parent = ZnodePath.watchable(ZnodePath.parent(of: path) ?? "")
    func tellParent() {
      tell(
        children.trigger(parent, .nodeChildrenChanged), .nodeChildrenChanged, parent,
        change.parentACL)
    }
    switch change.kind {
    case .created:
      tell(data.trigger(path, .nodeCreated), .nodeCreated, path, acl)
      tellParent()
    case .deleted:
      // Whoever watches both data and children of the node hears of its end once.
      let told = data.trigger(path, .nodeDeleted)
      tell(told, .nodeDeleted, path, acl)
      let others = children.trigger(path, .nodeDeleted).filter { !told.contains($0) }
      tell(others, .nodeDeleted, path, acl)
      tellParent()
    case .dataChanged:
      tell(data.trigger(path, .nodeDataChanged), .nodeDataChanged, path, acl)
    }
  }
}
