/// The bounded set of fetch sessions of one event loop (KIP-227).
///
/// | session id | epoch | meaning |
/// |---|---|---|
/// | 0 | -1 | a full fetch, no session wanted |
/// | any | 0 | a full fetch, make a session (the old one ends) |
/// | known | -1 | a full fetch, the session ends |
/// | known | next | an incremental fetch |
/// | known | other | INVALID_FETCH_SESSION_EPOCH |
/// | unknown | > 0 | FETCH_SESSION_ID_NOT_FOUND: the client falls back to a full fetch |
import Values

public struct FetchSessionCache: Sendable {
  public struct Request: Sendable {
    public var sessionID: Int32
    public var epoch: Int32
    public var isFollower: Bool
    public var usesTopicIDs: Bool
    public var partitions: [FetchedPartition]
    public var forgotten: [FetchPartitionKey]
    public init(
      sessionID: Int32, epoch: Int32, isFollower: Bool, usesTopicIDs: Bool,
      partitions: [FetchedPartition], forgotten: [FetchPartitionKey] = []
    ) {
      self.sessionID = sessionID
      self.epoch = epoch
      self.isFollower = isFollower
      self.usesTopicIDs = usesTopicIDs
      self.partitions = partitions
      self.forgotten = forgotten
    }
  }

  public enum Outcome: Equatable, Sendable {
    /// Answer every partition asked for; tell this session id (0: none).
    case full(sessionID: Int32)
    /// Answer what has changed among the session's partitions.
    case incremental(sessionID: Int32)
    case unknownSession
    case wrongEpoch
    /// The session was made with topic names and the request has ids, or the other way round.
    case topicIDMismatch
  }

  private let slots: Int
  /// A session unused for so long may be pushed out by any other.
  private let idleMs: Int64
  private var sessions: [Int32: FetchSession] = [:]
  public private(set) var evictions = 0

  /// - Parameter slots: this loop's share of `max.incremental.fetch.session.cache.slots`.
  public init(slots: Int, idleMs: Int64 = 120_000) {
    self.slots = slots
    self.idleMs = idleMs
  }

  public var count: Int { sessions.count }
  public var partitionCount: Int { sessions.values.reduce(0) { $0 + $1.partitions.count } }

  public mutating func begin(
    _ request: Request, at now: Instant, random: inout SplitMix
  ) -> Outcome {
    if request.epoch <= 0 {
      if request.sessionID != 0 { sessions[request.sessionID] = nil }
      if request.epoch < 0 || request.partitions.isEmpty { return .full(sessionID: 0) }
      return .full(sessionID: create(request, at: now, random: &random))
    }
    guard let session = sessions[request.sessionID] else { return .unknownSession }
    guard session.epoch == request.epoch else { return .wrongEpoch }
    if !(request.partitions.isEmpty && request.forgotten.isEmpty),
      session.usesTopicIDs != request.usesTopicIDs
    {
      return .topicIDMismatch
    }
    sessions[request.sessionID]?.continueWith(request, at: now)
    // A session without partitions serves nobody; the client learns it by the id 0.
    if sessions[request.sessionID]?.partitions.isEmpty ?? true {
      sessions[request.sessionID] = nil
      return .full(sessionID: 0)
    }
    return .incremental(sessionID: request.sessionID)
  }

  /// Works on a session in place; nil when it is gone.
  public mutating func withSession<R>(_ id: Int32, _ body: (inout FetchSession) -> R) -> R? {
    guard let place = sessions.index(forKey: id) else { return nil }
    return body(&sessions.values[place])
  }

  public mutating func end(_ id: Int32) { sessions[id] = nil }

  // MARK: Room

  private mutating func create(
    _ request: Request, at now: Instant, random: inout SplitMix
  ) -> Int32 {
    guard slots > 0, makeRoom(for: request, at: now) else { return 0 }
    var id: Int32 = 0
    while id == 0 || sessions[id] != nil {
      id = Int32(truncatingIfNeeded: random.next() & 0x7fff_ffff)
    }
    sessions[id] = FetchSession(
      id: id, isPrivileged: request.isFollower, usesTopicIDs: request.usesTopicIDs,
      partitions: request.partitions, at: now)
    return id
  }

  /// Pushes out an idle session, or one of lower rank that has had its time.
  private mutating func makeRoom(for request: Request, at now: Instant) -> Bool {
    if sessions.count < slots { return true }
    let oldest = sessions.values.min { ($0.lastUsed, $0.id) < ($1.lastUsed, $1.id) }
    if let oldest, now.milliseconds(since: oldest.lastUsed) > idleMs {
      sessions[oldest.id] = nil
      evictions += 1
      return true
    }
    let weakest = sessions.values.filter {
      // A consumer cannot push out a follower; nobody one that is younger than the idle time,
      // except a follower a consumer.
      if $0.isPrivileged && !request.isFollower { return false }
      if request.isFollower, !$0.isPrivileged { return true }
      return now.milliseconds(since: $0.created) > idleMs
    }.min { a, b in
      (a.isPrivileged ? 1 : 0, a.size, a.id) < (b.isPrivileged ? 1 : 0, b.size, b.id)
    }
    guard let weakest else { return false }
    let outranks = request.isFollower && !weakest.isPrivileged
    guard outranks || request.partitions.count > weakest.size else { return false }
    sessions[weakest.id] = nil
    evictions += 1
    return true
  }
}

extension FetchSession {
  mutating func continueWith(_ request: FetchSessionCache.Request, at now: Instant) {
    for partition in request.partitions { addOrUpdate(partition) }
    forget(request.forgotten)
    // After the largest epoch comes 1: 0 and -1 have meanings of their own.
    epoch = epoch == .max ? 1 : epoch + 1
    lastUsed = now
  }
}
