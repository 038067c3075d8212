/// The part of a driver that is confined to its loop: steps the machine, carries out its effects.
import KafkaProtocol
import KafkaRecords
import KafkaTransport
import LogStorage
import Metadata
import Platform
import Raft
import Telemetry
import Values

final class RaftCore {
  /// What a token stands for.
  enum Payload {
    case records([VersionedRecord], last: Bool, ProposalCompletion)
    case bytes([UInt8])
  }
  typealias ProposalCompletion = @Sendable (Result<Offset, ProposeError>) -> Void

  var machine: RaftMachine
  let store: MetadataLogStore
  let file: QuorumStateFile
  let options: RaftDriverOptions
  let loop: EventLoop
  weak var driver: RaftDriver?
  /// One thread, so that flushes follow each other.
  let flusher: IOPool
  /// Snapshots are written, verified and removed here.
  let worker: IOPool
  static let log = Log("raft")

  private var inbox: [RaftEvent] = []
  private var isStepping = false
  private var timer = LoopTimer.none
  private var armed = Instant.distantFuture
  private var isClosed = false
  private(set) var hasFailed = false

  // What the extensions keep.
  var payloads: [Token: Payload] = [:]
  private var lastToken: Token = 0
  var channels: [BrokerID: PeerChannel] = [:]
  var askers: [RequestID: ServerRequest] = [:]
  var lastRequest: UInt64 = 0
  var feeds: [MetadataFeed] = []
  var flush = FlushState()
  var receiving: (id: SnapshotID, file: File)?
  var shutdownCompleted: (() -> Void)?
  var votedID: BrokerID?
  var leadership: (epoch: LeaderEpoch, startOffset: Offset)?
  /// Ends of own appends that are not committed yet, and when they were made.
  var uncommitted: [(end: Offset, since: Instant)] = []

  init(
    _ machine: RaftMachine, store: MetadataLogStore, file: QuorumStateFile,
    options: RaftDriverOptions, loop: EventLoop
  ) throws(SystemError) {
    self.machine = machine
    self.store = store
    self.file = file
    self.options = options
    self.loop = loop
    flusher = try IOPool(threads: 1, name: "raft-flush")
    worker = try IOPool(threads: 1, name: "raft-snapshots")
  }

  // MARK: Life

  func start() {
    take(.start)
    scheduleCleaning()
  }

  func shutdown(timeoutMs: Int64, _ completion: @escaping () -> Void) {
    shutdownCompleted = completion
    if hasFailed { return completion() }
    take(.shutdown(timeoutMs: timeoutMs))
  }

  /// Ends everything; the threads first, so that nothing is written to a closed log.
  func close() {
    isClosed = true
    loop.cancel(timer)
    for channel in channels.values { channel.close() }
    channels = [:]
    for feed in feeds { feed.stop() }
    feeds = []
    flusher.stop()
    worker.stop()
    guard !hasFailed else { return }
    do { try store.close(now: Clock.wallNow()) } catch {
      Self.log.error("log not closed: \(error)")
    }
  }

  /// The log cannot be trusted any more: nothing is stepped or answered from here on.
  func fail(_ why: String) {
    guard !hasFailed else { return }
    hasFailed = true
    Self.log.error("metadata log failed: \(why)")
    for channel in channels.values { channel.close() }
    shutdownCompleted?()
    options.onFailure(why)
  }

  // MARK: Steps

  func newToken(_ payload: Payload) -> Token {
    lastToken += 1
    payloads[lastToken] = payload
    return lastToken
  }

  /// Takes an event, now or, when it comes out of an effect, behind the step under way.
  func take(_ event: RaftEvent) {
    assert(loop.isCurrent)
    inbox.append(event)
    guard !isStepping else { return }
    isStepping = true
    var effects: [RaftEffect] = []
    while !inbox.isEmpty, !hasFailed, !isClosed {
      let next = inbox.removeFirst()
      effects.removeAll(keepingCapacity: true)
      machine.step(next, at: Clock.now(), into: &effects)
      for effect in effects where !hasFailed { perform(effect) }
    }
    isStepping = false
    publish()
    arm()
  }

  private func arm() {
    let wanted = machine.nextDeadline
    guard wanted != armed, !isClosed else { return }
    loop.cancel(timer)
    armed = wanted
    guard wanted != .distantFuture, !hasFailed else { return }
    timer = loop.schedule(at: wanted) { [weak self] in
      guard let self else { return }
      armed = .distantFuture
      take(.timer)
    }
  }

  private func publish() {
    let leader = quorumLeader(machine.currentLeader)
    driver?.state.withLock { [machine, votedID] status in
      status.state = machine.state
      status.leader = leader
      status.votedID = votedID
      status.highWatermark = machine.highWatermark ?? -1
      status.logEndOffset = machine.log.endOffset
      status.voters = machine.voters
      status.kraftVersion = machine.log.kraftVersion
    }
  }

  /// The leader as hosts see it: with the endpoint of the listener that this node uses.
  func quorumLeader(_ leader: CurrentLeader) -> QuorumLeader {
    let listener = options.configuration.listener
    let endpoint = leader.endpoints.first { $0.listener == listener }
    return QuorumLeader(
      id: leader.id, epoch: leader.epoch.rawValue, host: endpoint?.host, port: endpoint?.port ?? 0)
  }

  // MARK: Proposals

  /// In one batch if it must be so, else in as many as it takes.
  func propose(
    _ records: [VersionedRecord], isAtomic: Bool, epoch: Int32,
    _ completion: @escaping ProposalCompletion
  ) {
    guard machine.isLeader, machine.epoch.rawValue == epoch, !hasFailed, !records.isEmpty else {
      return completion(.failure(.notLeader))
    }
    var parts: [(records: [VersionedRecord], bytes: Int)] = [([], 0)]
    for record in records {
      let bytes = MetadataBatch.sizeBound(record)
      guard bytes <= SnapshotWriter.maxBatchBytes else { return completion(.failure(.tooLarge)) }
      if parts[parts.count - 1].bytes + bytes > SnapshotWriter.maxBatchBytes {
        if isAtomic { return completion(.failure(.tooLarge)) }
        parts.append(([], 0))
      }
      parts[parts.count - 1].records.append(record)
      parts[parts.count - 1].bytes += bytes
    }
    for (index, part) in parts.enumerated() {
      let isLast = index == parts.count - 1
      let token = newToken(.records(part.records, last: isLast, completion))
      take(
        .append(
          token, count: part.records.count, bytes: part.bytes, epoch: LeaderEpoch(epoch)))
    }
  }

  // MARK: Listeners

  func add(_ feed: MetadataFeed) {
    feeds.append(feed)
    feed.tell(quorumLeader(machine.currentLeader))
    feed.tell(machine.voters, kraftVersion: machine.log.kraftVersion)
    if let offset = machine.highWatermark { feed.advance(to: offset) }
    if let leadership { feed.lead(leadership.epoch, from: leadership.startOffset) }
  }
}

/// One flush at a time; what is wanted meanwhile is done by the next.
struct FlushState {
  var isRunning = false
  var isWanted = false
  /// What was cut off while it ran must not be called durable.
  var cap = Offset.max
}
