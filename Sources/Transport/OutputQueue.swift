import Bytes
import Containers

/// A reply that will be given later; its place in the order of replies is kept.
public struct ReplySlot: Hashable, Sendable {
  let sequence: UInt64
}

/// Replies in request order: what is ready, then places that wait, each followed by what was
/// written after it.
struct OutputQueue {
  private struct Place {
    /// The parked reply; nil while it waits.
    var reply: OutputBuffer?
    /// What was written behind it, up to the next place.
    var tail: OutputBuffer?
  }

  let pool: BufferPool
  /// What nothing waits before.
  private var ready: OutputBuffer?
  private var places = RingQueue<Place>(reserving: 4)
  private var firstSequence: UInt64 = 0

  init(pool: BufferPool) { self.pool = pool }

  /// Bytes that could be sent now.
  var readyCount: Int { ready?.count ?? 0 }
  /// Places that wait for their reply, or for one before them.
  var parkedCount: Int { places.count }

  /// Hands out what could be sent now, to be given to the pool when it has been.
  mutating func takeReady() -> OutputBuffer? {
    guard let buffer = ready, buffer.count > 0 else { return nil }
    ready = nil
    return buffer
  }

  /// Where to write what comes next.
  mutating func current() -> OutputBuffer {
    guard let last = places.last else { return readyBuffer() }
    if let tail = last.tail { return tail }
    let tail = pool.take()
    places[places.count - 1].tail = tail
    return tail
  }

  private mutating func readyBuffer() -> OutputBuffer {
    if let ready { return ready }
    let buffer = pool.take()
    ready = buffer
    return buffer
  }

  mutating func park() -> ReplySlot {
    places.append(Place())
    return ReplySlot(sequence: firstSequence &+ UInt64(places.count - 1))
  }

  /// The buffer for a parked reply: the ready one itself when it is the oldest. Nil when the slot
  /// has been answered before.
  mutating func begin(_ slot: ReplySlot) -> OutputBuffer? {
    guard slot.sequence >= firstSequence else { return nil }
    let index = slot.sequence - firstSequence
    guard index < UInt64(places.count) else { return nil }
    guard places[Int(index)].reply == nil else { return nil }
    if index == 0 { return readyBuffer() }
    let reply = pool.take()
    places[Int(index)].reply = reply
    return reply
  }

  /// After a reply was written into what `begin` gave: moves everything that nothing waits before
  /// any more into the ready buffer.
  mutating func finish(_ slot: ReplySlot) {
    guard slot.sequence == firstSequence else { return }
    leaveFirst()
    while let place = places.first, let reply = place.reply {
      move(reply)
      leaveFirst()
    }
  }

  private mutating func leaveFirst() {
    guard let place = places.popFirst() else { return }
    firstSequence &+= 1
    if let tail = place.tail { move(tail) }
  }

  private mutating func move(_ buffer: OutputBuffer) {
    if readyCount == 0 {
      // Nothing before it: the buffer itself becomes the ready one.
      if let empty = ready { pool.give(empty) }
      ready = buffer
      return
    }
    readyBuffer().writer.append(buffer.writer)
    pool.give(buffer)
  }

  /// Forgets everything; slots handed out before stay unanswerable.
  mutating func removeAll() {
    firstSequence &+= UInt64(places.count)
    places.removeAll()
    ready = nil
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
