import KafkaProtocol
import Values

/// Where a group stands between two generations.
///
/// ```
///            first member joins                all have joined, or time is up
///   empty ────────────────────▶ preparing ───────────────────────────▶ completing
///     ▲                          ▲     │                                   │ the leader's
///     │ nobody is left           │     │ nobody is left                    │ assignment is
///     └──────────────────────────┼─────┘                                   ▼ committed
///                                └── a member joins anew, leaves, dies ── stable
/// ```
/// `dead` is what a group is told to be that is not there: deleted, expired or moved away.
public enum GroupState: String, Hashable, Sendable {
  case empty = "Empty"
  case preparingRebalance = "PreparingRebalance"
  case completingRebalance = "CompletingRebalance"
  case stable = "Stable"
  case dead = "Dead"
}

/// The settings that group coordination depends on.
public struct GroupConfig: Hashable, Sendable {
  public var minSessionTimeoutMs: Int32 = 6_000
  public var maxSessionTimeoutMs: Int32 = 1_800_000
  public var maxSize = Int(Int32.max)
  public var initialRebalanceDelayMs: Int64 = 3_000
  /// Characters of metadata that a committed offset may carry.
  public var offsetMetadataMaxSize = 4_096
  public var offsetsRetentionMs: Int64 = 7 * 24 * 3_600_000

  public init() {}

  /// How long a joining member whose client may be gone keeps its place: new members send no
  /// heartbeats while they wait.
  static let newMemberJoinTimeoutMs: Int64 = 300_000
}

/// A moment on both clocks.
public struct Moment: Hashable, Sendable {
  /// For time-outs.
  public var instant: Instant
  /// For what is stored.
  public var wall: WallTime

  public init(instant: Instant, wall: WallTime) {
    self.instant = instant
    self.wall = wall
  }
}

/// An offset that a group has committed, with all that is stored beside it.
public struct OffsetAndMetadata: Hashable, Sendable {
  public var offset: Offset
  /// -1 when the consumer did not say.
  public var leaderEpoch: Int32
  public var metadata: String
  public var commitTimestamp: WallTime
  /// Set by OffsetCommit v2–v4 with a retention of its own; nil leaves it to the broker (KIP-211).
  public var expireTimestamp: WallTime?

  public init(
    offset: Offset, leaderEpoch: Int32 = -1, metadata: String = "", commitTimestamp: WallTime,
    expireTimestamp: WallTime? = nil
  ) {
    self.offset = offset
    self.leaderEpoch = leaderEpoch
    self.metadata = metadata
    self.commitTimestamp = commitTimestamp
    self.expireTimestamp = expireTimestamp
  }
}

/// A request's identity, chosen by whoever sends it in; the reply carries it back.
public struct RequestToken: Hashable, Sendable {
  public var rawValue: UInt64
  public init(_ rawValue: UInt64) { self.rawValue = rawValue }
}

/// An append's identity, chosen by the shard; the outcome carries it back.
public struct WriteID: Hashable, Comparable, Sendable {
  public var rawValue: Int64
  public init(_ rawValue: Int64) { self.rawValue = rawValue }
  public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// One of the ways of assigning partitions that a member knows, with its own data for it.
public struct MemberProtocol: Hashable, Sendable {
  public var name: String
  public var metadata: [UInt8]
  public init(name: String, metadata: [UInt8]) {
    self.name = name
    self.metadata = metadata
  }
}

/// A member of a group.
struct Member: Sendable {
  var id: String
  var instanceID: String?
  var clientID: String
  var clientHost: String
  var rebalanceTimeoutMs: Int32
  var sessionTimeoutMs: Int32
  /// In the member's order of preference.
  var protocols: [MemberProtocol]
  var assignment: [UInt8] = []
  /// Joined, and never yet part of a generation.
  var isNew = false
  /// The JoinGroup that waits for the rebalance to complete.
  var joinToken: RequestToken?
  /// The SyncGroup that waits for the leader's assignment.
  var syncToken: RequestToken?

  /// The member's data for one protocol; empty if it does not know it.
  func metadata(for protocolName: String) -> [UInt8] {
    protocols.first { $0.name == protocolName }?.metadata ?? []
  }

  /// The first of its protocols that every member knows.
  func vote(among candidates: Set<String>) -> String? {
    protocols.first { candidates.contains($0.name) }?.name
  }
}
