/// What the broker has on each event loop: the dispatcher of requests, and the requests that wait.
///
/// Confined to its loop. Partitions are shared by all loops; when one changes so that somebody may
/// be waiting for it, the loop that changed it tells the loops that have waiters, once per turn.
import Bytes
import KafkaMessages
import KafkaProtocol
import Platform
import Replication
import Synchronization
import Telemetry
import Transport
import Values

final class BrokerLoop: @unchecked Sendable {  // confined to `eventLoop`
  let services: BrokerServices
  let eventLoop: EventLoop
  let metrics: RequestMetrics
  let anonymous = ClientSession(listener: "", host: "")
  var random: SplitMix

  var waiting = WaitTable<any WaitingRequest>()
  var sessions: FetchSessionCache
  private var deadlineTimer = LoopTimer.none
  private var armedDeadline = Instant.distantFuture
  /// Partitions that changed in this turn, for this loop and for the others.
  private var changed: [Int] = []
  private var outbound: [[Int]]
  private var isHooked = false
  /// Partitions that other threads changed; whoever puts in the first one sends `takeInbox`.
  private let inbox = Mutex<[Int]>([])
  /// Made once: a closure for each message would be an allocation for each.
  private var takeInbox: @Sendable () -> Void = {}

  var timing = RequestTiming()

  // What requests use and give back, so that the next one need not make it anew.
  var names = NameCache()
  private var spareProduces: [ProduceOperation] = []
  private var spareEffects: [PartitionReplica.Effect] = []
  private var waking: [Int] = []
  private var received: [Int] = []
  private var keys: [Int] = []
  private var tickets: [WaitTable<any WaitingRequest>.Ticket] = []
  /// Connections that came before the broker could answer anything.
  private var held: [Connection] = []
  static let log = Log("network")

  init(services: BrokerServices, eventLoop: EventLoop, loopCount: Int) {
    self.services = services
    self.eventLoop = eventLoop
    metrics = services.metrics.loop(eventLoop.index)
    let slots = services.config.replication.maxIncrementalFetchSessions
    sessions = FetchSessionCache(slots: max(1, slots / max(1, loopCount)))
    outbound = Array(repeating: [], count: loopCount)
    random = SplitMix(seed: UInt64(bitPattern: Clock.now().nanoseconds) ^ UInt64(eventLoop.index))
    takeInbox = { [unowned self] in takeFromInbox() }
  }

  var now: Instant { eventLoop.now }
  var wallNow: WallTime { eventLoop.wallNow }
  var index: Int { eventLoop.index }

  // MARK: Requests

  /// Reads the header, finds the handler and runs it.
  func dispatch(
    _ frame: UnsafeMutableRawBufferPointer, on connection: Connection
  ) throws(CloseReason) {
    var reader = ByteReader(RawSpan(_unsafeBytes: UnsafeRawBufferPointer(frame)))
    let client = connection.context as? ClientSession
    let header: RequestHeader
    do throws(ByteError) {
      header = try RequestHeader(from: &reader, lastClientID: client?.lastClientID)
    } catch {
      throw .malformed("request header: \(error)")
    }
    client?.lastClientID = header.clientID
    guard let api = header.api, let entry = services.apis[api] else {
      throw .malformed("request of unknown API \(header.apiKey)")
    }
    let context = RequestContext(
      api: api, version: header.apiVersion, correlationID: header.correlationID,
      clientID: header.clientID, connection: connection, loop: self, frame: frame, received: now)
    metrics.begin(api)
    guard entry.versions.contains(header.apiVersion) else {
      // The one request whose version may be unknown: clients ask it to find out (KIP-511).
      if api == .apiVersions { return ApiVersionsHandler.refuseVersion(context) }
      throw .malformed("\(api.name) in unsupported version \(header.apiVersion)")
    }
    guard services.isServing || Self.servedBeforeClients.contains(api) else {
      connection.close(.local("not serving clients yet"))
      return
    }
    let isTimed = services.throttle.isLimitingTime
    if isTimed { timing = RequestTiming(began: Clock.now(), isSettled: false) }
    do throws(ByteError) {
      try entry.run(&reader, context)
      // Who is answered later is told then.
      if isTimed { _ = context.settleTime() }
    } catch {
      throw .malformed("\(api.name) v\(header.apiVersion): \(error)")
    }
  }

  /// What makes a broker part of its cluster. Whoever asks for anything else before that is better
  /// off with another broker: told that there are no topics, clients give up on them for long
  /// (librdkafka: `topic.metadata.propagation.max.ms`, then only with the next full refresh).
  private static let servedBeforeClients: Set<ApiKey> = [
    .apiVersions, .leaderAndIsr, .stopReplica, .updateMetadata, .controlledShutdown,
    .alterPartition, .allocateProducerIDs, .createTopics,
  ]

  /// A new connection waits while clients are held.
  func opened(_ connection: Connection) {
    guard services.isHoldingClients else { return }
    connection.hold()
    held.append(connection)
  }

  func releaseHeld() {
    for connection in held where connection.isOpen { connection.release() }
    held = []
  }

  // MARK: Waiting

  /// Parks a request until one of its partitions changes or its time is up.
  func wait(_ waiter: any WaitingRequest, on partitions: [Partition], until deadline: Instant) {
    keys.removeAll(keepingCapacity: true)
    for partition in partitions {
      partition.noteInterest(ofLoop: index)
      keys.append(partition.index)
    }
    waiting.park(waiter, keys: keys, until: deadline)
    // Another loop may have changed a partition after it was looked at and before the interest was
    // noted: look once more.
    take(keys)
    if deadline < armedDeadline { arm(deadline) }
  }

  private func arm(_ deadline: Instant) {
    eventLoop.cancel(deadlineTimer)
    armedDeadline = deadline
    deadlineTimer = eventLoop.schedule(at: deadline, self, tag: 0)
  }

  private func expire() {
    armedDeadline = .distantFuture
    while let waiter = waiting.popExpired(at: now) {
      waiter.expire(on: self)
      waiter.retire(on: self)
    }
    if let next = waiting.nextDeadline() { arm(next) }
  }

  /// Notes that waiters of the partition, on any loop, should look again at the end of the turn.
  func noteChange(of partition: Partition) {
    assert(eventLoop.isCurrent)
    var interest = partition.interestedLoops()
    if interest == 0 { return }
    while interest != 0 {
      let target = interest.trailingZeroBitCount
      interest &= interest &- 1
      if target == index {
        changed.append(partition.index)
      } else if target < outbound.count {
        outbound[target].append(partition.index)
      }
    }
    if !isHooked {
      isHooked = true
      eventLoop.atEndOfTurn(self)
    }
  }

  /// Notes, from any thread, that waiters of a partition should look again.
  func post(_ partition: Int) {
    let isFirst = inbox.withLock { inbox in
      inbox.append(partition)
      return inbox.count == 1
    }
    if isFirst { eventLoop.execute(takeInbox) }
  }

  private func post(_ partitions: [Int]) {
    let isFirst = inbox.withLock { inbox in
      inbox.append(contentsOf: partitions)
      return inbox.count == partitions.count
    }
    if isFirst { eventLoop.execute(takeInbox) }
  }

  private func takeFromInbox() {
    inbox.withLock { swap(&$0, &received) }
    take(received)
    received.removeAll(keepingCapacity: true)
  }

  private func take(_ partitions: [Int]) {
    changed.append(contentsOf: partitions)
    if !isHooked {
      isHooked = true
      eventLoop.atEndOfTurn(self)
    }
  }

  private func wakeChanged() {
    swap(&changed, &waking)
    var seen = -1
    for key in waking where key != seen {
      seen = key
      waiting.collect(key, into: &tickets)
      for ticket in tickets {
        guard let waiter = waiting.waiter(ticket), waiter.isDone(on: self) else { continue }
        waiting.remove(ticket)
        waiter.retire(on: self)
      }
      tickets.removeAll(keepingCapacity: true)
      if !waiting.hasWaiters(for: key) {
        services.partitions[index: key]?.forgetInterest(ofLoop: index)
      }
    }
    waking.removeAll(keepingCapacity: true)
  }

  // MARK: Used again

  func takeProduce() -> ProduceOperation { spareProduces.popLast() ?? ProduceOperation() }

  func give(_ produce: ProduceOperation) {
    if spareProduces.count < 256 { spareProduces.append(produce) }
  }

  /// Runs `body` with an array for effects that has room already.
  func withEffects<R, E: Error>(
    _ body: (inout [PartitionReplica.Effect]) throws(E) -> R
  ) throws(E) -> R {
    var effects: [PartitionReplica.Effect] = []
    swap(&effects, &spareEffects)
    defer {
      effects.removeAll(keepingCapacity: true)
      swap(&effects, &spareEffects)
    }
    return try body(&effects)
  }
}

extension BrokerLoop: TimerTarget {
  func timerFired(tag: Int) { expire() }
}

extension BrokerLoop: TurnHook {
  func endOfTurn() {
    isHooked = false
    for target in outbound.indices where !outbound[target].isEmpty {
      services.loop(target)?.post(outbound[target])
      outbound[target].removeAll(keepingCapacity: true)
    }
    wakeChanged()
  }
}

/// One listener's connections on one loop: hands their frames to the loop's dispatcher.
final class ListenerHandler: FrameHandler {
  let loop: BrokerLoop
  let listener: String

  init(loop: BrokerLoop, listener: String) {
    self.loop = loop
    self.listener = listener
  }

  func opened(_ connection: Connection) {
    connection.context = ClientSession(
      listener: listener, host: connection.peer.ip.description)
    loop.opened(connection)
  }

  func received(
    frame: UnsafeMutableRawBufferPointer, on connection: Connection
  ) throws(CloseReason) {
    try loop.dispatch(frame, on: connection)
  }

  func closed(_ connection: Connection, because reason: CloseReason) {
    guard let session = connection.context as? ClientSession,
      let instance = session.telemetryInstance
    else { return }
    loop.services.telemetry?.forget(instance)
  }
}

/// A request that waits for partitions.
protocol WaitingRequest: AnyObject {
  /// Looks whether the request can be answered now, and if so answers it.
  func isDone(on loop: BrokerLoop) -> Bool
  /// Answers with what there is.
  func expire(on loop: BrokerLoop)
  /// It was answered and waits no more: it may be used again.
  func retire(on loop: BrokerLoop)
}

extension WaitingRequest {
  func retire(on loop: BrokerLoop) {}
}
