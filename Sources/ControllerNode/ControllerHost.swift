/// Runs the controller's machine: gives it what is committed and what is asked, and carries out
/// what it decides.
import Control
import KafkaMessages
import KafkaProtocol
import KafkaTransport
import Metadata
import MetadataLog
import Platform
import Raft
import Synchronization
import Telemetry
import Values

/// What others may read of a controller at any time.
struct ControllerView: Sendable {
  var image = MetadataImage()
  /// The last offset that is in `image`; -1 before the first.
  var lastOffset: Offset = -1
  var isActive = false
}

/// Where the view lies: written by the host, read from any thread.
final class SharedView: Sendable {
  let state = Mutex(ControllerView())
  var current: ControllerView { state.withLock { $0 } }
}

/// Confined to `loop`.
final class ControllerHost {
  private let driver: RaftDriver
  private let loop: EventLoop
  private var machine: QuorumController
  private let view: SharedView
  private var askers: [Int: ServerRequest] = [:]
  private var lastID = 0
  private var timer = LoopTimer.none
  /// Of the last committed batch: what a snapshot says of its age.
  private var lastTimestamp: Int64 = -1
  private var inbox: [QuorumController.Event] = []
  private var isStepping = false
  private var isStopped = false
  /// Nil when only sessions count.
  private var watch: BrokerWatch?
  /// The listener that is tried, where brokers have one of this name; nil: their first.
  private var watchedListener: String?
  private var subjects: [BrokerProbe.Subject] = []
  /// Fenced because their process was gone; unfenced in the same life they would prove us wrong.
  private var departed: [BrokerProbe.Subject] = []
  /// Whether the machine was active when it was last looked at.
  private var wasActive = false
  /// Told when what is committed has changed, and when another node leads.
  var onChange: (() -> Void)?
  private static let log = Log("QuorumController")

  init(_ options: QuorumControllerOptions, driver: RaftDriver, loop: EventLoop, view: SharedView) {
    self.driver = driver
    self.loop = loop
    self.view = view
    machine = QuorumController(options: options, seed: SystemRandom.seed())
  }

  /// On the loop, once: from now on brokers that die are missed before their sessions end.
  func watchBrokers(listener: String?, sessionTimeoutMs: Int64, metrics: Metrics) {
    watchedListener = listener
    watch = BrokerWatch(
      on: loop, sessionTimeoutMs: sessionTimeoutMs, metrics: metrics,
      onConfirmed: { [weak self] in self?.depart($0) },
      // The heartbeats of a live broker have unfenced it long ago.
      onRevoked: { _ in })
  }

  /// Fences a broker whose process is gone, if this controller is the one to do it.
  private func depart(_ subject: BrokerProbe.Subject) {
    guard machine.isActive else { return }
    departed.append(subject)
    take(.brokerGone(subject.id, subject.epoch))
  }

  /// Every controller watches every broker that is not fenced: one that takes office because its
  /// predecessor died, with a broker in the same process perhaps, knows by then who else is gone.
  private func lookAround() {
    guard let watch else { return }
    let brokers = machine.committed.image.brokers.all
    let wanted = brokers.filter { !$0.isFenced }.compactMap {
      BrokerProbe.Subject($0, listener: watchedListener)
    }
    if wanted != subjects {
      for subject in departed where wanted.contains(subject) && !subjects.contains(subject) {
        Self.log.warn("broker \(subject.id.rawValue), which seemed to be gone, is alive")
        watch.noteAlive(subject.id, subject.epoch)
      }
      departed.removeAll { subject in !brokers.contains { $0.epoch == subject.epoch } }
      departed.removeAll { wanted.contains($0) && !subjects.contains($0) }
      subjects = wanted
      watch.watch(wanted)
    }
    let isActive = machine.isActive
    defer { wasActive = isActive }
    if isActive, !wasActive { for subject in watch.missing { depart(subject) } }
    if !isActive { departed.removeAll() }
  }

  /// Decides a request; it is answered when what it led to is committed.
  func ask(_ request: any ControllerRequest, _ asker: ServerRequest) {
    lastID += 1
    askers[lastID] = asker
    let principal = Principal(type: asker.principal.type, name: asker.principal.name)
    let context = RequestContext(
      version: asker.version, principal: principal, clientID: asker.clientID ?? "")
    take(.request(id: lastID, request, context))
  }

  /// Whoever waits is told to look for another controller.
  func stop() {
    take(.resigned)
    isStopped = true
    watch?.close()
    loop.cancel(timer)
  }

  // MARK: Steps

  /// One event at a time; what an event leads to is carried out before the next.
  private func take(_ event: QuorumController.Event) {
    guard !isStopped else { return }
    inbox.append(event)
    guard !isStepping else { return }
    isStepping = true
    var effects: [QuorumController.Effect] = []
    while !inbox.isEmpty {
      let next = inbox.removeFirst()
      effects.removeAll(keepingCapacity: true)
      machine.step(next, at: Clock.now(), wallTime: Clock.wallNow(), into: &effects)
      for effect in effects { perform(effect) }
    }
    isStepping = false
  }

  private func perform(_ effect: QuorumController.Effect) {
    switch effect {
    case .append(let token, let records): append(token, records)
    case .respond(let id, let response): respond(id, response)
    case .wakeAt(let instant):
      loop.cancel(timer)
      timer = loop.schedule(at: instant) { [weak self] in self?.take(.tick) }
    case .resign(let why):
      Self.log.error("resigning: \(why)")
      driver.resign(epoch: driver.leader.epoch)
    case .log(let line): Self.log.info(line)
    }
  }

  private func append(_ token: Int, _ records: [VersionedRecord]) {
    let epoch = machine.epoch ?? -1
    let host = Unchecked(self)
    driver.propose(records, isAtomic: true, epoch: epoch) { [loop] result in
      loop.execute { host.value.appended(token, epoch, result) }
    }
  }

  private func appended(_ token: Int, _ epoch: Int32, _ result: Result<Offset, ProposeError>) {
    // What an earlier term proposed is of no interest to this one.
    guard machine.epoch == epoch else { return }
    switch result {
    case .success(let offset): take(.appended(token: token, lastOffset: offset))
    case .failure(let error):
      Self.log.error("records not appended: \(error)", ["epoch": epoch])
      take(.resigned)
      driver.resign(epoch: epoch)
    }
  }

  private func respond(_ id: Int, _ response: any KafkaResponse) {
    guard let asker = askers.removeValue(forKey: id) else { return }
    // A standby answers nothing but NOT_CONTROLLER.
    guard machine.isActive else { return asker.reply.refuseAsNotController(response) }
    asker.answer(response)
  }

  private func publish() {
    view.state.withLock { [machine] view in
      view.image = machine.committed.image
      view.lastOffset = machine.committed.lastOffset
      view.isActive = machine.isActive
    }
    lookAround()
    onChange?()
  }
}

extension ControllerHost: MetadataListener {
  func committed(_ batches: [CommittedBatch]) {
    for batch in batches {
      lastTimestamp = batch.timestamp
      take(.committed(batch.records, lastOffset: batch.lastOffset, epoch: batch.epoch))
    }
    publish()
  }

  func loaded(_ snapshot: LoadedSnapshot) {
    lastTimestamp = snapshot.timestamp
    take(
      .snapshotLoaded(snapshot.image, lastOffset: snapshot.lastOffset, epoch: snapshot.epoch))
    publish()
  }

  func leaderChanged(_ leader: QuorumLeader) { publish() }

  func votersChanged(_ voters: VoterSet, kraftVersion: Int16) {
    var options = machine.options
    options.controllerIDs = voters.ids
    options.kraftVersion = kraftVersion
    take(.options(options))
  }

  func becameLeader(epoch: Int32, nextOffset: Offset) {
    Self.log.info("Becoming the active controller", ["epoch": epoch, "offset": nextOffset])
    take(.becameLeader(epoch: epoch, nextOffset: nextOffset))
    publish()
  }

  func resigned(epoch: Int32) {
    take(.resigned)
    publish()
  }

  func makeSnapshot() -> SnapshotContent? {
    let loader = machine.committed
    // In a transaction the image is older than the offset that a snapshot would stand for.
    guard loader.transactionStart == nil, loader.lastOffset >= 0 else { return nil }
    let image = loader.image
    return SnapshotContent(
      lastOffset: loader.lastOffset, epoch: loader.lastEpoch, timestamp: lastTimestamp
    ) { try image.forEachVersionedRecord($0) }
  }
}
