// A thousand nodes, and beside them their names and data in one piece of memory.
//
// A znode has two allocations less for it, which is half of what a small one weighs. A change that
// fits goes where the old data were; others go to the end, and what they leave is gathered when the
// memory is full or wasted.

/// One znode, but for its name and data.
struct Node: Sendable {
  var czxid: Int64 = 0
  var mzxid: Int64 = 0
  var pzxid: Int64 = 0
  var ctime: Int64 = 0
  var mtime: Int64 = 0
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
  /// Where its name begins in the chunk's text, its data behind it; `elsewhere`: not in the chunk.
  fileprivate(set) var start: Int32 = 0
  fileprivate(set) var nameLength: Int32 = 0
  /// −1 for null, which ZooKeeper tells from empty.
  fileprivate(set) var dataLength: Int32 = -1

  fileprivate static let elsewhere: Int32 = -1

  var nameCount: Int { Int(nameLength) }
  var dataCount: Int { Int(max(0, dataLength)) }
  fileprivate var textCount: Int { nameCount + dataCount }
  fileprivate var hasText: Bool { start != Self.elsewhere && textCount > 0 }
}

/// Nodes in a row, with what they are called and hold.
struct NodeChunk: Sendable {
  typealias Text = UnsafeBufferPointer<UInt8>

  var nodes: [Node] = []
  private var text: [UInt8] = []
  /// Bytes of `text` that belong to no node.
  private var wasted = 0
  /// Names and data that are too large to be moved about, together, by place in the chunk.
  private var large: [Int: [UInt8]] = [:]

  /// A name and its data up to this size stand in the chunk's text.
  private static let largest = 4096
  /// The room for growth, as a part of what is there, and at least.
  private static let slack = (part: 8, least: 256)

  /// - Parameters:
  ///   - nodes: Room for so many.
  ///   - bytes: Room for so many of text, a guess.
  init(nodes count: Int, bytes: Int) {
    nodes.reserveCapacity(count)
    text.reserveCapacity(min(bytes, 1 << 20))
  }

  /// Bytes of text in use.
  var textCount: Int { text.count - wasted }

  // MARK: Reading

  func withName<R>(_ place: Int, _ body: (Text) -> R) -> R {
    withText(place) { body(Text(rebasing: $0[..<nodes[place].nameCount])) }
  }

  /// Nil for null.
  func withData<R>(_ place: Int, _ body: (UnsafeRawBufferPointer?) -> R) -> R {
    guard nodes[place].dataLength >= 0 else { return body(nil) }
    return withText(place) {
      body(UnsafeRawBufferPointer(Text(rebasing: $0[nodes[place].nameCount...])))
    }
  }

  /// Name and data, one behind the other.
  private func withText<R>(_ place: Int, _ body: (Text) -> R) -> R {
    let start = Int(nodes[place].start)
    let count = nodes[place].textCount
    if start == Node.elsewhere { return (large[place] ?? []).withUnsafeBufferPointer(body) }
    return text.withUnsafeBufferPointer {
      body(Text(rebasing: $0[start..<start + count]))
    }
  }

  // MARK: Changing

  /// Gives a node without text its name and data.
  mutating func setText(_ place: Int, name: Text, data: UnsafeRawBufferPointer?) {
    let count = name.count + (data?.count ?? 0)
    if count > Self.largest {
      large[place] = Array(name) + (data.map { Array($0) } ?? [])
      nodes[place].start = Node.elsewhere
    } else {
      if text.count + count > text.capacity { gather(adding: count) }
      nodes[place].start = Int32(text.count)
      text.append(contentsOf: name)
      if let data { text.append(contentsOf: data) }
    }
    nodes[place].nameLength = Int32(name.count)
    nodes[place].dataLength = data.map { Int32($0.count) } ?? -1
  }

  mutating func setData(_ place: Int, _ data: [UInt8]?) {
    let node = nodes[place]
    let count = data?.count ?? 0
    if node.start != Node.elsewhere, count <= node.dataCount {
      text.withUnsafeMutableBytes { text in
        let old = Int(node.start) + node.nameCount
        data?.withUnsafeBytes {
          UnsafeMutableRawBufferPointer(rebasing: text[old..<old + count]).copyMemory(from: $0)
        }
      }
      nodes[place].dataLength = data == nil ? -1 : Int32(count)
      wasted += node.dataCount - count
    } else {
      let name = withName(place) { Array($0) }
      removeText(place)
      name.withUnsafeBufferPointer { name in
        (data ?? []).withUnsafeBytes { setText(place, name: name, data: data == nil ? nil : $0) }
      }
    }
    if wasted > text.count / 2 + Self.slack.least { gather(adding: 0) }
  }

  mutating func removeText(_ place: Int) {
    if nodes[place].start == Node.elsewhere {
      large[place] = nil
    } else {
      wasted += nodes[place].textCount
    }
    (nodes[place].start, nodes[place].nameLength, nodes[place].dataLength) = (0, 0, -1)
  }

  /// Gives back what more memory than its text needs a chunk has that is full.
  mutating func trim() {
    if text.capacity - textCount > textCount / (2 * Self.slack.part) { gather(adding: 0, slack: 0) }
  }

  /// Moves all text together, with room for `count` bytes more and some slack.
  private mutating func gather(adding count: Int, slack: Int? = nil) {
    let old = text
    let used = textCount
    let slack = slack ?? max(used / Self.slack.part, Self.slack.least)
    text = []
    text.reserveCapacity(used + count + slack)
    old.withUnsafeBufferPointer { old in
      for place in nodes.indices where nodes[place].hasText {
        let start = Int(nodes[place].start)
        nodes[place].start = Int32(text.count)
        text.append(contentsOf: Text(rebasing: old[start..<start + nodes[place].textCount]))
      }
    }
    wasted = 0
  }
}
