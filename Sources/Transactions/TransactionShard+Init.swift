import KafkaProtocol
import Values

/// InitProducerId: a producer comes, or comes back.
extension TransactionShard {
  mutating func initProducer(_ command: InitProducerCommand, _ token: TransactionToken) {
    func refusal(_ error: ErrorCode) -> TransactionReply { .initProducer(error, nil) }
    let id = command.transactionalID
    guard !id.isEmpty else { return reply(token, refusal(.invalidRequest)) }
    guard command.timeoutMs > 0, command.timeoutMs <= config.maxTimeoutMs else {
      return reply(token, refusal(.invalidTransactionTimeout))
    }
    guard let entry = entries[id] else { return begin(command, token) }
    if entry.pending != nil { return reply(token, refusal(.concurrentTransactions)) }
    if let expected = command.expected, !Self.isKnown(expected, entry.current) {
      return reply(token, refusal(.producerFenced))
    }
    switch entry.current.state {
    case .prepareCommit, .prepareAbort, .prepareEpochFence, .dead:
      reply(token, refusal(.concurrentTransactions))
    case .ongoing:
      // Aborted under a higher epoch, so that whoever had it open can write no more. That epoch is
      // nobody's: the new producer asks again and gets the next one.
      fence(id, .newProducer(token))
    case .empty, .completeCommit, .completeAbort:
      renew(command, entry, token)
    }
  }

  /// Whether a producer may go on: it has the current id (its epoch is looked at when it is
  /// raised), or it repeats the request that has used up the epochs of the id before.
  private static func isKnown(
    _ expected: ProducerIdentity, _ current: TransactionMetadata
  ) -> Bool {
    current.producerEpoch == ProducerEpoch.none || expected.id == current.producerID
      || (expected.id == current.lastProducerID && ProducerEpoch.isExhausted(expected.epoch))
  }

  /// A transactional id that nobody has used before.
  private mutating func begin(_ command: InitProducerCommand, _ token: TransactionToken) {
    guard let producerID = command.newProducerID else {
      return emit(.needProducerID(command, token))
    }
    let created = TransactionMetadata(
      producerID: producerID, producerEpoch: ProducerEpoch.none, timeoutMs: command.timeoutMs,
      lastUpdate: now)
    let entry = Entry(current: created)
    entries[command.transactionalID] = entry
    renew(command, entry, token)
  }

  /// Raises the epoch, or takes a new producer id when there is no higher one.
  private mutating func renew(
    _ command: InitProducerCommand, _ entry: Entry, _ token: TransactionToken
  ) {
    let current = entry.current
    var next = current
    let expected = command.expected?.epoch
    if ProducerEpoch.isExhausted(current.producerEpoch),
      expected == nil || expected == current.producerEpoch
    {
      guard let producerID = command.newProducerID else {
        return emit(.needProducerID(command, token))
      }
      next.lastProducerID = current.producerID
      next.lastProducerEpoch = expected == nil ? ProducerEpoch.none : current.producerEpoch
      next.producerID = producerID
      next.producerEpoch = 0
    } else if let expected, current.producerEpoch != ProducerEpoch.none,
      expected != current.producerEpoch
    {
      // A repeated request gets the epoch that the first one got; anybody else is a zombie.
      guard expected == current.lastProducerEpoch else {
        return reply(token, .initProducer(.producerFenced, nil))
      }
    } else {
      next.lastProducerEpoch = expected == nil ? ProducerEpoch.none : current.producerEpoch
      next.producerEpoch = current.producerEpoch + 1
    }
    next.timeoutMs = command.timeoutMs
    next.state = .empty
    next.partitions = []
    next.start = nil
    next.lastUpdate = now
    append(command.transactionalID, next, .initialized(id: command.transactionalID, token))
  }

  mutating func finishInit(_ id: String, _ error: ErrorCode, _ token: TransactionToken) {
    settle(id, error)
    guard let entry = entries[id] else {
      return reply(token, .initProducer(.notCoordinator, nil))
    }
    if error == .none {
      note("transactional id \(id): producer \(entry.identity)")
      reply(token, .initProducer(.none, entry.identity))
    } else {
      // An id that was never stored leaves nothing behind.
      if entry.current.producerEpoch == ProducerEpoch.none { entries[id] = nil }
      reply(token, .initProducer(error, nil))
    }
  }
}
