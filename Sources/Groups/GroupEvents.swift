import KafkaProtocol
import Values

/// What a shard is told.
public enum GroupEvent: Sendable {
  case join(JoinCommand, RequestToken)
  case sync(SyncCommand, RequestToken)
  case heartbeat(HeartbeatCommand, RequestToken)
  case leave(LeaveCommand, RequestToken)
  case commitOffsets(OffsetCommitCommand, RequestToken)
  case deleteGroup(id: String, RequestToken)
  case deleteOffsets(groupID: String, [TopicPartition], RequestToken)
  /// These topics no longer exist.
  case topicsDeleted(Set<String>)
  /// Look for offsets and groups whose time is over.
  case expire
  /// A transaction's marker was written to this partition of `__consumer_offsets`.
  case transactionEnded(ProducerID, isCommitted: Bool)
  /// The records of an append are committed (`error` is `.none`), or never will be.
  case appendFinished(WriteID, error: ErrorCode, baseOffset: Offset)
  /// A deadline may have passed.
  case tick
  /// This broker no longer coordinates these groups.
  case resign
}

public struct JoinCommand: Sendable {
  public var groupID = ""
  /// Empty for a member that has no id yet.
  public var memberID = ""
  public var instanceID: String?
  /// Whether a new member is to join again with the id it is given: JoinGroup v4 and later.
  public var requiresKnownMemberID = true
  /// Whether a static leader can be told to leave the assignment as it is: v9 and later.
  public var canSkipAssignment = false
  public var clientID = ""
  public var clientHost = ""
  public var rebalanceTimeoutMs: Int32 = 0
  public var sessionTimeoutMs: Int32 = 0
  public var protocolType = ""
  /// In the member's order of preference.
  public var protocols: [MemberProtocol] = []
  public init() {}
}

public struct SyncCommand: Sendable {
  public var groupID = ""
  public var generation: Int32 = 0
  public var memberID = ""
  public var instanceID: String?
  /// Nil before SyncGroup v5.
  public var protocolType: String?
  public var protocolName: String?
  /// From the leader: each member's share.
  public var assignments: [(memberID: String, assignment: [UInt8])] = []
  public init() {}
}

public struct HeartbeatCommand: Sendable {
  public var groupID = ""
  public var generation: Int32 = 0
  public var memberID = ""
  public var instanceID: String?
  public init() {}
}

public struct LeaveCommand: Sendable {
  public struct Leaver: Hashable, Sendable {
    /// Empty when an administrator removes a static member by its instance id.
    public var memberID: String
    public var instanceID: String?
    public init(memberID: String, instanceID: String? = nil) {
      self.memberID = memberID
      self.instanceID = instanceID
    }
  }

  public var groupID = ""
  public var members: [Leaver] = []
  public init() {}
}

public struct OffsetCommitCommand: Sendable {
  public var groupID = ""
  /// -1 from consumers that do not use group management, and from administrators.
  public var generation: Int32 = -1
  public var memberID = ""
  public var instanceID: String?
  public var commits: [OffsetCommit] = []
  /// Set for TxnOffsetCommit: the offsets count when the producer's transaction is committed.
  public var transaction: TransactionalProducer?
  public init() {}
}

/// The producer under whose transaction records are appended.
public struct TransactionalProducer: Hashable, Sendable {
  public var id: ProducerID
  public var epoch: Int16
  public init(id: ProducerID, epoch: Int16) {
    self.id = id
    self.epoch = epoch
  }
}

/// What a shard wants done.
public enum GroupEffect: Sendable {
  /// Answers a request; each token is answered exactly once.
  case reply(RequestToken, GroupReply)
  /// Appends records to the shard's partition, all or none, and reports `appendFinished` once all
  /// in-sync replicas have them. Appends are to be made in the order of these effects.
  case append(WriteID, [GroupRecord], transaction: TransactionalProducer?)
  /// Something an operator may want to know.
  case note(String)
}

public enum GroupReply: Sendable {
  case join(JoinReply)
  case sync(SyncReply)
  case heartbeat(ErrorCode)
  case leave(LeaveReply)
  /// In the order of the command's commits.
  case offsetCommit([(partition: TopicPartition, error: ErrorCode)])
  case deleteGroup(ErrorCode)
  /// No partitions when there is an error for the whole group.
  case deleteOffsets(ErrorCode, [(partition: TopicPartition, error: ErrorCode)])
}

public struct JoinReply: Sendable {
  public struct Member: Hashable, Sendable {
    public var id: String
    public var instanceID: String?
    public var metadata: [UInt8]
  }

  public var error: ErrorCode = .none
  public var generation: Int32 = -1
  public var protocolType: String?
  public var protocolName: String?
  public var leaderID = ""
  public var skipsAssignment = false
  public var memberID = ""
  /// Everybody, for the leader; empty for the others.
  public var members: [Member] = []

  init(memberID: String, error: ErrorCode) {
    self.memberID = memberID
    self.error = error
  }
}

public struct SyncReply: Sendable {
  public var error: ErrorCode
  public var protocolType: String?
  public var protocolName: String?
  public var assignment: [UInt8] = []

  init(error: ErrorCode) { self.error = error }
}

public struct LeaveReply: Sendable {
  public var error: ErrorCode
  /// In the order of the command's members; empty when there is an error for all.
  public var members: [(member: LeaveCommand.Leaver, error: ErrorCode)]

  public init(
    error: ErrorCode, members: [(member: LeaveCommand.Leaver, error: ErrorCode)] = []
  ) {
    self.error = error
    self.members = members
  }
}
