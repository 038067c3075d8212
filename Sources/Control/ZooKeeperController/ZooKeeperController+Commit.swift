import KafkaRecords
import Metadata
import Values

/// What became of records that were to be committed.
struct CommitReport {
  /// Partitions whose state was not at the version we knew: it has been read anew, and the change
  /// was not made.
  var refreshed: [TopicPartition] = []
  /// Writes refused for any other reason, with what they were about.
  var failures: [(transaction: ZnodeTransaction, failure: ZnodeFailure)] = []

  func failed(_ at: TopicPartition) -> Bool {
    refreshed.contains(at) || failures.contains { $0.transaction.subject == at }
  }
}

/// From records to the store, and from what the store took to the image and the brokers.
extension ZooKeeperController {
  /// Writes records, replays those the store took, and tells the brokers. A write that is fenced
  /// ends the term, and the task with it.
  /// - Parameter batch: what brokers have to be told besides what follows from the records.
  mutating func commit(
    _ records: [MetadataRecord], telling batch: BrokerRequestBatch = BrokerRequestBatch(),
    then go: @escaping (inout Self, CommitReport) -> Void
  ) {
    guard let term else { return }
    var writer = ZnodeWriter(
      control.image, term: term, usesTopicIDs: version.usesTopicIDs,
      producerIDVersion: producerIDVersion)
    writer.write(records)
    let before = control.image
    let transactions = writer.transactions
    let withOps = transactions.filter { !$0.ops.isEmpty }
    write(withOps) { machine, outcomes in
      var report = CommitReport()
      var delta = MetadataDelta(before)
      var stale: [TopicPartition] = []
      var fallbacks: [ZnodeTransaction] = []
      var next = 0
      for transaction in transactions {
        var outcome = ZnodeOutcome.done
        if !transaction.ops.isEmpty {
          outcome = next < outcomes.count ? outcomes[next] : .failed(index: 1, .other(0))
          next += 1
        }
        // The rest of the batch was refused for the same reason, and nothing of it may be acted
        // on.
        if machine.isFenced(transaction, outcome) { return machine.moved() }
        guard let failure = Self.failure(of: transaction, outcome) else {
          machine.take(transaction.records, into: &delta)
          continue
        }
        if let fallback = transaction.fallback, fallback.on == failure {
          fallbacks.append(ZnodeTransaction(fallback.ops, records: transaction.records))
        } else if let at = transaction.subject,
          failure == .badVersion || failure == .noNode
            || failure == .nodeExists
        {
          stale.append(at)
        } else {
          report.failures.append((transaction, failure))
        }
      }
      report.refreshed = stale
      machine.retry(fallbacks, report, delta) { machine, report, delta in
        machine.refresh(stale, delta) { machine, delta in
          var all = RequestPlanner.batch(
            for: delta, topicsBeingDeleted: machine.control.topicsBeingDeleted)
          all.merge(batch)
          machine.send(all)
          go(&machine, report)
        }
      }
    }
  }

  private func isFenced(_ transaction: ZnodeTransaction, _ outcome: ZnodeOutcome) -> Bool {
    // The check of the epoch stands first in every multi that has one.
    guard case .failed(0, _) = outcome, let term, transaction.ops.first == term.check else {
      return false
    }
    return true
  }

  private static func failure(
    of transaction: ZnodeTransaction, _ outcome: ZnodeOutcome
  ) -> ZnodeFailure? {
    guard case .failed(_, let failure) = outcome, failure != transaction.tolerates else {
      return nil
    }
    return failure
  }

  private mutating func take(_ records: [MetadataRecord], into delta: inout MetadataDelta) {
    for record in records {
      switch record {
      case .partitionChange(let change):
        noteWritten(change.topicID, change.partitionID)
        noteElection(change)
      case .partition(let partition): noteWritten(partition.topicID, partition.partitionID)
      case .producerIDs: producerIDVersion += 1
      default: break
      }
      control.replay(record)
      delta.apply(record)
    }
  }

  /// Counts leaders from outside the ISR, for the metric that operators are woken by.
  private mutating func noteElection(_ change: PartitionChangeRecord) {
    guard change.leader >= 0,
      let old = control.image.topics[change.topicID]?.partitions[change.partitionID]
    else { return }
    if !old.isr.contains(BrokerID(change.leader)) { uncleanElections += 1 }
  }

  private mutating func noteWritten(_ id: Uuid, _ partition: Int32) {
    if let name = control.image.topics.name(of: id) {
      writtenBy[TopicPartition(name, partition)] = nil
    }
  }

  private mutating func retry(
    _ fallbacks: [ZnodeTransaction], _ report: CommitReport, _ delta: MetadataDelta,
    then go: @escaping (inout Self, CommitReport, MetadataDelta) -> Void
  ) {
    write(fallbacks) { machine, outcomes in
      var report = report
      var delta = delta
      for (transaction, outcome) in zip(fallbacks, outcomes) {
        if machine.isFenced(transaction, outcome) { return machine.moved() }
        if let failure = Self.failure(of: transaction, outcome) {
          report.failures.append((transaction, failure))
        } else {
          machine.take(transaction.records, into: &delta)
        }
      }
      go(&machine, report, delta)
    }
  }

  /// Reads partition states again that somebody else has written, and says what is in them to the
  /// brokers too: the write may have been our own, of which only the answer was lost.
  mutating func refresh(
    _ partitions: [TopicPartition], _ delta: MetadataDelta,
    then go: @escaping (inout Self, MetadataDelta) -> Void
  ) {
    read(partitions.map { .data(ZnodePath.partitionState($0), watch: false) }) { machine, results in
      var delta = delta
      for (at, result) in zip(partitions, results) {
        guard let known = machine.control.image.topics.partition(at),
          let topic = machine.control.image.topics[at.topic], let content = result.content
        else { continue }
        guard machine.replayState(of: at, known, content) else { return machine.moved() }
        if let partition = machine.control.image.topics.partition(at) {
          delta.apply(.partition(partition.record(at.partition, topicID: topic.id)))
        }
      }
      go(&machine, delta)
    }
  }

  // MARK: Plain writes

  func fencedDelete(_ path: String) -> ZnodeTransaction {
    ZnodeTransaction(
      (term.map { [$0.check] } ?? []) + [.delete(path: path, version: -1)], tolerates: .noNode)
  }

  /// Writes that carry no records. Failures other than a fenced one are logged and passed over.
  mutating func writeFenced(
    _ transactions: [ZnodeTransaction], then go: @escaping (inout Self) -> Void
  ) {
    write(transactions) { machine, outcomes in
      for (transaction, outcome) in zip(transactions, outcomes) {
        if machine.isFenced(transaction, outcome) { return machine.moved() }
        if let failure = Self.failure(of: transaction, outcome) {
          let path = transaction.ops.last?.path ?? ""
          machine.log("Writing \(path) failed: \(failure)")
        }
      }
      go(&machine)
    }
  }

  // MARK: Telling

  mutating func send(_ batch: BrokerRequestBatch) {
    guard !batch.isEmpty, let term else { return }
    var context = BrokerRequestBatch.Context(
      image: control.image, term: term, controllerID: brokerID, version: version,
      listener: listener)
    context.topicsBeingDeleted = control.topicsBeingDeleted
    context.failedReplicas = control.failedReplicas
    context.writtenBy = writtenBy
    for request in batch.requests(context) { out.append(.send(request)) }
  }
}
