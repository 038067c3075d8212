import ZooKeeperProtocol

/// The watches a client has: one-shot ones that have not fired, and those that stay. Known so that
/// they can be set again on another server (setWatches), which tells at once what was missed.
struct WatchTable {
  private(set) var data: Set<String> = []
  private(set) var exist: Set<String> = []
  private(set) var child: Set<String> = []
  private(set) var persistent: Set<String> = []
  private(set) var recursive: Set<String> = []

  var isEmpty: Bool {
    data.isEmpty && exist.isEmpty && child.isEmpty && persistent.isEmpty && recursive.isEmpty
  }

  /// `addWatch` was answered. A path has one of the two kinds, the newest.
  mutating func add(_ path: String, _ mode: AddWatchMode) {
    persistent.remove(path)
    recursive.remove(path)
    if mode == .persistent { persistent.insert(path) } else { recursive.insert(path) }
  }

  /// `removeWatches` was answered.
  mutating func remove(_ path: String, _ type: WatcherType) {
    if type != .children {
      data.remove(path)
      exist.remove(path)
    }
    if type != .data { child.remove(path) }
    if type == .any {
      persistent.remove(path)
      recursive.remove(path)
    }
  }

  func contains(_ path: String, _ type: WatcherType) -> Bool {
    switch type {
    case .children: child.contains(path)
    case .data: data.contains(path) || exist.contains(path)
    default:
      child.contains(path) || data.contains(path) || exist.contains(path)
        || persistent.contains(path) || recursive.contains(path)
    }
  }

  /// A request that asked for a watch was answered. What it watches depends on the answer: exists
  /// on a missing znode waits for its creation.
  mutating func set(by type: OpCode, _ path: String, _ error: ZooKeeperError) {
    switch (type, error) {
    case (.getData, .ok), (.exists, .ok): data.insert(path)
    case (.exists, .noNode): exist.insert(path)
    case (.getChildren, .ok), (.getChildren2, .ok): child.insert(path)
    default: break
    }
  }

  /// An event uses up the watches that it answers.
  mutating func fired(_ type: WatchEventType, _ path: String) {
    switch type {
    case .nodeCreated, .nodeDataChanged:
      data.remove(path)
      exist.remove(path)
    case .nodeChildrenChanged: child.remove(path)
    case .nodeDeleted:
      data.remove(path)
      exist.remove(path)
      child.remove(path)
    case .dataWatchRemoved:
      data.remove(path)
      exist.remove(path)
    case .childWatchRemoved: child.remove(path)
    case .persistentWatchRemoved:
      persistent.remove(path)
      recursive.remove(path)
    case .none: break
    }
  }

  mutating func removeAll() {
    data = []
    exist = []
    child = []
    persistent = []
    recursive = []
  }

  /// Requests that set all watches again; each small enough for a server's frame limit.
  func requests(relativeTo zxid: Int64, maxBytes: Int = 128 * 1024) -> [SetWatchesRequest] {
    var requests: [SetWatchesRequest] = []
    var current = SetWatchesRequest(relativeZxid: zxid)
    var size = 0
    func add(_ paths: Set<String>, _ list: WritableKeyPath<SetWatchesRequest, [String]>) {
      for path in paths.sorted() {
        current[keyPath: list].append(path)
        size += path.utf8.count + 4
        if size >= maxBytes {
          requests.append(current)
          current = SetWatchesRequest(relativeZxid: zxid)
          size = 0
        }
      }
    }
    add(data, \.dataWatches)
    add(exist, \.existWatches)
    add(child, \.childWatches)
    add(persistent, \.persistentWatches)
    add(recursive, \.persistentRecursiveWatches)
    if size > 0 { requests.append(current) }
    return requests
  }
}

extension SetWatchesRequest {
  /// Servers before 3.6 know only the first form, and watches that stay not at all.
  var type: OpCode {
    persistentWatches.isEmpty && persistentRecursiveWatches.isEmpty ? .setWatches : .setWatches2
  }
}
