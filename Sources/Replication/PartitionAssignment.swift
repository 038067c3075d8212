import Values

/// What the controller has decided about one partition, whichever request or image brought it.
///
/// LeaderAndIsr carries it in ZooKeeper mode, the metadata image in KRaft mode (KIP-497 for the
/// partition epoch).
public struct PartitionAssignment: Equatable, Sendable {
  /// `.none` while the partition is offline.
  public var leader: BrokerID
  public var leaderEpoch: LeaderEpoch
  public var partitionEpoch: PartitionEpoch
  public var isr: [BrokerID]
  /// In order of preference; the first is the preferred leader. Holds adding and removing replicas.
  public var replicas: [BrokerID]
  public var adding: [BrokerID]
  public var removing: [BrokerID]
  /// The leader was elected outside the ISR and has not yet confirmed its own recovery (KIP-704).
  public var leaderIsRecovering: Bool

  public init(
    leader: BrokerID, leaderEpoch: LeaderEpoch, partitionEpoch: PartitionEpoch, isr: [BrokerID],
    replicas: [BrokerID], adding: [BrokerID] = [], removing: [BrokerID] = [],
    leaderIsRecovering: Bool = false
  ) {
    self.leader = leader
    self.leaderEpoch = leaderEpoch
    self.partitionEpoch = partitionEpoch
    self.isr = isr
    self.replicas = replicas
    self.adding = adding
    self.removing = removing
    self.leaderIsRecovering = leaderIsRecovering
  }
}

/// An ISR that a leader asks the controller to store, by AlterPartition.
public struct ISRProposal: Equatable, Sendable {
  public struct Member: Equatable, Sendable {
    public var broker: BrokerID
    /// The epoch that the replica's fetches carried; `.none` when they carried none (KIP-903).
    public var epoch: BrokerEpoch
    public init(broker: BrokerID, epoch: BrokerEpoch) {
      self.broker = broker
      self.epoch = epoch
    }
  }

  public var leaderEpoch: LeaderEpoch
  /// The partition epoch that the proposal builds on; the controller refuses any other.
  public var partitionEpoch: PartitionEpoch
  public var isr: [Member]

  public init(leaderEpoch: LeaderEpoch, partitionEpoch: PartitionEpoch, isr: [Member]) {
    self.leaderEpoch = leaderEpoch
    self.partitionEpoch = partitionEpoch
    self.isr = isr
  }
}

/// How the controller answered an `ISRProposal`.
public enum ISRAnswer: Equatable, Sendable {
  case stored(leaderEpoch: LeaderEpoch, partitionEpoch: PartitionEpoch, isr: [BrokerID])
  /// The controller says that the epochs were right and nothing was stored
  /// (INELIGIBLE_REPLICA, OPERATION_NOT_ATTEMPTED): the last stored ISR stands.
  case refused
  /// Our knowledge is stale (FENCED_LEADER_EPOCH, INVALID_UPDATE_VERSION, NEW_LEADER_ELECTED, an
  /// unknown topic): whether it was stored is unknown, and only a new assignment can tell.
  case superseded
  /// The request failed on its way or for a passing reason: ask the same again.
  case failed
}

/// Why a request about a partition is refused; the names are Kafka's error names.
public enum ReplicaRefusal: Error, Equatable, Sendable {
  case notLeaderOrFollower
  case fencedLeaderEpoch
  case unknownLeaderEpoch
  case notEnoughReplicas
  case notEnoughReplicasAfterAppend
  /// A fetch by an earlier incarnation of the replica's broker (NOT_LEADER_OR_FOLLOWER on the
  /// wire).
  case staleBrokerEpoch
}
