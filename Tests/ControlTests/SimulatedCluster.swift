import Control
import KafkaMessages
import KafkaProtocol
import Metadata
import Testing
import Values

/// Brokers with a controller each, and one store. A seed decides what happens next: which read,
/// write, request or answer is carried out, who crashes, whose session expires without his
/// noticing. Invariants are checked at every write, and again when everything has come to rest.
final class SimulatedCluster {
  /// What a broker was told about a replica of its.
  struct Replica: Equatable {
    var leader: Int32
    var leaderEpoch: Int32
    var isr: [Int32]
    var partitionEpoch: Int32
    var replicas: [Int32]
  }

  final class Broker {
    let id: BrokerID
    var machine: ZooKeeperController
    /// Nil while it is down.
    var session: Int?
    var epoch = BrokerEpoch.none
    var controllerEpoch: Int32 = 0
    var replicas: [TopicPartition: Replica] = [:]
    /// Directories that failed.
    var failed: Set<TopicPartition> = []
    /// Its process stands still, or is cut off: it takes no events but does not know.
    var isPaused = false
    var visible: [TopicPartition: Int32] = [:]

    init(_ id: BrokerID, machine: ZooKeeperController) {
      self.id = id
      self.machine = machine
    }
  }

  enum Action {
    case read(session: Int, BrokerID, Int, [ZnodeRead])
    case write(session: Int, BrokerID, Int, [ZnodeTransaction], done: [ZnodeOutcome])
    case event(session: Int, BrokerID, ZooKeeperController.Event)
    case request(from: BrokerID, BrokerRequest)
  }

  let store = FakeStore()
  var brokers: [BrokerID: Broker] = [:]
  var random: SplitMix
  var now = Instant.zero
  private var nextSession = 1
  private var nextRequest = 1
  /// In order for each broker: a session's operations do not overtake each other, nor do requests
  /// of one channel.
  private var lanes: [String: [Action]] = [:]
  var answers: [Int: ControlAnswer] = [:]
  /// The highest epochs that were ever stored.
  private var stored: [TopicPartition: (leaderEpoch: Int32, version: Int32, topic: Uuid)] = [:]
  private(set) var actions = 0
  var version: InterBrokerVersion

  init(brokers count: Int32, seed: UInt64, version: InterBrokerVersion = .latest) {
    random = SplitMix(seed: seed)
    self.version = version
    for id in 1...count {
      var options = ControllerOptions()
      options.leaderImbalanceCheckIntervalSeconds = 1
      let machine = ZooKeeperController(
        brokerID: BrokerID(id), version: version, listener: "PLAINTEXT", options: options,
        seed: random.next())
      brokers[BrokerID(id)] = Broker(BrokerID(id), machine: machine)
    }
    for id in 1...count { start(BrokerID(id)) }
  }

  // MARK: Brokers

  func start(_ id: BrokerID) {
    guard let broker = brokers[id], broker.session == nil else { return }
    // Whoever restarts it has put in a new disk.
    broker.failed = []
    let session = nextSession
    nextSession += 1
    broker.session = session
    broker.isPaused = false
    broker.replicas = [:]
    broker.visible = [:]
    broker.controllerEpoch = 0
    let image = BrokerImage(
      id: id, epoch: .none,
      endpoints: [
        Endpoint(
          listener: "PLAINTEXT", host: "h\(id.rawValue)", port: 9092, securityProtocol: .plaintext)
      ])
    let data = BrokerZnode.encode(image, version: 5, jmxPort: -1, at: WallTime(milliseconds: 0))
    _ = store.apply(
      [.create(path: ZnodePath.broker(id), data: data, mode: .ephemeral)], session: session)
    broker.epoch = BrokerEpoch(store.nodes[ZnodePath.broker(id)]?.czxid ?? -1)
    push(.event(session: session, id, .sessionStarted))
  }

  /// The process ends; the store notices at once.
  func crash(_ id: BrokerID) {
    guard let broker = brokers[id], let session = broker.session else { return }
    store.expire(session)
    broker.session = nil
    lanes["store-\(id.rawValue)"] = nil
    lanes["channel-\(id.rawValue)"] = nil
    broker.machine = ZooKeeperController(
      brokerID: id, version: version, listener: "PLAINTEXT",
      options: broker.machine.control.options,
      seed: random.next())
  }

  /// The process ends, and its session does not yet: its znodes stay.
  /// - Returns: the session, to be ended later.
  func die(_ id: BrokerID) -> Int? {
    guard let broker = brokers[id], let session = broker.session else { return nil }
    broker.session = nil
    lanes["store-\(id.rawValue)"] = nil
    lanes["channel-\(id.rawValue)"] = nil
    broker.machine = ZooKeeperController(
      brokerID: id, version: version, listener: "PLAINTEXT",
      options: broker.machine.control.options, seed: random.next())
    return session
  }

  /// Somebody's probe has found a broker's process gone, or there again, rightly or not.
  func tell(_ observer: BrokerID, _ event: ZooKeeperController.Event) {
    guard let broker = brokers[observer], let session = broker.session else { return }
    push(.event(session: session, observer, event))
  }

  /// The session expires, but the broker learns of it only later: it goes on as a zombie.
  func loseSession(_ id: BrokerID) {
    guard let broker = brokers[id], let session = broker.session else { return }
    store.expire(session)
    broker.isPaused = true
  }

  /// The broker hears that its session is gone, and registers again.
  func noticeLostSession(_ id: BrokerID) {
    guard let broker = brokers[id], broker.isPaused else { return }
    broker.isPaused = false
    step(broker, .sessionExpired)
    lanes["store-\(id.rawValue)"] = nil
    broker.session = nil
    start(id)
  }

  var active: Broker? {
    brokers.values.filter { $0.machine.isActive && !$0.isPaused && $0.session != nil }
      .max { ($0.machine.term?.epoch.rawValue ?? 0) < ($1.machine.term?.epoch.rawValue ?? 0) }
  }

  @discardableResult
  func request(_ request: ControlRequest) -> Int? {
    guard let active, let session = active.session else { return nil }
    let id = nextRequest
    nextRequest += 1
    push(.event(session: session, active.id, .request(id, request)))
    return id
  }

  // MARK: Running

  private func push(_ action: Action) {
    let lane: String
    switch action {
    case .read(_, let id, _, _), .write(_, let id, _, _, _), .event(_, let id, _):
      lane = "store-\(id.rawValue)"
    case .request(let from, let request):
      lane = "channel-\(from.rawValue)-\(request.broker.rawValue)"
    }
    lanes[lane, default: []].append(action)
  }

  var isIdle: Bool { lanes.values.allSatisfy(\.isEmpty) && store.fired.isEmpty }

  /// Carries out one action of a random lane.
  func runOne() {
    actions += 1
    now = now.advanced(milliseconds: 1)
    deliverWatches()
    let busy = lanes.keys.filter { lanes[$0]?.isEmpty == false && !isHeldBack($0) }.sorted()
    guard let lane = busy.randomElement(using: &random), var queue = lanes[lane] else { return }
    let action = queue.removeFirst()
    lanes[lane] = queue
    switch action {
    case .read(let session, let id, let token, let reads):
      guard brokers[id]?.session == session else { return }
      let isPaused = brokers[id]?.isPaused == true
      if isPaused { return }
      let results = reads.map { store.read($0, session: session) }
      lanes[lane]?.insert(.event(session: session, id, .read(token, results)), at: 0)
    case .write(let session, let id, let token, var rest, var done):
      guard brokers[id]?.session == session else { return }
      // One transaction at a time: others may come between those of a pipeline. A zombie's writes
      // reach the store too: that is what the epoch is for.
      let transaction = rest.removeFirst()
      done.append(write(transaction, by: id, session: session))
      if rest.isEmpty {
        if brokers[id]?.isPaused == true { return }
        lanes[lane]?.insert(.event(session: session, id, .written(token, done)), at: 0)
      } else {
        lanes[lane]?.insert(.write(session: session, id, token, rest, done: done), at: 0)
      }
    case .event(let session, let id, let event):
      guard let broker = brokers[id], broker.session == session else { return }
      step(broker, event)
    case .request(let from, let request): deliver(request, from: from)
    }
  }

  /// What a zombie still has to write is sent again over a new connection, which takes longer than
  /// it takes the others to elect a new controller.
  private func isHeldBack(_ lane: String) -> Bool {
    brokers.values.contains {
      $0.isPaused && lane == "store-\($0.id.rawValue)" && store.nodes[ZnodePath.controller] == nil
    }
  }

  private func deliverWatches() {
    let fired = store.fired
    store.fired = []
    for (session, path) in fired {
      guard let broker = brokers.values.first(where: { $0.session == session }) else { continue }
      push(.event(session: session, broker.id, .changed(path)))
    }
  }

  private func step(_ broker: Broker, _ event: ZooKeeperController.Event) {
    var effects: [ZooKeeperController.Effect] = []
    broker.machine.step(
      event, at: now, wallTime: WallTime(milliseconds: now.milliseconds), into: &effects)
    for effect in effects {
      switch effect {
      case .read(let token, let reads):
        if let session = broker.session { push(.read(session: session, broker.id, token, reads)) }
      case .write(let token, let transactions):
        if let session = broker.session {
          push(.write(session: session, broker.id, token, transactions, done: []))
        }
      case .send(let request): push(.request(from: broker.id, request))
      case .closeChannel(let id):
        lanes["channel-\(broker.id.rawValue)-\(id.rawValue)"] = nil
      case .respond(let id, let answer, _): answers[id] = answer
      case .watchController:
        #expect(!broker.machine.isActive, "the controller would lose sight of the brokers")
      case .openChannel, .becameController, .resigned, .log, .wakeAt: break
      }
    }
  }

  func tick() {
    now = now.advanced(milliseconds: 6000)
    for id in brokers.keys.sorted() {
      if let broker = brokers[id], let session = broker.session, !broker.isPaused {
        push(.event(session: session, id, .tick))
      }
    }
  }

  func run(atMost limit: Int = 200_000) {
    var left = limit
    while !isIdle, left > 0 {
      runOne()
      left -= 1
    }
    #expect(left > 0, "the cluster does not come to rest")
  }

  // MARK: A broker's part

  private func deliver(_ request: BrokerRequest, from: BrokerID) {
    guard let broker = brokers[request.broker], broker.session != nil, !broker.isPaused,
      broker.epoch == request.brokerEpoch
    else { return }
    func answer(_ answer: BrokerAnswer) {
      guard let sender = brokers[from], let session = sender.session else { return }
      push(.event(session: session, from, .answer(broker.id, broker.epoch, answer)))
    }
    switch request.body {
    case .leaderAndIsr(let body):
      guard body.controllerEpoch >= broker.controllerEpoch else {
        return answer(.leaderAndIsr(.staleControllerEpoch, []))
      }
      broker.controllerEpoch = body.controllerEpoch
      var errors: [(at: TopicPartition, error: ErrorCode)] = []
      for topic in body.topicStates {
        for state in topic.partitionStates {
          let at = TopicPartition(topic.topicName, state.partitionIndex)
          let isBroken = broker.failed.contains(at)
          errors.append((at, isBroken ? .kafkaStorageError : .none))
          if isBroken { continue }
          if let known = broker.replicas[at], known.leaderEpoch > state.leaderEpoch { continue }
          broker.replicas[at] = Replica(
            leader: state.leader, leaderEpoch: state.leaderEpoch, isr: state.isr,
            partitionEpoch: state.partitionEpoch, replicas: state.replicas)
        }
      }
      answer(.leaderAndIsr(.none, errors))
    case .updateMetadata(let body):
      guard body.controllerEpoch >= broker.controllerEpoch else {
        return answer(.updateMetadata(.staleControllerEpoch))
      }
      broker.controllerEpoch = body.controllerEpoch
      for topic in body.topicStates {
        for state in topic.partitionStates {
          let at = TopicPartition(topic.topicName, state.partitionIndex)
          broker.visible[at] = state.leader == -2 ? nil : state.leader
        }
      }
      answer(.updateMetadata(.none))
    case .stopReplica(let body):
      guard body.controllerEpoch >= broker.controllerEpoch else {
        return answer(.stopReplica(.staleControllerEpoch, deleted: []))
      }
      var deleted: [(at: TopicPartition, error: ErrorCode)] = []
      for topic in body.topicStates {
        for state in topic.partitionStates {
          let at = TopicPartition(topic.topicName, state.partitionIndex)
          broker.replicas[at] = nil
          if state.deletePartition { deleted.append((at, .none)) }
        }
      }
      answer(.stopReplica(.none, deleted: deleted))
    }
  }

  /// A leader asks for an ISR of all its replicas that live, as if they had caught up.
  func proposeISR(_ id: BrokerID) {
    guard let broker = brokers[id], broker.session != nil, !broker.isPaused else { return }
    for at in broker.replicas.keys.sorted() {
      guard let replica = broker.replicas[at], replica.leader == id.rawValue else { continue }
      let caughtUp = replica.replicas.filter { member in
        guard let other = brokers[BrokerID(member)] else { return false }
        return other.session != nil && !other.isPaused && !other.failed.contains(at)
          && other.replicas[at]?.leaderEpoch == replica.leaderEpoch
      }
      guard caughtUp.contains(id.rawValue), caughtUp != replica.isr else { continue }
      if !version.usesAlterPartition {
        writeISR(caughtUp, at, broker)
        continue
      }
      let change = AlterPartition(
        topic: .name(at.topic), partition: at.partition,
        isr: caughtUp.map { .init(BrokerID($0), epoch: brokers[BrokerID($0)]?.epoch ?? .none) },
        leaderEpoch: LeaderEpoch(replica.leaderEpoch),
        partitionEpoch: PartitionEpoch(replica.partitionEpoch), broker: id,
        brokerEpoch: broker.epoch, version: 3)
      guard let request = request(.alterPartitions([change])) else { return }
      pendingISR[request] = (id, at)
    }
  }

  /// Before AlterPartition a leader writes the state itself, and leaves a note.
  private func writeISR(_ isr: [Int32], _ at: TopicPartition, _ broker: Broker) {
    guard let session = broker.session, let replica = broker.replicas[at],
      let node = store.nodes[ZnodePath.partitionState(at)],
      let state = PartitionStateZnode.decode(node.data)
    else { return }
    var partition = PartitionImage(replicas: [])
    state.apply(to: &partition, version: replica.partitionEpoch)
    partition.isr = isr.brokerIDs
    let outcome = store.apply(
      [
        .setData(
          path: ZnodePath.partitionState(at),
          data: PartitionStateZnode.encode(partition, by: state.controllerEpoch),
          version: replica.partitionEpoch),
        .create(
          path: ZnodePath.isrChange, data: PartitionListZnode.encode([at]),
          mode: .persistentSequential),
      ], session: session)
    guard outcome == .done else { return }
    broker.replicas[at]?.isr = isr
    broker.replicas[at]?.partitionEpoch += 1
    stored[at]?.version += 1
  }

  /// One log directory of the broker is gone, with one replica in it.
  func failDirectory(_ id: BrokerID, _ at: TopicPartition) {
    guard let broker = brokers[id], let session = broker.session, !broker.isPaused,
      broker.replicas[at] != nil
    else { return }
    broker.failed.insert(at)
    broker.replicas[at] = nil
    _ = store.apply(
      [
        .create(
          path: ZnodePath.logDirEvent, data: LogDirEventZnode.encode(id),
          mode: .persistentSequential)
      ], session: session)
  }

  private var pendingISR: [Int: (BrokerID, TopicPartition)] = [:]

  /// Leaders take in what the controller answered.
  func takeAnswers() {
    for id in pendingISR.keys.sorted() {
      guard case .alterPartitions(let results)? = answers[id], let (broker, at) = pendingISR[id]
      else { continue }
      pendingISR[id] = nil
      guard case .success(let partition)? = results.first,
        let replica = brokers[broker]?.replicas[at],
        replica.leaderEpoch == partition.leaderEpoch.rawValue
      else { continue }
      brokers[broker]?.replicas[at]?.isr = partition.isr.map(\.rawValue)
      brokers[broker]?.replicas[at]?.partitionEpoch = partition.partitionEpoch.rawValue
    }
  }

  // MARK: Invariants

  private func write(
    _ transaction: ZnodeTransaction, by id: BrokerID, session: Int
  ) -> ZnodeOutcome {
    let outcome = store.apply(transaction.ops, session: session)
    guard outcome == .done else { return outcome }
    for op in transaction.ops {
      guard op.path.hasSuffix("/state") else { continue }
      switch op {
      case .create(let path, _, _), .setData(let path, _, _): checkState(path)
      default: break
      }
    }
    return outcome
  }

  private func checkState(_ path: String) {
    let parts = path.split(separator: "/").map(String.init)
    let at = TopicPartition(parts[2], Int32(parts[4]) ?? -1)
    guard let node = store.nodes[path], let state = PartitionStateZnode.decode(node.data),
      let topicNode = store.nodes[ZnodePath.topic(at.topic)],
      let topic = TopicZnode.decode(topicNode.data), let partition = topic.partitions[at.partition]
    else {
      Issue.record("state without a topic: \(path)")
      return
    }
    let epoch = store.nodes[ZnodePath.controllerEpoch].flatMap {
      ControllerEpochZnode.decode($0.data)
    }
    #expect(state.controllerEpoch == epoch, "onlyTheCurrentControllerWrites \(at)")
    #expect(
      state.leader == .none || state.isr.contains(state.leader), "theLeaderIsInTheISR \(at)")
    #expect(!state.isr.isEmpty, "theISRIsNeverEmpty \(at)")
    #expect(Set(state.isr).isSubset(of: partition.replicas), "theISRIsAssigned \(at)")
    if let old = stored[at], old.topic == topic.id ?? .zero {
      #expect(state.leaderEpoch.rawValue >= old.leaderEpoch, "leaderEpochsRise \(at)")
      #expect(node.version > old.version, "partitionEpochsRise \(at)")
    }
    stored[at] = (state.leaderEpoch.rawValue, node.version, topic.id ?? .zero)
  }

  /// With all brokers up and everything delivered.
  func checkAtRest() {
    let actives = brokers.values.filter(\.machine.isActive)
    #expect(actives.count == 1, "oneControllerIsActive")
    guard let active = actives.first else { return }
    var count = 0
    for name in store.children(ZnodePath.topics) {
      guard let node = store.nodes[ZnodePath.topic(name)], let topic = TopicZnode.decode(node.data)
      else { continue }
      for (number, partition) in topic.partitions.entries {
        let at = TopicPartition(name, number)
        count += 1
        #expect(!partition.isReassigning, "reassignmentsEnd \(at)")
        guard let stateNode = store.nodes[ZnodePath.partitionState(at)],
          let state = PartitionStateZnode.decode(stateNode.data)
        else {
          Issue.record("everyPartitionHasAState \(at)")
          continue
        }
        let canLead = state.isr.contains {
          brokers[$0]?.session != nil && brokers[$0]?.failed.contains(at) == false
        }
        if canLead { #expect(state.leader != .none, "aLiveMemberLeads \(at)") }
        let image = active.machine.control.image.topics.partition(at)
        #expect(image?.leader == state.leader, "theImageIsTheStore \(at)")
        #expect(image?.isr == state.isr, "theImageIsTheStore \(at)")
        #expect(image?.partitionEpoch.rawValue == stateNode.version, "theImageIsTheStore \(at)")
        for id in partition.replicas {
          guard let broker = brokers[id], !broker.failed.contains(at) else { continue }
          #expect(
            broker.replicas[at]?.leaderEpoch == state.leaderEpoch.rawValue,
            "replicasKnowTheirLeader \(at) on \(id.rawValue)")
        }
        for broker in brokers.values {
          #expect(broker.visible[at] == state.leader.rawValue, "clientsSeeTheLeader \(at)")
        }
      }
      #expect(store.nodes[ZnodePath.topicDeletion(name)] == nil, "deletionsEnd \(name)")
    }
    #expect(active.machine.control.image.topics.partitionCount == count)
  }
}
