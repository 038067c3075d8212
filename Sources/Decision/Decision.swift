import Values

/// What a decision machine answers to one command: the records that would make it so, and the
/// reply that is owed once they are committed.
///
/// Decision machines have two entry points. `decide` reads the state and cannot change it; `replay`
/// applies a committed record and is the only one that can. Because everything a machine knows came
/// through `replay`, a standby that replays the same records knows the same things.
public struct Decision<Record, Reply> {
  /// In the order in which they must be stored and replayed. Empty: nothing changes.
  public var records: [Record]
  public var reply: Reply
  /// Whether the records must be stored all or none.
  public var isAtomic: Bool

  public init(_ records: [Record], reply: Reply, isAtomic: Bool = true) {
    self.records = records
    self.reply = reply
    self.isAtomic = isAtomic
  }
}

/// Replies parked until the records behind them are committed.
///
/// Keys are positions in whatever log stores the records: an offset, a zxid, a counter of writes.
/// Replies leave in the order of their positions, and of arrival for equal positions.
public struct ReplyGate<Reply> {
  private var parked: [(position: Int64, reply: Reply)] = []
  private var head = 0

  public init() {}

  public var count: Int { parked.count - head }

  /// Parks a reply until `position` is committed. Positions must not go back.
  public mutating func park(_ reply: Reply, until position: Int64) {
    precondition(parked.isEmpty || parked[parked.count - 1].position <= position)
    parked.append((position, reply))
  }

  /// Hands over every reply whose position is at or below `committed`.
  public mutating func release(upTo committed: Int64, _ deliver: (Reply) -> Void) {
    while head < parked.count, parked[head].position <= committed {
      deliver(parked[head].reply)
      head += 1
    }
    if head == parked.count {
      parked.removeAll(keepingCapacity: true)
      head = 0
    } else if head > 512, head * 2 > parked.count {
      parked.removeFirst(head)
      head = 0
    }
  }

  /// Hands over everything that is parked, when the log it waited for is lost.
  public mutating func abandon(_ deliver: (Reply) -> Void) {
    for entry in parked[head...] { deliver(entry.reply) }
    parked.removeAll()
    head = 0
  }
}

extension ReplyGate: Sendable where Reply: Sendable {}
