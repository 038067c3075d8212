import Values

/// What a deadline is for.
struct DeadlineKey: Hashable, Sendable {
  enum Kind: Hashable, Sendable {
    /// A member that has to be heard of.
    case session(memberID: String)
    /// An id that was given out and has to be joined with.
    case pendingMember(memberID: String)
    /// The end of gathering members.
    case join
    /// The end of waiting for SyncGroup.
    case sync
  }

  var group: String
  var kind: Kind
}

/// Deadlines by key, earliest first.
///
/// Heartbeats move deadlines far more often than deadlines pass, so moving one back only updates a
/// table: the heap keeps its old entry, which is put back at its real place when it comes up.
struct DeadlineQueue: Sendable {
  private struct Entry: Sendable {
    var deadline: Instant
    /// Breaks ties in the order of arrival, so that the outcome does not hang on the heap's shape.
    var sequence: UInt64
    var key: DeadlineKey
  }

  private struct Deadline: Sendable {
    var deadline: Instant
    /// When the heap's entry for this key comes up.
    var queued: Instant
    var sequence: UInt64
  }

  private var deadlines: [DeadlineKey: Deadline] = [:]
  private var heap: [Entry] = []
  private var sequence: UInt64 = 0

  /// When something may have to be done; never later than the earliest deadline, and possibly
  /// earlier.
  var next: Instant? { heap.first?.deadline }

  var count: Int { deadlines.count }

  mutating func set(_ key: DeadlineKey, at deadline: Instant) {
    if let known = deadlines[key], known.queued <= deadline {
      deadlines[key]?.deadline = deadline
      return
    }
    enqueue(key, deadline)
  }

  mutating func cancel(_ key: DeadlineKey) { deadlines[key] = nil }

  private mutating func enqueue(_ key: DeadlineKey, _ deadline: Instant) {
    sequence += 1
    deadlines[key] = Deadline(deadline: deadline, queued: deadline, sequence: sequence)
    heap.append(Entry(deadline: deadline, sequence: sequence, key: key))
    siftUp(heap.count - 1)
  }

  /// Takes out one key whose deadline has passed.
  mutating func popDue(at now: Instant) -> DeadlineKey? {
    while let top = heap.first, top.deadline <= now {
      removeTop()
      // An entry that was cancelled or replaced by an earlier one is no longer the key's.
      guard let known = deadlines[top.key], known.sequence == top.sequence else { continue }
      if known.deadline <= now {
        deadlines[top.key] = nil
        return top.key
      }
      enqueue(top.key, known.deadline)
    }
    return nil
  }

  // MARK: Binary heap

  private func isBefore(_ a: Int, _ b: Int) -> Bool {
    heap[a].deadline == heap[b].deadline
      ? heap[a].sequence < heap[b].sequence : heap[a].deadline < heap[b].deadline
  }

  private mutating func siftUp(_ start: Int) {
    var index = start
    while index > 0, isBefore(index, (index - 1) / 2) {
      heap.swapAt(index, (index - 1) / 2)
      index = (index - 1) / 2
    }
  }

  private mutating func removeTop() {
    heap.swapAt(0, heap.count - 1)
    heap.removeLast()
    var index = 0
    while true {
      var first = index
      for child in [2 * index + 1, 2 * index + 2] where child < heap.count {
        if isBefore(child, first) { first = child }
      }
      if first == index { return }
      heap.swapAt(index, first)
      index = first
    }
  }
}
