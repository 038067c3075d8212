// Which sessions live, until when, and where: the leader's book, or that of a lone server.

import Values
import ZooKeeperProtocol

/// Sessions in buckets of one tick, so that a thousand heartbeats cost a thousand moves between
/// sets and expiry looks at one bucket.
public struct SessionTracker: Sendable {
  private struct Session: Sendable {
    var timeoutMs: Int32
    var bucket: Int64
    /// The server that the client is connected to; nil until a request came through one.
    var owner: Int64?
    var isClosing = false
  }

  private let tickMs: Int64
  private var sessions: [Int64: Session] = [:]
  private var buckets: [Int64: Set<Int64>] = [:]
  /// The earliest bucket that may not have been looked at.
  private var nextBucket: Int64 = .max
  /// Where servers have sessions of their own (`localSessionsEnabled`): this server's id.
  private let localServerID: Int64?
  /// This server's own sessions, which nobody else follows.
  private var localIDs: Set<Int64> = []

  /// - Parameters:
  ///   - tickMs: Width of a bucket in milliseconds.
  ///   - localServerID: The server's id where local sessions are enabled; nil where not.
  public init(tickMs: Int32, localServerID: Int64? = nil) {
    self.tickMs = Int64(max(tickMs, 1))
    self.localServerID = localServerID
  }

  public var count: Int { sessions.count }

  public func contains(_ id: Int64) -> Bool { sessions[id] != nil }
  public func timeoutMs(of id: Int64) -> Int32? { sessions[id]?.timeoutMs }

  /// All sessions, sorted.
  public var ids: [Int64] { sessions.keys.sorted() }

  /// When sessions expire unless they are heard of, in order of time; the sessions sorted.
  public var expiryBuckets: [(time: Instant, sessions: [Int64])] {
    buckets.keys.sorted().map { bucket in
      (Instant(milliseconds: bucket * tickMs), buckets[bucket]?.sorted() ?? [])
    }
  }

  private func bucket(_ timeoutMs: Int32, after now: Instant) -> Int64 {
    (now.milliseconds + Int64(timeoutMs)) / tickMs + 1
  }

  /// Begins or goes on to follow a session.
  public mutating func track(_ id: Int64, timeoutMs: Int32, at now: Instant) {
    if sessions[id] == nil {
      let bucket = bucket(timeoutMs, after: now)
      sessions[id] = Session(timeoutMs: timeoutMs, bucket: bucket)
      buckets[bucket, default: []].insert(id)
      nextBucket = min(nextBucket, bucket)
    } else {
      _ = touch(id, timeoutMs: timeoutMs, at: now)
    }
  }

  /// A sign of life. False: there is no such session, or it is being closed.
  public mutating func touch(_ id: Int64, timeoutMs: Int32? = nil, at now: Instant) -> Bool {
    guard let session = sessions[id], !session.isClosing else { return false }
    let bucket = bucket(timeoutMs ?? session.timeoutMs, after: now)
    guard bucket > session.bucket else { return true }
    leave(session.bucket, id)
    buckets[bucket, default: []].insert(id)
    sessions[id]?.bucket = bucket
    return true
  }

  private mutating func leave(_ bucket: Int64, _ id: Int64) {
    buckets[bucket]?.remove(id)
    if buckets[bucket]?.isEmpty == true { buckets[bucket] = nil }
  }

  /// Sessions whose time has run out, sorted; they are closing from now on, and their owner must
  /// propose closeSession for each.
  public mutating func expire(at now: Instant) -> [Int64] {
    let current = now.milliseconds / tickMs
    guard nextBucket <= current else { return [] }
    var expired: [Int64] = []
    for bucket in buckets.keys.sorted() where bucket <= current {
      expired += buckets.removeValue(forKey: bucket) ?? []
    }
    nextBucket = buckets.keys.min() ?? .max
    for id in expired { sessions[id]?.isClosing = true }
    return expired.sorted()
  }

  /// When `expire` has to be called next; nil while there is nothing to expire.
  public var nextExpiry: Instant? {
    nextBucket == .max ? nil : Instant(milliseconds: nextBucket * tickMs)
  }

  public mutating func setClosing(_ id: Int64) { sessions[id]?.isClosing = true }

  public mutating func setOwner(_ id: Int64, _ owner: Int64) { sessions[id]?.owner = owner }

  public mutating func remove(_ id: Int64) {
    guard let session = sessions.removeValue(forKey: id) else { return }
    leave(session.bucket, id)
  }

  /// Whether a request may be made in the name of a session by way of `owner`. Where servers have
  /// sessions of their own, one that is not known here may be a learner's.
  ///
  /// - Throws: `sessionExpired`, or `sessionMoved` when the client is known to be elsewhere.
  public mutating func check(_ id: Int64, owner: Int64) throws(ZooKeeperError) {
    if sessions[id] == nil, isLocalSomewhere(id) { return }
    try checkKnown(id, owner: owner)
  }

  /// As `check`, for what only a session that all servers know may do: own ephemerals.
  ///
  /// - Throws: Also `ephemeralOnLocalSession` for a session of this server alone.
  public mutating func checkGlobal(_ id: Int64, owner: Int64) throws(ZooKeeperError) {
    if sessions[id] == nil, localIDs.contains(id) { throw .ephemeralOnLocalSession }
    try checkKnown(id, owner: owner)
  }

  private mutating func checkKnown(_ id: Int64, owner: Int64) throws(ZooKeeperError) {
    guard let session = sessions[id], !session.isClosing else { throw .sessionExpired }
    if let known = session.owner {
      guard known == owner else { throw .sessionMoved }
    } else {
      sessions[id]?.owner = owner
    }
  }

  // MARK: Sessions that only one server knows

  public mutating func addLocal(_ id: Int64) { localIDs.insert(id) }
  public mutating func removeLocal(_ id: Int64) { localIDs.remove(id) }

  /// An id names in its first byte the server that made it: one of ours that we do not know has
  /// expired, one of another server is that server's to judge.
  private func isLocalSomewhere(_ id: Int64) -> Bool {
    guard let localServerID else { return false }
    return localIDs.contains(id) || (id >> 56) & 0xff != localServerID
  }
}
