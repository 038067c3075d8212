/// Runs the controller's machine: carries out its effects on the session's loop, and brings back
/// what comes of them.
import Control
import KafkaMessages
import KafkaProtocol
import KafkaTransport
import Metadata
import Platform
import Synchronization
import Telemetry
import Transport
import Values
import ZooKeeperClient

/// Confined to the session's loop, but for `isActive` and `ask`.
final class ControllerRunner: @unchecked Sendable {  // confined to the loop but for what is noted
  let loop: EventLoop
  private let session: ZooKeeperSession
  private var machine: ZooKeeperController
  private var channels: [BrokerID: BrokerRequestChannel] = [:]
  // Answers that are owed, by the number of the request.
  private var replies: [Int: (ControlAnswer) -> Void] = [:]
  private var nextRequest = 0
  private let requestTimeoutMs: Int64
  private let peerLimits: ConnectionLimits
  /// Brokers whose processes are watched: all others on the controller, elsewhere the controller's.
  private var subjects: [BrokerID: BrokerProbe.Subject] = [:]
  /// Nil when only sessions count.
  private var watch: BrokerWatch?
  private let active = Atomic<Bool>(false)
  private let gauges = Gauges()
  private static let log = Log("controller")

  /// What metrics show, read from any thread.
  final class Gauges: Sendable {
    struct Values: Sendable {
      var topics = 0
      var partitions = 0
      var offlinePartitions = 0
      var activeBrokers = 0
      var preferredImbalance = 0
      var topicsToDelete = 0
      var uncleanElections = 0
    }
    let values = Mutex(Values())
  }

  init(
    session: ZooKeeperSession, machine: ZooKeeperController, requestTimeoutMs: Int64,
    peerLimits: ConnectionLimits
  ) {
    self.session = session
    loop = session.loop
    self.machine = machine
    self.requestTimeoutMs = requestTimeoutMs
    self.peerLimits = peerLimits
  }

  /// From any thread.
  var isActive: Bool { active.load(ordering: .acquiring) }
  var metrics: Gauges.Values { gauges.values.withLock { $0 } }

  // MARK: Events

  /// On the loop, once: watches come here from now on.
  /// Sessions are told by the membership, which first has to register.
  func attach() {
    session.onWatch { [unowned self] event in step(.changed(event.path)) }
  }

  /// On the loop, once: from now on brokers that die are missed before their sessions end.
  func watchBrokers(sessionTimeoutMs: Int64, metrics: Metrics) {
    watch = BrokerWatch(
      on: loop, sessionTimeoutMs: sessionTimeoutMs, metrics: metrics,
      onConfirmed: { [weak self] in self?.step(.brokerGone($0.id, $0.epoch)) },
      onRevoked: { [weak self] in self?.step(.brokerAnswers($0.id, $0.epoch)) })
  }

  /// A follower here has reached a broker. Its address counts as one that answers, should this
  /// broker become the controller when that one is gone already.
  func noteReached(host: String, port: UInt16) { watch?.noteReached(host: host, port: port) }

  /// The broker is registered in a new session.
  func sessionStarted() { step(.sessionStarted) }
  /// The session is gone: whatever this controller was, it is no more.
  func sessionExpired() { step(.sessionExpired) }

  /// Settings changed while running.
  func take(_ options: ControllerOptions) {
    loop.execute { [self] in step(.options(options)) }
  }

  /// Asks from any thread; the answer comes on the loop.
  func ask(_ request: ControlRequest, _ reply: @escaping @Sendable (ControlAnswer) -> Void) {
    loop.execute { [self] in
      nextRequest += 1
      replies[nextRequest] = reply
      step(.request(nextRequest, request))
    }
  }

  /// Tells the machine something that has no answer.
  func tell(_ request: ControlRequest) {
    loop.execute { [self] in step(.request(0, request)) }
  }

  /// One event; what it causes is carried out before the next.
  private func step(_ event: ZooKeeperController.Event) {
    var effects: [ZooKeeperController.Effect] = []
    machine.step(event, at: loop.now, wallTime: loop.wallNow, into: &effects)
    let watchedBefore = subjects
    for effect in effects { perform(effect) }
    if subjects != watchedBefore { watch?.watch(Array(subjects.values)) }
    if active.load(ordering: .relaxed) != machine.isActive {
      active.store(machine.isActive, ordering: .releasing)
    }
  }

  // MARK: Effects

  private func perform(_ effect: ZooKeeperController.Effect) {
    switch effect {
    case .read(let token, let reads):
      session.read(reads) { [weak self] results in
        // With the session everything ends; the machine hears of that by itself.
        if let lost = results.first(where: Self.isLost) { return Self.giveUp("\(lost)") }
        self?.step(.read(token, results))
      }
    case .write(let token, let transactions):
      session.write(transactions) { [weak self] outcomes in
        if let lost = outcomes.first(where: Self.isLost) { return Self.giveUp("\(lost)") }
        self?.step(.written(token, outcomes))
      }
    case .openChannel(let broker): open(broker)
    case .closeChannel(let id):
      channels.removeValue(forKey: id)?.close()
      // One that is only believed to be gone stays in sight while its registration stands.
      if machine.departed[id] == nil { subjects[id] = nil }
    case .watchController(let broker):
      subjects = [:]
      if let broker { look(at: broker) }
    case .send(let request): channels[request.broker]?.send(request)
    case .respond(let id, let answer, let isToldFirst): respond(id, answer, isToldFirst)
    case .becameController(let term):
      Self.log.info("elected", ["epoch": term.epoch.rawValue])
      subjects = [:]
    case .resigned:
      subjects = [:]
      for channel in channels.values { channel.close() }
      channels.removeAll()
      gauges.values.withLock {
        $0 = Gauges.Values(uncleanElections: machine.uncleanElections)
      }
      Self.log.info("resigned")
    case .log(let text): Self.log.info(text)
    case .wakeAt(let instant):
      loop.schedule(at: instant) { [weak self] in self?.step(.tick) }
    }
  }

  /// Anything but an expired session is for a person to look into: the controller stands still.
  private static func giveUp(_ what: String) {
    log.warn("the coordination service refused a request of the controller", ["answer": what])
  }

  private static func isLost(_ result: ZnodeReadResult) -> Bool {
    if case .failed = result { true } else { false }
  }

  private static func isLost(_ outcome: ZnodeOutcome) -> Bool {
    if case .failed(-1, _) = outcome { true } else { false }
  }

  /// A broker that came again gets a new line: what the old one still had to say was for its
  /// earlier life.
  private func open(_ broker: BrokerImage) {
    look(at: broker)
    channels.removeValue(forKey: broker.id)?.close()
    channels[broker.id] = BrokerRequestChannel(
      to: broker, listener: machine.listener, controllerID: machine.brokerID,
      timeoutMs: requestTimeoutMs, limits: peerLimits, on: loop,
      topicName: { [unowned self] in machine.control.image.topics.name(of: $0) },
      answered: { [unowned self] request, answer in
        step(.answer(request.broker, request.brokerEpoch, answer))
      })
  }

  private func look(at broker: BrokerImage) {
    guard broker.id != machine.brokerID else { return }
    subjects[broker.id] = BrokerProbe.Subject(broker, listener: machine.listener)
  }

  private func respond(_ id: Int, _ answer: ControlAnswer, _ isToldFirst: Bool) {
    guard let reply = replies.removeValue(forKey: id) else { return }
    // A client that asks this broker next shall find what it was told.
    if isToldFirst, let channel = channels[machine.brokerID] {
      channel.afterAll { reply(answer) }
    } else {
      reply(answer)
    }
  }

  // MARK: Looking in

  /// Puts the controller's numbers where dashboards look for them.
  func register(in registry: Metrics) {
    let prefix = "kafka_controller_kafkacontroller_"
    func gauge(_ name: String, _ value: @escaping @Sendable (Gauges.Values) -> Int) {
      registry.gauge("\(prefix)\(name)") { [gauges] in
        Double(value(gauges.values.withLock { $0 }))
      }
    }
    gauge("offlinepartitionscount", \.offlinePartitions)
    gauge("globaltopiccount", \.topics)
    gauge("globalpartitioncount", \.partitions)
    gauge("activebrokercount", \.activeBrokers)
    gauge("preferredreplicaimbalancecount", \.preferredImbalance)
    gauge("topicstodeletecount", \.topicsToDelete)
    registry.gauge("kafka_controller_controllerstats_uncleanleaderelections_total") { [gauges] in
      Double(gauges.values.withLock { $0.uncleanElections })
    }
  }

  /// Counts for the metrics; called now and then, on the loop.
  func refreshMetrics() {
    guard machine.isActive else { return }
    var values = Gauges.Values()
    let image = machine.control.image
    values.topics = image.topics.count
    values.activeBrokers = image.brokers.count
    values.topicsToDelete = machine.control.topicsBeingDeleted.count
    values.uncleanElections = machine.uncleanElections
    image.topics.forEachPartition { _, _, partition in
      values.partitions += 1
      let isLed = partition.hasLeader && image.brokers.isAlive(partition.leader)
      if !isLed { values.offlinePartitions += 1 }
      if partition.leader != partition.preferredReplica { values.preferredImbalance += 1 }
    }
    gauges.values.withLock { $0 = values }
  }

  /// Ends everything without answers to come.
  func close() {
    watch?.close()
    for channel in channels.values { channel.close() }
    channels.removeAll()
    for id in replies.keys.sorted() { replies.removeValue(forKey: id)?(.notController) }
  }
}
