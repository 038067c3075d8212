import Values

/// The last offset of each key in the part of a log that is to be cleaned.
///
/// Keys are told apart by 128 bits of a hash that is seeded anew in every process: what is kept for
/// a key has one size, and a collision cannot be arranged.
struct KeyOffsets: ~Copyable {
  private struct Slot {
    var high: UInt64 = 0
    var low: UInt64 = 0
    /// -1: the slot is free.
    var offset: Offset = -1
  }

  static let bytesPerKey = 24
  private var slots: UnsafeMutableBufferPointer<Slot>
  private(set) var count = 0
  private let limit: Int
  /// The last offset that was looked at, key or not.
  var latestOffset: Offset = -1

  /// - Parameters:
  ///   - memory: bytes that the table may grow to (`log.cleaner.dedupe.buffer.size`).
  ///   - loadFactor: how full it may be (`log.cleaner.io.buffer.load.factor`).
  init(memory: Int, loadFactor: Double) {
    limit = max(Int(Double(memory / Self.bytesPerKey) * min(loadFactor, 1)), 16)
    slots = .allocate(capacity: 1024)
    slots.initialize(repeating: Slot())
  }

  deinit { slots.deallocate() }

  var isFull: Bool { count >= limit }

  func hasRoom(for keys: Int) -> Bool { count + keys <= limit }

  private static func hash(_ key: UnsafeRawBufferPointer) -> (high: UInt64, low: UInt64) {
    var first = Hasher()
    first.combine(0 as UInt8)
    first.combine(bytes: key)
    var second = Hasher()
    second.combine(1 as UInt8)
    second.combine(bytes: key)
    return (
      UInt64(truncatingIfNeeded: first.finalize()), UInt64(truncatingIfNeeded: second.finalize())
    )
  }

  /// The slot of a key, or the free one where it belongs. The number of slots is a power of two.
  private func place(_ high: UInt64, _ low: UInt64) -> Int {
    let mask = slots.count - 1
    var index = Int(truncatingIfNeeded: high) & mask
    while slots[index].offset >= 0, slots[index].high != high || slots[index].low != low {
      index = (index + 1) & mask
    }
    return index
  }

  /// Notes that `key` is at `offset`, unless it is known at a later one.
  mutating func note(_ key: UnsafeRawBufferPointer, at offset: Offset) {
    if (count + 1) * 4 > slots.count * 3 { grow() }
    let (high, low) = Self.hash(key)
    let index = place(high, low)
    if slots[index].offset < 0 { count += 1 }
    guard offset > slots[index].offset else { return }
    slots[index] = Slot(high: high, low: low, offset: offset)
  }

  /// The last offset of `key`; -1 if it does not occur.
  func offset(of key: UnsafeRawBufferPointer) -> Offset {
    let (high, low) = Self.hash(key)
    return slots[place(high, low)].offset
  }

  private mutating func grow() {
    let old = slots
    slots = .allocate(capacity: old.count * 2)
    slots.initialize(repeating: Slot())
    for slot in old where slot.offset >= 0 { slots[place(slot.high, slot.low)] = slot }
    old.deallocate()
  }
}
