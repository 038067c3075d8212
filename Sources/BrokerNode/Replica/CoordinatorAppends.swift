/// What the hosts of both coordinators' shards keep: where they stand, and what they have appended.
import KafkaProtocol
import Values

/// Where a shard stands on this broker.
enum CoordinatorStatus {
  case loading, active, resigned

  /// Why requests are refused; nil when they are not.
  var refusal: ErrorCode? {
    switch self {
    case .loading: .coordinatorLoadInProgress
    case .active: nil
    case .resigned: .notCoordinator
    }
  }
}

/// Appends whose outcome the shard has not been told, oldest first. `Write` is the shard's name for
/// an append. Outcomes are told in the order of the appends, also when a later one is known first.
struct CoordinatorAppends<Write> {
  struct Entry {
    let write: Write
    /// -1 when the append itself failed.
    var baseOffset: Offset = -1
    var endOffset: Offset = -1
    let deadline: Instant
    /// Known at once when the append itself failed.
    var failure: ErrorCode?
  }
  private var entries: [Entry] = []

  var isEmpty: Bool { entries.isEmpty }
  /// When the oldest one has taken too long.
  var nextDeadline: Instant? { entries.first?.deadline }

  mutating func removeAll() { entries.removeAll() }

  /// Makes an append, and remembers it whatever comes of it.
  mutating func add(
    _ write: Write, until deadline: Instant,
    _ append: () throws(PartitionFailure) -> CoordinatorLog.Appended
  ) {
    var entry = Entry(write: write, deadline: deadline)
    do throws(PartitionFailure) {
      let appended = try append()
      entry.baseOffset = appended.baseOffset
      entry.endOffset = appended.endOffset
    } catch {
      entry.failure = error.code
    }
    entries.append(entry)
  }

  /// Takes the oldest append out if its outcome is known.
  mutating func takeSettled(
    in log: CoordinatorLog, at now: Instant
  ) -> (write: Write, error: ErrorCode, baseOffset: Offset)? {
    guard let first = entries.first, let error = Self.outcome(of: first, in: log, at: now) else {
      return nil
    }
    entries.removeFirst()
    return (first.write, error, first.baseOffset)
  }

  private static func outcome(
    of entry: Entry, in log: CoordinatorLog, at now: Instant
  ) -> ErrorCode? {
    if let failure = entry.failure { return failure }
    switch log.outcome(upTo: entry.endOffset) {
    case .success: return ErrorCode.none
    case .failure(let failure): return failure.code
    case nil: return entry.deadline <= now ? .requestTimedOut : nil
    }
  }
}
