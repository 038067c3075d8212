import Bytes
import Containers
import Platform

/// Where encoded bytes wait, in the order in which they leave. A class, so that a place in the
/// queue can be written to while others are.
final class OutputBuffer {
  /// The writer's fixed place: handed out as an address, because an accessor that yields a class's
  /// property would allocate its frame at every access.
  let place: UnsafeMutablePointer<ByteWriter>
  var writer: ByteWriter {
    unsafeAddress { UnsafePointer(place) }
    unsafeMutableAddress { place }
  }

  init() {
    place = .allocate(capacity: 1)
    place.initialize(to: ByteWriter(reserving: 512))
  }

  deinit {
    place.deinitialize(count: 1)
    place.deallocate()
  }

  /// Bytes to send, spliced ones included.
  var count: Int { writer.count + writer.splicedCount }
}

/// A reply that will be given later; its place in the order of replies is kept.
public struct ReplySlot: Hashable, Sendable {
  let sequence: UInt64
}

/// Replies in request order: what is ready, then places that wait, each followed by what was
/// written after it.
struct OutputQueue {
  private final class Place {
    /// The parked reply; nil while it waits.
    var reply: OutputBuffer?
    /// What was written behind it, up to the next place.
    var tail: OutputBuffer?
  }

  /// Bytes that nothing waits before.
  let ready = OutputBuffer()
  private var places = RingQueue<Place>()
  private var firstSequence: UInt64 = 0
  private var spare: [OutputBuffer] = []

  init() {}

  /// Places that wait for their reply, or for one before them.
  var parkedCount: Int { places.count }

  /// Where to write what comes next.
  mutating func current() -> OutputBuffer {
    guard let last = places.last else { return ready }
    if let tail = last.tail { return tail }
    let tail = take()
    last.tail = tail
    return tail
  }

  mutating func park() -> ReplySlot {
    places.append(Place())
    return ReplySlot(sequence: firstSequence &+ UInt64(places.count - 1))
  }

  /// The buffer for a parked reply: `ready` itself when it is the oldest. Nil when the slot has
  /// been answered before.
  mutating func begin(_ slot: ReplySlot) -> OutputBuffer? {
    guard slot.sequence >= firstSequence else { return nil }
    let index = slot.sequence - firstSequence
    guard index < UInt64(places.count) else { return nil }
    let place = places[Int(index)]
    guard place.reply == nil else { return nil }
    if index == 0 { return ready }
    let reply = take()
    place.reply = reply
    return reply
  }

  /// After a reply was written into what `begin` gave: moves everything that nothing waits before
  /// any more into `ready`.
  mutating func finish(_ slot: ReplySlot) {
    guard slot.sequence == firstSequence else { return }
    leaveFirst()
    while let place = places.first, let reply = place.reply {
      move(reply)
      place.reply = nil
      leaveFirst()
    }
  }

  private mutating func leaveFirst() {
    guard let place = places.popFirst() else { return }
    firstSequence &+= 1
    if let tail = place.tail { move(tail) }
  }

  private mutating func move(_ buffer: OutputBuffer) {
    ready.writer.append(buffer.writer)
    buffer.writer.removeAll(keepingAtMost: 1 << 16)
    if spare.count < 4 { spare.append(buffer) }
  }

  private mutating func take() -> OutputBuffer { spare.popLast() ?? OutputBuffer() }

  mutating func removeAll() {
    firstSequence &+= UInt64(places.count)
    places.removeAll()
    ready.writer.removeAll(keepingAtMost: 0)
    spare = []
  }
}

extension ByteWriter {
  /// Appends what another writer holds, its splices included.
  mutating func append(_ other: borrowing ByteWriter) {
    if other.splices.isEmpty {
      writeBytes(other.span)
      return
    }
    var position = 0
    for splice in other.splices {
      writeBytes(other.span.extracting(position..<splice.position))
      writeSplice(token: splice.token, count: splice.count)
      position = splice.position
    }
    writeBytes(other.span.extracting(position..<other.count))
  }
}
