import Values

// The states of a replica. Whether it is a voter is no state: the voter set says so, and may change
// under any of them.

/// Knows an epoch, but nobody to fetch from.
struct Unattached: Sendable {
  /// Whom this replica has voted for; Kafka shows the state as `voted` then.
  var voted: ReplicaKey?
  /// The leader of the epoch, when its id is known but not where it listens.
  var leader: BrokerID?
  var electionDeadline: Instant
}

/// Asks for votes.
struct Candidate: Sendable {
  /// Itself included.
  var granted: [BrokerID]
  var rejected: [BrokerID] = []
  /// How many elections this replica has called in a row.
  var attempts: Int
  var electionDeadline: Instant
  /// Set once the election is lost.
  var backoffEnd: Instant?
}

/// Fetches from a leader.
struct Follower: Sendable {
  let leader: BrokerID
  var endpoints: [Endpoint]
  /// When the leader is taken for dead.
  var fetchDeadline: Instant
  /// The leader's last good answer.
  var lastHeard: Instant?
  /// When to see whether the voters record is right about this replica.
  var updateDeadline: Instant
  var snapshot: SnapshotFetch?
}

/// A snapshot on its way here.
struct SnapshotFetch: Hashable, Sendable {
  let id: SnapshotID
  /// Bytes written, and where the next chunk begins.
  var position: Int64 = 0
}

/// Has led, and tells the others to elect somebody else.
struct Resigned: Sendable {
  var unacknowledged: [BrokerID]
  /// Voters by how far they are, best first.
  var preferred: [ReplicaKey]
  var electionDeadline: Instant
}

enum Role: Sendable {
  case unattached(Unattached)
  case candidate(Candidate)
  case follower(Follower)
  case leader(Leader)
  case resigned(Resigned)
}
