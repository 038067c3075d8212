import Decision
import KafkaProtocol
import Values

/// Coordinates the groups that live in one partition of `__consumer_offsets`: the classic group
/// protocol, with static members (KIP-345), two-step joining (KIP-394), batched leaving and
/// committed offsets.
///
/// A protocol machine: it is told events, and wants effects done. What has to survive a failover
/// (the assignment of a generation, committed offsets, deletions) is appended first, and answered
/// when the append is committed; whoever loads the same records knows the same groups, offsets and
/// generations. Who is joining, and until when, is not stored: after a failover members are told
/// to join again.
///
/// Time-outs need no effect of their own: after every step the caller looks at `nextDeadline`, and
/// sends a `tick` when it has come.
///
/// - Precondition: `appendFinished` comes once for every `append`, in the order of the appends.
public struct GroupShard: Sendable {
  public var config: GroupConfig

  var groups: [String: Group] = [:]
  var deadlines = DeadlineQueue()
  private var lastWrite: Int64 = 0
  private var writes: [WriteID: PendingWrite] = [:]

  // For the length of one step.
  var now = Moment(instant: .zero, wall: WallTime(milliseconds: 0))
  private var random = SplitMix(seed: 0)
  private var effects: [GroupEffect] = []

  public init(config: GroupConfig) { self.config = config }

  /// What an append is for.
  enum PendingWrite: Sendable {
    /// The leader's assignment, for one generation.
    case assignment(groupID: String, generation: Int32, [String: [UInt8]])
    /// A static member has come back under a new id, and nothing else has changed.
    case staticMember(StaticReplacement)
    /// The group is left empty.
    case emptyGroup(groupID: String)
    case offsets(OffsetWrite)
    case deletion(RequestToken, GroupReply)
    /// Tombstones that nobody waits for.
    case expiry
  }

  struct OffsetWrite: Sendable {
    var groupID: String
    var commits: [OffsetCommit]
    var producer: ProducerID?
    /// Every partition of the request; those refused already have their errors.
    var results: [(partition: TopicPartition, error: ErrorCode)]
    var token: RequestToken
  }

  /// When the next `tick` is due; never later than that.
  public var nextDeadline: Instant? { deadlines.next }

  /// Appends whose outcome has not been reported.
  public var pendingWriteCount: Int { writes.count }

  /// Tells the shard one event and collects what it wants done.
  /// - Parameter random: for member ids.
  public mutating func step(
    _ event: GroupEvent, at now: Moment, random: inout SplitMix, into output: inout [GroupEffect]
  ) {
    self.now = now
    self.random = random
    handle(event)
    fireDeadlines()
    random = self.random
    output += effects
    effects.removeAll(keepingCapacity: true)
  }

  private mutating func handle(_ event: GroupEvent) {
    switch event {
    case .join(let command, let token): join(command, token)
    case .sync(let command, let token): sync(command, token)
    case .heartbeat(let command, let token): reply(token, .heartbeat(heartbeat(command)))
    case .leave(let command, let token): reply(token, .leave(leave(command)))
    case .commitOffsets(let command, let token): commitOffsets(command, token)
    case .deleteGroup(let id, let token): deleteGroup(id, token)
    case .deleteOffsets(let id, let partitions, let token): deleteOffsets(id, partitions, token)
    case .topicsDeleted(let topics): removeOffsets(of: topics)
    case .expire: expire()
    case .transactionEnded(let producer, let isCommitted):
      endTransaction(of: producer, isCommitted: isCommitted)
    case .appendFinished(let write, let error, let baseOffset):
      finish(write, error: error, baseOffset: baseOffset)
    case .tick: break
    case .resign: resign()
    }
  }

  // MARK: Effects

  mutating func reply(_ token: RequestToken, _ reply: GroupReply) {
    effects.append(.reply(token, reply))
  }

  mutating func note(_ text: String) { effects.append(.note(text)) }

  mutating func append(
    _ records: [GroupRecord], _ write: PendingWrite, transaction: TransactionalProducer? = nil
  ) -> WriteID {
    lastWrite += 1
    let id = WriteID(lastWrite)
    writes[id] = write
    effects.append(.append(id, records, transaction: transaction))
    return id
  }

  mutating func nextRandom() -> UInt64 { random.next() }

  // MARK: Outcomes of appends

  private mutating func finish(_ id: WriteID, error: ErrorCode, baseOffset: Offset) {
    guard let write = writes.removeValue(forKey: id) else { return }
    switch write {
    case .assignment(let groupID, let generation, let assignments):
      finishAssignment(groupID, generation, assignments, Self.storeError(error))
    case .staticMember(let replacement):
      finishReplacement(replacement, Self.storeError(error))
    case .emptyGroup(let groupID):
      // The generation before may come back after a failover, and time out: nobody is in it.
      if error != .none { note("group \(groupID): storing that it is empty failed: \(error)") }
    case .offsets(let write):
      finishOffsets(id, write, error: error, baseOffset: baseOffset)
    case .deletion(let token, let reply):
      finishDeletion(token, reply, Self.storeError(error))
    case .expiry: break
    }
  }

  /// What clients of a group are told when its state could not be stored.
  static func storeError(_ error: ErrorCode) -> ErrorCode {
    switch error {
    case .unknownTopicOrPartition, .notEnoughReplicas, .notEnoughReplicasAfterAppend:
      .coordinatorNotAvailable
    case .notLeaderOrFollower, .kafkaStorageError: .notCoordinator
    case .requestTimedOut: .rebalanceInProgress
    case .messageTooLarge, .recordListTooLarge, .invalidFetchSize: .unknownServerError
    default: error
    }
  }

  // MARK: Deadlines

  func deadline(_ group: Group, _ kind: DeadlineKey.Kind) -> DeadlineKey {
    DeadlineKey(group: group.id, kind: kind)
  }

  mutating func schedule(_ group: Group, _ kind: DeadlineKey.Kind, afterMs delay: Int64) {
    deadlines.set(deadline(group, kind), at: now.instant.advanced(milliseconds: delay))
  }

  /// The member has been heard of.
  mutating func restartSession(_ group: Group, _ memberID: String) {
    guard let member = group[memberID] else { return }
    schedule(group, .session(memberID: memberID), afterMs: Int64(member.sessionTimeoutMs))
  }

  mutating func endSession(_ group: Group, _ memberID: String) {
    deadlines.cancel(deadline(group, .session(memberID: memberID)))
  }

  private mutating func fireDeadlines() {
    while let key = deadlines.popDue(at: now.instant) {
      guard var group = groups.removeValue(forKey: key.group) else { continue }
      switch key.kind {
      case .session(let memberID): sessionExpired(&group, memberID)
      case .pendingMember(let memberID):
        if group.pendingMembers.contains(memberID) { removePendingMember(&group, memberID) }
      case .join: joinExpired(&group)
      case .sync: syncExpired(&group)
      }
      groups[key.group] = group
    }
  }

  // MARK: Resigning

  /// Answers everybody who waits that the coordinator is elsewhere, and forgets everything.
  private mutating func resign() {
    for id in groups.keys.sorted() {
      guard let group = groups[id] else { continue }
      for member in group.allMembers {
        if let token = member.joinToken {
          reply(token, .join(JoinReply(memberID: member.id, error: .notCoordinator)))
        }
        if let token = member.syncToken {
          reply(token, .sync(SyncReply(error: .notCoordinator)))
        }
      }
    }
    for id in writes.keys.sorted() {
      switch writes[id] {
      case .offsets(let write):
        let results = write.results.map { result in
          (result.partition, result.error == .none ? .notCoordinator : result.error)
        }
        reply(write.token, .offsetCommit(results))
      case .deletion(let token, let reply): finishDeletion(token, reply, .notCoordinator)
      default: break
      }
    }
    groups.removeAll()
    writes.removeAll()
    deadlines = DeadlineQueue()
  }
}
