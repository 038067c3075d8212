import Bytes
import Control
import KafkaRecords
import Metadata
import Testing
import Values

/// What must hold of a metadata log, whoever wrote it, checked record by record and after every
/// committed batch.
///
/// - Leader in the ISR: who leads is in sync, and no replica is in the ISR that has none.
/// - Nothing fenced leads: after each batch every leader is registered and unfenced.
/// - Clean unless said: a new leader was in the ISR before, or completes a reassignment, or the
///   partition is said to recover.
/// - One leader for each leader epoch; none of them comes twice.
/// - Broker epochs rise: a new life of a broker has a higher epoch than any before it.
/// - Producer ids are given once; topic ids are never used again.
struct QuorumInvariants {
  /// What the log says, taken in by the reader that brokers use.
  private(set) var loader = MetadataLoader()
  private(set) var digest: UInt64 = 0xcbf2_9ce4_8422_2325
  private(set) var everCreated: Set<Uuid> = []
  private(set) var everRegistered: [BrokerID: Set<Int64>] = [:]
  private(set) var failures: [String] = []
  private(set) var uncleanElections = 0

  private struct Place: Hashable {
    var topic: Uuid
    var number: Int32
    var epoch: Int32
  }
  private var leaders: [Place: BrokerID] = [:]
  private var highestEpoch: [BrokerID: Int64] = [:]

  var image: MetadataImage { loader.image }

  mutating func apply(_ records: [MetadataRecord], lastOffset: Offset, epoch: Int32) {
    // Record by record, so that each sees the state before it.
    var seen = loader.image
    for record in records {
      check(record, seen)
      seen.apply(record)
      note(record)
    }
    loader.apply(records, lastOffset: lastOffset, epoch: epoch)
    let isIdle = records.allSatisfy { if case .noOp = $0 { true } else { false } }
    if !isIdle { checkState() }
  }

  private mutating func fail(_ text: String) { failures.append(text) }

  private mutating func check(_ record: MetadataRecord, _ image: MetadataImage) {
    switch record {
    case .registerBroker(let record):
      let id = BrokerID(record.brokerID)
      let isSameLife = image.brokers[id]?.incarnationID == record.incarnationID
      let highest = highestEpoch[id] ?? -1
      if isSameLife ? record.brokerEpoch != highest : record.brokerEpoch <= highest {
        fail("epoch of broker \(id.rawValue) went from \(highest) to \(record.brokerEpoch)")
      }
      highestEpoch[id] = max(highest, record.brokerEpoch)
      everRegistered[id, default: []].insert(record.brokerEpoch)
    case .topic(let record):
      if !everCreated.insert(record.topicID).inserted { fail("topic id \(record.topicID) again") }
    case .partition(let record):
      noteLeader(record.topicID, record.partitionID, PartitionImage(record))
    case .partitionChange(let record):
      guard let old = image.topics[record.topicID]?.partitions[record.partitionID] else {
        return fail("a change of a partition that is not there")
      }
      checkChange(record, from: old, to: old.merging(record))
    case .producerIDs(let record):
      if record.nextProducerID <= image.nextProducerID { fail("producer ids again") }
    default: break
    }
  }

  private mutating func checkChange(
    _ record: PartitionChangeRecord, from old: PartitionImage, to new: PartitionImage
  ) {
    noteLeader(record.topicID, record.partitionID, new)
    if Set(new.replicas).count != new.replicas.count || new.replicas.isEmpty {
      fail("replicas \(new.replicas)")
    }
    if Set(new.isr).count != new.isr.count || !Set(new.isr).isSubset(of: new.replicas)
      || new.isr.isEmpty
    {
      fail("ISR \(new.isr) of replicas \(new.replicas)")
    }
    if new.directories.count != new.replicas.count { fail("directories of other replicas") }
    let moving = new.addingReplicas + new.removingReplicas
    if !Set(moving).isSubset(of: new.replicas) { fail("moving replicas that are not assigned") }
    guard new.leader != old.leader, new.hasLeader, !old.isr.contains(new.leader) else { return }
    // The old leader has just said that the last replica of a reassignment's target is in sync, be
    // it a new one or one that had fallen behind (seed 101).
    let completes = old.isReassigning && !new.isReassigning
    if old.hasLeader, completes, old.targetReplicas.contains(new.leader) { return }
    uncleanElections += 1
    if new.leaderRecoveryState != .recovering || new.isr != [new.leader] {
      fail(
        "a leader from outside the ISR that does not recover: leader \(old.leader.rawValue) → "
          + "\(new.leader.rawValue), ISR \(old.isr.rawIDs) → \(new.isr.rawIDs), replicas "
          + "\(old.replicas.rawIDs) → \(new.replicas.rawIDs), adding \(old.addingReplicas.rawIDs), "
          + "removing \(old.removingReplicas.rawIDs)")
    }
  }

  /// A leader epoch belongs to one leader; to none at all while nobody leads.
  private mutating func noteLeader(_ topic: Uuid, _ number: Int32, _ state: PartitionImage) {
    let place = Place(topic: topic, number: number, epoch: state.leaderEpoch.rawValue)
    if let known = leaders[place], known != state.leader {
      fail("two leaders in one epoch: \(known.rawValue) and \(state.leader.rawValue)")
    }
    leaders[place] = state.leader
    if state.hasLeader, !state.isr.contains(state.leader) {
      fail("leader \(state.leader.rawValue) is not in the ISR \(state.isr)")
    }
  }

  private mutating func checkState() {
    guard loader.transactionStart == nil else { return }
    var leaderless = 0
    var imbalanced = 0
    var found: [String] = []
    image.topics.forEachPartition { topic, number, partition in
      if !partition.hasLeader { leaderless += 1 }
      if partition.hasLeader, !partition.hasPreferredLeader { imbalanced += 1 }
      if partition.hasLeader, !image.brokers.isAlive(partition.leader) {
        found.append("fenced broker \(partition.leader.rawValue) leads \(topic.name)-\(number)")
      }
    }
    failures += found
    if leaderless != image.topics.leaderlessCount || imbalanced != image.topics.imbalancedCount {
      fail("partitions are miscounted")
    }
  }

  private mutating func note(_ record: MetadataRecord) {
    var writer = ByteWriter()
    let written = VersionedRecord(record, at: .latestProduction)
    written.record.write(to: &writer, version: written.version)
    for byte in writer.array() { digest = (digest ^ UInt64(byte)) &* 0x100_0000_01b3 }
  }
}
