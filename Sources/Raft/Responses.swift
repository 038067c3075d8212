import KafkaProtocol
import Values

// The answers to `Messages.swift`'s requests.

public enum RaftResponse: Hashable, Sendable {
  case vote(VoteResponse)
  case beginQuorumEpoch(QuorumEpochResponse)
  case endQuorumEpoch(QuorumEpochResponse)
  case fetch(FetchResponse)
  case fetchSnapshot(FetchSnapshotResponse)
  case addVoter(VoterChangeResponse)
  case removeVoter(VoterChangeResponse)
  case updateVoter(UpdateVoterResponse)
  case describeQuorum(DescribeQuorumResponse)
  /// Received only.
  case apiVersions(ApiVersionsResponse)
}

/// The leader as a replica knows it: LeaderId (-1: nil), LeaderEpoch, and NodeEndpoints.
public struct CurrentLeader: Hashable, Sendable {
  public var id: BrokerID?
  public var epoch: LeaderEpoch
  /// All listeners known. A response shows the one whose listener the request came in on; what is
  /// received has that one alone, and none below the version that introduced it.
  public var endpoints: [Endpoint]

  public init(id: BrokerID?, epoch: LeaderEpoch, endpoints: [Endpoint] = []) {
    self.id = id
    self.epoch = epoch
    self.endpoints = endpoints
  }
}

public struct VoteResponse: Hashable, Sendable {
  public var topLevelError = ErrorCode.none
  public var error = ErrorCode.none
  public var leader: CurrentLeader
  public var voteGranted: Bool

  public init(
    topLevelError: ErrorCode = .none, error: ErrorCode = .none, leader: CurrentLeader,
    voteGranted: Bool
  ) {
    self.topLevelError = topLevelError
    self.error = error
    self.leader = leader
    self.voteGranted = voteGranted
  }
}

/// The answer to BeginQuorumEpoch and EndQuorumEpoch alike.
public struct QuorumEpochResponse: Hashable, Sendable {
  public var topLevelError = ErrorCode.none
  public var error = ErrorCode.none
  public var leader: CurrentLeader

  public init(
    topLevelError: ErrorCode = .none, error: ErrorCode = .none, leader: CurrentLeader
  ) {
    self.topLevelError = topLevelError
    self.error = error
    self.leader = leader
  }
}

public struct FetchResponse: Hashable, Sendable {
  /// What a response carries of the log.
  public enum Records: Hashable, Sendable {
    case none
    /// Sent: whole batches from this offset on, none beginning at or behind `to`, up to `maxBytes`
    /// but at least one.
    case read(from: Offset, to: Offset, maxBytes: Int32)
    /// Received, in order.
    case batches([FetchedBatch])
  }

  public var topLevelError = ErrorCode.none
  public var error = ErrorCode.none
  public var leader: CurrentLeader
  /// -1 when the leader does not know it yet.
  public var highWatermark: Offset
  public var logStartOffset: Offset
  /// Where the logs part: the fetcher has to truncate.
  public var divergingEpoch: OffsetAndEpoch?
  /// What the fetcher needs before it can read on.
  public var snapshotID: SnapshotID?
  public var records: Records

  public init(
    topLevelError: ErrorCode = .none, error: ErrorCode = .none, leader: CurrentLeader,
    highWatermark: Offset, logStartOffset: Offset, divergingEpoch: OffsetAndEpoch? = nil,
    snapshotID: SnapshotID? = nil, records: Records = .none
  ) {
    self.topLevelError = topLevelError
    self.error = error
    self.leader = leader
    self.highWatermark = highWatermark
    self.logStartOffset = logStartOffset
    self.divergingEpoch = divergingEpoch
    self.snapshotID = snapshotID
    self.records = records
  }
}

/// A batch that came with a fetch response, its checksum verified by the driver.
public struct FetchedBatch: Hashable, Sendable {
  public var baseOffset: Offset
  public var lastOffset: Offset
  public var epoch: LeaderEpoch
  /// What is in a control batch and matters to the machine, with offsets.
  public var voters: VotersEntry?
  public var kraftVersion: KRaftVersionEntry?
  /// The bytes, for the driver.
  public var token: Token

  public init(
    baseOffset: Offset, lastOffset: Offset, epoch: LeaderEpoch, voters: VotersEntry? = nil,
    kraftVersion: KRaftVersionEntry? = nil, token: Token = 0
  ) {
    self.baseOffset = baseOffset
    self.lastOffset = lastOffset
    self.epoch = epoch
    self.voters = voters
    self.kraftVersion = kraftVersion
    self.token = token
  }
}

public struct FetchSnapshotResponse: Hashable, Sendable {
  public enum Chunk: Hashable, Sendable {
    case none
    /// Sent: so many bytes of the file from `position` on.
    case read(count: Int32)
    /// Received.
    case bytes(token: Token, count: Int64)
  }

  public var topLevelError = ErrorCode.none
  public var error = ErrorCode.none
  public var leader: CurrentLeader
  /// Nil: -1 on the wire.
  public var snapshotID: SnapshotID?
  public var size: Int64
  public var position: Int64
  public var chunk: Chunk

  public init(
    topLevelError: ErrorCode = .none, error: ErrorCode = .none, leader: CurrentLeader,
    snapshotID: SnapshotID? = nil, size: Int64 = 0, position: Int64 = 0, chunk: Chunk = .none
  ) {
    self.topLevelError = topLevelError
    self.error = error
    self.leader = leader
    self.snapshotID = snapshotID
    self.size = size
    self.position = position
    self.chunk = chunk
  }
}

/// The answer to AddRaftVoter and RemoveRaftVoter alike.
public struct VoterChangeResponse: Hashable, Sendable {
  public var error: ErrorCode
  /// What an operator reads; Kafka says `NONE` when all is well.
  public var message: String?

  public init(_ error: ErrorCode, _ message: String? = nil) {
    self.error = error
    self.message = message ?? (error == .none ? error.name : error.message)
  }
}

public struct UpdateVoterResponse: Hashable, Sendable {
  public var error: ErrorCode
  public var leader: CurrentLeader

  public init(_ error: ErrorCode, leader: CurrentLeader) {
    self.error = error
    self.leader = leader
  }
}

public struct ApiVersionsResponse: Hashable, Sendable {
  public var error: ErrorCode
  /// The feature `kraft.version` among the supported ones; nil if it is not named.
  public var kraftVersions: ClosedRange<Int16>?

  public init(_ error: ErrorCode, kraftVersions: ClosedRange<Int16>?) {
    self.error = error
    self.kraftVersions = kraftVersions
  }
}

public struct DescribeQuorumResponse: Hashable, Sendable {
  /// A replica as its leader sees it. The driver turns instants into wall-clock milliseconds.
  public struct Replica: Hashable, Sendable {
    public var key: ReplicaKey
    /// -1 when it has not fetched yet.
    public var logEndOffset: Offset
    public var lastFetch: Instant?
    public var lastCaughtUp: Instant?

    public init(
      key: ReplicaKey, logEndOffset: Offset, lastFetch: Instant?, lastCaughtUp: Instant?
    ) {
      self.key = key
      self.logEndOffset = logEndOffset
      self.lastFetch = lastFetch
      self.lastCaughtUp = lastCaughtUp
    }
  }

  /// Of the partition.
  public var error = ErrorCode.none
  public var leader: CurrentLeader
  public var highWatermark: Offset
  public var voters: [Replica]
  public var observers: [Replica]
  /// Nodes and their listeners, from version 2 on.
  public var nodes: [Voter]

  public init(
    error: ErrorCode = .none, leader: CurrentLeader, highWatermark: Offset = -1,
    voters: [Replica] = [], observers: [Replica] = [], nodes: [Voter] = []
  ) {
    self.error = error
    self.leader = leader
    self.highWatermark = highWatermark
    self.voters = voters
    self.observers = observers
    self.nodes = nodes
  }
}
