/// What request handlers ask of a partition before and after they touch its log.
import Values

extension PartitionReplica {
  public var leaderEpoch: LeaderEpoch { assignment?.leaderEpoch ?? .none }
  public var leader: BrokerID { assignment?.leader ?? .none }
  public var isLeader: Bool { role == .leader }

  /// The ISR that the controller has stored, leader included; empty on a follower.
  public var isr: [BrokerID] { role == .leader ? inSync.stored : [] }
  public var isChangingISR: Bool { inSync.isInFlight }

  /// A new leader's high watermark may be older than what was acknowledged before; until it reaches
  /// the start of the term the end that consumers may see is not known.
  public var isBehindItsTerm: Bool { role == .leader && highWatermark < epochStartOffset }

  /// Fewer in sync than assigned, counting only replicas that are not just being added.
  public var isUnderReplicated: Bool {
    guard role == .leader, let assignment else { return false }
    return inSync.stored.count < assignment.replicas.count - assignment.adding.count
  }
  public var isUnderMinISR: Bool { role == .leader && inSync.stored.count < effectiveMinInSync }
  public var isAtMinISR: Bool { role == .leader && inSync.stored.count == effectiveMinInSync }

  /// Fences requests by the leader epoch they carry (KIP-320).
  /// - Parameter epoch: what the request carries; nil or negative when it carries none.
  public func check(
    leaderEpoch epoch: LeaderEpoch?, needsLeader: Bool = true
  ) throws(ReplicaRefusal) {
    if let epoch, epoch.rawValue >= 0 {
      if epoch < leaderEpoch { throw .fencedLeaderEpoch }
      if epoch > leaderEpoch { throw .unknownLeaderEpoch }
    }
    if role == .none || (needsLeader && role != .leader) { throw .notLeaderOrFollower }
  }

  /// Whether records may be appended for a producer that asks for `acks`.
  public func checkAppend(acks: Int16) throws(ReplicaRefusal) {
    guard role == .leader else { throw .notLeaderOrFollower }
    if acks == -1, inSync.stored.count < effectiveMinInSync { throw .notEnoughReplicas }
  }

  /// Whether a fetching broker is one of the partition's replicas.
  public func isReplica(_ broker: BrokerID) -> Bool {
    assignment?.replicas.contains(broker) ?? false
  }

  /// How a produce with acks=all that ended at `requiredOffset` stands.
  /// - Returns: true when every in-sync replica has it; false when it must go on waiting.
  /// - Throws: `notLeaderOrFollower` when leadership moved on, `notEnoughReplicasAfterAppend` when
  ///   the ISR fell below the minimum meanwhile.
  public func checkReplicated(
    upTo requiredOffset: Offset, epoch: LeaderEpoch
  ) throws(ReplicaRefusal) -> Bool {
    guard role == .leader, leaderEpoch == epoch else { throw .notLeaderOrFollower }
    guard highWatermark >= requiredOffset else { return false }
    if inSync.stored.count < effectiveMinInSync { throw .notEnoughReplicasAfterAppend }
    return true
  }

  /// The lowest log start among the leader and its live followers: DeleteRecords waits for it.
  public func lowWatermark(localLogStartOffset: Offset) -> Offset {
    var lowest = localLogStartOffset
    for remote in remotes where remote.isEligible && remote.logStartOffset < lowest {
      lowest = remote.logStartOffset
    }
    return lowest
  }

  /// One replica's position as its leader knows it, for selecting a replica to read from.
  public struct ReplicaView: Equatable, Sendable {
    public var broker: BrokerID
    public var logStartOffset: Offset
    public var logEndOffset: Offset
    /// nil: never caught up while this leader led.
    public var lastCaughtUp: Instant?
  }

  /// The leader's view of its followers, in order of the assignment.
  public var followerViews: [ReplicaView] {
    remotes.map {
      ReplicaView(
        broker: $0.broker, logStartOffset: $0.logStartOffset, logEndOffset: $0.logEndOffset,
        lastCaughtUp: $0.lastCaughtUp)
    }
  }
}
