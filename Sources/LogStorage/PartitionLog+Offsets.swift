import Platform
import Records
import Values

/// A record found by its timestamp.
public struct TimestampedOffset: Equatable, Sendable {
  /// -1: the batch has none.
  public var timestamp: Int64
  public var offset: Offset
  /// `none` in old message formats.
  public var leaderEpoch: LeaderEpoch
}

extension PartitionLog {
  /// The first record with a timestamp at or above `timestamp`; nil if there is none. May read and
  /// unpack much.
  public func offset(forTimestamp timestamp: Int64) throws(LogError) -> TimestampedOffset? {
    try withState { (state) throws(LogError) in
      try state.guarding {
        for segment in state.segments where segment.largest.timestamp >= timestamp {
          // The records that reach it may lie below the log's start: then a later segment has one.
          if let found = try segment.find(timestamp: timestamp, from: state.logStartOffset) {
            return TimestampedOffset(found)
          }
        }
        return nil
      }
    }
  }

  /// The first record that has the log's largest timestamp (KIP-734); nil if no record has any.
  public func offsetOfMaxTimestamp() throws(LogError) -> TimestampedOffset? {
    try withState { (state) throws(LogError) in
      try state.guarding {
        let newest = state.segments.filter { $0.size > 0 }
          .max { $0.largest.timestamp < $1.largest.timestamp }
        return try newest?.findLargestTimestamp().map(TimestampedOffset.init)
      }
    }
  }

  // MARK: Leader epochs

  /// The latest leader epoch that wrote to the log, and where it began.
  public var latestEpoch: LeaderEpochCache.Entry? { withState { $0.epochs.latest } }

  /// All leader epochs known, ascending.
  public var leaderEpochs: [LeaderEpochCache.Entry] { withState { $0.epochs.entries } }

  /// Where an epoch ended: for OffsetForLeaderEpoch, and for Fetch's diverging epoch. See
  /// `LeaderEpochCache.end(of:logEndOffset:)`.
  public func endOffset(
    for epoch: LeaderEpoch
  ) -> (epoch: LeaderEpoch, offset: Offset)? {
    withState { $0.epochs.end(of: epoch, logEndOffset: $0.logEndOffset) }
  }

  /// The epoch of the record at `offset`, as far as it is known.
  public func leaderEpoch(at offset: Offset) -> LeaderEpoch? {
    withState { $0.epochs.epoch(at: offset) }
  }

  /// A new leader notes where its epoch begins, before it appends anything.
  public func assign(_ epoch: LeaderEpoch, startOffset: Offset) throws(LogError) {
    try withState { (state) throws(LogError) in
      try state.guarding { try state.epochs.assign(epoch, at: startOffset) }
    }
  }

  // MARK: Producers

  /// What is known of idempotent producers, by id (DescribeProducers).
  public var activeProducers: [ActiveProducer] { withState { $0.producers.active } }

  public var producerCount: Int { withState { $0.producers.count } }

  /// Whether the producer has a transaction open here.
  public func hasOngoingTransaction(_ producer: ProducerID) -> Bool {
    withState { $0.producers.state(of: producer.rawValue).transactionStart != nil }
  }

  /// The same, under this epoch.
  public func hasOngoingTransaction(_ producer: ProducerID, epoch: Int16) -> Bool {
    withState {
      let known = $0.producers.state(of: producer.rawValue)
      return known.transactionStart != nil && known.epoch == epoch
    }
  }

  /// Whether a transaction has been open for longer than any may be; for a metric.
  public func hasLateTransaction(now: WallTime, limitMs: Int64) -> Bool {
    withState { $0.producers.hasTransaction(olderThan: limitMs, now: now) }
  }

  /// Forgets producers that have been silent for `producer.id.expiration.ms`.
  public func expireProducers(now: WallTime) {
    withState { $0.producers.expire(now: now, after: $0.config.producerIDExpirationMs) }
  }
}

extension TimestampedOffset {
  init(_ found: (timestamp: Int64, offset: Offset, leaderEpoch: Int32)) {
    timestamp = found.timestamp
    offset = found.offset
    leaderEpoch = LeaderEpoch(found.leaderEpoch)
  }
}
