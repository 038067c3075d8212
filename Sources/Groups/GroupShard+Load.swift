import Bytes
import KafkaProtocol
import KafkaRecords
import Values

/// Reads a partition of `__consumer_offsets` from its start, and knows at the end what the
/// coordinator that wrote it knew.
///
/// Records come in the order of the log; later ones replace earlier ones, as compaction does.
/// Offsets in a transaction wait for the transaction's marker.
public struct GroupLoader: Sendable {
  private var groups: [String: GroupMetadataValue] = [:]
  private var offsets: [String: CommittedOffsets] = [:]
  private var open: [ProducerID: [String: [TopicPartition: CommittedOffsets.Pending]]] = [:]
  /// Records that nobody understands: of newer protocols, or damaged.
  public private(set) var skippedCount = 0
  public private(set) var recordCount = 0

  public init() {}

  /// Takes one record as bytes.
  /// - Parameters:
  ///   - offset: of the batch it stands in: offsets of one batch are equally old.
  ///   - producer: the batch's, if it is transactional.
  public mutating func load(
    key: RawSpan, value: RawSpan?, offset: Offset, producer: ProducerID? = nil
  ) {
    guard let record = try? GroupRecord.decode(key: key, value: value) else {
      skippedCount += 1
      return
    }
    load(record, offset: offset, producer: producer)
  }

  public mutating func load(_ record: GroupRecord, offset: Offset, producer: ProducerID? = nil) {
    recordCount += 1
    switch (record, producer) {
    case (.group(let id, let value), _): groups[id] = value
    case (.offset(let group, let partition, let value?), nil):
      offsets[group, default: CommittedOffsets()].put(partition, value, offset)
    case (.offset(let group, let partition, nil), nil):
      _ = offsets[group]?.remove([partition])
      if offsets[group]?.isEmpty == true { offsets[group] = nil }
    case (.offset(let group, let partition, let value), let producer?):
      open[producer, default: [:]][group, default: [:]][partition] = value.map {
        CommittedOffsets.Pending(value: $0, recordOffset: offset)
      }
    }
  }

  /// A transaction's marker.
  public mutating func endTransaction(of producer: ProducerID, isCommitted: Bool) {
    guard let groups = open.removeValue(forKey: producer), isCommitted else { return }
    for (group, pending) in groups {
      for (partition, offset) in pending {
        guard let recordOffset = offset.recordOffset else { continue }
        offsets[group, default: CommittedOffsets()].put(partition, offset.value, recordOffset)
      }
    }
  }

  /// The shard that goes on from here: every member has a whole session to be heard of.
  public func finish(
    config: GroupConfig, at now: Moment, into effects: inout [GroupEffect]
  ) -> GroupShard {
    var loaded: [String: Group] = [:]
    for (id, value) in groups { loaded[id] = Group(id: id, stored: value, at: now.wall) }
    for (id, offsets) in offsets {
      loaded[id, default: Group(id: id, at: now.wall)].offsets = offsets
    }
    for (producer, groups) in open {
      for (id, pending) in groups where !pending.isEmpty {
        loaded[id, default: Group(id: id, at: now.wall)].offsets.load(producer, pending)
      }
    }
    var shard = GroupShard(config: config)
    shard.adopt(loaded, at: now, into: &effects)
    return shard
  }
}

extension GroupShard {
  mutating func adopt(
    _ loaded: [String: Group], at now: Moment, into output: inout [GroupEffect]
  ) {
    var random = SplitMix(seed: 0)
    groups = loaded
    self.now = now
    for id in loaded.keys.sorted() {
      guard var group = groups.removeValue(forKey: id) else { continue }
      if group.count > config.maxSize {
        prepareRebalance(&group, "the group is larger than group.max.size=\(config.maxSize)")
      }
      for memberID in group.memberOrder { restartSession(group, memberID) }
      groups[id] = group
    }
    step(.tick, at: now, random: &random, into: &output)
  }
}
