import KafkaProtocol
import Values

/// The end of a transaction: the decision, the markers, and the record that all have them.
extension TransactionShard {
  // MARK: Deciding

  mutating func end(
    _ command: TransactionCommand, isCommit: Bool, _ token: TransactionToken
  ) {
    if let error = refusal(command) { return reply(token, .end(error)) }
    let id = command.transactionalID
    guard let entry = entries[id], !entry.isInTransition else {
      return reply(token, .end(.concurrentTransactions))
    }
    switch (entry.current.state, isCommit) {
    case (.ongoing, _):
      prepare(id, isCommit: isCommit, isFence: false, .client(token))
    case (.completeCommit, true), (.completeAbort, false):
      // A repeated request.
      reply(token, .end(.none))
    default:
      reply(token, .end(.invalidTxnState))
    }
  }

  /// Aborts an open transaction under a higher epoch.
  mutating func fence(_ id: String, _ ending: Ending) {
    guard let entry = entries[id], entry.current.state == .ongoing, entry.pending == nil else {
      return answer(ending, .concurrentTransactions)
    }
    // An epoch that could not be stored the last time was given to nobody.
    if !entry.hasFailedFence, entry.current.producerEpoch < Int16.max {
      entries[id]?.current.producerEpoch += 1
    }
    entries[id]?.current.lastProducerEpoch = ProducerEpoch.none
    prepare(id, isCommit: false, isFence: true, ending)
  }

  private mutating func prepare(
    _ id: String, isCommit: Bool, isFence: Bool, _ ending: Ending
  ) {
    guard var next = entries[id]?.current else { return }
    next.state = isCommit ? .prepareCommit : .prepareAbort
    next.lastUpdate = now
    append(id, next, .prepared(id: id, isFence: isFence, ending))
  }

  mutating func finishPrepare(
    _ id: String, isFence: Bool, _ error: ErrorCode, _ ending: Ending
  ) {
    settle(id, error)
    if error == .none {
      entries[id]?.hasFailedFence = false
      answer(ending, .none)
      sendMarkers(id)
    } else {
      if isFence { entries[id]?.hasFailedFence = true }
      note("transactional id \(id): its outcome was not stored: \(error)")
      answer(ending, error)
    }
  }

  // MARK: Markers

  /// Has the markers written that are missing; from the beginning after a failover.
  mutating func sendMarkers(_ id: String) {
    guard let entry = entries[id], entry.current.state.isPreparing else { return }
    guard !entry.current.partitions.isEmpty else { return complete(id) }
    emit(
      .sendMarkers(
        TransactionMarkers(
          transaction: TransactionCommand(id, entry.identity),
          isCommit: entry.current.state == .prepareCommit,
          partitions: entry.current.partitions.sorted())))
  }

  mutating func markersWritten(_ command: TransactionCommand, _ partitions: [TopicPartition]) {
    let id = command.transactionalID
    guard let entry = entries[id], entry.identity == command.producer,
      entry.current.state.isPreparing, entry.pending == nil, !entry.mustComplete
    else { return }
    entries[id]?.current.partitions.subtract(partitions)
    if entries[id]?.current.partitions.isEmpty == true { complete(id) }
  }

  mutating func markersRefused(_ command: TransactionCommand) {
    guard entries[command.transactionalID]?.identity == command.producer else { return }
    note("transactional id \(command.transactionalID): its markers were fenced")
  }

  /// Stores that every partition has its marker; the id may then be used for the next transaction.
  private mutating func complete(_ id: String) {
    guard var next = entries[id]?.current, next.state.isPreparing else { return }
    next.state = next.state == .prepareCommit ? .completeCommit : .completeAbort
    next.partitions = []
    next.lastUpdate = now
    entries[id]?.mustComplete = true
    append(id, next, .completed(id: id))
  }

  mutating func finishComplete(_ id: String, _ error: ErrorCode) {
    settle(id, error)
    switch error {
    case .none: entries[id]?.mustComplete = false
    case .notCoordinator: break  // Whoever is has the markers written once more, and stores it.
    default:
      note("transactional id \(id): its end was not stored: \(error)")
      emit(.retryLater)
    }
  }

  mutating func retry() {
    for id in entries.keys.sorted() {
      guard let entry = entries[id], entry.mustComplete, entry.pending == nil else { continue }
      complete(id)
    }
  }

  // MARK: Time

  /// Aborts transactions that are open for longer than their producers have allowed.
  mutating func abortTimedOut() {
    for id in entries.keys.sorted() {
      guard let entry = entries[id], entry.current.state == .ongoing, entry.pending == nil,
        let start = entry.current.start,
        now.milliseconds - start.milliseconds > Int64(entry.current.timeoutMs)
      else { continue }
      note("transactional id \(id): aborted after \(entry.current.timeoutMs) ms")
      fence(id, .timeout)
    }
  }

  /// Forgets transactional ids that were not used for `transactional.id.expiration.ms`.
  mutating func expire() {
    let ids = entries.keys.sorted().filter { id in
      guard let entry = entries[id], entry.pending == nil, entry.current.state.mayExpire else {
        return false
      }
      return now.milliseconds - entry.current.lastUpdate.milliseconds >= config.idExpirationMs
    }
    // In several appends, so that no batch is larger than its topic allows.
    var rest = ids[...]
    while !rest.isEmpty {
      let some = Array(rest.prefix(Self.tombstonesInBatch))
      rest = rest.dropFirst(some.count)
      for id in some {
        var dead = entries[id]?.current
        dead?.state = .dead
        entries[id]?.pending = dead
      }
      append(some.map { TransactionRecord(id: $0, value: nil) }, .expired(ids: some))
    }
  }

  private static let tombstonesInBatch = 1_000

  mutating func finishExpiry(_ ids: [String], _ error: ErrorCode) {
    for id in ids where entries[id]?.pending?.state == .dead {
      if error == .none {
        entries[id] = nil
      } else {
        entries[id]?.pending = nil
      }
    }
    if error != .none { note("expired transactional ids were not removed: \(error)") }
  }
}
