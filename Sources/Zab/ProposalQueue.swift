import ZooKeeperProtocol

/// Transactions in the order of their zxids: added at the end, taken from the front.
///
/// An array with a moving start; the front is given back when half of the memory is gone.
public struct ProposalQueue: Sendable {
  private var storage: [Proposal] = []
  private var head = 0

  public init() {}

  public var count: Int { storage.count - head }
  public var isEmpty: Bool { head == storage.count }
  public var first: Proposal? { isEmpty ? nil : storage[head] }
  public var last: Proposal? { isEmpty ? nil : storage[storage.count - 1] }
  /// All of them, oldest first.
  public var elements: ArraySlice<Proposal> { storage[head...] }

  public mutating func append(_ proposal: Proposal) { storage.append(proposal) }

  public mutating func popFirst() -> Proposal? {
    guard head < storage.count else { return nil }
    let proposal = storage[head]
    // The slot lets go of the bytes at once, the room itself is reclaimed in one go later.
    storage[head].data = []
    head += 1
    if head > 64, head * 2 > storage.count {
      storage.removeFirst(head)
      head = 0
    }
    return proposal
  }

  /// Drops everything after `zxid`.
  public mutating func truncate(after zxid: Zxid) {
    while let last, last.zxid > zxid { storage.removeLast() }
  }

  public mutating func removeAll() {
    storage.removeAll()
    head = 0
  }

  /// The ones after `zxid`, oldest first.
  public func after(_ zxid: Zxid) -> ArraySlice<Proposal> {
    storage[index(after: zxid)...]
  }

  public func contains(_ zxid: Zxid) -> Bool {
    let index = index(after: zxid)
    return index > head && storage[index - 1].zxid == zxid
  }

  /// The position of the first transaction beyond `zxid`.
  private func index(after zxid: Zxid) -> Int {
    var low = head
    var high = storage.count
    while low < high {
      let middle = (low + high) / 2
      if storage[middle].zxid <= zxid { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
