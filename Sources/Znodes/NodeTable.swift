// The memory of the tree: nodes in fixed chunks, found by (parent, name).
//
// A node knows its name and its relatives, never its whole path, and has no allocation of its own.
// Chunks keep growth from copying everything, and make a copy of the table cheap: what has not
// changed since is shared. A snapshot is such a copy.

/// Where a node is. Stays the same for the node's life; is given to another node afterwards.
public struct NodeIndex: Hashable, Comparable, Sendable {
  var raw: Int32
  static let root = NodeIndex(raw: 0)
  static let none = NodeIndex(raw: -1)
  public static func < (a: Self, b: Self) -> Bool { a.raw < b.raw }

  private static let chunkBits = 10
  static let placeMask = (1 << chunkBits) - 1
  /// The chunk, and the place in it.
  var chunk: Int { Int(raw) >> Self.chunkBits }
  var place: Int { Int(raw) & Self.placeMask }
}

struct NodeTable: Sendable {
  private var chunks: [NodeChunk] = []
  /// Open addressing with linear probing: index + 1, or 0 where free. Never more than half full.
  private var slots = [Int32](repeating: 0, count: 64)
  /// A byte of the hash of what is in each slot, or 0 where it is free. A search looks at these
  /// alone until one fits: they stay in the processor's cache where slots and nodes do not.
  private var tags = [UInt8](repeating: 0, count: 64)
  private let hasher = NameHasher()
  /// The path last looked up as a parent: most creations come in rows under the same one.
  private var lastParent: (path: [UInt8], index: NodeIndex) = ([], .root)
  private var freeList = NodeIndex.none
  private var used = 0
  /// Who owns ephemerals, containers and TTL nodes: few have an owner, so nodes have no room for
  /// it.
  private var owners: [NodeIndex: Int64] = [:]
  /// Nodes, the root included.
  private(set) var count = 0

  init() {
    _ = place(Node())
    setData(of: .root, [])
    count = 1
  }

  subscript(index: NodeIndex) -> Node {
    _read { yield chunks[index.chunk].nodes[index.place] }
    _modify { yield &chunks[index.chunk].nodes[index.place] }
  }

  // MARK: Names, data, owners

  func withName<R>(of index: NodeIndex, _ body: (NodeChunk.Text) -> R) -> R {
    chunks[index.chunk].withName(index.place, body)
  }

  func name(of index: NodeIndex) -> String {
    withName(of: index) { String(decoding: $0, as: UTF8.self) }
  }

  /// Nil for null.
  func withData<R>(of index: NodeIndex, _ body: (UnsafeRawBufferPointer?) -> R) -> R {
    chunks[index.chunk].withData(index.place, body)
  }

  func data(of index: NodeIndex) -> [UInt8]? { withData(of: index) { $0.map { Array($0) } } }

  mutating func setData(of index: NodeIndex, _ data: [UInt8]?) {
    chunks[index.chunk].setData(index.place, data)
  }

  /// `ephemeralOwner` of the stat.
  func owner(of index: NodeIndex) -> Int64 { owners.isEmpty ? 0 : owners[index] ?? 0 }

  mutating func setOwner(of index: NodeIndex, _ owner: Int64) {
    if owner != 0 || !owners.isEmpty { owners[index] = owner == 0 ? nil : owner }
  }

  // MARK: Finding

  private static func withBytes<R>(
    _ text: some StringProtocol, _ body: (UnsafeBufferPointer<UInt8>) -> R
  ) -> R {
    if let result = text.utf8.withContiguousStorageIfAvailable(body) { return result }
    return Array(text.utf8).withUnsafeBufferPointer(body)
  }

  /// Of what is in a slot; never 0.
  private static func tag(_ hash: Int) -> UInt8 {
    UInt8(truncatingIfNeeded: UInt(bitPattern: hash) >> 56) | 1
  }

  private func hash(of index: NodeIndex) -> Int {
    withName(of: index) { hasher.hash(self[index].parent, $0) }
  }

  /// The slot where the child is, or the free one where it would be.
  private func slot(_ parent: NodeIndex, _ name: UnsafeBufferPointer<UInt8>) -> Int {
    slot(parent, name, hash: hasher.hash(parent, name))
  }

  private func slot(
    _ parent: NodeIndex, _ name: UnsafeBufferPointer<UInt8>, hash: Int
  ) -> Int {
    let mask = slots.count - 1
    let tag = Self.tag(hash)
    var slot = hash & mask
    while tags[slot] != 0 {
      if tags[slot] == tag {
        let index = NodeIndex(raw: slots[slot] - 1)
        if self[index].parent == parent, self[index].nameCount == name.count,
          withName(of: index, { Self.areEqual($0, name) })
        {
          return slot
        }
      }
      slot = (slot + 1) & mask
    }
    return slot
  }

  private static func areEqual(_ a: NodeChunk.Text, _ b: NodeChunk.Text) -> Bool {
    UnsafeRawBufferPointer(a).hasSameBytes(as: UnsafeRawBufferPointer(b))
  }

  func child(of parent: NodeIndex, named name: UnsafeBufferPointer<UInt8>) -> NodeIndex? {
    let found = slots[slot(parent, name)]
    return found == 0 ? nil : NodeIndex(raw: found - 1)
  }

  func child(of parent: NodeIndex, named name: some StringProtocol) -> NodeIndex? {
    Self.withBytes(name) { child(of: parent, named: $0) }
  }

  /// The node at a path; the root is at "/" and at "".
  func find(_ path: some StringProtocol) -> NodeIndex? {
    Self.withBytes(path) { find($0) }
  }

  func find(_ path: NodeChunk.Text) -> NodeIndex? {
    if path.isEmpty || (path.count == 1 && path[0] == UInt8(ascii: "/")) { return .root }
    guard path[0] == UInt8(ascii: "/") else { return nil }
    var node = NodeIndex.root
    var start = 1
    while start <= path.count {
      var end = start
      while end < path.count, path[end] != UInt8(ascii: "/") { end += 1 }
      guard end > start,
        let next = child(of: node, named: NodeChunk.Text(rebasing: path[start..<end]))
      else { return nil }
      node = next
      start = end + 1
    }
    // "/a/" is not "/a".
    return path[path.count - 1] == UInt8(ascii: "/") ? nil : node
  }

  /// As `find`; the answer is kept at hand until another parent is asked for.
  mutating func findParent(_ path: NodeChunk.Text) -> NodeIndex? {
    let isLast = lastParent.path.withUnsafeBufferPointer { Self.areEqual($0, path) }
    if isLast { return lastParent.index }
    guard let index = find(path) else { return nil }
    lastParent = (Array(path), index)
    return index
  }

  // MARK: Changing

  private mutating func place(_ node: Node) -> NodeIndex {
    if freeList != .none {
      let index = freeList
      freeList = self[index].next
      self[index] = node
      return index
    }
    if used & NodeIndex.placeMask == 0 { openChunk() }
    chunks[chunks.count - 1].nodes.append(node)
    used += 1
    return NodeIndex(raw: Int32(used - 1))
  }

  /// The first chunk grows as it must: most trees are small. A later one is likely to become as
  /// large as the one before, which is full and needs no room to grow any more.
  private mutating func openChunk() {
    guard let last = chunks.indices.last else {
      chunks.append(NodeChunk(nodes: 0, bytes: 0))
      return
    }
    chunks[last].trim()
    chunks.append(NodeChunk(nodes: NodeIndex.placeMask + 1, bytes: chunks[last].textCount))
  }

  /// Where a child is, or would be: good until the table changes.
  struct Spot {
    fileprivate let slot: Int
    fileprivate let tag: UInt8
    let found: NodeIndex?
  }

  /// Looks for a child that is added if it is not there: one search for both.
  mutating func spot(of name: NodeChunk.Text, under parent: NodeIndex) -> Spot {
    if (count + 1) * 2 > slots.count { grow() }
    let hash = hasher.hash(parent, name)
    let slot = slot(parent, name, hash: hash)
    let found = tags[slot] == 0 ? nil : NodeIndex(raw: slots[slot] - 1)
    return Spot(slot: slot, tag: Self.tag(hash), found: found)
  }

  /// Adds a child that is not there yet.
  mutating func insert(
    _ node: Node, named name: some StringProtocol, data: [UInt8]?, under parent: NodeIndex
  ) -> NodeIndex {
    Self.withBytes(name) {
      insert(node, named: $0, data: data, under: parent, at: spot(of: $0, under: parent))
    }
  }

  /// - Precondition: nothing was found at `spot`, which is that of this name.
  mutating func insert(
    _ node: Node, named name: NodeChunk.Text, data: [UInt8]?, under parent: NodeIndex,
    at spot: Spot
  ) -> NodeIndex {
    var node = node
    node.parent = parent
    node.next = self[parent].firstChild
    let index = place(node)
    (data ?? []).withUnsafeBytes {
      chunks[index.chunk].setText(index.place, name: name, data: data == nil ? nil : $0)
    }
    if node.next != .none { self[node.next].previous = index }
    self[parent].firstChild = index
    self[parent].childCount += 1
    slots[spot.slot] = index.raw + 1
    tags[spot.slot] = spot.tag
    count += 1
    return index
  }

  /// Takes a childless node out.
  mutating func remove(_ index: NodeIndex) {
    precondition(index != .root && self[index].childCount == 0)
    vacate(withName(of: index) { slot(self[index].parent, $0) })
    let (parent, next, previous) = (self[index].parent, self[index].next, self[index].previous)
    if next != .none { self[next].previous = previous }
    if previous != .none { self[previous].next = next } else { self[parent].firstChild = next }
    self[parent].childCount -= 1
    chunks[index.chunk].removeText(index.place)
    setOwner(of: index, 0)
    if lastParent.index == index { lastParent = ([], .root) }
    var vacant = Node()
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
        tags[hole] = tags[probe]
        hole = probe
      }
      probe = (probe + 1) & mask
    }
    slots[hole] = 0
    tags[hole] = 0
  }

  /// Doubles the slots. Nodes are taken in their own order, not in that of the slots: then only the
  /// new slots are touched all over the place.
  private mutating func grow() {
    slots = [Int32](repeating: 0, count: slots.count * 2)
    tags = [UInt8](repeating: 0, count: slots.count)
    let mask = slots.count - 1
    for raw in 1..<Int32(max(1, used)) {
      let index = NodeIndex(raw: raw)
      // A vacant place has no parent.
      guard self[index].parent != .none else { continue }
      let hash = hash(of: index)
      var slot = hash & mask
      while tags[slot] != 0 { slot = (slot + 1) & mask }
      slots[slot] = raw + 1
      tags[slot] = Self.tag(hash)
    }
  }
}
