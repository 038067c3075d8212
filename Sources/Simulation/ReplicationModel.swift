/// What the simulation of one partition's replication is made of: records, a log that can lose its
/// unsynced end, and the controller that elects leaders.
import Replication
import Values

/// One record: the epoch it was written in and a value nobody else writes.
struct ModelRecord: Hashable {
  var epoch: LeaderEpoch
  var value: Int
}

/// A replica's log. Everything from `synced` on is lost when the machine, not only the process,
/// dies.
struct ModelLog: FollowerLog {
  var records: [ModelRecord] = []
  var synced = 0
  var highWatermark: Offset = 0
  /// Epochs with their first offsets; a new leader notes its epoch before it writes (KIP-101).
  var epochs: [(epoch: LeaderEpoch, start: Int)] = []

  var logStartOffset: Offset { 0 }
  var logEndOffset: Offset { Offset(records.count) }
  var latestEpoch: LeaderEpoch? { epochs.last?.epoch }

  func end(of epoch: LeaderEpoch) -> EpochEnd? {
    guard let last = epochs.last, epoch <= last.epoch else { return nil }
    if epoch == last.epoch { return EpochEnd(epoch: epoch, endOffset: logEndOffset) }
    guard let higher = epochs.first(where: { $0.epoch > epoch }) else { return nil }
    let floor = epochs.last { $0.epoch <= epoch }?.epoch ?? epoch
    return EpochEnd(epoch: floor, endOffset: Offset(higher.start))
  }

  mutating func append(_ record: ModelRecord) {
    noteEpoch(record.epoch)
    records.append(record)
  }

  mutating func noteEpoch(_ epoch: LeaderEpoch) {
    if let last = epochs.last, last.epoch >= epoch { return }
    epochs.append((epoch, records.count))
  }

  mutating func truncate(to end: Offset) {
    if end < logEndOffset {
      records.removeSubrange(Int(end)...)
      synced = min(synced, Int(end))
    }
    // Also without records to cut: a leader that wrote nothing left its epoch at the very end.
    epochs.removeAll { $0.start >= Int(end) }
  }
}

/// The controller's knowledge of the partition, stored where no crash reaches it.
struct ModelController {
  var assignment: PartitionAssignment
  /// Sessions that the coordination service believes alive, with the incarnation registered.
  var alive: [BrokerID: BrokerEpoch] = [:]

  /// A session ended: out of the ISR unless it is the last, and a new leader if it led.
  mutating func brokerFailed(_ broker: BrokerID) {
    alive[broker] = nil
    var next = assignment
    if next.isr.contains(broker), next.isr.count > 1 { next.isr.removeAll { $0 == broker } }
    elect(&next)
    store(next)
  }

  mutating func brokerRegistered(_ broker: BrokerID, epoch: BrokerEpoch) {
    alive[broker] = epoch
    var next = assignment
    elect(&next)
    // A newcomer is told even when nothing changed, with a new epoch so that it is not ignored.
    if next.leaderEpoch == assignment.leaderEpoch { next.leaderEpoch = next.leaderEpoch.next }
    store(next)
  }

  /// Moves leadership to another member of the ISR, as preferred-leader election does.
  mutating func transfer(to broker: BrokerID) {
    guard assignment.isr.contains(broker), alive[broker] != nil, assignment.leader != broker else {
      return
    }
    var next = assignment
    next.leader = broker
    next.leaderEpoch = next.leaderEpoch.next
    store(next)
  }

  /// Answers AlterPartition: fenced by both epochs, and by the incarnation of each member
  /// (KIP-903).
  mutating func alter(_ proposal: ISRProposal, from broker: BrokerID) -> ISRAnswer {
    guard assignment.leader == broker, proposal.leaderEpoch == assignment.leaderEpoch else {
      return .superseded
    }
    // Asked again because the first answer was lost: what is stored already is simply told.
    if proposal.isr.map(\.broker) == assignment.isr { return stored }
    guard proposal.partitionEpoch == assignment.partitionEpoch else { return .superseded }
    for member in proposal.isr {
      guard let epoch = alive[member.broker] else { return .refused }
      if member.epoch != .none, member.epoch != epoch { return .refused }
    }
    var next = assignment
    next.isr = proposal.isr.map(\.broker)
    store(next)
    return stored
  }

  private var stored: ISRAnswer {
    .stored(
      leaderEpoch: assignment.leaderEpoch, partitionEpoch: assignment.partitionEpoch,
      isr: assignment.isr)
  }

  private func elect(_ next: inout PartitionAssignment) {
    if alive[next.leader] != nil, next.isr.contains(next.leader) { return }
    let leader = next.replicas.first { alive[$0] != nil && next.isr.contains($0) } ?? .none
    if leader != next.leader {
      next.leader = leader
      next.leaderEpoch = next.leaderEpoch.next
    }
  }

  private mutating func store(_ next: PartitionAssignment) {
    guard next != assignment else { return }
    assignment = next
    assignment.partitionEpoch = PartitionEpoch(assignment.partitionEpoch.rawValue + 1)
  }
}

/// One broker of the simulation.
struct ModelBroker {
  let id: BrokerID
  var epoch: BrokerEpoch
  var isUp = true
  var log = ModelLog()
  /// What `replication-offset-checkpoint` holds.
  var checkpointedHighWatermark: Offset = 0
  var replica: PartitionReplica
  var fetcher: FollowerFetcher?
  /// Questions asked and not yet answered; a follower asks one at a time.
  var asking: Int?
  /// acks=all produces that are not answered: value, offset behind it, epoch.
  var pending: [(value: Int, end: Offset, epoch: LeaderEpoch)] = []
}
