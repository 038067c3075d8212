import Platform
import Records
import Values

/// Everything a log is behind its lock. Its functions are in extensions by what they do; none is
/// called without the lock, and none waits for the disk to be flushed unless its name says so.
final class LogState {
  let partition: TopicPartition
  var directory: String
  var config: LogConfig
  /// Ascending; the last one is active. Never empty.
  var segments: [LogSegment]
  var logStartOffset: Offset
  /// The offset that the next record gets.
  var logEndOffset: Offset
  /// Replicated by all in-sync replicas; told by the replica's owner.
  var highWatermark: Offset
  /// Everything before it is on the disk.
  var recoveryPoint: Offset
  var lastFlushMs: Int64
  var producers: ProducerTable
  var epochs: LeaderEpochCache
  var recent = RecentBatches()
  /// Segments out of service whose files are removed once their time has come.
  var condemned: [(segment: LogSegment, dueMs: Int64)] = []
  /// Counts cuts at the end, which make void what was read before without the lock.
  var generation = 0
  /// Counts whatever makes places in files void: cuts, and segments replaced by cleaned ones.
  var layout = 0
  var isClosed = false
  /// Set by the first failure of the disk; nothing is served after it.
  var failure: SystemError?
  /// Where the high watermark is in its segment, as last looked up.
  var limitPlace: (offset: Offset, segmentBase: Offset, position: Int)?

  init(
    partition: TopicPartition, directory: String, config: LogConfig, segments: [LogSegment],
    logStartOffset: Offset, logEndOffset: Offset, recoveryPoint: Offset,
    producers: ProducerTable, epochs: LeaderEpochCache, nowMs: Int64
  ) {
    self.partition = partition
    self.directory = directory
    self.config = config
    self.segments = segments
    self.logStartOffset = logStartOffset
    self.logEndOffset = logEndOffset
    self.recoveryPoint = recoveryPoint
    self.producers = producers
    self.epochs = epochs
    highWatermark = logStartOffset
    lastFlushMs = nowMs
  }

  var active: LogSegment { segments[segments.count - 1] }

  var size: Int { segments.reduce(0) { $0 + $1.size } }

  /// Where the first transaction begins whose outcome readers of committed data may not see yet.
  var firstUnstableOffset: Offset? {
    producers.firstUnstableOffset.map { max($0, logStartOffset) }
  }

  var lastStableOffset: Offset {
    guard let unstable = firstUnstableOffset, unstable < highWatermark else { return highWatermark }
    return unstable
  }

  func checkUsable() throws(LogError) {
    if let failure { throw .logDirectoryFailed(failure) }
    if isClosed { throw .closed }
  }

  /// The index of the last segment whose base is at or below `offset`.
  func segmentIndex(for offset: Offset) -> Int? {
    var low = 0
    var high = segments.count
    while low < high {
      let middle = (low + high) / 2
      if segments[middle].baseOffset > offset { high = middle } else { low = middle + 1 }
    }
    return low == 0 ? nil : low - 1
  }

  /// The high watermark moves up, within the log.
  /// - Returns: whether it moved.
  func setHighWatermark(_ offset: Offset) -> Bool {
    let bounded = min(max(offset, logStartOffset), logEndOffset)
    guard bounded != highWatermark else { return false }
    highWatermark = bounded
    producers.highWatermarkMoved(to: bounded)
    return true
  }

  // MARK: Rolling

  /// How long the active segment has been open, by the timestamps of the batches if they have any.
  private func ageOfActive(_ timestamp: Int64, nowMs: Int64) -> Int64 {
    if let first = active.firstTimestamp, timestamp >= 0 { return timestamp - first }
    return nowMs - active.createdMs
  }

  func shouldRoll(_ header: BatchHeader, nowMs: Int64) -> Bool {
    let active = active
    if active.size + header.sizeInBytes > config.segmentBytes, active.size > 0 { return true }
    if active.indexesAreFull || !active.canHold(header.lastOffset) { return true }
    let limit = config.segmentMs - config.segmentJitterMs
    return active.size > 0 && ageOfActive(header.maxTimestamp, nowMs: nowMs) > limit
  }

  /// Ends the active segment and begins one at `baseOffset`. What is known of producers is written
  /// to a snapshot file, so that recovery can begin there. Flushing is left to
  /// `PartitionLog.flush`.
  func roll(at baseOffset: Offset, nowMs: Int64) throws {
    if active.baseOffset == baseOffset, active.size == 0 {
      // Only its indexes can be full: it begins anew.
      try active.truncate(to: baseOffset, position: 0)
      return
    }
    try active.finish()
    producers.mapEndOffset = max(producers.mapEndOffset, baseOffset)
    try takeSnapshot()
    let segment = try LogSegment(
      directory: directory, baseOffset: baseOffset, config: config, nowMs: nowMs)
    // A file of that name can only be what a truncation or a crash left behind.
    if segment.size > 0 { try segment.truncate(to: baseOffset, position: 0) }
    try segment.createIndexes()
    segments.append(segment)
    logEndOffset = max(logEndOffset, baseOffset)
    recent.clear()
  }

  /// Writes what is known of producers at the log's end, unless the newest file says the same.
  func takeSnapshot() throws(SystemError) {
    guard producers.mapEndOffset > producers.snapshotOffset else { return }
    let bytes = ProducerSnapshot.encode(producers.states)
    let path = ProducerSnapshot.path(directory, producers.mapEndOffset)
    let file = try File(path, [.write, .create, .truncate])
    try file.write(bytes, at: 0)
    producers.snapshotOffset = producers.mapEndOffset
  }

  /// Runs `body`; a failure of the disk makes the log unusable.
  func guarding<R>(_ body: () throws -> R) throws(LogError) -> R {
    try checkUsable()
    do { return try body() } catch {
      let mapped = LogError(error)
      if case .logDirectoryFailed(let cause) = mapped { failure = cause }
      throw mapped
    }
  }
}

/// The last batches that were appended, so that reads near the log's end find their place without
/// reading the index and the file.
struct RecentBatches {
  struct Place {
    var baseOffset: Offset
    var lastOffset: Offset
    var position: Int
    var size: Int
  }

  private static let capacity = 64
  private var places: [Place] = []
  private var oldest = 0

  /// All of them are in the active segment.
  mutating func clear() {
    places.removeAll(keepingCapacity: true)
    oldest = 0
  }

  mutating func append(_ header: BatchHeader, at position: Int) {
    let place = Place(
      baseOffset: header.baseOffset, lastOffset: header.lastOffset, position: position,
      size: header.sizeInBytes)
    guard places.count == Self.capacity else {
      places.append(place)
      return
    }
    places[oldest] = place
    oldest = (oldest + 1) % Self.capacity
  }

  private func place(_ age: Int) -> Place { places[(oldest + age) % places.count] }

  /// The first batch whose last offset is at or above `offset`, if that is certain.
  func find(_ offset: Offset) -> Place? {
    guard !places.isEmpty, offset >= place(0).baseOffset else { return nil }
    var low = 0
    var high = places.count
    while low < high {
      let middle = (low + high) / 2
      if place(middle).lastOffset >= offset { high = middle } else { low = middle + 1 }
    }
    return low < places.count ? place(low) : nil
  }
}
