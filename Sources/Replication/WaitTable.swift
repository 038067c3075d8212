/// Parked requests: found again by partition, or by their deadline.
///
/// A produce with acks=all waits for the high watermarks of its partitions, a fetch for bytes in
/// any of its partitions. Keys are small integers: a partition's place in the broker's table. One
/// table belongs to one event loop.
///
/// A waiter stands in a list for each of its keys and in a heap of deadlines, and leaves them all
/// when it is taken out. Lists and heap are arrays of places that are used again, so that parking
/// and waking allocate nothing once the table has been as full as it gets.
import Values

public struct WaitTable<Waiter> {
  /// Names a parked waiter; never reused.
  public struct Ticket: Hashable, Sendable {
    let place: Int
    let number: UInt64
  }

  private struct Entry {
    /// Nil while the place is free.
    var waiter: Waiter?
    var number: UInt64 = 0
    var deadline = Instant.zero
    /// Where the entry is in the heap.
    var heapPlace = 0
    /// The first of the links that are in the lists of the entry's keys; -1: none.
    var firstLink = -1
  }

  /// One waiter in the list of one key.
  private struct Link {
    var entry: Int
    var key: Int
    var previous = -1
    var next = -1
    /// The same waiter's link in another list; of a free link, the next free one.
    var sibling = -1
  }

  /// A list of links by arrival; -1: empty.
  private struct List {
    var first = -1
    var last = -1
  }

  private var entries: [Entry] = []
  private var freeEntries: [Int] = []
  private var links: [Link] = []
  private var freeLink = -1
  /// By key.
  private var lists: [List] = []
  /// Places of entries; a binary heap by deadline, then by arrival.
  private var heap: [Int] = []
  private var nextNumber: UInt64 = 0

  public init() {}

  public var count: Int { heap.count }

  /// - Parameter keys: small and not negative; the table has a list for each up to the largest.
  @discardableResult
  public mutating func park(
    _ waiter: Waiter, keys: some Sequence<Int>, until deadline: Instant
  ) -> Ticket {
    let place = freeEntries.popLast() ?? entries.count
    if place == entries.count { entries.append(Entry()) }
    let number = nextNumber
    nextNumber += 1
    entries[place].waiter = waiter
    entries[place].number = number
    entries[place].deadline = deadline
    entries[place].firstLink = -1
    for key in keys { link(place, to: key) }
    heap.append(place)
    entries[place].heapPlace = heap.count - 1
    siftUp(heap.count - 1)
    return Ticket(place: place, number: number)
  }

  public func hasWaiters(for key: Int) -> Bool {
    lists.indices.contains(key) && lists[key].first >= 0
  }

  /// Who waits for `key`, oldest first. Whoever wakes them asks each by `waiter`, and takes out
  /// those that are answered by `remove`: answering may park others, so the table is not held
  /// meanwhile.
  public func tickets(for key: Int) -> [Ticket] {
    var tickets: [Ticket] = []
    collect(key, into: &tickets)
    return tickets
  }

  /// The same for callers with an array to spare.
  public func collect(_ key: Int, into tickets: inout [Ticket]) {
    guard lists.indices.contains(key) else { return }
    var link = lists[key].first
    while link >= 0 {
      let place = links[link].entry
      tickets.append(Ticket(place: place, number: entries[place].number))
      link = links[link].next
    }
  }

  /// Nil when it was taken out.
  public func waiter(_ ticket: Ticket) -> Waiter? {
    let entry = entries[ticket.place]
    return entry.number == ticket.number ? entry.waiter : nil
  }

  /// Takes out the waiter whose deadline has come first; nil when no deadline has come.
  public mutating func popExpired(at now: Instant) -> Waiter? {
    guard let first = heap.first, entries[first].deadline <= now else { return nil }
    return takeOut(first)
  }

  /// The next instant at which `popExpired` may have one; nil when nothing is parked.
  public func nextDeadline() -> Instant? { heap.first.map { entries[$0].deadline } }

  /// Takes out a waiter, answered or given up.
  @discardableResult
  public mutating func remove(_ ticket: Ticket) -> Waiter? {
    guard entries[ticket.place].number == ticket.number else { return nil }
    return takeOut(ticket.place)
  }

  private mutating func takeOut(_ place: Int) -> Waiter? {
    guard let waiter = entries[place].waiter else { return nil }
    entries[place].waiter = nil
    var link = entries[place].firstLink
    while link >= 0 {
      let sibling = links[link].sibling
      unlink(link)
      link = sibling
    }
    leaveHeap(entries[place].heapPlace)
    freeEntries.append(place)
    return waiter
  }

  // MARK: Lists

  private mutating func link(_ entry: Int, to key: Int) {
    while lists.count <= key { lists.append(List()) }
    let index: Int
    if freeLink >= 0 {
      index = freeLink
      freeLink = links[index].sibling
      links[index] = Link(entry: entry, key: key)
    } else {
      index = links.count
      links.append(Link(entry: entry, key: key))
    }
    links[index].sibling = entries[entry].firstLink
    entries[entry].firstLink = index
    let last = lists[key].last
    links[index].previous = last
    if last >= 0 { links[last].next = index } else { lists[key].first = index }
    lists[key].last = index
  }

  private mutating func unlink(_ index: Int) {
    let link = links[index]
    if link.previous >= 0 {
      links[link.previous].next = link.next
    } else {
      lists[link.key].first = link.next
    }
    if link.next >= 0 {
      links[link.next].previous = link.previous
    } else {
      lists[link.key].last = link.previous
    }
    links[index].sibling = freeLink
    freeLink = index
  }

  // MARK: Heap

  private mutating func leaveHeap(_ place: Int) {
    let last = heap.count - 1
    if place != last { swapPlaces(place, last) }
    heap.removeLast()
    guard place < heap.count else { return }
    siftUp(place)
    siftDown(place)
  }

  private mutating func siftUp(_ place: Int) {
    var child = place
    while child > 0 {
      let parent = (child - 1) / 2
      if !precedes(child, parent) { return }
      swapPlaces(child, parent)
      child = parent
    }
  }

  private mutating func siftDown(_ place: Int) {
    var parent = place
    while true {
      var least = parent
      let left = 2 * parent + 1
      if left < heap.count, precedes(left, least) { least = left }
      if left + 1 < heap.count, precedes(left + 1, least) { least = left + 1 }
      if least == parent { return }
      swapPlaces(parent, least)
      parent = least
    }
  }

  private mutating func swapPlaces(_ a: Int, _ b: Int) {
    heap.swapAt(a, b)
    entries[heap[a]].heapPlace = a
    entries[heap[b]].heapPlace = b
  }

  private func precedes(_ a: Int, _ b: Int) -> Bool {
    let (first, second) = (heap[a], heap[b])
    if entries[first].deadline != entries[second].deadline {
      return entries[first].deadline < entries[second].deadline
    }
    return entries[first].number < entries[second].number
  }
}
