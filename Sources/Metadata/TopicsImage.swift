// Topics with their partitions, found by name and by id.
import KafkaRecords
import Values

/// The partitions of a topic, in order. Numbers are dense but for the moments in which only some
/// partitions of a new topic are known.
///
/// States lie in pages: a change copies its page and not the whole of a topic that has many.
public struct PartitionTable: Equatable, Sendable {
  private static let pageSize = 64

  /// Ascending.
  public private(set) var numbers: [Int32] = []
  /// The states in the order of numbers; every page but the last is full.
  private var pages: [[PartitionImage]] = []

  public init() {}

  public var count: Int { numbers.count }
  public var isEmpty: Bool { numbers.isEmpty }
  public var first: PartitionImage? { pages.first?.first }

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
      return found ? pages[index / Self.pageSize][index % Self.pageSize] : nil
    }
    set {
      let (index, found) = position(partition)
      switch (newValue, found) {
      case (let image?, true): pages[index / Self.pageSize][index % Self.pageSize] = image
      case (let image?, false): insert(partition, image, at: index)
      case (nil, true):
        numbers.remove(at: index)
        var all = images
        all.remove(at: index)
        lay(out: all)
      case (nil, false): break
      }
    }
  }

  private mutating func insert(_ partition: Int32, _ image: PartitionImage, at index: Int) {
    if index < numbers.count {
      // Out of order, which only a log of many writers would be.
      var all = images
      all.insert(image, at: index)
      lay(out: all)
    } else if index % Self.pageSize == 0 {
      pages.append([image])
    } else {
      pages[pages.count - 1].append(image)
    }
    numbers.insert(partition, at: index)
  }

  private mutating func lay(out images: [PartitionImage]) {
    pages = stride(from: 0, to: images.count, by: Self.pageSize).map {
      Array(images[$0..<min($0 + Self.pageSize, images.count)])
    }
  }

  /// The states in the order of numbers, copied together.
  public var images: [PartitionImage] { Array(pages.joined()) }

  /// Number and image of each partition, ascending.
  public var entries: some Sequence<(Int32, PartitionImage)> { zip(numbers, pages.joined()) }
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

/// What is asked of all partitions at every step, counted as they change.
struct PartitionCounts: Equatable, Sendable {
  var all = 0
  var leaderless = 0
  /// Led, but not by the preferred replica.
  var imbalanced = 0
  var reassigning = 0
  /// Partitions that each broker leads; brokers that lead none are not in it.
  var ledBy: [BrokerID: Int] = [:]

  mutating func add(_ partition: PartitionImage) { count(partition, 1) }
  mutating func remove(_ partition: PartitionImage) { count(partition, -1) }

  private mutating func count(_ partition: PartitionImage, _ step: Int) {
    all += step
    if partition.isReassigning { reassigning += step }
    guard partition.hasLeader else {
      leaderless += step
      return
    }
    if partition.leader != partition.preferredReplica { imbalanced += step }
    let led = (ledBy[partition.leader] ?? 0) + step
    ledBy[partition.leader] = led == 0 ? nil : led
  }
}

/// All topics, by name and by id.
public struct TopicsImage: Equatable, Sendable {
  // Records name topics by id, so that ids lead to topics and names to ids.
  private var byID = ShardedMap<Uuid, TopicImage>()
  private var idOfName = ShardedMap<String, Uuid>()
  private var counts = PartitionCounts()
  /// Names with `.` or `_` by what they have in common: metrics know only one of the two.
  private var collisions = ShardedMap<String, [String]>()

  public init() {}

  public var count: Int { byID.count }
  public var sortedNames: [String] { idOfName.sortedKeys }

  /// Partitions of all topics.
  public var partitionCount: Int { counts.all }
  /// Partitions that nobody leads.
  public var leaderlessCount: Int { counts.leaderless }
  /// Partitions that are led, but not by their preferred replica.
  public var imbalancedCount: Int { counts.imbalanced }
  /// Partitions that are being reassigned.
  public var reassigningCount: Int { counts.reassigning }
  /// Partitions that this broker leads.
  public func leaderCount(of broker: BrokerID) -> Int { counts.ledBy[broker] ?? 0 }

  /// The topic of that name.
  public subscript(name: String) -> TopicImage? { idOfName[name].flatMap { byID[$0] } }
  /// The topic of that id; nil for an id of an earlier topic of the same name.
  public subscript(id: Uuid) -> TopicImage? { byID[id] }

  /// The name that belongs to an id.
  public func name(of id: Uuid) -> String? { byID[id]?.name }

  /// The name with every `.` as `_`; nil for a name that has neither and collides with none.
  private static func unified(_ name: String) -> String? {
    guard name.utf8.contains(where: { $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "_") }) else {
      return nil
    }
    return String(name.map { $0 == "." ? "_" : $0 })
  }

  /// A topic whose name differs from this one in `.` and `_` only, so that their metrics would be
  /// the same.
  public func collidingName(_ name: String) -> String? {
    Self.unified(name).flatMap { collisions[$0]?.first }
  }

  /// A partition's state, nil if topic or partition is unknown.
  public func partition(_ name: String, _ partition: Int32) -> PartitionImage? {
    self[name]?.partitions[partition]
  }

  /// The same by topic and number in one.
  public func partition(_ at: TopicPartition) -> PartitionImage? {
    self[at.topic]?.partitions[at.partition]
  }

  /// Visits the topics in the order of their names.
  public func forEach<E: Error>(_ body: (TopicImage) throws(E) -> Void) throws(E) {
    for name in idOfName.sortedKeys {
      if let topic = self[name] { try body(topic) }
    }
  }

  /// Visits the topics in the order of their ids: several times faster than by names, for walks
  /// whose order only has to be the same every time.
  public func forEachByID<E: Error>(_ body: (TopicImage) throws(E) -> Void) throws(E) {
    try byID.forEach { (_, topic) throws(E) in try body(topic) }
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
    if let old = idOfName[record.name] {
      if old == record.topicID { return }
      remove(old)
    }
    byID[record.topicID] = TopicImage(name: record.name, id: record.topicID)
    idOfName[record.name] = record.topicID
    if let unified = Self.unified(record.name) {
      collisions[unified] = ((collisions[unified] ?? []) + [record.name]).sorted()
    }
  }

  /// Removes the topic with its partitions and hands it out; nil if it was not there.
  @discardableResult
  mutating func remove(_ id: Uuid) -> TopicImage? {
    guard let topic = byID[id] else { return nil }
    byID[id] = nil
    idOfName[topic.name] = nil
    if let unified = Self.unified(topic.name) {
      let others = (collisions[unified] ?? []).filter { $0 != topic.name }
      collisions[unified] = others.isEmpty ? nil : others
    }
    for (_, partition) in topic.partitions.entries { counts.remove(partition) }
    return topic
  }

  /// Sets a partition whole. Nil if the topic is unknown, else the topic's name.
  @discardableResult
  mutating func set(_ record: PartitionRecord) -> String? {
    var name: String?
    let partition = PartitionImage(record)
    var old: PartitionImage?
    byID.update(record.topicID) { topic in
      name = topic.name
      old = topic.partitions[record.partitionID]
      topic.partitions[record.partitionID] = partition
    }
    guard name != nil else { return nil }
    if let old { counts.remove(old) }
    counts.add(partition)
    return name
  }

  /// Merges a change into a partition. Nil if the topic or partition is unknown.
  @discardableResult
  mutating func change(_ record: PartitionChangeRecord) -> String? {
    var name: String?
    var step: (old: PartitionImage, new: PartitionImage)?
    byID.update(record.topicID) { topic in
      guard let old = topic.partitions[record.partitionID] else { return }
      let new = old.merging(record)
      topic.partitions[record.partitionID] = new
      name = topic.name
      step = (old, new)
    }
    if let step {
      counts.remove(step.old)
      counts.add(step.new)
    }
    return name
  }
}
