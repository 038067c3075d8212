import Values

// What a leader knows of everybody else's logs, and what follows from it: the high watermark, and
// whether a majority still listens.

/// A replica's log as its leader knows it from its fetches.
struct Progress: Hashable, Sendable {
  var key: ReplicaKey
  /// Where it fetches: everything below is durable there. Nil before its first fetch.
  var endOffset: Offset?
  var lastFetch: Instant?
  /// When its log ended where the leader's did at the time.
  var lastCaughtUp: Instant?
  /// The leader's end at the last fetch: who reaches it later was caught up then.
  var leaderEndAtLastFetch: Offset = -1
  /// The high watermark that its last answer had.
  var toldHighWatermark: Offset = -1

  mutating func fetched(from offset: Offset, leaderEnd: Offset, at now: Instant) {
    if offset >= leaderEnd {
      lastCaughtUp = now
    } else if leaderEndAtLastFetch > 0, offset >= leaderEndAtLastFetch {
      lastCaughtUp = max(lastCaughtUp ?? .zero, lastFetch ?? .zero)
    }
    leaderEndAtLastFetch = leaderEnd
    lastFetch = now
    endOffset = offset
  }
}

/// An AddRaftVoter that has not been answered.
struct PendingAdd: Sendable {
  let request: RequestID
  let voter: ReplicaKey
  let endpoints: [Endpoint]
  /// Until when the tool waits.
  let patience: Instant
  /// When it is given up: what the present step may take, or `patience`.
  var deadline: Instant
  /// The ApiVersions request to the new voter; nil once it is answered.
  var asking: CorrelationID?
  /// Of the voters record, once it is written.
  var offset: Offset?
}

/// A RemoveRaftVoter whose voters record is written.
struct PendingRemove: Sendable {
  let request: RequestID
  let deadline: Instant
  let offset: Offset
}

/// A candidate of a greater epoch that the quorum turns away again and again.
struct Stray: Sendable {
  var epoch: LeaderEpoch
  /// When it was first turned away, and last.
  var since: Instant
  var last: Instant
}

/// The state of a leader.
struct Leader: Sendable {
  let own: ReplicaKey
  /// Of the first record of its epoch.
  let epochStart: Offset
  /// Ascending by id.
  var voters: [Progress]
  /// In the order in which they came.
  var observers: [Progress] = []
  /// Nil until a record of this epoch is committed.
  var highWatermark: Offset?
  var checkQuorumDeadline: Instant
  /// Voters that have fetched since the deadline was last moved.
  var fetchedVoters: [BrokerID] = []
  /// When BeginQuorumEpoch is due.
  var beginDeadline: Instant
  var isResigning = false
  var add: PendingAdd?
  var remove: PendingRemove?
  var stray: Stray?
  /// When the appends that linger have lingered enough.
  var lingerDeadline: Instant?
  var lingeringBytes = 0

  /// Observers kept at most; the one that has fetched least recently makes room.
  static let maxObservers = 1024

  init(
    own: ReplicaKey, epochStart: Offset, voters: VoterSet, at now: Instant, checkQuorumMs: Int64
  ) {
    self.own = own
    self.epochStart = epochStart
    self.voters = voters.keys.map { Progress(key: $0) }
    checkQuorumDeadline = now.advanced(milliseconds: checkQuorumMs)
    beginDeadline = now
  }

  var isVoter: Bool { voters.contains { $0.key.means(own) } }

  func isVoter(_ key: ReplicaKey) -> Bool { voters.contains { $0.key.means(key) } }

  func progress(of key: ReplicaKey) -> Progress? {
    voters.first { $0.key.means(key) } ?? observers.first { $0.key == key }
  }

  /// Voters but the leader itself, the furthest first: who should lead next.
  var successors: [ReplicaKey] {
    voters.filter { !$0.key.means(own) }
      .sorted { a, b in
        let (left, right) = (a.endOffset ?? -1, b.endOffset ?? -1)
        return left == right ? a.key < b.key : left > right
      }
      .map(\.key)
  }

  // MARK: Progress

  /// Notes a fetch; the change is made in place.
  mutating func fetched(
    _ key: ReplicaKey, from offset: Offset, leaderEnd: Offset, at now: Instant,
    checkQuorumMs: Int64
  ) {
    update(key) { $0.fetched(from: offset, leaderEnd: leaderEnd, at: now) }
    heard(key, at: now, checkQuorumMs: checkQuorumMs)
  }

  mutating func told(_ key: ReplicaKey, highWatermark: Offset) {
    update(key) { $0.toldHighWatermark = highWatermark }
  }

  private mutating func update(_ key: ReplicaKey, _ change: (inout Progress) -> Void) {
    if let index = voters.firstIndex(where: { $0.key.means(key) }) {
      change(&voters[index])
    } else if let index = observers.firstIndex(where: { $0.key == key }) {
      change(&observers[index])
    } else {
      if observers.count >= Self.maxObservers,
        let oldest = observers.indices.min(by: {
          (observers[$0].lastFetch ?? .zero) < (observers[$1].lastFetch ?? .zero)
        })
      {
        observers.remove(at: oldest)
      }
      var progress = Progress(key: key)
      change(&progress)
      observers.append(progress)
    }
  }

  /// Moves the check-quorum deadline once a majority has been heard, the leader counted if it
  /// votes.
  mutating func heard(_ key: ReplicaKey, at now: Instant, checkQuorumMs: Int64) {
    guard isVoter(key), !key.means(own) else { return }
    if !fetchedVoters.contains(key.id) { fetchedVoters.append(key.id) }
    let needed = voters.count / 2 + 1 - (isVoter ? 1 : 0)
    if fetchedVoters.count >= needed {
      fetchedVoters.removeAll()
      checkQuorumDeadline = now.advanced(milliseconds: checkQuorumMs)
    }
  }

  /// Whether a majority has fetched within so many milliseconds: nobody else can have been elected
  /// by it meanwhile without this leader's knowing.
  func isFollowed(withinMs window: Int64, at now: Instant) -> Bool {
    let recent = voters.filter { voter in
      voter.key.means(own)
        || (voter.lastFetch.map { now.milliseconds(since: $0) < window } ?? false)
    }
    return recent.count >= voters.count / 2 + 1
  }

  mutating func forgetObservers(silentForMs limit: Int64, at now: Instant) {
    observers.removeAll { now.milliseconds(since: $0.lastFetch ?? .zero) >= limit }
  }

  // MARK: High watermark

  /// The offset that a majority of voters has on disk, if it is a new high watermark.
  ///
  /// - Parameter ownDurableEnd: of this leader's log; counts only if the leader is a voter.
  func nextHighWatermark(ownDurableEnd: Offset) -> Offset? {
    let ends = voters.map { $0.key.means(own) ? ownDurableEnd : $0.endOffset ?? -1 }
      .sorted(by: >)
    guard !ends.isEmpty else { return nil }
    let candidate = ends[ends.count / 2]
    // A record of this epoch must be among what a majority has: only then no log without the
    // records before it can win an election any more (Raft, figure 8).
    guard candidate > epochStart, candidate > highWatermark ?? -1 else { return nil }
    return candidate
  }

  // MARK: Voters

  /// Takes over a new voter set; whoever changes sides keeps its progress.
  mutating func apply(_ set: VoterSet) {
    let before = voters
    voters = set.keys.map { key in
      var progress =
        before.first { $0.key.id == key.id && ($0.key == key || $0.key.means(key)) }
        ?? observers.first { key.means($0.key) } ?? Progress(key: key)
      progress.key = key
      return progress
    }
    observers.removeAll { observer in set.keys.contains { $0.means(observer.key) } }
    for old in before where !voters.contains(where: { $0.key.id == old.key.id }) {
      observers.append(old)
    }
    fetchedVoters.removeAll { set[$0] == nil }
  }
}
