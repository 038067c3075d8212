import Platform
import Records
import Synchronization
import Values

/// One partition's log on disk: segments in Kafka's formats, guarded by one lock.
///
/// The lock is held to assign offsets, patch and write; validation and checksums come before it,
/// and flushing after it. Functions that read or write much say so and belong on an I/O thread.
/// All throw `LogError`; `logDirectoryFailed` means that the disk failed and the log serves no
/// more.
public final class PartitionLog: @unchecked Sendable {  // `state` is reached through `lock` only
  public let topicPartition: TopicPartition
  private let lock = Mutex(())
  private let state: LogState

  init(_ state: LogState) {
    topicPartition = state.partition
    self.state = state
  }

  @inline(__always)
  func withState<R: Sendable>(_ body: (LogState) throws(LogError) -> R) throws(LogError) -> R {
    try lock.withLock { (_) throws(LogError) -> R in try body(state) }
  }

  @inline(__always)
  func withState<R: Sendable>(_ body: (LogState) -> R) -> R {
    lock.withLock { _ in body(state) }
  }

  // MARK: How the log stands

  public var directory: String { withState { $0.directory } }
  public var config: LogConfig { withState { $0.config } }
  public var logStartOffset: Offset { withState { $0.logStartOffset } }
  /// The offset that the next record gets.
  public var logEndOffset: Offset { withState { $0.logEndOffset } }
  public var highWatermark: Offset { withState { $0.highWatermark } }
  /// The high watermark, or the beginning of the first transaction that is not ended below it.
  public var lastStableOffset: Offset { withState { $0.lastStableOffset } }
  public var recoveryPoint: Offset { withState { $0.recoveryPoint } }
  /// Bytes in all segments.
  public var size: Int { withState { $0.size } }
  public var segmentCount: Int { withState { $0.segments.count } }
  /// Whether the log was closed, or taken out of service to be deleted.
  public var isClosed: Bool { withState { $0.isClosed } }
  /// All offsets of the log at one moment.
  public var offsets: LogSlice { withState { $0.slice() } }

  /// New settings apply from the next append or retention run on.
  public func update(_ config: LogConfig) { withState { $0.config = config } }

  /// Moves the high watermark, within the log. What the replica's owner decides is taken as it is;
  /// it falls only with the log's end.
  /// - Returns: whether it moved.
  @discardableResult
  public func updateHighWatermark(_ offset: Offset) -> Bool {
    withState { $0.setHighWatermark(offset) }
  }

  // MARK: Appending

  /// Appends what a client or a coordinator of this broker wrote. The bytes are changed in place.
  ///
  /// - Parameters:
  ///   - bytes: batches of any message format, as they are in a Produce request.
  ///   - leaderEpoch: stamped into every batch.
  public func append(
    leader bytes: UnsafeMutableRawBufferPointer, leaderEpoch: LeaderEpoch,
    origin: AppendOrigin = .client, now: WallTime
  ) throws(LogError) -> AppendResult {
    let validated = try validate(bytes, origin: origin, now: now)
    let time = validated.logAppendTime
    return try validated.withBatches(of: bytes) { (batches) throws(LogError) in
      try append(
        validated: batches, logAppendTime: time, leaderEpoch: leaderEpoch, origin: origin, now: now)
    }
  }

  /// The first half of an append as leader: checksums, headers and the topic's rules. Takes no lock
  /// that appends wait for.
  public func validate(
    _ bytes: UnsafeMutableRawBufferPointer, origin: AppendOrigin, now: WallTime
  ) throws(LogError) -> ValidatedRecords {
    let rules = withState { $0.config.effectiveRules }
    let validator = RecordValidator(rules, origin: origin, now: now)
    do { return try validator.validate(bytes) } catch { throw .refused(error) }
  }

  /// The second half: offsets are assigned, and the batches written.
  ///
  /// - Parameters:
  ///   - batches: what `validate` accepted or rebuilt; patched in place.
  ///   - logAppendTime: as `validate` told it.
  public func append(
    validated batches: UnsafeMutableRawBufferPointer, logAppendTime: Int64,
    leaderEpoch: LeaderEpoch, origin: AppendOrigin, now: WallTime
  ) throws(LogError) -> AppendResult {
    let result = try withState { (state) throws(LogError) in
      try state.guarding {
        try state.appendAsLeader(
          batches, leaderEpoch: leaderEpoch, origin: origin, logAppendTime: logAppendTime,
          nowMs: now.milliseconds)
      }
    }
    // Whoever sets `flush.messages` wants it on the disk before it is acknowledged.
    if result.mustFlush { try flush(now: now) }
    return result
  }

  /// Appends what a follower fetched; a batch that is cut off at the end is left out.
  ///
  /// Throws `unexpectedOffset` when the batches lie before the log's end, `corrupt` when they are
  /// damaged.
  public func append(
    follower bytes: UnsafeRawBufferPointer, now: WallTime
  ) throws(LogError) -> AppendResult {
    var whole = 0
    do {
      var batches = BatchIterator(bytes)
      while let batch = try batches.next() {
        try batch.validate()
        whole = batches.position
      }
    } catch { throw .corrupt(error.description) }
    let batches = UnsafeRawBufferPointer(rebasing: bytes[..<whole])
    let result = try withState { (state) throws(LogError) in
      try state.guarding { try state.appendAsFollower(batches, nowMs: now.milliseconds) }
    }
    if result.mustFlush { try flush(now: now) }
    return result
  }

  // MARK: Reading

  /// The batches from the one with `offset` on, of one segment.
  ///
  /// - Parameters:
  ///   - maxBytes: the slice is no larger, unless `minOneMessage` and the first batch alone is.
  /// - Throws: `offsetOutOfRange` for an offset before the log's start or behind its end.
  public func read(
    from offset: Offset, maxBytes: Int, upTo limit: ReadLimit, minOneMessage: Bool = true
  ) throws(LogError) -> LogSlice {
    var known = KnownPlaces()
    while true {
      let outcome = try withState { (state) throws(LogError) in
        try state.guarding {
          try state.read(
            from: offset, maxBytes: max(maxBytes, 0), upTo: limit, minOneMessage: minOneMessage,
            knowing: known)
        }
      }
      switch outcome {
      case .found(let slice): return slice
      case .lookUp(let question): try LogError.mapping { try known.answer(question) }
      }
    }
  }

  // MARK: Cutting

  /// Forgets all records from `offset` on, as a follower does where it left its leader's log.
  /// - Returns: whether there were any.
  @discardableResult
  public func truncate(to offset: Offset, now: WallTime) throws(LogError) -> Bool {
    try withState { (state) throws(LogError) in
      try state.guarding { try state.truncate(to: offset, nowMs: now.milliseconds) }
    }
  }

  /// Removes all records; the log goes on at `offset`. Its start may lie below (with tiered
  /// storage).
  public func truncateFullyAndStart(
    at offset: Offset, logStartOffset: Offset? = nil, now: WallTime
  ) throws(LogError) {
    try withState { (state) throws(LogError) in
      try state.guarding {
        try state.startAnew(
          at: offset, logStartOffset: logStartOffset, nowMs: now.milliseconds)
      }
    }
  }

  /// Hides records below `offset`, which must not lie above the high watermark (DeleteRecords).
  /// - Returns: the log's start after it.
  @discardableResult
  public func deleteRecords(before offset: Offset) throws(LogError) -> Offset {
    try withState { (state) throws(LogError) in
      try state.guarding {
        _ = try state.setLogStart(to: offset)
        return state.logStartOffset
      }
    }
  }

  /// A follower takes over the log start of its leader.
  public func raiseLogStartOffset(to offset: Offset) throws(LogError) {
    try withState { (state) throws(LogError) in
      try state.guarding { try state.raiseLogStart(to: offset) }
    }
  }
}
