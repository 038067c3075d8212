// One change of one partition: who leads, who is in sync, and what follows from it.
import KafkaRecords
import Metadata
import Values

/// Works out the record that takes a partition from its state to what a caller wants of it.
///
/// The caller states targets: an ISR, replicas, directories. The builder completes a reassignment
/// whose replicas are all in sync, keeps the leader or elects one, and names only what changes:
///
/// | election | who leads |
/// |---|---|
/// | online | the leader if it may stay, else the first acceptable replica in the target ISR |
/// | preferred | the first replica if it may, else as online |
/// | unclean | as online, else the first acceptable replica at all: committed records may be lost |
///
/// With eligible leader replicas (KIP-966) the ISR may become empty: its last members stay eligible
/// while fewer than `min.insync.replicas` are in sync, and may lead without loss.
struct PartitionChangeBuilder {
  enum Election { case online, preferred, unclean }

  let topicID: Uuid
  let number: Int32
  let partition: PartitionImage
  let level: MetadataVersion
  /// Whether a broker may lead this partition now.
  let isAcceptable: (BrokerID) -> Bool
  /// Where a new replica on a broker goes, if the broker has only one place for it.
  let defaultDirectory: (BrokerID) -> Uuid

  var election = Election.online
  var isr: [BrokerID]
  var replicas: [BrokerID]
  var removing: [BrokerID]
  var adding: [BrokerID]
  var leaderRecoveryState: LeaderRecoveryState
  /// Directories that replicas get; the others keep theirs.
  var directories: [BrokerID: Uuid] = [:]
  /// KIP-966 is on; `minISR` and the two below matter only then.
  var usesEligibleReplicas = false
  var minISR = 1
  /// A broker that lost what it had not yet written out: it is eligible no longer.
  var uncleanShutdown: BrokerID?
  private var eligible: [BrokerID]

  init(
    topicID: Uuid, number: Int32, partition: PartitionImage, level: MetadataVersion,
    isAcceptable: @escaping (BrokerID) -> Bool, defaultDirectory: @escaping (BrokerID) -> Uuid
  ) {
    self.topicID = topicID
    self.number = number
    self.partition = partition
    self.level = level
    self.isAcceptable = isAcceptable
    self.defaultDirectory = defaultDirectory
    isr = partition.isr
    replicas = partition.replicas
    removing = partition.removingReplicas
    adding = partition.addingReplicas
    leaderRecoveryState = partition.leaderRecoveryState
    eligible = partition.eligibleLeaderReplicas
  }

  /// Nil if nothing changes.
  mutating func build() -> PartitionChangeRecord? {
    var record = PartitionChangeRecord(topicID: topicID, partition: number)
    completeReassignment()
    if usesEligibleReplicas { updateEligible() }
    let isUnclean = elect(&record)
    // A replica that leaves must not go on as if it were one: the leader epoch fences it.
    if record.leader == PartitionImage.noLeaderChange,
      !partition.replicas.allSatisfy(replicas.contains)
    {
      record.leader = partition.leader.rawValue
    }
    if isUnclean || !usesEligibleReplicas { eligible = [] }
    if eligible != partition.eligibleLeaderReplicas {
      record.eligibleLeaderReplicas = eligible.rawIDs
    }
    // Without eligible replicas the last members of an ISR stay in it, though nobody leads: whoever
    // of them returns first has everything that was committed.
    if record.isr == nil, !isr.isEmpty || usesEligibleReplicas, isr != partition.isr {
      record.isr = isr.rawIDs
    }
    bumpLeaderEpochOnShrink(&record)
    if usesEligibleReplicas { noteLastLeader(&record) }
    stateAssignment(&record)
    if leaderRecoveryState != partition.leaderRecoveryState {
      record.leaderRecoveryState = leaderRecoveryState.rawValue
    }
    return record.changesNothing ? nil : record
  }

  // MARK: Steps

  /// A reassignment is done when all replicas that stay are in sync.
  private mutating func completeReassignment() {
    guard !removing.isEmpty || !adding.isEmpty else { return }
    let staying = replicas.filter { !removing.contains($0) }
    let inSync = isr.filter { !removing.contains($0) }
    guard !staying.isEmpty, !inSync.isEmpty, staying.allSatisfy(inSync.contains) else { return }
    replicas = staying
    isr = inSync
    removing = []
    adding = []
  }

  private mutating func updateEligible() {
    guard isr.count < minISR else {
      eligible = []
      return
    }
    let candidates = eligible + partition.isr.filter { !eligible.contains($0) }
    eligible = candidates.filter { !isr.contains($0) && $0 != uncleanShutdown }.sorted()
  }

  /// Whether the election was unclean.
  private mutating func elect(_ record: inout PartitionChangeRecord) -> Bool {
    let (leader, isUnclean) = electedLeader()
    guard leader != partition.leader else { return false }
    record.leader = leader.rawValue
    if eligible.contains(leader) {
      isr = [leader]
      eligible.removeAll { $0 == leader }
    } else if isUnclean {
      // The others throw away what this leader does not have.
      record.isr = [leader.rawValue]
      if partition.leaderRecoveryState != .recovering, level.hasLeaderRecovery {
        record.leaderRecoveryState = LeaderRecoveryState.recovering.rawValue
        leaderRecoveryState = partition.leaderRecoveryState
      }
    }
    return isUnclean
  }

  private func electedLeader() -> (BrokerID, isUnclean: Bool) {
    if election == .preferred, let first = replicas.first, mayLead(first) { return (first, false) }
    if mayLead(partition.leader) { return (partition.leader, false) }
    if let next = replicas.first(where: mayLead) { return (next, false) }
    // The last leader had at least what anybody else has.
    if usesEligibleReplicas, isr.isEmpty, eligible.isEmpty, partition.lastKnownElr.count == 1,
      isAcceptable(partition.lastKnownElr[0])
    {
      return (partition.lastKnownElr[0], true)
    }
    if election == .unclean, let any = replicas.first(where: isAcceptable) { return (any, true) }
    return (.none, false)
  }

  private func mayLead(_ replica: BrokerID) -> Bool {
    (isr.contains(replica) || (isr.isEmpty && eligible.contains(replica)))
      && isAcceptable(replica)
  }

  /// Before 3.6-IV0 followers noticed that they had left the ISR by the leader epoch only
  /// (KAFKA-15021).
  private func bumpLeaderEpochOnShrink(_ record: inout PartitionChangeRecord) {
    guard level.bumpsLeaderEpochOnShrink, record.leader == PartitionImage.noLeaderChange,
      let new = record.isr, !partition.isr.rawIDs.allSatisfy(new.contains)
    else { return }
    record.leader = partition.leader.rawValue
  }

  /// The last leader of a partition whose ISR became empty is remembered until somebody leads.
  private func noteLastLeader(_ record: inout PartitionChangeRecord) {
    if let new = record.isr, new.isEmpty, partition.lastKnownElr != [partition.leader] {
      record.lastKnownElr = [partition.leader.rawValue]
      return
    }
    let isLed =
      record.leader >= 0
      || (partition.hasLeader && record.leader == PartitionImage.noLeaderChange)
    if isLed, !partition.lastKnownElr.isEmpty { record.lastKnownElr = [] }
  }

  private func stateAssignment(_ record: inout PartitionChangeRecord) {
    if level.hasDirectoryAssignment, !replicas.isEmpty {
      let target = replicas.map {
        directories[$0] ?? partition.directory(of: $0) ?? defaultDirectory($0)
      }
      let current = partition.replicas.map { partition.directory(of: $0) ?? DirectoryID.migrating }
      if target != current { record.directories = target }
    }
    if replicas != partition.replicas { record.replicas = replicas.rawIDs }
    if removing != partition.removingReplicas { record.removingReplicas = removing.rawIDs }
    if adding != partition.addingReplicas { record.addingReplicas = adding.rawIDs }
  }
}

extension PartitionChangeRecord {
  var changesNothing: Bool {
    isr == nil && leader == PartitionImage.noLeaderChange && replicas == nil
      && removingReplicas == nil && addingReplicas == nil && leaderRecoveryState == -1
      && directories == nil && eligibleLeaderReplicas == nil && lastKnownElr == nil
  }
}
