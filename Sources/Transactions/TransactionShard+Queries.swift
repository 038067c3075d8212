import KafkaProtocol
import Values

/// One transactional id, as DescribeTransactions shows it.
public struct TransactionDescription: Hashable, Sendable {
  public var error: ErrorCode = .none
  public var state = ""
  public var timeoutMs: Int32 = 0
  /// -1 before the first transaction.
  public var startMs: Int64 = 0
  public var producer = ProducerIdentity(ProducerID(0), epoch: 0)
  /// In order.
  public var partitions: [TopicPartition] = []
}

/// What ListTransactions asks for; empty filters and a negative duration let everything pass.
public struct TransactionFilter: Hashable, Sendable {
  public var states: Set<TransactionState> = []
  public var producerIDs: Set<ProducerID> = []
  /// Only transactions that have been running for longer (KIP-994).
  public var durationMs: Int64 = -1
  /// States were asked for, and none of them is known: nothing passes.
  public var isImpossible = false
  public init() {}
}

/// One row of ListTransactions.
public struct TransactionListing: Hashable, Sendable {
  public var id: String
  public var producerID: ProducerID
  public var state: String
}

extension TransactionShard {
  public var idCount: Int { entries.count }

  public func describe(_ id: String) -> TransactionDescription {
    var description = TransactionDescription()
    guard let current = entries[id]?.current else {
      description.error = .transactionalIDNotFound
      return description
    }
    description.state = current.state.name
    description.timeoutMs = current.timeoutMs
    description.startMs = current.start?.milliseconds ?? -1
    description.producer = ProducerIdentity(current.producerID, epoch: current.producerEpoch)
    description.partitions = current.partitions.sorted()
    return description
  }

  public func list(_ filter: TransactionFilter, at now: WallTime) -> [TransactionListing] {
    if filter.isImpossible { return [] }
    return entries.keys.sorted().compactMap { id in
      guard let current = entries[id]?.current else { return nil }
      if !filter.producerIDs.isEmpty, !filter.producerIDs.contains(current.producerID) {
        return nil
      }
      if !filter.states.isEmpty, !filter.states.contains(current.state) { return nil }
      if filter.durationMs >= 0 {
        let start = current.start?.milliseconds ?? -1
        if now.milliseconds - start <= filter.durationMs { return nil }
      }
      return TransactionListing(
        id: id, producerID: current.producerID, state: current.state.name)
    }
  }
}
