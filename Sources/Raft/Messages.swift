import KafkaProtocol
import Values

// What replicas say to each other, one to one with the messages of Kafka 3.9 for the one partition
// there is (`__cluster_metadata-0`): Vote 0–1, BeginQuorumEpoch 0–1, EndQuorumEpoch 0–1, Fetch 17,
// FetchSnapshot 0–1, AddRaftVoter 0, RemoveRaftVoter 0, UpdateRaftVoter 0, DescribeQuorum 0–2.
//
// The driver checks topic and partition while it decodes (INVALID_REQUEST at the top level, or
// UNKNOWN_TOPIC_OR_PARTITION where Kafka says so); everything else is checked by the machine. A
// `topLevelError` other than `none` is the whole answer: the rest of the response is left out.

// MARK: Requests

public enum RaftRequest: Hashable, Sendable {
  case vote(VoteRequest)
  case beginQuorumEpoch(BeginQuorumEpochRequest)
  case endQuorumEpoch(EndQuorumEpochRequest)
  case fetch(FetchRequest)
  case fetchSnapshot(FetchSnapshotRequest)
  case addVoter(AddVoterRequest)
  case removeVoter(RemoveVoterRequest)
  case updateVoter(UpdateVoterRequest)
  /// Received only.
  case describeQuorum
  /// Sent only: which kraft.version levels does a new voter support?
  case apiVersions
}

public struct VoteRequest: Hashable, Sendable {
  public var clusterID: String?
  /// Who is asked; nil in version 0.
  public var voter: ReplicaKey?
  public var candidate: ReplicaKey
  public var candidateEpoch: LeaderEpoch
  /// LastOffset and LastOffsetEpoch: the end of the candidate's log.
  public var logEnd: OffsetAndEpoch

  public init(
    clusterID: String?, voter: ReplicaKey?, candidate: ReplicaKey, candidateEpoch: LeaderEpoch,
    logEnd: OffsetAndEpoch
  ) {
    self.clusterID = clusterID
    self.voter = voter
    self.candidate = candidate
    self.candidateEpoch = candidateEpoch
    self.logEnd = logEnd
  }
}

public struct BeginQuorumEpochRequest: Hashable, Sendable {
  public var clusterID: String?
  /// Who is told; nil in version 0.
  public var voter: ReplicaKey?
  public var leader: BrokerID
  public var epoch: LeaderEpoch
  /// Empty in version 0.
  public var leaderEndpoints: [Endpoint]

  public init(
    clusterID: String?, voter: ReplicaKey?, leader: BrokerID, epoch: LeaderEpoch,
    leaderEndpoints: [Endpoint]
  ) {
    self.clusterID = clusterID
    self.voter = voter
    self.leader = leader
    self.epoch = epoch
    self.leaderEndpoints = leaderEndpoints
  }
}

public struct EndQuorumEpochRequest: Hashable, Sendable {
  public var clusterID: String?
  public var leader: BrokerID
  public var epoch: LeaderEpoch
  /// Voters by how far they are, best first; without directories in version 0
  /// (PreferredSuccessors).
  public var preferredCandidates: [ReplicaKey]
  /// Kafka 3.9 leaves it empty: who is told knows the leader.
  public var leaderEndpoints: [Endpoint]

  public init(
    clusterID: String?, leader: BrokerID, epoch: LeaderEpoch, preferredCandidates: [ReplicaKey],
    leaderEndpoints: [Endpoint]
  ) {
    self.clusterID = clusterID
    self.leader = leader
    self.epoch = epoch
    self.preferredCandidates = preferredCandidates
    self.leaderEndpoints = leaderEndpoints
  }
}

public struct FetchRequest: Hashable, Sendable {
  public var clusterID: String?
  /// Id -1 for whoever is no replica.
  public var replica: ReplicaKey
  public var currentLeaderEpoch: LeaderEpoch
  public var fetchOffset: Offset
  public var lastFetchedEpoch: LeaderEpoch
  public var maxWaitMs: Int32
  /// Of the whole request; PartitionMaxBytes is 0, MinBytes too, and LogStartOffset -1.
  public var maxBytes: Int32

  public init(
    clusterID: String?, replica: ReplicaKey, currentLeaderEpoch: LeaderEpoch, fetchOffset: Offset,
    lastFetchedEpoch: LeaderEpoch, maxWaitMs: Int32, maxBytes: Int32
  ) {
    self.clusterID = clusterID
    self.replica = replica
    self.currentLeaderEpoch = currentLeaderEpoch
    self.fetchOffset = fetchOffset
    self.lastFetchedEpoch = lastFetchedEpoch
    self.maxWaitMs = maxWaitMs
    self.maxBytes = maxBytes
  }
}

public struct FetchSnapshotRequest: Hashable, Sendable {
  public var clusterID: String?
  public var replica: ReplicaKey
  public var maxBytes: Int32
  public var currentLeaderEpoch: LeaderEpoch
  public var snapshotID: SnapshotID
  public var position: Int64

  public init(
    clusterID: String?, replica: ReplicaKey, maxBytes: Int32, currentLeaderEpoch: LeaderEpoch,
    snapshotID: SnapshotID, position: Int64
  ) {
    self.clusterID = clusterID
    self.replica = replica
    self.maxBytes = maxBytes
    self.currentLeaderEpoch = currentLeaderEpoch
    self.snapshotID = snapshotID
    self.position = position
  }
}

public struct AddVoterRequest: Hashable, Sendable {
  public var clusterID: String?
  public var timeoutMs: Int32
  public var voter: ReplicaKey
  public var endpoints: [Endpoint]

  public init(clusterID: String?, timeoutMs: Int32, voter: ReplicaKey, endpoints: [Endpoint]) {
    self.clusterID = clusterID
    self.timeoutMs = timeoutMs
    self.voter = voter
    self.endpoints = endpoints
  }
}

public struct RemoveVoterRequest: Hashable, Sendable {
  public var clusterID: String?
  public var voter: ReplicaKey

  public init(clusterID: String?, voter: ReplicaKey) {
    self.clusterID = clusterID
    self.voter = voter
  }
}

public struct UpdateVoterRequest: Hashable, Sendable {
  public var clusterID: String?
  public var currentLeaderEpoch: LeaderEpoch
  public var voter: ReplicaKey
  public var endpoints: [Endpoint]
  /// As received: nothing is checked yet.
  public var minKRaftVersion: Int16
  public var maxKRaftVersion: Int16

  public init(
    clusterID: String?, currentLeaderEpoch: LeaderEpoch, voter: ReplicaKey, endpoints: [Endpoint],
    minKRaftVersion: Int16, maxKRaftVersion: Int16
  ) {
    self.clusterID = clusterID
    self.currentLeaderEpoch = currentLeaderEpoch
    self.voter = voter
    self.endpoints = endpoints
    self.minKRaftVersion = minKRaftVersion
    self.maxKRaftVersion = maxKRaftVersion
  }
}
