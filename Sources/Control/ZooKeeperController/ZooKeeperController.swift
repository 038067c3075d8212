import KafkaMessages
import KafkaRecords
import Metadata
import Values

/// The controller of a ZooKeeper-mode cluster, as every broker has one and one broker's is active:
/// election, the reaction to every znode it watches, and what clients and brokers ask of it.
///
/// A protocol machine. It never waits: a step takes one event and adds effects, and reads and
/// writes of znodes come back as events. Work is done strictly one task after the other, as a queue
/// of what has happened: a task decides on what the store holds, writes, and only when the store
/// has answered is the next one looked at. So decisions always build on committed state, and the
/// multis of one task can still be pipelined.
///
/// `ZooKeeperController+….swift` have the tasks by subject.
public struct ZooKeeperController {
  public let brokerID: BrokerID
  public let version: InterBrokerVersion
  /// The listener by which brokers reach each other.
  public let listener: String

  /// Set while this broker is the controller.
  public internal(set) var term: ControllerTerm?
  /// Who the controller is, as far as is known.
  public internal(set) var activeController: BrokerID = .none
  public internal(set) var control: Controller
  var options: ControllerOptions
  var random: SplitMix
  /// Since the start of the process.
  public internal(set) var uncleanElections = 0

  // What the store holds beyond the image.
  /// Partitions whose state another controller wrote, and in which epoch.
  var writtenBy: [TopicPartition: ControllerEpoch] = [:]
  var producerIDVersion: Int32 = 0
  var watchedTopics: Set<String> = []
  var watchedBrokers: Set<BrokerID> = []
  /// While it reads everything at the beginning of its term, and the brokers found meanwhile that
  /// have restarted since a partition counted on them.
  var isLoading = false
  var returned: Set<BrokerID> = []
  /// Lives of brokers that are over although their registrations still stand.
  public internal(set) var departed: [BrokerID: BrokerEpoch] = [:]
  /// Reassignments that came by znode, which is deleted when the last of them is done.
  var znodeReassignments: [TopicPartition: [BrokerID]] = [:]
  var deletions = TopicDeletions()
  /// DeleteTopics requests that wait for their topics to be gone.
  var deletionWaiters: [DeletionWaiter] = []

  // The work.
  // Jobs that wait, and the one that is under way: it has a read or a write outstanding, and goes
  // on in one of the two tables when the results come. There is never more than one.
  var queue: [Job] = []
  private var isBusy = false
  private var nextToken = 0
  private var waitingReads: [Int: (inout ZooKeeperController, [ZnodeReadResult]) -> Void] = [:]
  private var waitingWrites: [Int: (inout ZooKeeperController, [ZnodeOutcome]) -> Void] = [:]
  /// Whether leader rebalance timers are running.
  var isRebalanceScheduled = false

  /// The request being worked on, while it has no answer.
  var currentRequest: Int?

  // The step that is being made.
  var now: Instant = .zero
  var wallTime = WallTime(milliseconds: 0)
  var out: [Effect] = []

  public init(
    brokerID: BrokerID, version: InterBrokerVersion, listener: String, options: ControllerOptions,
    seed: UInt64
  ) {
    self.brokerID = brokerID
    self.version = version
    self.listener = listener
    self.options = options
    self.options.isLeaderRecoverySupported = version.usesLeaderRecovery
    control = Controller(options: self.options)
    random = SplitMix(seed: seed)
  }

  public var isActive: Bool { term != nil }

  // MARK: Events and effects

  public enum Event {
    /// There is a session, and this broker is registered in it.
    case sessionStarted
    /// The session is gone, and all that was ephemeral in it.
    case sessionExpired
    case read(Int, [ZnodeReadResult])
    case written(Int, [ZnodeOutcome])
    /// A watch fired at this path, for whatever reason.
    case changed(String)
    case request(Int, ControlRequest)
    case answer(BrokerID, BrokerEpoch, BrokerAnswer)
    /// The process of a broker is proven to be gone, in this life of it.
    case brokerGone(BrokerID, BrokerEpoch)
    /// It was not gone, after all.
    case brokerAnswers(BrokerID, BrokerEpoch)
    /// The time asked for by `wakeAt` has come, or any other.
    case tick
    /// Options that may change while running.
    case options(ControllerOptions)
  }

  public enum Effect {
    case read(Int, [ZnodeRead])
    /// Multis, to be sent in this order without waiting between them.
    case write(Int, [ZnodeTransaction])
    case openChannel(BrokerImage)
    case closeChannel(BrokerID)
    /// This is the controller's broker now, which others may watch; nil: nobody to be watched.
    case watchController(BrokerImage?)
    case send(BrokerRequest)
    /// `isToldFirst`: this broker shall have taken in what was sent to it before.
    case respond(Int, ControlAnswer, isToldFirst: Bool)
    case becameController(ControllerTerm)
    case resigned
    case log(String)
    case wakeAt(Instant)
  }

  /// Things to do, one after the other.
  enum Job {
    case elect
    case checkController
    case brokerGone(BrokerID, BrokerEpoch)
    case brokers
    case broker(BrokerID)
    case topics
    case topic(String)
    case topicDeletions
    case znodeReassignments
    case znodeElection
    case isrChanges
    case logDirEvents
    case configChanged(String)
    case request(Int, ControlRequest)
    case answer(BrokerID, BrokerEpoch, BrokerAnswer)
    case rebalance
    /// Goes on with deletions whose brokers have answered.
    case deletionProgress
    case electOffline
    case completeReassignment(TopicPartition)
  }

  /// Takes one event. Times are those of its arrival.
  public mutating func step(
    _ event: Event, at now: Instant, wallTime: WallTime, into effects: inout [Effect]
  ) {
    self.now = now
    self.wallTime = wallTime
    switch event {
    case .sessionStarted: enqueue(.elect)
    case .sessionExpired: expire()
    case .read(let token, let results):
      if let go = waitingReads.removeValue(forKey: token) {
        isBusy = false
        go(&self, results)
      }
    case .written(let token, let outcomes):
      if let go = waitingWrites.removeValue(forKey: token) {
        isBusy = false
        go(&self, outcomes)
      }
    case .changed(let path): noteChange(path)
    case .request(let id, let request):
      if case .topicConfigChanged(let topic) = request {
        if isActive { enqueue(.configChanged(topic)) }
      } else {
        enqueue(.request(id, request))
      }
    case .answer(let broker, let epoch, let answer):
      if isActive { enqueue(.answer(broker, epoch, answer)) }
    case .brokerGone(let id, let epoch): enqueue(.brokerGone(id, epoch))
    case .brokerAnswers(let id, let epoch): noteAnswering(id, epoch)
    case .tick: tick()
    case .options(let options): take(options)
    }
    runQueue()
    effects += out
    out.removeAll()
  }

  private mutating func take(_ options: ControllerOptions) {
    let allowsMore = options.isUncleanElectionEnabled && !self.options.isUncleanElectionEnabled
    self.options = options
    self.options.isLeaderRecoverySupported = version.usesLeaderRecovery
    control.options = self.options
    if allowsMore, isActive { enqueue(.electOffline) }
  }

  // MARK: The queue

  mutating func enqueue(_ job: Job) { queue.append(job) }

  /// A watch tells only that something changed; one look at it covers all changes so far.
  mutating func enqueueOnce(_ job: Job, _ isSame: (Job) -> Bool) {
    if !queue.contains(where: isSame) { queue.append(job) }
  }

  /// Begins jobs until one has to wait for the store.
  private mutating func runQueue() {
    while !isBusy, !queue.isEmpty {
      let job = queue.removeFirst()
      run(job)
    }
  }

  private mutating func run(_ job: Job) {
    switch job {
    case .elect: elect()
    case .checkController: checkController()
    case .brokerGone(let id, let epoch): brokerGone(id, epoch)
    case .request(let id, let request):
      guard isActive else { return respond(id, .notController) }
      currentRequest = id
      handle(id, request)
    // Paths of single topics and brokers. Their watch is used up: the job sets it again.
    default:
      guard isActive else { return }
      switch job {
      case .brokers: brokersChanged()
      case .broker(let id): brokerChanged(id)
      case .topics: topicsChanged()
      case .topic(let name): topicChanged(name)
      case .topicDeletions: topicDeletionsChanged()
      case .znodeReassignments: znodeReassignmentsChanged()
      case .znodeElection: znodeElectionChanged()
      case .isrChanges: isrChangesNotified()
      case .logDirEvents: logDirEventsNotified()
      case .configChanged(let topic): topicConfigChanged(topic)
      case .answer(let broker, let epoch, let answer): brokerAnswered(broker, epoch, answer)
      case .rebalance: rebalance()
      case .deletionProgress: continueDeletions()
      case .electOffline: electOffline()
      case .completeReassignment(let at): completeReassignments([at])
      case .elect, .checkController, .brokerGone, .request: break
      }
    }
  }

  /// Reads znodes; the task goes on with the results, in the order of the reads.
  mutating func read(
    _ reads: [ZnodeRead], then go: @escaping (inout Self, [ZnodeReadResult]) -> Void
  ) {
    if reads.isEmpty {
      go(&self, [])
      return
    }
    nextToken += 1
    isBusy = true
    waitingReads[nextToken] = go
    out.append(.read(nextToken, reads))
  }

  /// Writes multis; the task goes on with their outcomes.
  mutating func write(
    _ transactions: [ZnodeTransaction],
    then go: @escaping (inout Self, [ZnodeOutcome]) -> Void
  ) {
    if transactions.isEmpty {
      go(&self, [])
      return
    }
    nextToken += 1
    isBusy = true
    waitingWrites[nextToken] = go
    out.append(.write(nextToken, transactions))
  }

  /// Forgets what is under way: its results mean nothing any more.
  // Their tokens are not in the tables any more, so results that still come are not looked at.
  mutating func abandonWork() {
    waitingReads.removeAll()
    waitingWrites.removeAll()
    isBusy = false
  }

  mutating func respond(_ id: Int, _ answer: ControlAnswer, isToldFirst: Bool = false) {
    if currentRequest == id { currentRequest = nil }
    out.append(.respond(id, answer, isToldFirst: isToldFirst))
  }

  mutating func log(_ text: String) { out.append(.log(text)) }

  // MARK: Watches and timers

  private mutating func noteChange(_ path: String) {
    if path == ZnodePath.controller {
      enqueue(.checkController)
      return
    }
    guard isActive else { return }
    switch path {
    case ZnodePath.brokerIDs:
      enqueueOnce(.brokers) { if case .brokers = $0 { true } else { false } }
    case ZnodePath.topics: enqueueOnce(.topics) { if case .topics = $0 { true } else { false } }
    case ZnodePath.topicDeletions: enqueue(.topicDeletions)
    case ZnodePath.reassignment: enqueue(.znodeReassignments)
    case ZnodePath.preferredElection: enqueue(.znodeElection)
    case ZnodePath.isrChanges: enqueue(.isrChanges)
    case ZnodePath.logDirEvents: enqueue(.logDirEvents)
    default:
      if let name = path.child(of: ZnodePath.topics) {
        watchedTopics.remove(name)
        enqueue(.topic(name))
      } else if let id = path.child(of: ZnodePath.brokerIDs).flatMap({ Int32($0) }) {
        watchedBrokers.remove(BrokerID(id))
        enqueue(.broker(BrokerID(id)))
      }
    }
  }

  private mutating func tick() {
    expireDeletionWaiters()
    guard isActive else { return }
    if let at = rebalanceAt, at <= now {
      rebalanceAt = nil
      enqueue(.rebalance)
    }
  }

  /// When leadership is looked at next.
  var rebalanceAt: Instant?

  mutating func wake(at instant: Instant) { out.append(.wakeAt(instant)) }
}

extension String {
  /// The name of a direct child of `parent`, if this is its path.
  func child(of parent: String) -> String? {
    guard hasPrefix(parent + "/") else { return nil }
    let name = dropFirst(parent.utf8.count + 1)
    return name.isEmpty || name.contains("/") ? nil : String(name)
  }
}

/// One read of the store.
public enum ZnodeRead: Equatable, Sendable {
  /// The names of a node's children; with a watch for children coming and going.
  case children(String, watch: Bool)
  /// A node's data; with a watch for changes, deletion, or, if it is missing, creation.
  case data(String, watch: Bool)
}

public enum ZnodeReadResult: Equatable, Sendable {
  case children([String])
  case content(ZnodeContent)
  case missing
  case failed(Int32)

  var content: ZnodeContent? {
    if case .content(let content) = self { return content }
    return nil
  }

  var children: [String] {
    if case .children(let names) = self { return names.sorted() }
    return []
  }
}
