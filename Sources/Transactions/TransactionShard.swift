import KafkaProtocol
import Values

/// The settings that transactions depend on.
public struct TransactionConfig: Hashable, Sendable {
  /// `transaction.max.timeout.ms`
  public var maxTimeoutMs: Int32 = 900_000
  /// `transactional.id.expiration.ms`
  public var idExpirationMs: Int64 = 604_800_000
  public init() {}
}

/// Coordinates the transactional ids that live in one partition of `__transaction_state`: producer
/// ids and epochs (KIP-98, KIP-360), which partitions are in a transaction, its outcome, and
/// whether every partition has been told.
///
/// A protocol machine: it is told events, and wants effects done. Every step of a transaction is
/// appended first, and counts when the append is committed: until then the id is *in transition*,
/// and whoever asks for something else is told to try again (CONCURRENT_TRANSACTIONS). A
/// transaction is decided with the record that says `prepareCommit` or `prepareAbort`; whoever
/// loads that record goes on with its markers, as often as it takes.
///
/// - Precondition: `appendFinished` comes once for every `append`, in the order of the appends.
public struct TransactionShard: Sendable {
  public var config: TransactionConfig

  struct Entry: Sendable {
    var current: TransactionMetadata
    /// What is being appended; nil when nothing is under way.
    var pending: TransactionMetadata?
    /// A fence was tried and could not be stored: its epoch was given to nobody and is used again.
    var hasFailedFence = false
    /// Every marker is written, and only the record of that is missing.
    var mustComplete = false

    var identity: ProducerIdentity {
      ProducerIdentity(current.producerID, epoch: current.producerEpoch)
    }
    /// Whether whoever wants something new has to wait.
    var isInTransition: Bool { pending != nil || current.state.isPreparing }
  }

  /// What an append is for.
  enum PendingWrite: Sendable {
    case initialized(id: String, TransactionToken)
    case addedPartitions(id: String, TransactionToken)
    /// The outcome. Nobody waits for it when a time-out brought it about.
    case prepared(id: String, isFence: Bool, Ending)
    case completed(id: String)
    case expired(ids: [String])
  }

  /// Who is told that a transaction's outcome is decided.
  enum Ending: Sendable {
    case client(TransactionToken)
    /// InitProducerId found an open transaction: its producer has to ask again.
    case newProducer(TransactionToken)
    case timeout
  }

  var entries: [String: Entry] = [:]
  private var lastWrite: Int64 = 0
  private var writes: [TransactionWriteID: PendingWrite] = [:]

  // For the length of one step.
  var now = WallTime(milliseconds: 0)
  private var effects: [TransactionEffect] = []

  public init(config: TransactionConfig) { self.config = config }

  /// Tells the shard one event and collects what it wants done.
  public mutating func step(
    _ event: TransactionEvent, at now: WallTime, into output: inout [TransactionEffect]
  ) {
    self.now = now
    switch event {
    case .initProducer(let command, let token): initProducer(command, token)
    case .addPartitions(let command, let partitions, let token):
      addPartitions(command, partitions, token)
    case .verifyPartitions(let command, let partitions, let token):
      reply(token, .verifyPartitions(verify(command, partitions)))
    case .end(let command, let isCommit, let token): end(command, isCommit: isCommit, token)
    case .markersWritten(let command, let partitions): markersWritten(command, partitions)
    case .markersRefused(let command): markersRefused(command)
    case .abortTimedOut: abortTimedOut()
    case .expire: expire()
    case .retry: retry()
    case .appendFinished(let write, let error): finish(write, error)
    case .resign: resign()
    }
    output += effects
    effects.removeAll(keepingCapacity: true)
  }

  // MARK: Effects

  mutating func reply(_ token: TransactionToken, _ reply: TransactionReply) {
    effects.append(.reply(token, reply))
  }

  mutating func note(_ text: String) { effects.append(.note(text)) }

  mutating func emit(_ effect: TransactionEffect) { effects.append(effect) }

  /// Puts an id into transition.
  mutating func append(_ id: String, _ next: TransactionMetadata, _ write: PendingWrite) {
    assert(entries[id].map { next.state.previous.contains($0.current.state) } ?? false)
    entries[id]?.pending = next
    append([TransactionRecord(id: id, value: next)], write)
  }

  mutating func append(_ records: [TransactionRecord], _ write: PendingWrite) {
    lastWrite += 1
    let id = TransactionWriteID(lastWrite)
    writes[id] = write
    effects.append(.append(id, records))
  }

  // MARK: Outcomes of appends

  private mutating func finish(_ write: TransactionWriteID, _ storeError: ErrorCode) {
    guard let write = writes.removeValue(forKey: write) else { return }
    let error = Self.clientError(storeError)
    switch write {
    case .initialized(let id, let token): finishInit(id, error, token)
    case .addedPartitions(let id, let token):
      settle(id, error)
      reply(token, .addPartitions(error))
    case .prepared(let id, let isFence, let ending):
      finishPrepare(id, isFence: isFence, error, ending)
    case .completed(let id): finishComplete(id, error)
    case .expired(let ids): finishExpiry(ids, error)
    }
  }

  /// Ends a transition: what was appended counts, or never was.
  mutating func settle(_ id: String, _ error: ErrorCode) {
    guard let pending = entries[id]?.pending else { return }
    entries[id]?.pending = nil
    if error == .none { entries[id]?.current = pending }
  }

  /// What clients are told when the state of a transaction could not be stored.
  static func clientError(_ error: ErrorCode) -> ErrorCode {
    switch error {
    case .unknownTopicOrPartition, .notEnoughReplicas, .notEnoughReplicasAfterAppend,
      .requestTimedOut:
      .coordinatorNotAvailable
    case .notLeaderOrFollower, .kafkaStorageError, .fencedLeaderEpoch: .notCoordinator
    case .messageTooLarge, .recordListTooLarge: .unknownServerError
    default: error
    }
  }

  // MARK: Resigning

  /// Answers everybody who waits that the coordinator is elsewhere, and forgets everything.
  private mutating func resign() {
    for id in writes.keys.sorted() {
      switch writes[id] {
      case .initialized(_, let token): reply(token, .initProducer(.notCoordinator, nil))
      case .addedPartitions(_, let token): reply(token, .addPartitions(.notCoordinator))
      case .prepared(_, _, let ending): answer(ending, .notCoordinator)
      case .completed, .expired, nil: break
      }
    }
    writes.removeAll()
    entries.removeAll()
  }

  mutating func answer(_ ending: Ending, _ error: ErrorCode) {
    switch ending {
    case .client(let token): reply(token, .end(error))
    case .newProducer(let token):
      // The producer gets its epoch when the transaction it found has ended.
      reply(token, .initProducer(error == .none ? .concurrentTransactions : error, nil))
    case .timeout: break
    }
  }
}
