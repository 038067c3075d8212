import Values

/// Topics on their way out of a ZooKeeper-mode cluster. Every replica is told to delete its data
/// and must confirm; only then do the topic's znodes go. What a dead broker holds is waited for:
/// else it would come back with a topic that nobody knows.
///
/// A replica is *waiting* until StopReplica is sent to it, then *asked* until the answer comes,
/// which makes it *deleted*, or *blocked* if it failed. Replicas of brokers that are down are
/// blocked, too; the broker's return makes them wait again.
public struct TopicDeletions: Sendable {
  enum Replica: Equatable, Sendable {
    case waiting
    case asked
    case blocked
    case deleted
  }

  struct Key: Hashable, Comparable, Sendable {
    var partition: Int32
    var broker: BrokerID
    static func < (a: Self, b: Self) -> Bool {
      a.partition == b.partition ? a.broker < b.broker : a.partition < b.partition
    }
  }

  private(set) var topics: [String: [Key: Replica]] = [:]

  public init() {}

  public var names: [String] { topics.keys.sorted() }

  public func contains(_ name: String) -> Bool { topics[name] != nil }

  /// Begins with all replicas waiting; does nothing if it has begun.
  mutating func begin(_ name: String, replicas: [(Int32, BrokerID)]) {
    guard topics[name] == nil else { return }
    topics[name] = Dictionary(
      replicas.map { (Key(partition: $0.0, broker: $0.1), .waiting) },
      uniquingKeysWith: { first, _ in first })
  }

  /// Forgets the topic, which is gone.
  mutating func end(_ name: String) { topics[name] = nil }

  /// The replicas of a topic that are to be told now; those on brokers that are not alive are
  /// blocked.
  mutating func ask(_ name: String, isAlive: (BrokerID) -> Bool) -> [(TopicPartition, BrokerID)] {
    guard let replicas = topics[name] else { return [] }
    var asked: [(TopicPartition, BrokerID)] = []
    for key in replicas.keys.sorted() where replicas[key] == .waiting {
      if isAlive(key.broker) {
        topics[name]?[key] = .asked
        asked.append((TopicPartition(name, key.partition), key.broker))
      } else {
        topics[name]?[key] = .blocked
      }
    }
    return asked
  }

  /// Notes a broker's answer. One that was not asked for, as after its restart, says nothing.
  mutating func answered(_ at: TopicPartition, _ broker: BrokerID, isDeleted: Bool) {
    let key = Key(partition: at.partition, broker: broker)
    guard topics[at.topic]?[key] == .asked else { return }
    topics[at.topic]?[key] = isDeleted ? .deleted : .blocked
  }

  /// Nothing can be expected of them.
  mutating func brokersLost(_ brokers: [BrokerID]) {
    change(of: brokers) { $0 == .asked || $0 == .waiting ? .blocked : $0 }
  }

  /// They can be asked again, and also those that failed before.
  mutating func brokersArrived(_ brokers: [BrokerID]) {
    change(of: brokers) { $0 == .blocked ? .waiting : $0 }
  }

  private mutating func change(of brokers: [BrokerID], _ next: (Replica) -> Replica) {
    guard !brokers.isEmpty else { return }
    for name in names {
      for (key, state) in topics[name] ?? [:] where brokers.contains(key.broker) {
        topics[name]?[key] = next(state)
      }
    }
  }

  func isComplete(_ name: String) -> Bool {
    topics[name]?.values.allSatisfy { $0 == .deleted } ?? false
  }
}
