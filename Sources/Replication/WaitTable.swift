/// Parked requests: found again by partition, or by their deadline.
///
/// A produce with acks=all waits for the high watermarks of its partitions, a fetch for bytes in
/// any of its partitions. Keys are small integers: a partition's place in the broker's table. One
/// table belongs to one event loop.
import Values

public struct WaitTable<Waiter> {
  /// Names a parked waiter; never reused.
  public struct Ticket: Hashable, Sendable {
    let number: UInt64
  }

  private struct Entry {
    var waiter: Waiter
    var keys: [Int]
    var deadline: Instant
  }

  private var entries: [UInt64: Entry] = [:]
  /// Tickets by key, in order of arrival; may hold tickets that are gone.
  private var waiting: [Int: [UInt64]] = [:]
  /// A binary heap of deadlines; may hold tickets that are gone.
  private var deadlines: [(deadline: Instant, number: UInt64)] = []
  private var nextNumber: UInt64 = 0

  public init() {}

  public var count: Int { entries.count }

  @discardableResult
  public mutating func park(_ waiter: Waiter, keys: [Int], until deadline: Instant) -> Ticket {
    let number = nextNumber
    nextNumber += 1
    entries[number] = Entry(waiter: waiter, keys: keys, deadline: deadline)
    for key in keys { waiting[key, default: []].append(number) }
    pushDeadline(deadline, number)
    return Ticket(number: number)
  }

  public func hasWaiters(for key: Int) -> Bool { waiting[key] != nil }

  /// Who waits for `key`, oldest first. Whoever wakes them asks each by `waiter`, and takes out
  /// those that are answered by `remove`: answering may park others, so the table is not held
  /// meanwhile.
  public func tickets(for key: Int) -> [Ticket] {
    waiting[key]?.map { Ticket(number: $0) } ?? []
  }

  /// Nil when it was taken out.
  public func waiter(_ ticket: Ticket) -> Waiter? { entries[ticket.number]?.waiter }

  /// Takes out the waiter whose deadline has come first; nil when no deadline has come.
  public mutating func popExpired(at now: Instant) -> Waiter? {
    while let first = deadlines.first, first.deadline <= now {
      popDeadline()
      if let entry = entries.removeValue(forKey: first.number) {
        forget(first.number, keys: entry.keys)
        return entry.waiter
      }
    }
    return nil
  }

  /// The next instant at which `popExpired` may have one; nil when nothing is parked.
  public mutating func nextDeadline() -> Instant? {
    while let first = deadlines.first, entries[first.number] == nil { popDeadline() }
    return deadlines.first?.deadline
  }

  /// Takes out a waiter, answered or given up.
  @discardableResult
  public mutating func remove(_ ticket: Ticket) -> Waiter? {
    guard let entry = entries.removeValue(forKey: ticket.number) else { return nil }
    forget(ticket.number, keys: entry.keys)
    return entry.waiter
  }

  /// Drops the traces of a waiter that is gone. Idle keys must not keep dead tickets: a partition
  /// without traffic would collect one for every fetch that timed out.
  private mutating func forget(_ number: UInt64, keys: [Int]) {
    for key in keys {
      guard var numbers = waiting.removeValue(forKey: key) else { continue }
      if let place = numbers.firstIndex(of: number) { numbers.remove(at: place) }
      if !numbers.isEmpty { waiting[key] = numbers }
    }
    // Answered early and often, tickets would pile up in the heap until their deadlines.
    if deadlines.count > 64, deadlines.count > 4 * entries.count {
      deadlines = entries.map { ($0.value.deadline, $0.key) }
      deadlines.sort { ($0.deadline, $0.number) < ($1.deadline, $1.number) }
    }
  }

  // MARK: Heap

  private mutating func pushDeadline(_ deadline: Instant, _ number: UInt64) {
    deadlines.append((deadline, number))
    var child = deadlines.count - 1
    while child > 0 {
      let parent = (child - 1) / 2
      if !precedes(child, parent) { break }
      deadlines.swapAt(child, parent)
      child = parent
    }
  }

  private mutating func popDeadline() {
    deadlines.swapAt(0, deadlines.count - 1)
    deadlines.removeLast()
    var parent = 0
    while true {
      var least = parent
      for child in [2 * parent + 1, 2 * parent + 2]
      where child < deadlines.count && precedes(child, least) { least = child }
      if least == parent { return }
      deadlines.swapAt(parent, least)
      parent = least
    }
  }

  private func precedes(_ a: Int, _ b: Int) -> Bool {
    (deadlines[a].deadline, deadlines[a].number) < (deadlines[b].deadline, deadlines[b].number)
  }
}
