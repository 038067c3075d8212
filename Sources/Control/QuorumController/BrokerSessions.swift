// Heartbeats: the soft state that only the active controller has.
import Metadata
import Values

/// When each broker was last heard, how far it has read, and whether it is shutting down.
///
/// None of it is in the log. A new leader takes every broker for just heard of: it may fence a dead
/// one later than the old leader would have, and never a live one that has had no time to speak.
struct BrokerSessions: Sendable {
  struct Session: Sendable {
    var id: BrokerID
    var isFenced: Bool
    var lastContact: Instant
    /// The last metadata offset that the broker reported; -1 before its first heartbeat.
    var metadataOffset: Offset = -1
    /// What every active broker must have read before this one may stop; nil if it stays.
    var shutdownOffset: Offset?
  }

  /// In the order of ids.
  private(set) var all: [Session] = []

  subscript(id: BrokerID) -> Session? {
    get { all.first { $0.id == id } }
    set {
      all.removeAll { $0.id == id }
      guard let newValue else { return }
      all.insert(newValue, at: all.firstIndex { $0.id > id } ?? all.count)
    }
  }

  /// A broker registered, which counts as hearing of it.
  mutating func register(_ id: BrokerID, isFenced: Bool, at now: Instant) {
    var session = self[id] ?? Session(id: id, isFenced: isFenced, lastContact: now)
    session.isFenced = isFenced
    session.lastContact = now
    self[id] = session
  }

  /// Records from `first` on got later offsets than expected.
  mutating func moveShutdownOffsets(by distance: Offset, from first: Offset) {
    for index in all.indices {
      guard let offset = all[index].shutdownOffset, offset >= first else { continue }
      all[index].shutdownOffset = offset + distance
    }
  }

  /// Whether the broker is unfenced and was heard in time.
  func isValid(_ id: BrokerID, at now: Instant, timeoutMs: Int64) -> Bool {
    guard let session = self[id], !session.isFenced else { return false }
    return session.lastContact.advanced(milliseconds: timeoutMs) >= now
  }

  /// Unfenced brokers that were not heard in time, the one that is silent longest first.
  func stale(at now: Instant, timeoutMs: Int64) -> [BrokerID] {
    all.filter { !$0.isFenced && $0.lastContact.advanced(milliseconds: timeoutMs) < now }
      .sorted { ($0.lastContact, $0.id) < ($1.lastContact, $1.id) }.map(\.id)
  }

  /// When the next session runs out if nobody is heard of; a millisecond later it is stale.
  func nextExpiry(timeoutMs: Int64) -> Instant {
    var oldest = Instant.distantFuture
    for session in all where !session.isFenced { oldest = min(oldest, session.lastContact) }
    return oldest == .distantFuture ? oldest : oldest.advanced(milliseconds: timeoutMs + 1)
  }

  /// What all brokers have read that are unfenced and not shutting down; the largest number if
  /// there is none.
  var lowestActiveOffset: Offset {
    all.filter { !$0.isFenced && $0.shutdownOffset == nil }.map(\.metadataOffset).min() ?? .max
  }
}
