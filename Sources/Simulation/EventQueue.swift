import Values

/// What is to happen, by time; events of one time in the order in which they were scheduled.
///
/// A binary heap over (time, sequence number). The only clock of a simulation is the time of the
/// event that was taken last.
public struct EventQueue<Event> {
  private struct Entry {
    let at: Instant
    let sequence: UInt64
    let event: Event
  }

  private var heap: [Entry] = []
  private var scheduled: UInt64 = 0

  public init() {}

  public var count: Int { heap.count }
  public var nextTime: Instant? { heap.first?.at }

  public mutating func schedule(_ event: Event, at time: Instant) {
    heap.append(Entry(at: time, sequence: scheduled, event: event))
    scheduled += 1
    var child = heap.count - 1
    while child > 0 {
      let parent = (child - 1) / 2
      guard precedes(child, parent) else { break }
      heap.swapAt(child, parent)
      child = parent
    }
  }

  public mutating func next() -> (at: Instant, event: Event)? {
    guard let first = heap.first else { return nil }
    let last = heap.removeLast()
    if !heap.isEmpty {
      heap[0] = last
      var parent = 0
      while true {
        var least = parent
        let child = parent * 2 + 1
        if child < heap.count, precedes(child, least) { least = child }
        if child + 1 < heap.count, precedes(child + 1, least) { least = child + 1 }
        guard least != parent else { break }
        heap.swapAt(parent, least)
        parent = least
      }
    }
    return (first.at, first.event)
  }

  private func precedes(_ a: Int, _ b: Int) -> Bool {
    heap[a].at == heap[b].at ? heap[a].sequence < heap[b].sequence : heap[a].at < heap[b].at
  }
}
