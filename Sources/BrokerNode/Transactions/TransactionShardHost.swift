/// Runs one shard of the transaction coordinator: carries its events in and its effects out.
///
/// Confined to one event loop. Appends are made at once, in the shard's order, and their outcomes
/// reported in the same order when the in-sync replicas have them.
import KafkaProtocol
import Platform
import Synchronization
import Telemetry
import Transactions
import Values

/// Whether a shard is still this broker's, for those on other loops who work for it.
final class CoordinatorTerm: Sendable {
  let epoch: LeaderEpoch
  private let isOver = Atomic<Bool>(false)
  init(epoch: LeaderEpoch) { self.epoch = epoch }
  var hasEnded: Bool { isOver.load(ordering: .acquiring) }
  func end() { isOver.store(true, ordering: .releasing) }
}

final class TransactionShardHost {
  let term: CoordinatorTerm
  let loop: BrokerLoop
  private let log: TransactionLog
  private unowned let coordinator: TransactionCoordinator

  private var status = CoordinatorStatus.loading
  private(set) var shard: TransactionShard

  private var nextToken: UInt64 = 0
  private var replies: [TransactionToken: (TransactionReply) -> Void] = [:]
  /// Events that came while another was being handled.
  private var events: [TransactionEvent] = []
  private var isRunning = false

  private var inFlight = CoordinatorAppends<TransactionWriteID>()
  private var isParked = false
  private var isRetryScheduled = false

  init(
    partition: Partition, epoch: LeaderEpoch, loop: BrokerLoop, coordinator: TransactionCoordinator
  ) {
    term = CoordinatorTerm(epoch: epoch)
    self.loop = loop
    self.coordinator = coordinator
    log = TransactionLog(
      log: CoordinatorLog(partition: partition, epoch: epoch, services: coordinator.services))
    shard = TransactionShard(config: coordinator.transactionConfig)
  }

  private var partition: Partition { log.log.partition }
  private var settings: (timeoutMs: Int64, abortMs: Int64, cleanupMs: Int64) {
    let config = coordinator.services.config
    return (
      config.network.requestTimeoutMs, config.producers.transactionAbortIntervalMs,
      config.producers.transactionalIDCleanupIntervalMs
    )
  }

  // MARK: Coming and going

  /// Why requests are refused; nil when they are not.
  var refusal: ErrorCode? { status.refusal }

  /// Reads the partition on a thread that may block, and begins to serve.
  func load() {
    let box = LoopConfined(self)
    let (log, loop) = (log, loop)
    coordinator.services.io.submit {
      var loader = TransactionLoader()
      let failure = log.load(into: &loader)
      let loaded = loader
      loop.eventLoop.execute { box.value.finishLoading(loaded, failure: failure) }
    }
  }

  private static let loadAgainMs: Int64 = 1_000

  private func finishLoading(_ loader: TransactionLoader, failure: String?) {
    guard status == .loading else { return }
    if let failure {
      TransactionCoordinator.log.error(
        "transactions not loaded: \(failure)", ["partition": partition.id])
      // A part of them would let zombies in: producers are told to wait, and it is read again.
      loop.eventLoop.schedule(afterMs: Self.loadAgainMs) { [self] in
        if status == .loading { load() }
      }
      return
    }
    var effects: [TransactionEffect] = []
    shard = loader.finish(config: coordinator.transactionConfig, at: loop.wallNow, into: &effects)
    status = .active
    TransactionCoordinator.log.info(
      "transactions loaded",
      ["partition": partition.id, "ids": shard.idCount, "skipped": loader.skippedCount])
    perform(effects)
    // What the effects have appended is waited for.
    settleAll()
    lookRegularly()
  }

  /// Answers whoever waits that the coordinator is elsewhere.
  func resign() {
    guard status != .resigned else { return }
    if status == .active {
      run(.resign)
      TransactionCoordinator.log.info("transactions unloaded", ["partition": partition.id])
    }
    status = .resigned
    term.end()
    inFlight.removeAll()
  }

  private func lookRegularly() {
    let every = settings
    loop.eventLoop.repeating(everyMs: max(every.abortMs, 1)) { [weak self] in
      guard let self, status == .active else { return false }
      run(.abortTimedOut)
      return true
    }
    loop.eventLoop.repeating(everyMs: max(every.cleanupMs, 1)) { [weak self] in
      guard let self, status == .active else { return false }
      run(.expire)
      return true
    }
  }

  // MARK: Events

  /// Sends a command in; `reply` is called once, on this loop.
  func submit(
    _ event: (TransactionToken) -> TransactionEvent, reply: @escaping (TransactionReply) -> Void
  ) {
    nextToken += 1
    let token = TransactionToken(nextToken)
    replies[token] = reply
    run(event(token))
  }

  /// Tells the shard something and does what follows from it.
  func run(_ event: TransactionEvent) {
    guard status == .active else { return }
    events.append(event)
    settleAll()
  }

  private func settleAll() {
    if isRunning { return }
    isRunning = true
    var effects: [TransactionEffect] = []
    settle()
    while !events.isEmpty {
      let event = events.removeFirst()
      shard.step(event, at: loop.wallNow, into: &effects)
      perform(effects)
      effects.removeAll(keepingCapacity: true)
      if events.isEmpty { settle() }
    }
    isRunning = false
    waitForReplicas()
  }

  private func perform(_ effects: [TransactionEffect]) {
    for effect in effects {
      switch effect {
      case .reply(let token, let reply): replies.removeValue(forKey: token)?(reply)
      case .append(let write, let records): append(write, records)
      case .needProducerID(let command, let token): takeProducerID(command, token)
      case .sendMarkers(let markers):
        coordinator.markers.send(markers, term: term, from: LoopConfined(self))
      case .retryLater: retryLater()
      case .note(let text): TransactionCoordinator.log.debug(text)
      }
    }
  }

  private func takeProducerID(_ command: InitProducerCommand, _ token: TransactionToken) {
    let box = LoopConfined(self)
    let loop = loop
    coordinator.services.producerIDs.take { result in
      loop.eventLoop.execute { box.value.tookProducerID(result, command, token) }
    }
  }

  private func tookProducerID(
    _ result: Result<ProducerID, ErrorCode>, _ command: InitProducerCommand,
    _ token: TransactionToken
  ) {
    switch (result, status) {
    case (.success(let id), .active):
      var command = command
      command.newProducerID = id
      run(.initProducer(command, token))
    case (.success, _):
      replies.removeValue(forKey: token)?(.initProducer(.notCoordinator, nil))
    case (.failure(let error), _):
      replies.removeValue(forKey: token)?(.initProducer(error, nil))
    }
  }

  private static let retryMs: Int64 = 100

  private func retryLater() {
    if isRetryScheduled { return }
    isRetryScheduled = true
    loop.eventLoop.schedule(afterMs: Self.retryMs) { [weak self] in
      guard let self else { return }
      isRetryScheduled = false
      run(.retry)
    }
  }

  // MARK: Appends

  private func append(_ write: TransactionWriteID, _ records: [TransactionRecord]) {
    let deadline = loop.now.advanced(milliseconds: settings.timeoutMs)
    inFlight.add(write, until: deadline) { () throws(PartitionFailure) in
      try log.append(records, on: loop)
    }
  }

  /// Reports the appends whose outcome is known, oldest first.
  private func settle() {
    while let settled = inFlight.takeSettled(in: log.log, at: loop.now) {
      events.append(.appendFinished(settled.write, error: settled.error))
    }
  }

  private func waitForReplicas() {
    guard let deadline = inFlight.nextDeadline, !isParked, status == .active else { return }
    isParked = true
    loop.wait(self, on: [partition], until: deadline)
  }
}

extension TransactionShardHost: WaitingRequest {
  /// The partition's high watermark or its leader has changed.
  func isDone(on loop: BrokerLoop) -> Bool {
    guard status == .active else { return true }
    settleAll()
    if inFlight.isEmpty { isParked = false }
    return inFlight.isEmpty
  }

  func expire(on loop: BrokerLoop) {
    isParked = false
    let box = LoopConfined(self)
    // Not from within the table of waiters, which is being worked on.
    loop.eventLoop.execute { if box.value.status == .active { box.value.settleAll() } }
  }
}
