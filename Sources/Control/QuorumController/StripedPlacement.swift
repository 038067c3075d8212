// Placement of new replicas in KRaft mode.
import KafkaProtocol
import Metadata
import Values

/// Where the replicas of new partitions go: racks in turn, and within a rack its brokers in turn,
/// so that neighbouring partitions lie like stripes over the cluster.
///
/// Both turns begin at a random place, and each partition begins one rack and one broker further
/// than the one before. After as many partitions as there are unfenced brokers everything is
/// shuffled, lest the same sets come again. Fenced brokers take replicas only when a rack has no
/// other broker left, and never the first replica: a new partition has a leader at once.
struct StripedPlacement {
  /// The brokers of one rack that are unfenced, or those that are not, as one round of placement
  /// takes them.
  private struct Turn {
    var brokers: [BrokerID] = []
    private var index = 0
    private var offset = 0
    private var round = 0

    mutating func start(using random: inout SplitMix) {
      brokers.sort()
      if !brokers.isEmpty { offset = Int.random(in: 0..<brokers.count, using: &random) }
    }

    /// The next broker of this round; nil when all have had their turn in it.
    mutating func next(_ round: Int) -> BrokerID? {
      guard !brokers.isEmpty else { return nil }
      if self.round != round {
        self.round = round
        index = 0
        offset = (offset + 1) % brokers.count
      }
      guard index < brokers.count else { return nil }
      defer { index += 1 }
      return brokers[(index + offset) % brokers.count]
    }
  }

  private struct Rack {
    var name: String?
    var unfenced = Turn()
    var fenced = Turn()

    mutating func next(_ round: Int) -> BrokerID? { unfenced.next(round) ?? fenced.next(round) }
  }

  private var racks: [Rack] = []
  private var round = 0
  /// The rack that the next partition begins with.
  private var first = 0
  private let unfencedCount: Int
  private let brokerCount: Int

  /// - Parameter brokers: all that are registered and not shutting down.
  init(_ brokers: [BrokerImage], using random: inout SplitMix) {
    brokerCount = brokers.count
    unfencedCount = brokers.count(where: \.isAlive)
    for broker in brokers {
      let known = racks.firstIndex { $0.name == broker.rack }
      if known == nil { racks.append(Rack(name: broker.rack)) }
      let index = known ?? racks.count - 1
      if broker.isAlive {
        racks[index].unfenced.brokers.append(broker.id)
      } else {
        racks[index].fenced.brokers.append(broker.id)
      }
    }
    // Brokers without a rack come first.
    racks.sort { a, b in
      guard let a = a.name else { return b.name != nil }
      guard let b = b.name else { return false }
      return a < b
    }
    for index in racks.indices {
      racks[index].fenced.start(using: &random)
      racks[index].unfenced.start(using: &random)
    }
    if !racks.isEmpty { first = Int.random(in: 0..<racks.count, using: &random) }
  }

  /// The replicas of each partition, leader first.
  mutating func place(
    partitions: Int, replicationFactor: Int, using random: inout SplitMix
  ) throws(Refusal) -> [[BrokerID]] {
    guard replicationFactor > 0 else {
      throw Refusal(
        .invalidReplicationFactor,
        "Invalid replication factor \(replicationFactor): the replication factor must be positive.")
    }
    guard unfencedCount > 0 else {
      throw Refusal(.invalidReplicationFactor, "All brokers are currently fenced.")
    }
    guard replicationFactor <= brokerCount else {
      throw Refusal(
        .invalidReplicationFactor,
        "The target replication factor of \(replicationFactor) cannot be reached because only "
          + "\(brokerCount) broker(s) are registered.")
    }
    return (0..<partitions).map { _ in placeOne(replicationFactor, using: &random) }
  }

  private mutating func placeOne(_ count: Int, using random: inout SplitMix) -> [BrokerID] {
    if round > 0, unfencedCount > 1, round % unfencedCount == 0 { shuffle(using: &random) }
    if first == racks.count { first = 0 }
    var replicas: [BrokerID] = []
    // An unfenced broker for the leader: there is one, so the walk over the racks finds it.
    var leaderRack = first
    while replicas.isEmpty {
      if let leader = racks[leaderRack].unfenced.next(round) {
        replicas.append(leader)
      } else {
        leaderRack = (leaderRack + 1) % racks.count
      }
    }
    var rack = first
    var isLeaderRackDue = true
    while replicas.count < count {
      // The leader's rack has had its turn in the first walk.
      if rack == leaderRack, isLeaderRackDue {
        isLeaderRackDue = false
      } else if let next = racks[rack].next(round) {
        replicas.append(next)
      }
      rack = (rack + 1) % racks.count
    }
    round += 1
    first += 1
    return replicas
  }

  private mutating func shuffle(using random: inout SplitMix) {
    racks.shuffle(using: &random)
    for index in racks.indices {
      racks[index].fenced.brokers.shuffle(using: &random)
      racks[index].unfenced.brokers.shuffle(using: &random)
    }
  }
}
