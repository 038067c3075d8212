import Values

/// An offset as a group commits it.
public struct CommittedOffset: Hashable, Sendable {
  /// The next record to read.
  public var offset: Int64
  /// -1: not known.
  public var leaderEpoch: Int32
  public var metadata: String

  public init(_ offset: Int64, leaderEpoch: Int32 = -1, metadata: String = "") {
    self.offset = offset
    self.leaderEpoch = leaderEpoch
    self.metadata = metadata
  }
}

/// Who commits: a member of a generation of a group.
public struct GroupMembership: Hashable, Sendable {
  public var groupID: String
  public var generationID: Int32
  public var memberID: String
  public var groupInstanceID: String?

  public init(
    groupID: String, generationID: Int32 = -1, memberID: String = "",
    groupInstanceID: String? = nil
  ) {
    self.groupID = groupID
    self.generationID = generationID
    self.memberID = memberID
    self.groupInstanceID = groupInstanceID
  }
}

/// What ListOffsets can look for.
public enum OffsetQuery: Hashable, Sendable {
  case earliest
  case latest
  /// The record with the greatest timestamp (KIP-734).
  case maxTimestamp
  /// The first offset on the leader's own disk, with tiered storage (KIP-405).
  case earliestLocal
  /// The last offset in tiered storage (KIP-1005).
  case latestTiered
  /// The first record at or after a time, in milliseconds since 1970.
  case timestamp(Int64)

  /// The number that stands for it on the wire.
  public var timestamp: Int64 {
    switch self {
    case .latest: -1
    case .earliest: -2
    case .maxTimestamp: -3
    case .earliestLocal: -4
    case .latestTiered: -5
    case .timestamp(let time): time
    }
  }
}

/// What ListOffsets has found.
public struct FoundOffset: Hashable, Sendable {
  /// -1: nothing found.
  public var offset: Int64
  public var timestamp: Int64
  public var leaderEpoch: Int32
}
