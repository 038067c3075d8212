// Topics with their partitions, found by name and by id.
import KafkaRecords
import Values

/// The partitions of a topic, in order. Numbers are dense but for the moments in which only some
/// partitions of a new topic are known.
public struct PartitionTable: Equatable, Sendable {
  /// Ascending; `images` has the state of each at the same index.
  public private(set) var numbers: [Int32] = []
  public private(set) var images: [PartitionImage] = []

  public init() {}

  public var count: Int { numbers.count }
  public var isEmpty: Bool { numbers.isEmpty }

  /// Where `partition` is or belongs. Dense numbers are found without a search.
  private func position(_ partition: Int32) -> (index: Int, found: Bool) {
    let guess = Int(partition)
    if guess >= 0, guess < numbers.count, numbers[guess] == partition { return (guess, true) }
    var low = 0
    var high = numbers.count
    while low < high {
      let middle = (low + high) / 2
      if numbers[middle] < partition { low = middle + 1 } else { high = middle }
    }
    return (low, low < numbers.count && numbers[low] == partition)
  }

  /// A partition's state; nil if it is not known. Setting nil forgets it.
  public subscript(partition: Int32) -> PartitionImage? {
    get {
      let (index, found) = position(partition)
      return found ? images[index] : nil
    }
    set {
      let (index, found) = position(partition)
      switch (newValue, found) {
      case (let image?, true): images[index] = image
      case (let image?, false):
        numbers.insert(partition, at: index)
        images.insert(image, at: index)
      case (nil, true):
        numbers.remove(at: index)
        images.remove(at: index)
      case (nil, false): break
      }
    }
  }

  /// Number and image of each partition, ascending.
  public var entries: some Sequence<(Int32, PartitionImage)> { zip(numbers, images) }
}

/// One topic: a new id under an old name is another topic.
public struct TopicImage: Equatable, Sendable {
  public var name: String
  public var id: Uuid
  public var partitions = PartitionTable()

  public init(name: String, id: Uuid) {
    self.name = name
    self.id = id
  }
}

extension Uuid: ShardKey {
  /// Ids are random, so any of their bits spread them.
  public var shardHash: UInt64 { low ^ (high >> 7) }
}

/// All topics, by name and by id.
public struct TopicsImage: Equatable, Sendable {
  // Names lead to topics and ids to names: requests of old versions have the one, of new ones the
  // other, and both are answered with one topic.
  private var byName = ShardedMap<String, TopicImage>()
  private var nameOfID = ShardedMap<Uuid, String>()
  /// Partitions of all topics.
  public private(set) var partitionCount = 0

  public init() {}

  public var count: Int { byName.count }
  public var sortedNames: [String] { byName.sortedKeys }

  /// The topic of that name.
  public subscript(name: String) -> TopicImage? { byName[name] }
  /// The topic of that id; nil for an id of an earlier topic of the same name.
  public subscript(id: Uuid) -> TopicImage? { nameOfID[id].flatMap { byName[$0] } }

  /// The name that belongs to an id.
  public func name(of id: Uuid) -> String? { nameOfID[id] }

  /// A partition's state, nil if topic or partition is unknown.
  public func partition(_ name: String, _ partition: Int32) -> PartitionImage? {
    byName[name]?.partitions[partition]
  }

  /// The same by topic and number in one.
  public func partition(_ at: TopicPartition) -> PartitionImage? {
    byName[at.topic]?.partitions[at.partition]
  }

  /// Visits the topics in the order of their names.
  public func forEach<E: Error>(_ body: (TopicImage) throws(E) -> Void) throws(E) {
    for name in byName.sortedKeys {
      if let topic = byName[name] { try body(topic) }
    }
  }

  /// Visits every partition, in the order of topic names and partition numbers.
  public func forEachPartition(_ body: (TopicImage, Int32, PartitionImage) -> Void) {
    forEach { topic in
      for (number, partition) in topic.partitions.entries { body(topic, number, partition) }
    }
  }

  // MARK: Changing

  /// Adds the topic, or gives a known name a new id and forgets the partitions of the old one.
  mutating func add(_ record: TopicRecord) {
    if let old = byName[record.name] {
      if old.id == record.topicID { return }
      remove(old.id)
    }
    byName[record.name] = TopicImage(name: record.name, id: record.topicID)
    nameOfID[record.topicID] = record.name
  }

  @discardableResult
  /// Removes the topic with its partitions and hands it out; nil if it was not there.
  mutating func remove(_ id: Uuid) -> TopicImage? {
    guard let name = nameOfID[id], let topic = byName[name] else { return nil }
    byName[name] = nil
    nameOfID[id] = nil
    partitionCount -= topic.partitions.count
    return topic
  }

  /// Sets a partition whole. Nil if the topic is unknown, else the topic's name.
  @discardableResult
  mutating func set(_ record: PartitionRecord) -> String? {
    guard let name = nameOfID[record.topicID] else { return nil }
    var added = 0
    byName.update(name) { topic in
      added = -topic.partitions.count
      topic.partitions[record.partitionID] = PartitionImage(record)
      added += topic.partitions.count
    }
    partitionCount += added
    return name
  }

  /// Merges a change into a partition. Nil if the topic or partition is unknown.
  @discardableResult
  mutating func change(_ record: PartitionChangeRecord) -> String? {
    guard let name = nameOfID[record.topicID] else { return nil }
    var isKnown = false
    byName.update(name) { topic in
      guard let partition = topic.partitions[record.partitionID] else { return }
      topic.partitions[record.partitionID] = partition.merging(record)
      isKnown = true
    }
    return isKnown ? name : nil
  }
}
