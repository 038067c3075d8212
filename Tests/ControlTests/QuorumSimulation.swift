import Control
import KafkaMessages
import KafkaProtocol
import KafkaRecords
import Metadata
import Testing
import Values

/// Controllers over one replicated log, brokers that register, speak, die and come back, and people
/// who change things. Everything is drawn from one seed.
///
/// Raft is modelled by what it promises. There is one committed log. A leader's appends follow it
/// and are committed in order, some time later; when the leader is replaced, any number of its
/// uncommitted batches, from the first on, may still have made it. The next leader has taken in
/// everything that is committed. A replaced leader may go on for a while without noticing.
struct QuorumSimulation {
  struct Entry {
    /// Empty: a control record.
    var records: [MetadataRecord]
    var lastOffset: Offset
    var epoch: Int32
  }

  var random: SplitMix
  var invariants = QuorumInvariants()
  var committed: [Entry] = []
  /// Of the leader, behind what is committed.
  var uncommitted: [Entry] = []
  var controllers: [QuorumController] = []
  /// Entries that each controller has been told of.
  var positions: [Int] = []
  var leader: Int?
  /// A controller that has been replaced and does not know it.
  var deposed: Int?
  var epoch: Int32 = 0
  var now = Instant(milliseconds: 5_000)
  var brokers: [SimulatedBroker] = []
  var pendingRequests: [Int: PendingRequest] = [:]
  var nextRequest = 0
  var answered: [ErrorCode: Int] = [:]
  var producerBlocks: Set<Int64> = []
  var failures: [String] = []
  var failovers = 0

  enum PendingRequest {
    case registration(BrokerID, incarnation: UInt64)
    case heartbeat(BrokerID, incarnation: UInt64)
    case other
  }

  init(seed: UInt64, brokers count: Int32 = 5) {
    random = SplitMix(seed: seed)
    for number in 0..<3 {
      controllers.append(Self.makeController(seed: seed &* 31 &+ UInt64(number)))
      positions.append(0)
    }
    brokers = (1...count).map { SimulatedBroker(id: BrokerID($0)) }
  }

  static func makeController(seed: UInt64) -> QuorumController {
    var options = QuorumControllerOptions.test
    options.maxIdleIntervalMs = 500
    return QuorumController(options: options, seed: seed)
  }

  mutating func chance(_ percent: Int) -> Bool {
    Int.random(in: 0..<100, using: &random) < percent
  }

  mutating func pick<T>(_ items: [T]) -> T? {
    items.isEmpty ? nil : items[Int.random(in: 0..<items.count, using: &random)]
  }

  var endOffset: Offset { (uncommitted.last ?? committed.last)?.lastOffset ?? -1 }

  // MARK: Controllers

  mutating func step(_ number: Int, _ event: QuorumController.Event) {
    var effects: [QuorumController.Effect] = []
    controllers[number].step(
      event, at: now, wallTime: WallTime(milliseconds: now.milliseconds), into: &effects)
    for effect in effects {
      switch effect {
      case .append(let token, let batch):
        append(number, token, batch.map(\.record))
      case .respond(let id, let response): take(id, response)
      case .resign(let reason):
        // Only who hears of another leader may.
        if number == leader { failures.append("resigned: \(reason)") }
        if number == deposed { deposed = nil }
      case .wakeAt, .log: break
      }
    }
  }

  private mutating func append(_ number: Int, _ token: Int, _ records: [MetadataRecord]) {
    guard number == leader else { return }  // goes nowhere: it has been deposed
    // Now and then Raft writes a record of its own in between.
    if chance(3) { appendControlRecord() }
    let last = endOffset + Offset(records.count)
    uncommitted.append(Entry(records: records, lastOffset: last, epoch: epoch))
    step(number, .appended(token: token, lastOffset: last))
  }

  private mutating func appendControlRecord() {
    uncommitted.append(Entry(records: [], lastOffset: endOffset + 1, epoch: epoch))
  }

  /// Commits batches of the leader, in order.
  mutating func commit(_ count: Int) {
    for _ in 0..<min(count, uncommitted.count) {
      let entry = uncommitted.removeFirst()
      committed.append(entry)
      invariants.apply(entry.records, lastOffset: entry.lastOffset, epoch: entry.epoch)
      if let leader { catchUp(leader) }
    }
  }

  /// Tells a controller of what is committed.
  mutating func catchUp(_ number: Int, atMost count: Int = .max) {
    var left = count
    while positions[number] < committed.count, left > 0 {
      let entry = committed[positions[number]]
      positions[number] += 1
      left -= 1
      step(
        number, .committed(entry.records, lastOffset: entry.lastOffset, epoch: entry.epoch))
    }
  }

  /// Another leader, or the same again. Some of the old one's last batches survive.
  mutating func failOver() {
    failovers += 1
    let old = leader
    commitSurvivors()
    if let old {
      leader = nil
      switch Int.random(in: 0..<3, using: &random) {
      case 0: restart(old)
      case 1: step(old, .resigned)
      default: deposed = old
      }
    }
    let candidates = controllers.indices.filter { $0 != deposed }
    guard let next = pick(Array(candidates)) else { return }
    catchUp(next)
    if controllers[next].image != invariants.image {
      failures.append("a new leader does not know what is committed")
    }
    epoch += 1
    leader = next
    appendControlRecord()
    commit(1)
    step(next, .becameLeader(epoch: epoch, nextOffset: endOffset + 1))
  }

  private mutating func commitSurvivors() {
    let survivors = Int.random(in: 0...uncommitted.count, using: &random)
    let told = leader
    leader = nil  // it dies or is cut off before it hears of them
    commit(survivors)
    leader = told
    uncommitted.removeAll()
  }

  /// A controller that lost its memory: it starts from the log, or from a snapshot of it.
  private mutating func restart(_ number: Int) {
    controllers[number] = Self.makeController(seed: random.next())
    positions[number] = 0
    guard chance(50), let last = committed.last, invariants.loader.transactionStart == nil else {
      return
    }
    var image = MetadataImage()
    for record in invariants.image.records { image.apply(record) }
    if image != invariants.image { failures.append("a snapshot is not what it was made from") }
    positions[number] = committed.count
    step(number, .snapshotLoaded(image, lastOffset: last.lastOffset, epoch: last.epoch))
  }

  mutating func noticeDeposition() {
    guard let number = deposed else { return }
    deposed = nil
    step(number, .resigned)
    if controllers[number].isActive { failures.append("still active after it resigned") }
  }

  // MARK: Requests

  mutating func send(
    _ request: some ControllerRequest, _ pending: PendingRequest = .other, version: Int16? = nil
  ) {
    // Some reach a controller that only believes that it leads.
    let target = deposed.flatMap { chance(30) ? $0 : nil } ?? leader
    guard let target else { return }
    nextRequest += 1
    pendingRequests[nextRequest] = pending
    let version = version ?? type(of: request).validVersions.upperBound
    step(
      target, .request(id: nextRequest, request, RequestContext(version: version)))
  }

  private mutating func take(_ id: Int, _ response: any KafkaResponse) {
    guard let pending = pendingRequests.removeValue(forKey: id) else {
      failures.append("answered twice, or never asked")
      return
    }
    switch response {
    case let response as BrokerRegistrationResponse: take(response, pending)
    case let response as BrokerHeartbeatResponse: take(response, pending)
    case let response as CreateTopicsResponse:
      for topic in response.topics {
        count(topic.errorCode)
        if topic.errorCode == 0, !invariants.everCreated.contains(topic.topicID) {
          failures.append("a topic was promised that is not committed")
        }
      }
    case let response as AllocateProducerIdsResponse:
      count(response.errorCode)
      guard response.errorCode == 0 else { return }
      if !producerBlocks.insert(response.producerIDStart).inserted {
        failures.append("producer ids were given twice")
      }
      if invariants.image.nextProducerID < response.producerIDStart + 1000 {
        failures.append("producer ids were given before they were committed")
      }
    case let response as AlterPartitionResponse: take(response)
    default: break
    }
  }

  private mutating func count(_ code: Int16) { answered[ErrorCode(code), default: 0] += 1 }

  private mutating func take(_ response: AlterPartitionResponse) {
    count(response.errorCode)
    for topic in response.topics {
      for data in topic.partitions {
        count(data.errorCode)
        guard data.errorCode == 0,
          let state = invariants.image.topics[topic.topicID]?.partitions[data.partitionIndex]
        else { continue }
        if state.partitionEpoch.rawValue < data.partitionEpoch {
          failures.append("an ISR was promised that is not committed")
        }
      }
    }
  }

  private mutating func take(
    _ response: BrokerRegistrationResponse, _ pending: PendingRequest
  ) {
    count(response.errorCode)
    guard case .registration(let id, let incarnation) = pending, response.errorCode == 0 else {
      return
    }
    if invariants.everRegistered[id]?.contains(response.brokerEpoch) != true {
      failures.append("a broker epoch was promised that is not committed")
    }
    let index = Int(id.rawValue) - 1
    if brokers[index].incarnation == incarnation { brokers[index].epoch = response.brokerEpoch }
  }

  private mutating func take(_ response: BrokerHeartbeatResponse, _ pending: PendingRequest) {
    count(response.errorCode)
    guard case .heartbeat(let id, let incarnation) = pending else { return }
    let index = Int(id.rawValue) - 1
    guard brokers[index].incarnation == incarnation else { return }
    if ErrorCode(response.errorCode) == .staleBrokerEpoch { brokers[index].epoch = nil }
    guard response.errorCode == 0 else { return }
    if response.shouldShutDown, brokers[index].wantsShutDown {
      // Whoever it led for must have found another leader, or there is none.
      if invariants.image.topics.leaderCount(of: id) > 0, incarnation == brokers[index].incarnation,
        invariants.image.brokers[id]?.epoch.rawValue == brokers[index].epoch
      {
        failures.append("broker \(id.rawValue) may stop while it leads")
      }
      brokers[index].isRunning = false
    }
  }
}

/// A broker as the controller sees it: it speaks, follows the log, and acts on what it has read.
struct SimulatedBroker {
  let id: BrokerID
  var isRunning = true
  var incarnation: UInt64 = 1
  /// Of this life, once it is registered.
  var epoch: Int64?
  /// Entries of the committed log that it has read.
  var position = 0
  var wantsShutDown = false
  var offline: [Uuid] = []

  var directories: [Uuid] {
    (0..<2).map { Uuid(high: UInt64(id.rawValue), low: 1000 + $0) }
  }
}
