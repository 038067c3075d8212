/// What a leader makes sure of before a transaction begins in its partition (KIP-890): that the
/// coordinator knows of it. Else nobody would ever end it, and readers of committed data would wait
/// behind it for ever.
import KafkaProtocol
import LogStorage
import Values

/// What records are in a transaction.
enum TransactionRole {
  /// Data of a producer. Where no transaction is open, `verification` is the number of the question
  /// that the coordinator has answered; nil: it was not asked.
  case data(ProducerID, epoch: Int16, verification: UInt64?)
  /// The marker that ends it: whatever was asked before is void.
  case marker(ProducerID)

  var producerID: ProducerID {
    switch self {
    case .data(let id, _, _), .marker(let id): id
    }
  }
}

extension Partition {
  /// Begins to ask about a producer's transaction.
  /// - Returns: the question's number, for `append`; nil if the transaction is open here already.
  func beginVerification(_ producer: ProducerID, epoch: Int16) -> UInt64? {
    state.withLock { state in
      if state.log?.hasOngoingTransaction(producer, epoch: epoch) == true { return nil }
      // Batches that come while the answer is awaited share it.
      if let known = state.verifications[producer] { return known }
      state.lastVerification += 1
      state.verifications[producer] = state.lastVerification
      return state.lastVerification
    }
  }

  /// The coordinator says no, or nothing.
  func endVerification(_ producer: ProducerID, _ number: UInt64) {
    state.withLock { state in
      if state.verifications[producer] == number { state.verifications[producer] = nil }
    }
  }

  /// Between the answer and the append the transaction may have been ended, by its time-out for
  /// example: then the answer says nothing any more.
  static func check(
    _ role: TransactionRole, _ state: borrowing State
  ) throws(PartitionFailure) {
    guard case .data(let producer, let epoch, let verification) = role else { return }
    if state.log?.hasOngoingTransaction(producer, epoch: epoch) == true { return }
    guard let verification, state.verifications[producer] == verification else {
      throw PartitionFailure(
        .invalidTxnState, "Record was not part of an ongoing transaction")
    }
  }
}
