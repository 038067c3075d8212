/// Timers by the thousand at a constant price each: a hierarchical timing wheel.
///
/// Time is in ticks (a loop uses milliseconds). Six levels of 64 slots; a timer lies in the level
/// of the highest group of six bits in which its deadline differs from the current tick, and is
/// moved down when its slot's time comes. Adding and cancelling are O(1) and allocate nothing once
/// the wheel has been as full as it gets. (The idea: Varghese and Lauck, 1987.)
public struct TimingWheel<Payload> {
  /// Names one timer; stays harmless after it has fired or was cancelled.
  public struct Token: Hashable, Sendable {
    @usableFromInline let index: Int32
    @usableFromInline let generation: UInt32
    @usableFromInline init(index: Int32, generation: UInt32) {
      self.index = index
      self.generation = generation
    }
    /// A token that names no timer.
    public static var none: Token { Token(index: -1, generation: 0) }
  }

  private struct Node {
    var payload: Payload?
    var deadline: Int64 = 0
    // Neighbours in the slot's list; `next` -1 ends it, the head's `previous` is the tail. A free
    // node chains through `next`.
    var next: Int32 = -1
    var previous: Int32 = -1
    var slot: Int32 = -1
    var generation: UInt32 = 0
  }

  private static var levels: Int { 6 }
  /// Timers farther away than this are placed at this distance, and again when that comes: the
  /// top level's slots wrap around, and the one `current` lies in must stay unambiguous.
  private static var reach: Int64 { 63 << 30 }

  private var nodes: [Node] = []
  private var freeHead: Int32 = -1
  private var heads = [Int32](repeating: -1, count: 6 * 64)
  /// One bit for each slot of a level that holds timers: finding the next one is a bit scan.
  private var occupied = [UInt64](repeating: 0, count: 6)
  /// Everything before this tick has fired, and what was due at it has fired or is firing.
  public private(set) var current: Int64
  public private(set) var count = 0

  public init(startingAt tick: Int64 = 0) { current = tick }

  /// Adds a timer; one whose deadline is not in the future fires at the next tick.
  public mutating func insert(_ payload: Payload, at deadline: Int64) -> Token {
    let index: Int32
    if freeHead >= 0 {
      index = freeHead
      freeHead = nodes[Int(index)].next
    } else {
      index = Int32(nodes.count)
      nodes.append(Node())
    }
    nodes[Int(index)].payload = payload
    nodes[Int(index)].deadline = max(deadline, current &+ 1)
    place(index)
    count += 1
    return Token(index: index, generation: nodes[Int(index)].generation)
  }

  /// Takes a timer out; nil when it has fired or was cancelled before.
  @discardableResult
  public mutating func cancel(_ token: Token) -> Payload? {
    let index = Int(token.index)
    guard index >= 0, index < nodes.count, nodes[index].generation == token.generation,
      nodes[index].slot >= 0
    else { return nil }
    unlink(token.index)
    return release(token.index)
  }

  /// The tick at which `advance` should be called next; nil when there are no timers. It may be
  /// earlier than any deadline (a slot to be moved down), never later.
  public var nextTick: Int64? { nextSlot()?.tick }

  /// Lets time pass up to `tick` and hands out the next timer that is due, earliest first;
  /// nil when none is left. Call until nil. Timers may be added and cancelled in between.
  public mutating func popDue(at tick: Int64) -> Payload? {
    while let next = nextSlot(), next.tick <= tick {
      current = next.tick
      if next.level == 0 {
        let due = heads[next.slot]
        unlink(due)
        return release(due)
      }
      moveDown(level: next.level, slot: next.slot)
    }
    current = max(current, tick)
    return nil
  }

  /// The earliest slot that holds timers: a level's timers come before those of levels above.
  private func nextSlot() -> (level: Int, slot: Int, tick: Int64)? {
    for level in 0..<Self.levels where occupied[level] != 0 {
      let shift = Int64(6 * level)
      let here = (current >> shift) & 63
      let bits = occupied[level]
      let rotated = bits >> UInt64(here) | (here == 0 ? 0 : bits << UInt64(64 - here))
      let ahead = Int64(rotated.trailingZeroBitCount)
      let slot = Int((here + ahead) & 63)
      return (level, slot, ((current >> shift) &+ ahead) << shift)
    }
    return nil
  }

  /// The slot's time has come: its timers spread over the levels below.
  private mutating func moveDown(level: Int, slot: Int) {
    var index = heads[level * 64 + slot]
    heads[level * 64 + slot] = -1
    occupied[level] &= ~(1 << UInt64(slot))
    while index >= 0 {
      let next = nodes[Int(index)].next
      place(index)
      index = next
    }
  }

  private mutating func place(_ index: Int32) {
    let deadline = min(nodes[Int(index)].deadline, current &+ Self.reach)
    let differing = UInt64(bitPattern: deadline ^ current) | 63
    let level = min((63 - differing.leadingZeroBitCount) / 6, Self.levels - 1)
    let slot = Int((deadline >> Int64(6 * level)) & 63)
    let place = level * 64 + slot
    // At the list's end, so that timers of one tick fire in the order they were added.
    let head = heads[place]
    nodes[Int(index)].next = -1
    nodes[Int(index)].slot = Int32(place)
    if head < 0 {
      heads[place] = index
      nodes[Int(index)].previous = index
      occupied[level] |= 1 << UInt64(slot)
    } else {
      let tail = nodes[Int(head)].previous
      nodes[Int(tail)].next = index
      nodes[Int(index)].previous = tail
      nodes[Int(head)].previous = index
    }
  }

  private mutating func unlink(_ index: Int32) {
    let node = nodes[Int(index)]
    let place = Int(node.slot)
    let head = heads[place]
    if head == index {
      heads[place] = node.next
      if node.next >= 0 {
        // The new head takes over the link to the tail.
        nodes[Int(node.next)].previous = node.previous == index ? node.next : node.previous
      } else {
        occupied[place / 64] &= ~(1 << UInt64(place % 64))
      }
    } else {
      nodes[Int(node.previous)].next = node.next
      nodes[Int(node.next >= 0 ? node.next : head)].previous = node.previous
    }
    nodes[Int(index)].slot = -1
  }

  private mutating func release(_ index: Int32) -> Payload? {
    let payload = nodes[Int(index)].payload
    nodes[Int(index)].payload = nil
    nodes[Int(index)].generation &+= 1
    nodes[Int(index)].next = freeHead
    freeHead = index
    count -= 1
    return payload
  }
}
