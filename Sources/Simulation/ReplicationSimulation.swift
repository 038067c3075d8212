/// A seeded simulation of one partition on three to five brokers.
///
/// Fault model: messages are delayed, reordered between different pairs and lost; processes die and
/// keep what they wrote; machines die and lose what was not synced, but only while another live
/// member of the ISR survives them, which is what acks=all promises to survive; the controller
/// hears of deaths in the order in which they happened. Elections are clean.
///
/// Named invariants:
/// - **one leader per epoch**: no two brokers lead the same leader epoch
/// - **acknowledged stays**: whoever leads the newest epoch has every acknowledged record in place
/// - **same prefix**: two replicas agree on every offset below both high watermarks
/// - **high watermark stays**: within one leadership it never goes back
///
/// And at the end, when all faults are healed: every replica is in the ISR, all logs are equal, and
/// every acknowledged record is below every high watermark.
import Replication
import Values

public struct ReplicationSimulation {
  public struct Failure: Error, CustomStringConvertible {
    public var seed: UInt64
    public var invariant: String
    public var description: String { "seed \(seed): \(invariant)" }
  }

  /// What a run amounts to; equal seeds give equal outcomes.
  public struct Outcome: Equatable, Sendable {
    public var digest: UInt64 = 0xcbf2_9ce4_8422_2325
    public var acknowledged = 0
    public var leaderships = 0
    public var crashes = 0
    public var truncations = 0
    public var isrChanges = 0
    public init() {}
  }

  /// Who asked, in which incarnation and which term; fixed when the question is sent.
  struct Asker {
    var index: Int
    var incarnation: BrokerEpoch
    var leader: BrokerID
    var epoch: LeaderEpoch
    var ticket: Int
  }

  enum Message {
    case assignment(PartitionAssignment, to: Int, BrokerEpoch?)
    case registered(Int, BrokerEpoch)
    case sessionLost(Int, BrokerEpoch)
    case question(FollowerFetcher.Question, from: Asker)
    case answer(FollowerFetcher.Answer, [ModelRecord], to: Asker)
    case alter(ISRProposal, from: Int, BrokerEpoch)
    case altered(ISRAnswer, ISRProposal, to: Int, BrokerEpoch)
  }

  let seed: UInt64
  var random: SplitMix
  var now = Instant(milliseconds: 1_000)
  var brokers: [ModelBroker]
  var controller: ModelController
  var queue: [(at: Instant, number: Int, message: Message)] = []
  var nextNumber = 0
  var nextValue = 0
  var lastSessionEvent = Instant.zero
  var acknowledged: [Offset: ModelRecord] = [:]
  var leaderOfEpoch: [LeaderEpoch: BrokerID] = [:]
  var isHealed = false
  var turns = 0
  public internal(set) var outcome = Outcome()

  public init(seed: UInt64) {
    self.seed = seed
    random = SplitMix(seed: seed)
    let count = 3 + Int(random.next() % 3)
    let ids = (1...Int32(count)).map { BrokerID($0) }
    let limits = PartitionReplica.Limits(maxLagMs: 300, minInSyncReplicas: 2)
    brokers = ids.map {
      ModelBroker(
        id: $0, epoch: BrokerEpoch(1), replica: PartitionReplica(localID: $0, limits: limits))
    }
    controller = ModelController(
      assignment: PartitionAssignment(
        leader: ids[0], leaderEpoch: LeaderEpoch(0), partitionEpoch: PartitionEpoch(0), isr: ids,
        replicas: ids))
    for id in ids { controller.alive[id] = BrokerEpoch(1) }
    announce()
  }

  /// Runs `steps` turns of 5 ms with faults, then heals and settles.
  public static func run(seed: UInt64, steps: Int = 1_500) throws -> Outcome {
    var simulation = ReplicationSimulation(seed: seed)
    for _ in 0..<steps { try simulation.turn() }
    try simulation.settle()
    return simulation.outcome
  }

  func fail(_ invariant: String) -> Failure { Failure(seed: seed, invariant: invariant) }

  mutating func chance(_ perThousand: UInt64) -> Bool { random.next() % 1_000 < perThousand }

  mutating func note(_ values: Int64...) {
    for value in values {
      outcome.digest = (outcome.digest ^ UInt64(bitPattern: value)) &* 0x100_0000_01b3
    }
  }

  // MARK: Time

  mutating func turn() throws {
    now = now.advanced(milliseconds: 5)
    if !isHealed { injectFaults() }
    if chance(400) { produce() }
    for index in brokers.indices where brokers[index].isUp {
      if chance(100) { brokers[index].log.synced = brokers[index].log.records.count }
      if chance(30) {
        brokers[index].checkpointedHighWatermark = brokers[index].replica.highWatermark
      }
      if chance(100) { try drive(index, .tick) }
      ask(index)
    }
    while let next = dueMessage() { try deliver(next) }
    turns += 1
    // What an event broke stays broken: looking now and then finds it as surely.
    if turns % 16 == 0 { try checkInvariants() }
  }

  mutating func settle() throws {
    isHealed = true
    for index in brokers.indices where !brokers[index].isUp { restart(index) }
    for turnNumber in 0..<4_000 {
      // The controller's word may have been lost before the network healed.
      if turnNumber % 50 == 0 { announce() }
      try turn()
      if turnNumber > 400, isSettled { return }
    }
    throw fail("after healing, not every replica came back: \(controller.assignment)")
  }

  private var isSettled: Bool {
    let first = brokers[0]
    guard controller.assignment.isr.count == brokers.count else { return false }
    let end = Offset(acknowledged.count)
    return brokers.allSatisfy { broker in
      broker.log.records == first.log.records
        && acknowledged.allSatisfy { $0.key < broker.replica.highWatermark } && end >= 0
    }
  }

  // MARK: Network

  /// A local timer: neither lost nor reordered with what it waits for.
  mutating func schedule(_ message: Message, afterMs delayMs: Int64) {
    queue.append((now.advanced(milliseconds: delayMs), nextNumber, message))
    nextNumber += 1
  }

  mutating func send(_ message: Message, reliable: Bool = false) {
    if !isHealed && !reliable && chance(40) { return }
    let delayMs = Int64(random.next() % (isHealed ? 8 : 40))
    var at = now.advanced(milliseconds: delayMs)
    if reliable {
      at = max(at, lastSessionEvent)
      lastSessionEvent = at
    }
    queue.append((at, nextNumber, message))
    nextNumber += 1
  }

  private mutating func dueMessage() -> Message? {
    var best: Int?
    for (index, entry) in queue.enumerated() where entry.at <= now {
      if let found = best, (queue[found].at, queue[found].number) <= (entry.at, entry.number) {
        continue
      }
      best = index
    }
    return best.map { queue.remove(at: $0).message }
  }

  mutating func announce() {
    for index in brokers.indices {
      send(.assignment(controller.assignment, to: index, controller.alive[brokers[index].id]))
    }
  }
}
