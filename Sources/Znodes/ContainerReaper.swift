// Which containers and TTL znodes have had their time, and how fast they may go.

/// The leader's list of znodes to delete: ZooKeeper's `ContainerManager`.
///
/// A look at the tree fills it; then they are deleted one at a time, so that ten thousand znodes
/// that expire together do not hold up everybody else's requests.
public struct ContainerReaper: Sendable {
  /// `znode.container.maxPerMinute`
  let maxPerMinute: Int
  /// `znode.container.maxNeverUsedIntervalMs`: after how long a container goes that never had a
  /// child; 0 leaves it.
  let maxNeverUsedMs: Int64
  private var queue: [String] = []

  public init(maxPerMinute: Int, maxNeverUsedMs: Int64) {
    self.maxPerMinute = max(1, maxPerMinute)
    self.maxNeverUsedMs = maxNeverUsedMs
  }

  /// Milliseconds between two deletions; 0: as fast as they come.
  public var intervalMs: Int64 { 60_000 / Int64(maxPerMinute) }

  public var isIdle: Bool { queue.isEmpty }

  /// Looks for znodes to delete. Does nothing while some are left of the last look.
  ///
  /// - Parameter now: The wall clock in milliseconds, which is what ages are measured with.
  public mutating func look(at tree: DataTree, now: Int64) {
    guard queue.isEmpty else { return }
    // Taken from the end.
    queue = tree.expired(at: now, maxNeverUsedMs: maxNeverUsedMs).reversed()
  }

  /// The next path to delete. It may be in use again: whoever deletes it looks.
  public mutating func next() -> String? { queue.popLast() }

  public mutating func removeAll() { queue = [] }
}

extension DataTree {
  /// Containers and TTL znodes that may be deleted, sorted: containers that had a child once and
  /// have none, or never had one for too long; TTLs whose time has passed without a change.
  func expired(at now: Int64, maxNeverUsedMs: Int64) -> [String] {
    var paths: [String] = []
    for index in containers where nodes[index].childCount == 0 {
      let isUsed = nodes[index].cversion > 0
      if isUsed || (maxNeverUsedMs != 0 && now - nodes[index].mtime > maxNeverUsedMs) {
        paths.append(path(of: index))
      }
    }
    for index in ttls where nodes[index].childCount == 0 {
      let ttl = OwnerKind.ttl(ofOwner: nodes.owner(of: index))
      if ttl != 0, now - nodes[index].mtime > ttl { paths.append(path(of: index)) }
    }
    // The sets have no order of their own.
    return paths.sorted()
  }
}
