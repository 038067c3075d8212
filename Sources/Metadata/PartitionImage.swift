// The state of a partition, and how a change is merged into it.
import KafkaRecords
import Values

/// Whether a partition's leader still has to recover its log after an unclean election (KIP-704).
public enum LeaderRecoveryState: Int8, Sendable {
  case recovered = 0
  case recovering = 1
}

/// Directory ids with a meaning of their own (KIP-858).
public enum DirectoryID {
  /// A replica on a broker whose directories have no ids: ZooKeeper mode, and before KIP-858.
  public static let migrating = Uuid.zero
  /// Not known yet: the broker will say where it put the replica.
  public static let unassigned = Uuid.one
  /// The directory that held the replica is gone: the replica is offline though its broker is not.
  public static let lost = Uuid(high: 0, low: 2)
}

/// The state of one partition.
///
/// A large cluster has hundreds of thousands of them, and every change copies the neighbours of the
/// partition that changed: what is empty nearly always takes one word in all.
public struct PartitionImage: Equatable, Sendable {
  /// In order of preference: the first is the preferred leader. During a reassignment it holds the
  /// target replicas first, then those that will go.
  public var replicas: [BrokerID]
  /// Replicas that have everything that is committed. Never empty once a leader was elected.
  public var isr: [BrokerID]
  /// The log directory of each replica, in their order; empty when directories have no ids.
  public var directories: [Uuid]
  /// `.none` while no replica may lead.
  public var leader: BrokerID
  /// Rises with every change of leader, and whenever the controller wants replicas to look again.
  public var leaderEpoch: LeaderEpoch
  /// Rises with every change at all: who changes the state must have seen the last one (KIP-497).
  public var partitionEpoch: PartitionEpoch
  public var leaderRecoveryState: LeaderRecoveryState

  /// Empty or one element.
  private var rare: [Rare] = []

  private struct Rare: Equatable, Sendable {
    var removingReplicas: [BrokerID] = []
    var addingReplicas: [BrokerID] = []
    var eligibleLeaderReplicas: [BrokerID] = []
    var lastKnownElr: [BrokerID] = []
  }

  /// Replicas that go when the reassignment is done; part of `replicas` until then.
  public var removingReplicas: [BrokerID] {
    get { rare.first?.removingReplicas ?? [] }
    set { set(\.removingReplicas, newValue) }
  }
  /// Replicas that came with the reassignment; part of `replicas` from its beginning.
  public var addingReplicas: [BrokerID] {
    get { rare.first?.addingReplicas ?? [] }
    set { set(\.addingReplicas, newValue) }
  }
  /// Replicas outside the ISR that still have everything committed (KIP-966).
  public var eligibleLeaderReplicas: [BrokerID] {
    get { rare.first?.eligibleLeaderReplicas ?? [] }
    set { set(\.eligibleLeaderReplicas, newValue) }
  }
  /// The last members of both sets, for an operator to choose from when all is lost (KIP-966).
  public var lastKnownElr: [BrokerID] {
    get { rare.first?.lastKnownElr ?? [] }
    set { set(\.lastKnownElr, newValue) }
  }

  private mutating func set(_ part: WritableKeyPath<Rare, [BrokerID]>, _ value: [BrokerID]) {
    guard !value.isEmpty || !rare.isEmpty else { return }
    var parts = rare.first ?? Rare()
    parts[keyPath: part] = value
    rare = parts == Rare() ? [] : [parts]
  }

  /// A partition that was assigned but never had a leader: no state has been written for it.
  public init(replicas: [BrokerID]) {
    self.replicas = replicas
    isr = []
    directories = []
    leader = .none
    leaderEpoch = .none
    partitionEpoch = PartitionEpoch(-1)
    leaderRecoveryState = .recovered
  }

  /// Takes over a record that states everything.
  public init(_ record: PartitionRecord) {
    self.init(replicas: record.replicas.brokerIDs)
    // All in sync, in the order of assignment: what most partitions are. They share one array.
    isr = record.isr == record.replicas ? replicas : record.isr.brokerIDs
    removingReplicas = record.removingReplicas.brokerIDs
    addingReplicas = record.addingReplicas.brokerIDs
    leader = BrokerID(record.leader)
    leaderEpoch = LeaderEpoch(record.leaderEpoch)
    partitionEpoch = PartitionEpoch(record.partitionEpoch)
    leaderRecoveryState = LeaderRecoveryState(rawValue: record.leaderRecoveryState) ?? .recovered
    directories = Self.normalized(record.directories)
    eligibleLeaderReplicas = (record.eligibleLeaderReplicas ?? []).brokerIDs
    lastKnownElr = (record.lastKnownElr ?? []).brokerIDs
  }

  /// The record that states all of this.
  public func record(_ partition: Int32, topicID: Uuid) -> PartitionRecord {
    var record = PartitionRecord()
    record.partitionID = partition
    record.topicID = topicID
    record.replicas = replicas.rawIDs
    record.isr = isr.rawIDs
    record.removingReplicas = removingReplicas.rawIDs
    record.addingReplicas = addingReplicas.rawIDs
    record.leader = leader.rawValue
    record.leaderRecoveryState = leaderRecoveryState.rawValue
    record.leaderEpoch = leaderEpoch.rawValue
    record.partitionEpoch = partitionEpoch.rawValue
    record.directories = directories
    if !eligibleLeaderReplicas.isEmpty {
      record.eligibleLeaderReplicas = eligibleLeaderReplicas.rawIDs
    }
    if !lastKnownElr.isEmpty { record.lastKnownElr = lastKnownElr.rawIDs }
    return record
  }

  /// No directory has an id: that is what an empty list says.
  private static func normalized(_ directories: [Uuid]) -> [Uuid] {
    directories.contains { $0 != DirectoryID.migrating } ? directories : []
  }

  /// What `record.leader` holds when a change leaves the leader and its epoch alone.
  public static let noLeaderChange: Int32 = -2

  /// This state after a change. Every change raises the partition epoch; one that names a leader,
  /// be it the same one again, raises the leader epoch too.
  public func merging(_ record: PartitionChangeRecord) -> PartitionImage {
    var next = self
    if let replicas = record.replicas { next.replicas = replicas.brokerIDs }
    if let isr = record.isr {
      next.isr = isr.brokerIDs
      if next.isr == next.replicas { next.isr = next.replicas }
    }
    if let removing = record.removingReplicas {
      next.removingReplicas = removing.brokerIDs
    }
    if let adding = record.addingReplicas { next.addingReplicas = adding.brokerIDs }
    // Wrapping, not trapping: an epoch from the wire must not end the process. Two thousand
    // million elections are not reached in earnest.
    if record.leader != Self.noLeaderChange {
      next.leader = BrokerID(record.leader)
      next.leaderEpoch = LeaderEpoch(leaderEpoch.rawValue &+ 1)
    }
    if let state = LeaderRecoveryState(rawValue: record.leaderRecoveryState) {
      next.leaderRecoveryState = state
    }
    if let directories = record.directories {
      next.directories = Self.normalized(directories)
    } else if next.replicas.count != replicas.count {
      // From before there were directories: none is known.
      next.directories = []
    }
    if let elr = record.eligibleLeaderReplicas {
      next.eligibleLeaderReplicas = elr.brokerIDs
    }
    if let last = record.lastKnownElr { next.lastKnownElr = last.brokerIDs }
    next.partitionEpoch = PartitionEpoch(partitionEpoch.rawValue &+ 1)
    return next
  }

  // MARK: What it means

  public var hasLeader: Bool { leader.rawValue >= 0 }

  /// False until the first leader election.
  public var isInitialized: Bool { leaderEpoch.rawValue >= 0 }

  /// The replica that leads when everything is well; `.none` without an assignment.
  public var preferredReplica: BrokerID { replicas.first ?? .none }

  /// Whether the preferred replica leads.
  public var hasPreferredLeader: Bool { hasLeader && leader == preferredReplica }

  public var isReassigning: Bool {
    !rare.isEmpty && (!addingReplicas.isEmpty || !removingReplicas.isEmpty)
  }

  /// The replicas once the reassignment is done (KIP-455).
  public var targetReplicas: [BrokerID] { replicas.filter { !removingReplicas.contains($0) } }

  /// The replicas before the reassignment began.
  public var originalReplicas: [BrokerID] { replicas.filter { !addingReplicas.contains($0) } }

  /// The log directory of the replica on `broker`; `migrating` where none is stated, nil if it has
  /// no replica.
  public func directory(of broker: BrokerID) -> Uuid? {
    guard let index = replicas.firstIndex(of: broker) else { return nil }
    return index < directories.count ? directories[index] : DirectoryID.migrating
  }

  /// Whether the directory of the replica on `broker` is known to be gone.
  public func isDirectoryLost(on broker: BrokerID) -> Bool {
    guard let index = replicas.firstIndex(of: broker), index < directories.count else {
      return false
    }
    return directories[index] == DirectoryID.lost
  }
}

extension Array where Element == Int32 {
  /// The wire's broker ids as identifiers.
  public var brokerIDs: [BrokerID] { map { BrokerID($0) } }
}

extension Array where Element == BrokerID {
  /// The identifiers as the wire wants them.
  public var rawIDs: [Int32] { map(\.rawValue) }
}
