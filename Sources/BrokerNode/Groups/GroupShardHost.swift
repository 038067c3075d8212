/// Runs one shard of the group coordinator: carries its events in and its effects out.
///
/// Confined to one event loop. Appends are made at once, in the shard's order, and their outcomes
/// reported in the same order when the in-sync replicas have them: until then the replies behind
/// them are parked in the shard.
import Groups
import KafkaProtocol
import Platform
import Synchronization
import Telemetry
import Values

final class GroupShardHost: @unchecked Sendable {  // confined to `loop`, but for `counts`
  let epoch: LeaderEpoch
  let loop: BrokerLoop
  private let log: GroupLog
  private unowned let coordinator: GroupCoordinator

  private var status = CoordinatorStatus.loading
  private(set) var shard: GroupShard
  private var random: SplitMix

  private var nextToken: UInt64 = 0
  private var replies: [RequestToken: (GroupReply) -> Void] = [:]
  /// Events that came while another was being handled.
  private var events: [GroupEvent] = []
  private var isRunning = false
  /// Answered questions about transactions, for the commits that asked them.
  private var verified: [TransactionalProducer: UInt64] = [:]
  /// Markers that came while the partition was being read.
  private var ended: [(ProducerID, isCommitted: Bool)] = []

  private var inFlight = CoordinatorAppends<WriteID>()
  private var isParked = false

  private var timer = LoopTimer.none
  private var timerDeadline = Instant.distantFuture

  /// Numbers for the metrics, brought up to date now and then.
  private let published = Mutex(GroupCounts())
  var counts: GroupCounts { published.withLock { $0 } }

  init(
    partition: Partition, epoch: LeaderEpoch, loop: BrokerLoop, coordinator: GroupCoordinator
  ) {
    self.epoch = epoch
    self.loop = loop
    self.coordinator = coordinator
    log = GroupLog(partition: partition, epoch: epoch, services: coordinator.services)
    shard = GroupShard(config: coordinator.groupConfig)
    random = SplitMix(
      seed: UInt64(bitPattern: Clock.now().nanoseconds) ^ UInt64(partition.index) << 48)
  }

  private var now: Moment { Moment(instant: loop.now, wall: loop.wallNow) }

  // MARK: Coming and going

  /// Why requests are refused; nil when they are not.
  var refusal: ErrorCode? { status.refusal }

  /// Reads the partition on a thread that may block, and begins to serve.
  func load() {
    let started = Clock.now()
    coordinator.services.io.submit { [self] in
      var loader = GroupLoader()
      let failure = log.load(into: &loader)
      let loaded = loader
      loop.eventLoop.execute { [self] in
        finishLoading(loaded, failure: failure, started: started)
      }
    }
  }

  private static let loadAgainMs: Int64 = 1_000

  private func finishLoading(_ loader: GroupLoader, failure: String?, started: Instant) {
    guard status == .loading else { return }
    if let failure {
      GroupCoordinator.log.error(
        "groups not loaded: \(failure)", ["partition": log.partition.id])
      // Serving a part of them would lose offsets, giving up would lock the groups out until the
      // next election: members are told to wait, and the log is read again.
      loop.eventLoop.schedule(afterMs: Self.loadAgainMs) { [self] in
        if status == .loading { load() }
      }
      return
    }
    var effects: [GroupEffect] = []
    shard = loader.finish(config: coordinator.groupConfig, at: now, into: &effects)
    status = .active
    let tookMs = Clock.now().milliseconds(since: started)
    coordinator.metrics.loadTime.record(tookMs)
    GroupCoordinator.log.info(
      "groups loaded",
      [
        "partition": log.partition.id, "groups": shard.groupCount, "offsets": shard.offsetCount,
        "skipped": loader.skippedCount, "ms": tookMs,
      ])
    perform(effects)
    for (producer, isCommitted) in ended {
      run(.transactionEnded(producer, isCommitted: isCommitted))
    }
    ended = []
    run(.tick)
    publish()
    expireRegularly()
  }

  /// Answers whoever waits that the coordinator is elsewhere.
  func resign() {
    guard status != .resigned else { return }
    let wasActive = status == .active
    if wasActive { run(.resign) }
    status = .resigned
    inFlight.removeAll()
    loop.eventLoop.cancel(timer)
    if wasActive { GroupCoordinator.log.info("groups unloaded", ["partition": log.partition.id]) }
  }

  private func expireRegularly() {
    let interval = coordinator.services.config.groups.offsetsRetentionCheckIntervalMs
    loop.eventLoop.repeating(everyMs: max(interval, 1)) { [weak self] in
      guard let self, status == .active else { return false }
      let before = shard.offsetCount
      run(.expire)
      coordinator.metrics.expiredOffsets.add(Int64(max(before - shard.offsetCount, 0)))
      return true
    }
    loop.eventLoop.repeating(everyMs: 5_000) { [weak self] in
      guard let self, status == .active else { return false }
      publish()
      return true
    }
  }

  private func publish() {
    var counts = GroupCounts()
    counts.groups = shard.groupCount
    counts.offsets = shard.offsetCount
    for state in GroupCounts.states { counts.byState[state] = shard.count(in: state) }
    published.withLock { $0 = counts }
  }

  // MARK: Events

  /// Runs `body` on the shard's loop: at once if that is where the caller is.
  func onLoop(_ body: @escaping @Sendable () -> Void) {
    if loop.eventLoop.isCurrent { body() } else { loop.eventLoop.execute(body) }
  }

  /// Sends a command in; `reply` is called once, on this loop.
  func submit(
    _ event: (RequestToken) -> GroupEvent, reply: @escaping (GroupReply) -> Void
  ) {
    nextToken += 1
    let token = RequestToken(nextToken)
    replies[token] = reply
    run(event(token))
  }

  /// Lets the next commit of a producer into its transaction: the coordinator has been asked.
  func admit(_ producer: TransactionalProducer, _ verification: UInt64?) {
    verified[producer] = verification
  }

  /// A transaction's marker is in the partition, on all in-sync replicas.
  func transactionEnded(_ producer: ProducerID, isCommitted: Bool) {
    guard status == .active else {
      // The records may have been read before it came.
      if status == .loading { ended.append((producer, isCommitted)) }
      return
    }
    // What was appended before the marker has to be known before it counts.
    run(.tick)
    run(.transactionEnded(producer, isCommitted: isCommitted))
  }

  /// Tells the shard something and does what follows from it.
  func run(_ event: GroupEvent) {
    guard status == .active else { return }
    events.append(event)
    if isRunning { return }
    isRunning = true
    var effects: [GroupEffect] = []
    while !events.isEmpty {
      let event = events.removeFirst()
      shard.step(event, at: now, random: &random, into: &effects)
      perform(effects)
      effects.removeAll(keepingCapacity: true)
      if events.isEmpty { settle() }
    }
    isRunning = false
    waitForReplicas()
    arm()
  }

  private func perform(_ effects: [GroupEffect]) {
    for effect in effects {
      switch effect {
      case .reply(let token, let reply): replies.removeValue(forKey: token)?(reply)
      case .append(let write, let records, let transaction):
        append(write, records, transaction)
      case .note(let text): GroupCoordinator.log.debug(text)
      }
    }
  }

  // MARK: Appends

  private func append(
    _ write: WriteID, _ records: [GroupRecord], _ transaction: TransactionalProducer?
  ) {
    let timeoutMs = coordinator.services.config.groups.offsetsCommitTimeoutMs
    let deadline = loop.now.advanced(milliseconds: timeoutMs)
    let verification = transaction.flatMap { verified.removeValue(forKey: $0) }
    inFlight.add(write, until: deadline) { () throws(PartitionFailure) in
      let appended = try log.append(
        records, transaction: transaction, verification: verification, on: loop)
      coordinator.metrics.count(records)
      return appended
    }
  }

  /// Reports the appends whose outcome is known, oldest first.
  private func settle() {
    while let settled = inFlight.takeSettled(in: log.log, at: loop.now) {
      events.append(
        .appendFinished(settled.write, error: settled.error, baseOffset: settled.baseOffset))
    }
  }

  private func waitForReplicas() {
    guard !inFlight.isEmpty, !isParked, status == .active else { return }
    isParked = true
    loop.wait(
      self, on: [log.partition], until: loop.now.advanced(milliseconds: Self.longestWaitMs))
  }

  /// Time-outs of appends are kept by the host's own timer; this only bounds the parking.
  private static let longestWaitMs: Int64 = 600_000

  // MARK: Timer

  private func arm() {
    guard status == .active else { return }
    let next = min(
      shard.nextDeadline ?? .distantFuture, inFlight.nextDeadline ?? .distantFuture)
    // A timer that fires early finds nothing to do, and is set anew.
    if next >= timerDeadline { return }
    loop.eventLoop.cancel(timer)
    timerDeadline = next
    timer = loop.eventLoop.schedule(at: next) { [weak self] in
      guard let self else { return }
      timerDeadline = .distantFuture
      run(.tick)
    }
  }
}

extension GroupShardHost: WaitingRequest {
  /// The partition's high watermark or its leader has changed.
  func isDone(on loop: BrokerLoop) -> Bool {
    guard status == .active else { return true }
    settle()
    // Handling the outcomes may append more; those are waited for in the same place.
    if !events.isEmpty { run(.tick) }
    if inFlight.isEmpty { isParked = false }
    return inFlight.isEmpty
  }

  func expire(on loop: BrokerLoop) {
    isParked = false
    // Not from within the table of waiters, which is being worked on.
    loop.eventLoop.execute { [self] in run(.tick) }
  }
}
