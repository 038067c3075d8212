// The memory of the tree: nodes in fixed chunks, found by (parent, name).
//
// A node knows its name and its relatives, never its whole path, and has no allocation of its own
// besides a long name and its data. Chunks keep growth from copying everything, and make a copy of
// the table cheap: what has not changed since is shared. A snapshot is such a copy.

/// Where a node is. Stays the same for the node's life; is given to another node afterwards.
public struct NodeIndex: Hashable, Comparable, Sendable {
  var raw: Int32
  static let root = NodeIndex(raw: 0)
  static let none = NodeIndex(raw: -1)
  public static func < (a: Self, b: Self) -> Bool { a.raw < b.raw }
}

/// One znode.
struct Node: Sendable {
  var name: String
  var data: [UInt8]?
  var czxid: Int64 = 0
  var mzxid: Int64 = 0
  var pzxid: Int64 = 0
  var ctime: Int64 = 0
  var mtime: Int64 = 0
  var ephemeralOwner: Int64 = 0
  var acl: Int64 = ACLCache.open
  var version: Int32 = 0
  var cversion: Int32 = 0
  var aversion: Int32 = 0
  /// Its share of the tree's digest.
  var digest: UInt32 = 0
  var childCount: Int32 = 0
  var parent = NodeIndex.none
  var firstChild = NodeIndex.none
  /// Among its siblings, or the next free place.
  var next = NodeIndex.none
  var previous = NodeIndex.none

  init(name: String, data: [UInt8]?) {
    self.name = name
    self.data = data
  }
}

struct NodeTable: Sendable {
  private static let chunkBits = 10
  private static let chunkMask = (1 << chunkBits) - 1

  private var chunks: [[Node]] = []
  /// Open addressing with linear probing: index + 1, or 0 where free. Never more than half full.
  private var slots = [Int32](repeating: 0, count: 64)
  private var freeList = NodeIndex.none
  private var used = 0
  /// Nodes, the root included.
  private(set) var count = 0

  init() {
    _ = place(Node(name: "", data: []))
    count = 1
  }

  subscript(index: NodeIndex) -> Node {
    _read { yield chunks[Int(index.raw) >> Self.chunkBits][Int(index.raw) & Self.chunkMask] }
    _modify { yield &chunks[Int(index.raw) >> Self.chunkBits][Int(index.raw) & Self.chunkMask] }
  }

  // MARK: Finding

  private static func hash(_ parent: NodeIndex, _ name: UnsafeBufferPointer<UInt8>) -> Int {
    var hasher = Hasher()
    hasher.combine(parent.raw)
    hasher.combine(bytes: UnsafeRawBufferPointer(name))
    return hasher.finalize()
  }

  private static func withBytes<R>(
    _ text: String, _ body: (UnsafeBufferPointer<UInt8>) -> R
  ) -> R {
    var text = text
    return text.withUTF8(body)
  }

  private func hash(of index: NodeIndex) -> Int {
    Self.withBytes(self[index].name) { Self.hash(self[index].parent, $0) }
  }

  /// The slot where the child is, or the free one where it would be.
  private func slot(_ parent: NodeIndex, _ name: UnsafeBufferPointer<UInt8>) -> Int {
    let mask = slots.count - 1
    var slot = Self.hash(parent, name) & mask
    while slots[slot] != 0 {
      let index = NodeIndex(raw: slots[slot] - 1)
      if self[index].parent == parent, self[index].name.utf8.count == name.count,
        self[index].name.utf8.elementsEqual(name)
      {
        return slot
      }
      slot = (slot + 1) & mask
    }
    return slot
  }

  func child(of parent: NodeIndex, named name: UnsafeBufferPointer<UInt8>) -> NodeIndex? {
    let found = slots[slot(parent, name)]
    return found == 0 ? nil : NodeIndex(raw: found - 1)
  }

  /// The node at a path; the root is at "/" and at "".
  func find(_ path: String) -> NodeIndex? {
    Self.withBytes(path) { bytes in
      if bytes.isEmpty || (bytes.count == 1 && bytes[0] == UInt8(ascii: "/")) { return .root }
      guard bytes[0] == UInt8(ascii: "/") else { return nil }
      var node = NodeIndex.root
      var start = 1
      while start <= bytes.count {
        var end = start
        while end < bytes.count, bytes[end] != UInt8(ascii: "/") { end += 1 }
        guard end > start,
          let next = child(of: node, named: UnsafeBufferPointer(rebasing: bytes[start..<end]))
        else { return nil }
        node = next
        start = end + 1
      }
      // "/a/" is not "/a".
      return bytes[bytes.count - 1] == UInt8(ascii: "/") ? nil : node
    }
  }

  // MARK: Changing

  private mutating func place(_ node: Node) -> NodeIndex {
    if freeList != .none {
      let index = freeList
      freeList = self[index].next
      self[index] = node
      return index
    }
    if used & Self.chunkMask == 0 {
      var chunk: [Node] = []
      // The first chunk grows as it must: most trees are small.
      if used > 0 { chunk.reserveCapacity(1 << Self.chunkBits) }
      chunks.append(chunk)
    }
    chunks[chunks.count - 1].append(node)
    used += 1
    return NodeIndex(raw: Int32(used - 1))
  }

  /// Adds a child that is not there yet.
  mutating func insert(_ node: Node, under parent: NodeIndex) -> NodeIndex {
    if (count + 1) * 2 > slots.count { grow() }
    var node = node
    node.parent = parent
    node.next = self[parent].firstChild
    let index = place(node)
    if node.next != .none { self[node.next].previous = index }
    self[parent].firstChild = index
    self[parent].childCount += 1
    let free = Self.withBytes(node.name) { slot(parent, $0) }
    slots[free] = index.raw + 1
    count += 1
    return index
  }

  /// Takes a childless node out.
  mutating func remove(_ index: NodeIndex) {
    precondition(index != .root && self[index].childCount == 0)
    vacate(Self.withBytes(self[index].name) { slot(self[index].parent, $0) })
    let (parent, next, previous) = (self[index].parent, self[index].next, self[index].previous)
    if next != .none { self[next].previous = previous }
    if previous != .none { self[previous].next = next } else { self[parent].firstChild = next }
    self[parent].childCount -= 1
    var vacant = Node(name: "", data: nil)
    vacant.next = freeList
    self[index] = vacant
    freeList = index
    count -= 1
  }

  /// Frees a slot and moves back whatever had to give way to what was in it.
  private mutating func vacate(_ slot: Int) {
    let mask = slots.count - 1
    var hole = slot
    var probe = (slot + 1) & mask
    while slots[probe] != 0 {
      let home = hash(of: NodeIndex(raw: slots[probe] - 1)) & mask
      // It may move into the hole if its home is not between the hole and where it is.
      if (probe &- home) & mask >= (probe &- hole) & mask {
        slots[hole] = slots[probe]
        hole = probe
      }
      probe = (probe + 1) & mask
    }
    slots[hole] = 0
  }

  private mutating func grow() {
    let old = slots
    slots = [Int32](repeating: 0, count: old.count * 2)
    let mask = slots.count - 1
    for entry in old where entry != 0 {
      var slot = hash(of: NodeIndex(raw: entry - 1)) & mask
      while slots[slot] != 0 { slot = (slot + 1) & mask }
      slots[slot] = entry
    }
  }
}
