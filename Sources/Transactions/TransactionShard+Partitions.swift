import KafkaProtocol
import Values

/// AddPartitionsToTxn and AddOffsetsToTxn: what a transaction touches, and whether it does.
extension TransactionShard {
  mutating func addPartitions(
    _ command: TransactionCommand, _ partitions: [TopicPartition], _ token: TransactionToken
  ) {
    let id = command.transactionalID
    if let error = refusal(command) { return reply(token, .addPartitions(error)) }
    guard let current = entries[id]?.current, entries[id]?.isInTransition == false else {
      return reply(token, .addPartitions(.concurrentTransactions))
    }
    if current.state == .ongoing, current.partitions.isSuperset(of: partitions) {
      // Nothing new, and nothing to store.
      return reply(token, .addPartitions(.none))
    }
    var next = current
    next.state = .ongoing
    next.partitions.formUnion(partitions)
    if current.state != .ongoing { next.start = now }
    next.lastUpdate = now
    append(id, next, .addedPartitions(id: id, token))
  }

  /// Why somebody may not speak for a transactional id; nil for its current producer.
  func refusal(_ command: TransactionCommand) -> ErrorCode? {
    guard !command.transactionalID.isEmpty else { return .invalidRequest }
    guard let current = entries[command.transactionalID]?.current,
      current.producerID == command.producer.id
    else { return .invalidProducerIDMapping }
    return current.producerEpoch == command.producer.epoch ? nil : .producerFenced
  }

  /// Which partitions are in the open transaction. What is being added is not in it yet: whoever
  /// appends looks again when it has the partition.
  func verify(
    _ command: TransactionCommand, _ partitions: [TopicPartition]
  ) -> [(partition: TopicPartition, error: ErrorCode)] {
    if let error = refusal(command) { return partitions.map { ($0, error) } }
    guard let current = entries[command.transactionalID]?.current, !current.state.isPreparing else {
      return partitions.map { ($0, .concurrentTransactions) }
    }
    return partitions.map {
      ($0, current.partitions.contains($0) ? .none : .transactionAbortable)
    }
  }
}
