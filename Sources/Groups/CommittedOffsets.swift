import Values

/// The offsets of one group: committed, being committed, and waiting for a transaction's end.
struct CommittedOffsets: Sendable {
  struct Entry: Sendable {
    var value: OffsetAndMetadata
    /// Where in `__consumer_offsets` it stands. A transaction's commit can end after a later plain
    /// one; the entry that stands later wins, as it does when the log is compacted.
    var recordOffset: Offset
  }

  private(set) var entries: [TopicPartition: Entry] = [:]
  /// The last append that commits each of these, until it is done.
  private var pending: [TopicPartition: WriteID] = [:]
  /// By producer: offsets appended, or being appended (no record offset), in an open transaction.
  private(set) var transactional: [ProducerID: [TopicPartition: Pending]] = [:]

  struct Pending: Sendable {
    var value: OffsetAndMetadata
    var recordOffset: Offset?
  }

  var isEmpty: Bool { entries.isEmpty && pending.isEmpty && transactional.isEmpty }

  subscript(partition: TopicPartition) -> OffsetAndMetadata? { entries[partition]?.value }

  var partitions: [TopicPartition] { entries.keys.sorted() }

  /// Whether a commit is under way whose outcome is not known (KIP-447).
  func isUnstable(_ partition: TopicPartition) -> Bool {
    pending[partition] != nil || transactional.values.contains { $0[partition] != nil }
  }

  // MARK: Plain commits

  mutating func begin(_ write: WriteID, _ partitions: [TopicPartition]) {
    for partition in partitions { pending[partition] = write }
  }

  /// The append at `recordOffset` is committed.
  mutating func complete(
    _ write: WriteID, _ commits: [OffsetCommit], recordOffset: Offset
  ) {
    for commit in commits {
      // A deletion since then has taken the commit out of `pending`, and comes later in the log.
      guard let latest = pending[commit.partition] else { continue }
      put(commit.partition, commit.value, recordOffset)
      if latest == write { pending[commit.partition] = nil }
    }
  }

  mutating func fail(_ write: WriteID, _ commits: [OffsetCommit]) {
    for commit in commits where pending[commit.partition] == write {
      pending[commit.partition] = nil
    }
  }

  /// Keeps the value unless one that stands later in the log is there.
  mutating func put(_ partition: TopicPartition, _ value: OffsetAndMetadata, _ offset: Offset) {
    if let entry = entries[partition], entry.recordOffset > offset { return }
    entries[partition] = Entry(value: value, recordOffset: offset)
  }

  // MARK: Transactions (KIP-98)

  mutating func begin(_ producer: ProducerID, _ commits: [OffsetCommit]) {
    for commit in commits {
      transactional[producer, default: [:]][commit.partition] = Pending(value: commit.value)
    }
  }

  mutating func complete(
    _ producer: ProducerID, _ commits: [OffsetCommit], recordOffset: Offset
  ) {
    for commit in commits
    where transactional[producer]?[commit.partition]?.value == commit.value {
      transactional[producer]?[commit.partition]?.recordOffset = recordOffset
    }
  }

  mutating func fail(_ producer: ProducerID, _ commits: [OffsetCommit]) {
    for commit in commits { transactional[producer]?[commit.partition] = nil }
    if transactional[producer]?.isEmpty == true { transactional[producer] = nil }
  }

  mutating func load(_ producer: ProducerID, _ offsets: [TopicPartition: Pending]) {
    transactional[producer, default: [:]].merge(offsets) { $1 }
  }

  /// The transaction's marker is written: its offsets count now, or never.
  mutating func end(_ producer: ProducerID, isCommitted: Bool) {
    guard let offsets = transactional.removeValue(forKey: producer), isCommitted else { return }
    for (partition, offset) in offsets {
      if let recordOffset = offset.recordOffset { put(partition, offset.value, recordOffset) }
    }
  }

  // MARK: Removal

  /// Every partition that is committed or about to be, in order.
  var allPartitions: [TopicPartition] {
    var all = Set(entries.keys).union(pending.keys)
    for offsets in transactional.values { all.formUnion(offsets.keys) }
    return all.sorted()
  }

  /// Forgets these offsets, commits under way included.
  /// - Returns: those that were there, whose records need tombstones.
  mutating func remove(_ partitions: [TopicPartition]) -> [TopicPartition] {
    partitions.filter { partition in
      var wasThere = entries.removeValue(forKey: partition) != nil
      if pending.removeValue(forKey: partition) != nil { wasThere = true }
      for producer in transactional.keys.sorted() {
        if transactional[producer]?.removeValue(forKey: partition) != nil { wasThere = true }
        if transactional[producer]?.isEmpty == true { transactional[producer] = nil }
      }
      return wasThere
    }
  }

  /// The offsets whose time is over, in order.
  /// - Parameters:
  ///   - base: when an offset began to age, for offsets without an expiry of their own.
  ///   - kept: topics that are consumed, whose offsets do not age.
  func expired(
    at now: WallTime, retentionMs: Int64, keeping kept: Set<String> = [],
    base: (OffsetAndMetadata) -> WallTime
  ) -> [TopicPartition] {
    entries.keys.sorted().filter { partition in
      guard !kept.contains(partition.topic), pending[partition] == nil,
        let value = entries[partition]?.value
      else { return false }
      if let expiry = value.expireTimestamp { return now >= expiry }
      return now.milliseconds - base(value).milliseconds >= retentionMs
    }
  }
}

/// One offset of an OffsetCommit.
public struct OffsetCommit: Hashable, Sendable {
  public var partition: TopicPartition
  public var value: OffsetAndMetadata
  public init(_ partition: TopicPartition, _ value: OffsetAndMetadata) {
    self.partition = partition
    self.value = value
  }
}
