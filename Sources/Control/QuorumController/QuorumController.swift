// The KRaft controller: the decisions of `Controller` over a replicated log.
import Decision
import KafkaMessages
import KafkaProtocol
import KafkaRecords
import Metadata
import Quotas
import Values

/// The controller of a KRaft cluster as a pure machine: events in, effects out.
///
/// Every controller of the quorum runs one. A standby only takes in what is committed. The active
/// one decides requests against `pending`, the state with all that it has appended; an answer is
/// held back until the records behind it, and behind what it has seen, are committed. When it loses
/// leadership, `pending` is dropped, and requests without an answer get
/// NOT_CONTROLLER: whether their records survive the next leader decides.
///
/// The contract with the host, which runs Raft and the sockets:
/// - `committed` and `snapshotLoaded` come in the order of offsets, on every node, the active one
///   included, for all records there are. Control batches are passed without records.
/// - `becameLeader` comes when all that precedes this leader's epoch has been passed as committed.
/// - Each `append` effect is answered by `appended`, or by `resigned` if Raft does not take it.
///   Appends go to Raft in the order of the effects.
/// - Ticks come when `wakeAt` asked for them; more of them do no harm.
public struct QuorumController: Sendable {
  public internal(set) var options: QuorumControllerOptions
  /// What is committed: all that snapshots and metrics may show.
  public internal(set) var committed: MetadataLoader
  /// The state that the next decision builds on. Empty on a standby: two holders of one image would
  /// have to copy what they share at every batch.
  var pending: Controller
  /// The epoch in which this node is the active controller; nil on a standby.
  public internal(set) var epoch: Int32?

  /// Who sent heartbeats when: soft state of the active controller.
  var sessions = BrokerSessions()
  /// Where each broker's last registration lies in the log, or behind it: a broker that has read so
  /// far knows of itself.
  var registrationOffsets: [BrokerID: Offset] = [:]
  /// What clients have created and deleted lately: soft state of the active controller.
  var mutations: MutationQuotas
  /// Placement and identifiers. Only the active controller draws from it.
  var random: SplitMix

  // What is under way. Tokens number the appends; replies wait for the last append that they saw.
  /// The offset that the next record gets, if Raft writes nothing of its own before it.
  var nextOffset: Offset = 0
  private var lastToken = 0
  private var inFlight: [Append] = []
  private var gate = ReplyGate<Parked>()
  /// Committed while newer appends were in flight: not in `committed` yet.
  private var lag: [Batch] = []

  // Periodic work of the active controller: when it is due.
  var noOpAt: Instant = .distantFuture
  var rebalanceAt: Instant = .distantFuture
  var uncleanElectionAt: Instant = .distantFuture
  var tokenExpiryAt: Instant = .distantFuture
  private var wakeAt: Instant = .distantFuture

  // The step that is being made.
  var now: Instant = .zero
  var wallTime = WallTime(milliseconds: 0)
  var out: [Effect] = []

  public init(options: QuorumControllerOptions, seed: UInt64) {
    self.options = options
    committed = MetadataLoader()
    pending = Controller(options: options.base)
    random = SplitMix(seed: seed)
    mutations = MutationQuotas(
      count: options.mutationSampleCount, widthMs: options.mutationSampleMs)
  }

  public var isActive: Bool { epoch != nil }

  /// What this controller knows, on the active one with all that it has decided.
  public var image: MetadataImage { isActive ? pending.image : committed.image }

  private struct Append {
    var token: Int
    /// Its first and last offset if Raft writes nothing in between.
    var first: Offset
    var expected: Offset
    /// Nil until Raft has said it.
    var lastOffset: Offset?
  }

  private struct Parked {
    var id: Int
    var response: any KafkaResponse
    /// What is answered instead if leadership is lost.
    var orElse: any KafkaResponse
  }

  private struct Batch {
    var records: [MetadataRecord]
    var lastOffset: Offset
    var epoch: Int32
  }

  // MARK: Events and effects

  public enum Event: Sendable {
    /// This node leads the quorum in `epoch`; its next record gets `nextOffset`.
    case becameLeader(epoch: Int32, nextOffset: Offset)
    /// It leads no longer, or an append failed. Does nothing on a standby.
    case resigned
    /// The offset of the last record of an append.
    case appended(token: Int, lastOffset: Offset)
    /// One batch of the log is committed. `lastOffset` counts control records too.
    case committed([MetadataRecord], lastOffset: Offset, epoch: Int32)
    /// A snapshot replaces everything; `lastOffset` is the last that it covers. Build the image
    /// with `MetadataImage.apply`. Never while this node is active.
    case snapshotLoaded(MetadataImage, lastOffset: Offset, epoch: Int32)
    /// Answered by exactly one `respond` with the same id, from standbys too.
    case request(id: Int, any ControllerRequest, RequestContext)
    /// The process of a broker is proven to be gone, in this life of it. Does nothing when the
    /// broker has registered anew or is fenced already, and on a standby.
    case brokerGone(BrokerID, BrokerEpoch)
    /// The time asked for by `wakeAt` has come, or any other.
    case tick
    /// Settings that may change while running.
    case options(QuorumControllerOptions)
  }

  public enum Effect: Sendable {
    /// Records for Raft, with the versions to write them in: one batch, at most
    /// `maximumRecords` of them.
    case append(token: Int, [VersionedRecord])
    /// The answer, of the request's `Response` type.
    case respond(id: Int, any KafkaResponse)
    /// A tick is wanted at this time; replaces what was asked for before.
    case wakeAt(Instant)
    /// This node cannot lead, for the reason given: Raft shall resign.
    case resign(String)
    case log(String)
  }

  /// Takes one event. Times are those of its arrival.
  public mutating func step(
    _ event: Event, at now: Instant, wallTime: WallTime, into effects: inout [Effect]
  ) {
    self.now = now
    self.wallTime = wallTime
    switch event {
    case .becameLeader(let epoch, let nextOffset): activate(epoch, nextOffset)
    case .resigned: resign()
    case .appended(let token, let lastOffset): noteAppended(token, lastOffset)
    case .committed(let records, let lastOffset, let epoch):
      take(Batch(records: records, lastOffset: lastOffset, epoch: epoch))
    case .snapshotLoaded(let image, let lastOffset, let epoch):
      load(image, lastOffset, epoch)
    case .request(let id, let request, let context): handle(request, id, context)
    case .brokerGone(let id, let epoch): if isActive { fenceGone(id, epoch) }
    case .tick: wakeAt = .distantFuture
    case .options(let options): take(options)
    }
    if isActive { runDueWork() }
    requestWake()
    effects += out
    out.removeAll()
  }

  // MARK: Requests

  private mutating func handle(
    _ request: some ControllerRequest, _ id: Int, _ context: RequestContext
  ) {
    let notController = request.refused(Refusal(.notController), version: context.version)
    guard isActive else { return out.append(.respond(id: id, notController)) }
    var outcome = request.decide(&self, context)
    if outcome.isBounded, outcome.records.count > Self.maximumRecords {
      outcome = .init(request.refused(Self.tooLarge, version: context.version))
    }
    append(outcome.records, isAtomic: outcome.isAtomic)
    // Even a refusal may rest on what is not committed yet: a topic that exists, a broker that is
    // gone. It must not be told before that is so.
    let parked = Parked(id: id, response: outcome.response, orElse: notController)
    guard let last = inFlight.last else {
      return out.append(.respond(id: id, outcome.response))
    }
    gate.park(parked, until: Int64(last.token))
  }

  // MARK: Appending and committing

  /// Hands records to Raft and goes on as if they were committed. More than a batch holds go into
  /// several, unless they must be one.
  mutating func append(_ records: [MetadataRecord], isAtomic: Bool) {
    var rest = records[...]
    while !rest.isEmpty {
      let batch = isAtomic ? rest : rest.prefix(Self.maximumRecords)
      rest = rest.dropFirst(batch.count)
      appendBatch(batch)
    }
  }

  private mutating func appendBatch(_ records: ArraySlice<MetadataRecord>) {
    let first = nextOffset
    var versioned: [VersionedRecord] = []
    versioned.reserveCapacity(records.count)
    for record in records {
      // Replayed first: the records behind a new level are written in the versions of that level.
      noteRegistration(record, at: nextOffset)
      pending.replay(record)
      nextOffset += 1
      versioned.append(VersionedRecord(record, at: pending.image.metadataVersion))
    }
    lastToken += 1
    inFlight.append(
      Append(token: lastToken, first: first, expected: nextOffset - 1, lastOffset: nil))
    out.append(.append(token: lastToken, versioned))
  }

  private mutating func noteAppended(_ token: Int, _ lastOffset: Offset) {
    guard let index = inFlight.firstIndex(where: { $0.token == token }) else { return }
    inFlight[index].lastOffset = lastOffset
    move(by: lastOffset - inFlight[index].expected, from: inFlight[index].first, index)
    // It may be committed already: the two messages take different ways.
    settle()
  }

  /// Raft has put records of its own in between: all that was to come at `first` or behind it comes
  /// so much later.
  private mutating func move(by distance: Offset, from first: Offset, _ index: Int) {
    guard distance > 0 else { return }
    nextOffset += distance
    sessions.moveShutdownOffsets(by: distance, from: first)
    for broker in pending.image.brokers.all {
      guard let offset = registrationOffsets[broker.id], offset >= first else { continue }
      registrationOffsets[broker.id] = offset + distance
    }
    for later in inFlight.indices[(index + 1)...] {
      inFlight[later].first += distance
      inFlight[later].expected += distance
    }
  }

  private mutating func take(_ batch: Batch) {
    guard batch.lastOffset > (lag.last?.lastOffset ?? committed.lastOffset) else { return }
    if let epoch, batch.epoch > epoch {
      // Another node leads already, and what this one appended has lost its place in the log.
      out.append(.resign("Epoch \(batch.epoch) has begun."))
      resign()
    }
    guard isActive, !inFlight.isEmpty else {
      note(batch)
      // Nobody but this node writes while it leads; if somebody did, it is known here as well.
      if isActive { pending.replay(batch.records) }
      committed.apply(batch.records, lastOffset: batch.lastOffset, epoch: batch.epoch)
      return
    }
    lag.append(batch)
    settle()
    if lag.count >= Self.maximumLag { catchUp() }
  }

  /// Answers what is committed by now. When nothing is in flight, what was decided here is what is
  /// committed: the two images share everything again.
  private mutating func settle() {
    release()
    guard inFlight.isEmpty, let last = lag.last else { return }
    committed = MetadataLoader(
      pending.image, lastOffset: last.lastOffset, epoch: last.epoch, isEmpty: false)
    lag.removeAll()
  }

  /// Batches that `committed` may be behind while the next appends are already under way. Applying
  /// them one by one would copy what both images share; waiting for a quiet moment copies nothing.
  private static let maximumLag = 1000

  private mutating func catchUp() {
    for batch in lag {
      committed.apply(batch.records, lastOffset: batch.lastOffset, epoch: batch.epoch)
    }
    lag.removeAll()
  }

  private mutating func release() {
    let offset = lag.last?.lastOffset ?? committed.lastOffset
    var done: Int?
    while let first = inFlight.first, let last = first.lastOffset, last <= offset {
      done = first.token
      inFlight.removeFirst()
    }
    guard let done else { return }
    gate.release(upTo: Int64(done)) { out.append(.respond(id: $0.id, $0.response)) }
  }

  private mutating func load(_ image: MetadataImage, _ lastOffset: Offset, _ epoch: Int32) {
    guard !isActive else { return resignForSnapshot() }
    committed.load(snapshot: image, lastOffset: lastOffset, epoch: epoch)
    for broker in image.brokers.all { registrationOffsets[broker.id] = lastOffset }
  }

  /// A leader has everything that a snapshot could tell it: this node is not what it thinks it is.
  private mutating func resignForSnapshot() {
    out.append(.resign("A snapshot was to be loaded on the active controller."))
    resign()
  }

  private mutating func note(_ batch: Batch) {
    let first = batch.lastOffset - Offset(batch.records.count) + 1
    for (index, record) in batch.records.enumerated() {
      noteRegistration(record, at: first + Offset(index))
    }
  }

  private mutating func noteRegistration(_ record: MetadataRecord, at offset: Offset) {
    switch record {
    case .registerBroker(let record): registrationOffsets[BrokerID(record.brokerID)] = offset
    case .unregisterBroker(let record): registrationOffsets[BrokerID(record.brokerID)] = nil
    default: break
    }
  }

  // MARK: Leadership

  /// What was decided but not committed is forgotten: the log of the next leader tells whether it
  /// survives. Whoever waits for it asks that leader.
  mutating func resign() {
    guard let epoch else { return }
    out.append(.log("Renouncing the leadership in epoch \(epoch) due to a metadata log event."))
    self.epoch = nil
    catchUp()
    inFlight.removeAll()
    gate.abandon { out.append(.respond(id: $0.id, $0.orElse)) }
    pending = Controller(options: pending.options)
    sessions = BrokerSessions()
    noOpAt = .distantFuture
    rebalanceAt = .distantFuture
    uncleanElectionAt = .distantFuture
    tokenExpiryAt = .distantFuture
  }

  private mutating func take(_ options: QuorumControllerOptions) {
    self.options = options
    pending.options = options.base
  }

  private mutating func requestWake() {
    var next = min(min(noOpAt, rebalanceAt), min(uncleanElectionAt, tokenExpiryAt))
    next = min(next, sessions.nextExpiry(timeoutMs: options.brokerSessionTimeoutMs))
    guard next != wakeAt || next <= now else { return }
    wakeAt = next
    if next != .distantFuture { out.append(.wakeAt(next)) }
  }
}
