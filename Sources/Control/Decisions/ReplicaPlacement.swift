// Placement of new replicas.
import KafkaProtocol
import Values

/// A broker as placement sees it.
struct PlacementBroker: Equatable, Sendable {
  var id: BrokerID
  var rack: String?
}

/// Where the replicas of new partitions go, by the rules that Kafka's users know:
///
/// - Leaders go round the brokers from a random start; a partition's followers are the brokers at a
///   shift from its leader, and the shift grows by one after each full round, so that the followers
///   of one broker's partitions are spread over all others.
/// - With racks, brokers are arranged so that neighbours have different racks, and a rack gets a
///   second replica only when every rack has one.
enum ReplicaPlacement {
  /// - Parameters:
  ///   - brokers: in the order of their ids.
  ///   - startIndex: where the first leader goes; nil draws it. Given when partitions are added, so
  ///     that they continue the pattern of those that are there.
  ///   - firstPartition: the number of the first new partition.
  /// - Returns: the replicas of each new partition, leader first.
  static func assign(
    partitions: Int, replicationFactor: Int, brokers: [PlacementBroker], startIndex: Int? = nil,
    firstPartition: Int = 0, using random: inout SplitMix
  ) throws(Refusal) -> [[BrokerID]] {
    guard partitions > 0 else {
      throw Refusal(.invalidPartitions, "Number of partitions must be larger than 0.")
    }
    guard replicationFactor > 0 else {
      throw Refusal(.invalidReplicationFactor, "Replication factor must be larger than 0.")
    }
    guard replicationFactor <= brokers.count else {
      throw Refusal(
        .invalidReplicationFactor,
        "Replication factor: \(replicationFactor) larger than available brokers: "
          + "\(brokers.count).")
    }
    // One broker without a rack, and racks say nothing about the others either.
    let isRackAware = brokers.allSatisfy { $0.rack != nil }
    let arranged = isRackAware ? alternatingRacks(brokers) : brokers
    let start = startIndex ?? Int.random(in: 0..<arranged.count, using: &random)
    var shift = startIndex ?? Int.random(in: 0..<arranged.count, using: &random)
    var assignment: [[BrokerID]] = []
    assignment.reserveCapacity(partitions)
    for partition in firstPartition..<(firstPartition + partitions) {
      // A full round is done: shifting spreads the followers of one broker's leaders over others
      // than in the round before.
      if partition > 0, partition % arranged.count == 0 { shift += 1 }
      let first = (partition + start) % arranged.count
      let replicas =
        isRackAware
        ? rackAware(arranged, first: first, shift: shift, count: replicationFactor)
        : (0..<(replicationFactor - 1)).reduce(into: [arranged[first].id]) {
          $0.append(arranged[follower(first, shift, $1, arranged.count)].id)
        }
      assignment.append(replicas)
    }
    return assignment
  }

  /// The index of the broker `number` steps after the shifted follower; never the leader's own.
  private static func follower(_ first: Int, _ shift: Int, _ number: Int, _ brokers: Int) -> Int {
    (first + 1 + (shift + number) % (brokers - 1)) % brokers
  }

  /// Walks the arranged brokers from the leader on, and takes those whose rack is still open.
  /// Ends because there are at least as many brokers as replicas, and the walk meets each of
  /// them.
  private static func rackAware(
    _ arranged: [PlacementBroker], first: Int, shift: Int, count: Int
  ) -> [BrokerID] {
    let racks = Set(arranged.map(\.rack))
    var replicas = [arranged[first].id]
    var usedRacks: Set<String?> = [arranged[first].rack]
    var step = 0
    while replicas.count < count {
      let broker = arranged[follower(first, shift * racks.count, step, arranged.count)]
      step += 1
      let isRackOpen = usedRacks.count == racks.count || !usedRacks.contains(broker.rack)
      guard isRackOpen, !replicas.contains(broker.id) else { continue }
      replicas.append(broker.id)
      usedRacks.insert(broker.rack)
    }
    return replicas
  }

  /// One broker of each rack in turn, racks by name and brokers by id.
  private static func alternatingRacks(_ brokers: [PlacementBroker]) -> [PlacementBroker] {
    let racks = Set(brokers.compactMap(\.rack)).sorted()
    var queues = racks.map { rack in brokers.filter { $0.rack == rack } }
    var arranged: [PlacementBroker] = []
    while arranged.count < brokers.count {
      for index in queues.indices where !queues[index].isEmpty {
        arranged.append(queues[index].removeFirst())
      }
    }
    return arranged
  }
}
