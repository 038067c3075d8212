/// A first-in first-out queue in a ring of memory that grows and never moves elements otherwise.
///
/// For what waits in order: parked replies, queued requests, batches on their way. Both ends are
/// O(1); indices count from the front.
public struct RingQueue<Element> {
  // Optionals rather than raw memory: a freed place lets go of what it held, and the whole stays
  // a plain value that copies on write.
  @usableFromInline var slots: [Element?]
  @usableFromInline var head = 0
  @usableFromInline var length = 0

  public init(reserving capacity: Int = 8) {
    // A power of two, so that wrapping is a mask.
    var size = 4
    while size < capacity { size *= 2 }
    slots = Array(repeating: nil, count: size)
  }

  @inlinable public var count: Int { length }
  @inlinable public var isEmpty: Bool { length == 0 }
  @inlinable public var first: Element? { length == 0 ? nil : slots[head] }
  @inlinable public var last: Element? {
    length == 0 ? nil : slots[(head &+ length &- 1) & (slots.count &- 1)]
  }

  /// The element so many places behind the front.
  /// - Precondition: `index` is in `0..<count`.
  @inlinable public subscript(index: Int) -> Element {
    get {
      precondition(index >= 0 && index < length)
      return slots[(head &+ index) & (slots.count &- 1)]!
    }
    set {
      precondition(index >= 0 && index < length)
      slots[(head &+ index) & (slots.count &- 1)] = newValue
    }
  }

  @inlinable public mutating func append(_ element: Element) {
    if length == slots.count { grow() }
    slots[(head &+ length) & (slots.count &- 1)] = element
    length &+= 1
  }

  /// Puts an element before all others.
  @inlinable public mutating func prepend(_ element: Element) {
    if length == slots.count { grow() }
    head = (head &- 1) & (slots.count &- 1)
    slots[head] = element
    length &+= 1
  }

  @inlinable public mutating func popFirst() -> Element? {
    guard length > 0 else { return nil }
    let element = slots[head]
    slots[head] = nil
    head = (head &+ 1) & (slots.count &- 1)
    length &-= 1
    return element
  }

  @inlinable public mutating func popLast() -> Element? {
    guard length > 0 else { return nil }
    let place = (head &+ length &- 1) & (slots.count &- 1)
    let element = slots[place]
    slots[place] = nil
    length &-= 1
    return element
  }

  public mutating func removeAll() {
    for index in 0..<length { slots[(head &+ index) & (slots.count &- 1)] = nil }
    head = 0
    length = 0
  }

  @usableFromInline @inline(never)
  mutating func grow() {
    var larger = [Element?](repeating: nil, count: slots.count * 2)
    for index in 0..<length { larger[index] = slots[(head &+ index) & (slots.count &- 1)] }
    slots = larger
    head = 0
  }
}

extension RingQueue: Sequence {
  /// Visits front to back.
  public struct Iterator: IteratorProtocol {
    let queue: RingQueue
    var index = 0
    public mutating func next() -> Element? {
      guard index < queue.count else { return nil }
      defer { index += 1 }
      return queue[index]
    }
  }
  public func makeIterator() -> Iterator { Iterator(queue: self) }
}

extension RingQueue: Sendable where Element: Sendable {}
