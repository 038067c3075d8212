/// The state machine of one partition on one broker: leader, follower, or neither.
///
/// | state | event | next | effects |
/// |---|---|---|---|
/// | any | assignment, newer, leader is self | leader | becameLeader, maybe high watermark |
/// | any | assignment, newer, leader is another | follower | becameFollower |
/// | any | assignment, newer, no leader | follower of nobody | lostLeader |
/// | any | assignment, not newer | same | ignoredAssignment |
/// | leader | appended, fetched | leader | high watermark, ISR proposals |
/// | leader | tick | leader | ISR proposals (shrink) |
/// | leader | isrAnswered | leader | high watermark; a failed proposal again |
/// | follower | watermark of the leader | follower | high watermark |
///
/// It holds no records and reads no clock. Whoever owns the log calls it under the partition's
/// lock, in the order in which the log changes.
import Values

public struct PartitionReplica: Sendable {
  public enum Role: Equatable, Sendable {
    /// Nothing is known yet; nothing is served.
    case none
    case leader
    /// `.none` while the partition has no leader.
    case follower(of: BrokerID)
  }

  /// The configuration that the machine depends on; may change at run time.
  public struct Limits: Equatable, Sendable {
    /// `replica.lag.time.max.ms`
    public var maxLagMs: Int64
    /// `min.insync.replicas`, before it is capped by the number of replicas.
    public var minInSyncReplicas: Int
    public init(maxLagMs: Int64 = 30_000, minInSyncReplicas: Int = 1) {
      self.maxLagMs = maxLagMs
      self.minInSyncReplicas = minInSyncReplicas
    }
  }

  public enum Event: Equatable, Sendable {
    case assigned(PartitionAssignment, logEndOffset: Offset)
    /// The leader's own log now ends here.
    case appended(logEndOffset: Offset)
    case fetched(FollowerFetch)
    case isrAnswered(ISRAnswer, to: ISRProposal)
    /// A follower learnt its leader's high watermark, and its own log ends at `logEndOffset`.
    case leaderHighWatermark(Offset, logEndOffset: Offset)
    /// The brokers that are alive, unfenced and not shutting down, in ascending order.
    case eligibleBrokers([BrokerID])
    case truncated(logEndOffset: Offset)
    /// The log's start was raised by DeleteRecords, retention or a full truncation: nothing below
    /// it can be read any more, so the high watermark cannot be there.
    case logStartRaised(Offset)
    case tick
  }

  public enum Effect: Equatable, Sendable {
    /// Note `startOffset` as the start of `epoch` in the leader-epoch history, then serve.
    case becameLeader(epoch: LeaderEpoch, startOffset: Offset)
    /// Fetch from `leader`, after truncating to what its epochs allow.
    case becameFollower(leader: BrokerID, epoch: LeaderEpoch)
    /// Stop fetching and refuse what needs a leader.
    case lostLeader(epoch: LeaderEpoch)
    case ignoredAssignment
    case proposeISR(ISRProposal)
    case isrChanged(grew: Bool)
    /// Wake acks=all produces and consumers waiting below this offset.
    case highWatermarkAdvanced(Offset)
    case rejectedFetch(ReplicaRefusal)
  }

  public let localID: BrokerID
  public internal(set) var role = Role.none
  public internal(set) var assignment: PartitionAssignment?
  public internal(set) var highWatermark: Offset
  /// The local log's end as the machine was last told.
  public internal(set) var logEndOffset: Offset
  public internal(set) var limits: Limits
  var epochStartOffset: Offset = -1
  var remotes: [ReplicaProgress] = []
  var inSync = InSyncSet([])
  var eligibleBrokers: [BrokerID]?

  /// - Parameter highWatermark: from `replication-offset-checkpoint`, 0 when there is none.
  public init(
    localID: BrokerID, highWatermark: Offset = 0, logEndOffset: Offset = 0, limits: Limits = .init()
  ) {
    self.localID = localID
    self.highWatermark = min(highWatermark, logEndOffset)
    self.logEndOffset = logEndOffset
    self.limits = limits
  }

  public mutating func step(_ event: Event, at now: Instant, into effects: inout [Effect]) {
    switch event {
    case .assigned(let assignment, let end): assign(assignment, end, at: now, into: &effects)
    case .appended(let end): appended(end, at: now, into: &effects)
    case .fetched(let fetch): followerFetched(fetch, at: now, into: &effects)
    case .isrAnswered(let answer, let proposal):
      isrAnswered(answer, to: proposal, at: now, into: &effects)
    case .leaderHighWatermark(let offset, let end):
      guard role != .leader else { return }
      logEndOffset = end
      raiseHighWatermark(to: min(offset, end), into: &effects)
    case .eligibleBrokers(let brokers):
      eligibleBrokers = brokers
      for index in remotes.indices {
        remotes[index].isEligible = brokers.contains(remotes[index].broker)
      }
    case .truncated(let end):
      logEndOffset = end
      highWatermark = min(highWatermark, end)
    case .logStartRaised(let start):
      logEndOffset = max(logEndOffset, start)
      raiseHighWatermark(to: start, into: &effects)
    case .tick: tick(at: now, into: &effects)
    }
  }

  /// A changed `min.insync.replicas` or lag limit may release the high watermark.
  public mutating func setLimits(_ limits: Limits, at now: Instant, into effects: inout [Effect]) {
    self.limits = limits
    if role == .leader { advanceHighWatermark(at: now, into: &effects) }
  }

  // MARK: Assignment

  private mutating func assign(
    _ new: PartitionAssignment, _ end: Offset, at now: Instant, into effects: inout [Effect]
  ) {
    if let old = assignment,
      (new.leaderEpoch, new.partitionEpoch) <= (old.leaderEpoch, old.partitionEpoch)
        || new.leaderEpoch < old.leaderEpoch
    {
      effects.append(.ignoredAssignment)
      return
    }
    let previous = assignment
    let wasLeader = role == .leader
    assignment = new
    logEndOffset = end
    highWatermark = min(highWatermark, end)
    if new.leader == localID {
      lead(new, wasLeader: wasLeader, previous: previous, at: now, into: &effects)
    } else {
      follow(new, previous: previous, wasLeader: wasLeader, into: &effects)
    }
  }

  private mutating func follow(
    _ new: PartitionAssignment, previous: PartitionAssignment?, wasLeader: Bool,
    into effects: inout [Effect]
  ) {
    role = .follower(of: new.leader)
    remotes.removeAll(keepingCapacity: true)
    inSync = InSyncSet([])
    epochStartOffset = -1
    if new.leader == .none {
      effects.append(.lostLeader(epoch: new.leaderEpoch))
      return
    }
    // The same leader in the same epoch: only the ISR or the replicas changed, fetching goes on.
    let sameTerm = previous?.leader == new.leader && previous?.leaderEpoch == new.leaderEpoch
    if wasLeader || !sameTerm {
      effects.append(.becameFollower(leader: new.leader, epoch: new.leaderEpoch))
    }
  }

  mutating func raiseHighWatermark(to offset: Offset, into effects: inout [Effect]) {
    guard offset > highWatermark else { return }
    highWatermark = offset
    effects.append(.highWatermarkAdvanced(offset))
  }
}
