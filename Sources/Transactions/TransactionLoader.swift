import Bytes
import KafkaProtocol
import Values

/// Reads a partition of `__transaction_state` from its start, and knows at the end what the
/// coordinator that wrote it knew.
///
/// Records come in the order of the log; later ones replace earlier ones, as compaction does.
public struct TransactionLoader: Sendable {
  private var transactions: [String: TransactionMetadata] = [:]
  /// Records that nobody understands: of newer versions, or damaged.
  public private(set) var skippedCount = 0
  public private(set) var recordCount = 0

  public init() {}

  /// Takes one record as bytes; a nil value is a tombstone.
  public mutating func load(key: RawSpan, value: RawSpan?) {
    guard let record = try? TransactionRecord.decode(key: key, value: value) else {
      skippedCount += 1
      return
    }
    recordCount += 1
    transactions[record.id] = record.value
  }

  /// The shard that goes on from here: decided transactions have their markers written.
  public func finish(
    config: TransactionConfig, at now: WallTime, into effects: inout [TransactionEffect]
  ) -> TransactionShard {
    var shard = TransactionShard(config: config)
    shard.adopt(transactions, at: now, into: &effects)
    return shard
  }
}

extension TransactionShard {
  mutating func adopt(
    _ loaded: [String: TransactionMetadata], at now: WallTime,
    into output: inout [TransactionEffect]
  ) {
    self.now = now
    for (id, metadata) in loaded { entries[id] = Entry(current: metadata) }
    for id in loaded.keys.sorted() { sendMarkers(id) }
    step(.retry, at: now, into: &output)
  }
}
