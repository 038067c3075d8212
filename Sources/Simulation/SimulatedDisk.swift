import Values

// The fault model of the disk, for everybody who simulates on it:
//
// - Appends become durable in order, when a flush that was begun after them completes.
// - A crash loses any number of the appends that are not durable, always a suffix: a torn entry is
//   found by its checksum and ends the log.
// - Small files (epochs, votes) are written aside, synced and renamed: a write is there in full or
//   not at all, and is durable when the call returns.
// - Nothing that was reported durable is ever lost or altered.

/// An append-only log on a simulated disk.
public struct SimulatedLog<Entry> {
  /// Everything written, as the running process reads it.
  public private(set) var entries: [Entry] = []
  /// How many of them survive a crash.
  public private(set) var durableCount = 0
  /// Rises with everything that makes a flush in progress meaningless.
  public private(set) var generation = 0

  public init() {}

  public var durableEntries: ArraySlice<Entry> { entries[..<durableCount] }

  public mutating func append(_ entry: Entry) { entries.append(entry) }

  /// What a flush begun now will have made durable.
  public func beginFlush() -> (generation: Int, count: Int) { (generation, entries.count) }

  /// Whether the flush still means something.
  public mutating func completeFlush(_ flush: (generation: Int, count: Int)) -> Bool {
    guard flush.generation == generation else { return false }
    durableCount = max(durableCount, flush.count)
    return true
  }

  /// Keeps what satisfies the condition, durably. Only ever cuts a suffix.
  public mutating func truncate(where isKept: (Entry) -> Bool) {
    generation += 1
    while let last = entries.last, !isKept(last) { entries.removeLast() }
    durableCount = entries.count
  }

  public mutating func removeAll() {
    generation += 1
    entries.removeAll()
    durableCount = 0
  }

  /// The process is gone; some of what was not durable is, too.
  public mutating func crash(using random: inout SplitMix) {
    generation += 1
    let kept = durableCount + Int(random.next() % UInt64(entries.count - durableCount + 1))
    entries.removeLast(entries.count - kept)
    durableCount = entries.count
  }
}
