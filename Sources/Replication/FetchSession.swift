import Values

/// How a fetch names a topic: by name up to version 12, by id from version 13.
public struct FetchPartitionKey: Hashable, Sendable {
  public var topic: String
  public var topicID: Uuid
  public var partition: Int32
  public init(topic: String = "", topicID: Uuid = .zero, partition: Int32) {
    self.topic = topic
    self.topicID = topicID
    self.partition = partition
  }

  public static func == (a: Self, b: Self) -> Bool {
    a.partition == b.partition && a.topicID == b.topicID && a.topic == b.topic
  }

  public func hash(into hasher: inout Hasher) {
    hasher.combine(partition)
    if topicID.isZero { hasher.combine(topic) } else { hasher.combine(topicID.low) }
  }
}

/// One partition of a fetch as it was last asked for, and what was last answered about it.
public struct FetchedPartition: Equatable, Sendable {
  public var key: FetchPartitionKey
  public var fetchOffset: Offset
  public var maxBytes: Int32
  /// Negative when the request carries none.
  public var currentLeaderEpoch: Int32
  public var lastFetchedEpoch: Int32
  /// The follower's log start; -1 from consumers.
  public var logStartOffset: Offset
  /// The partition's place in the broker's table; -1 until it is resolved. The session's owner
  /// keeps it here so that an unchanged fetch looks nothing up.
  public var handle: Int = -1
  var answeredHighWatermark: Offset = -1
  var answeredLogStart: Offset = -1
  var answeredError = false

  public init(
    key: FetchPartitionKey, fetchOffset: Offset, maxBytes: Int32, currentLeaderEpoch: Int32 = -1,
    lastFetchedEpoch: Int32 = -1, logStartOffset: Offset = -1
  ) {
    self.key = key
    self.fetchOffset = fetchOffset
    self.maxBytes = maxBytes
    self.currentLeaderEpoch = currentLeaderEpoch
    self.lastFetchedEpoch = lastFetchedEpoch
    self.logStartOffset = logStartOffset
  }

  mutating func update(_ new: FetchedPartition) {
    fetchOffset = new.fetchOffset
    maxBytes = new.maxBytes
    currentLeaderEpoch = new.currentLeaderEpoch
    lastFetchedEpoch = new.lastFetchedEpoch
    logStartOffset = new.logStartOffset
  }

  /// Whether an incremental answer must mention the partition; remembers what is answered now.
  ///
  /// An error is always mentioned, and so is the first answer after an error.
  public mutating func noteAnswer(
    hasRecords: Bool, hasError: Bool, isDiverging: Bool, hasPreferredReplica: Bool,
    highWatermark: Offset, logStartOffset: Offset
  ) -> Bool {
    var mention = hasRecords || isDiverging || hasPreferredReplica || hasError || answeredError
    if highWatermark != answeredHighWatermark { mention = true }
    if logStartOffset != answeredLogStart { mention = true }
    answeredHighWatermark = hasError ? -1 : highWatermark
    answeredLogStart = hasError ? -1 : logStartOffset
    answeredError = hasError
    return mention
  }
}

/// What a client fetches again and again, kept so that it need only tell what changes (KIP-227).
public struct FetchSession: Sendable {
  public let id: Int32
  /// Whether it belongs to a follower: followers' sessions are not pushed out by consumers'.
  public let isPrivileged: Bool
  public let usesTopicIDs: Bool
  public internal(set) var partitions: [FetchedPartition] = []
  /// The epoch that the next request must carry.
  public internal(set) var epoch: Int32 = 1
  /// Where the next answer begins: after the last partition that got records, so that a small
  /// response limit does not starve the partitions behind it.
  public var firstToServe = 0
  private var places: [FetchPartitionKey: Int] = [:]
  let created: Instant
  var lastUsed: Instant
  /// How much of the cache it is worth: its partitions when it was last looked at.
  var size: Int { partitions.count }

  init(
    id: Int32, isPrivileged: Bool, usesTopicIDs: Bool, partitions: [FetchedPartition],
    at now: Instant
  ) {
    self.id = id
    self.isPrivileged = isPrivileged
    self.usesTopicIDs = usesTopicIDs
    created = now
    lastUsed = now
    for partition in partitions { addOrUpdate(partition) }
  }

  mutating func addOrUpdate(_ partition: FetchedPartition) {
    if let place = places[partition.key] {
      partitions[place].update(partition)
    } else {
      places[partition.key] = partitions.count
      partitions.append(partition)
    }
  }

  mutating func forget(_ keys: [FetchPartitionKey]) {
    if keys.isEmpty { return }
    let gone = Set(keys)
    partitions.removeAll { gone.contains($0.key) }
    places.removeAll(keepingCapacity: true)
    for (place, partition) in partitions.enumerated() { places[partition.key] = place }
    if firstToServe >= partitions.count { firstToServe = 0 }
  }

  /// Lets the owner note answers and resolved handles in place.
  public mutating func withPartition<R>(
    at index: Int, _ body: (inout FetchedPartition) -> R
  ) -> R {
    body(&partitions[index])
  }
}
