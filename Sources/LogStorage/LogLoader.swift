import Platform
import Records
import Values

/// How a log came up, for the log line and the metrics.
public struct LoadReport: Equatable, Sendable {
  /// Segments that were read from end to end because they may not have reached the disk.
  public var recoveredSegments = 0
  /// Segments whose indexes were missing or wrong.
  public var rebuiltIndexes = 0
  public var truncatedBytes = 0
}

/// Brings a log up from its directory.
///
/// After a clean shutdown only names and sizes are looked at. After a crash everything from the
/// recovery point on is read: the log is cut at the first batch that is incomplete or damaged, and
/// indexes, epochs and producers are worked out anew.
struct LogLoader {
  let directory: String
  let partition: TopicPartition
  let config: LogConfig
  let wasClean: Bool
  let nowMs: Int64
  private(set) var report = LoadReport()

  init(
    directory: String, partition: TopicPartition, config: LogConfig, wasClean: Bool,
    nowMs: Int64
  ) {
    self.directory = directory
    self.partition = partition
    self.config = config
    self.wasClean = wasClean
    self.nowMs = nowMs
  }

  /// - Parameters:
  ///   - logStart: from the checkpoint; nil if it has none.
  ///   - recoveryPoint: from the checkpoint; 0 if it has none.
  mutating func load(logStart: Offset?, recoveryPoint: Offset) throws -> LogState {
    try FileSystem.createDirectory(directory)
    try finishSwaps()
    try removeOrphans()
    var segments = try openSegments()
    var epochs = try LeaderEpochCache(
      path: "\(directory)/\(FileNames.leaderEpochCheckpoint)")
    if !wasClean { try recover(&segments, from: recoveryPoint, epochs: &epochs) }
    if segments.isEmpty { segments = [try beginSegment(at: logStart ?? 0)] }
    var end = try segments[segments.count - 1].nextOffset()
    if let logStart, logStart > end {
      // The checkpoint says that everything here was deleted already.
      for segment in segments { try segment.remove() }
      segments = [try beginSegment(at: logStart)]
      end = logStart
    }
    let start = max(logStart ?? 0, segments[0].baseOffset)
    // A leader notes its epoch at the log's end before it appends: that entry stays.
    try epochs.truncate(fromEnd: end + 1)
    try epochs.truncate(fromStart: start)
    for segment in segments { try loadFirstTimestamp(segment) }
    try segments[segments.count - 1].reloadLargest()
    let state = LogState(
      partition: partition, directory: directory, config: config, segments: segments,
      logStartOffset: start, logEndOffset: end,
      recoveryPoint: wasClean ? end : min(recoveryPoint, end), producers: ProducerTable(),
      epochs: epochs, nowMs: nowMs)
    try loadProducers(state)
    return state
  }

  private func beginSegment(at offset: Offset) throws -> LogSegment {
    let segment = try LogSegment(
      directory: directory, baseOffset: offset, config: config, nowMs: nowMs)
    try segment.createIndexes()
    return segment
  }

  /// The active segment's age is that of its first batch, wherever it was written.
  private func loadFirstTimestamp(_ segment: LogSegment) throws {
    guard segment.size > 0 else { return }
    var scanner = segment.scanner(piece: 512)
    guard let header = try scanner.peek(), header.maxTimestamp >= 0 else { return }
    segment.firstTimestamp = header.maxTimestamp
  }

  // MARK: What a crash leaves

  /// Removes what was being written or waited to be removed, and finishes replacements that had
  /// been decided: a complete `.swap` file takes the place of the segments it covers.
  private func finishSwaps() throws {
    let names = try FileSystem.list(directory)
    // Cleaned segments become `.swap` from the last to the first. As long as one is still
    // `.cleaned`, those behind it are not decided yet.
    let undecided = names.compactMap { name in
      FileNames.offset(in: name, suffix: FileNames.log + FileNames.cleaned)
    }.min()
    var swaps: [Offset] = []
    for name in names {
      let path = "\(directory)/\(name)"
      if name.hasSuffix(FileNames.deleted) || name.hasSuffix(FileNames.cleaned) {
        try FileSystem.removeFile(path)
      } else if name.hasSuffix(FileNames.swap), let offset = Offset(name.prefix(20)) {
        if let undecided, offset >= undecided {
          try FileSystem.removeFile(path)
        } else if FileNames.offset(in: name, suffix: FileNames.log + FileNames.swap) != nil {
          swaps.append(offset)
        }
      }
    }
    guard !swaps.isEmpty else { return try removeFiles(suffix: FileNames.swap) }
    try replaceSegments(by: swaps)
  }

  private func removeFiles(suffix: String) throws {
    for name in try FileSystem.list(directory) where name.hasSuffix(suffix) {
      try FileSystem.removeFile("\(directory)/\(name)")
    }
  }

  private func replaceSegments(by swaps: [Offset]) throws {
    var end: Offset = 0
    for offset in swaps {
      let segment = try LogSegment(
        directory: directory, baseOffset: offset, config: config, nowMs: nowMs,
        suffix: FileNames.swap)
      end = max(end, try segment.nextOffset())
    }
    let start = swaps.min() ?? 0
    for name in try FileSystem.list(directory) {
      guard let base = FileNames.offset(in: name, suffix: FileNames.log), base >= start, base < end
      else { continue }
      let segment = try LogSegment(
        directory: directory, baseOffset: base, config: config, nowMs: nowMs)
      // What of its records is not in the new segments was cleaned away.
      try segment.remove()
    }
    for name in try FileSystem.list(directory) where name.hasSuffix(FileNames.swap) {
      let path = "\(directory)/\(name)"
      try FileSystem.rename(path, to: String(path.dropLast(FileNames.swap.utf8.count)))
    }
    try FileSystem.syncDirectory(directory)
  }

  /// Indexes of segments that are not there.
  private func removeOrphans() throws {
    let names = Set(try FileSystem.list(directory))
    for name in names.sorted() {
      for suffix in [FileNames.index, FileNames.timeIndex, FileNames.transactionIndex] {
        guard let base = FileNames.offset(in: name, suffix: suffix),
          !names.contains(FileNames.offset(base) + FileNames.log)
        else { continue }
        try FileSystem.removeFile("\(directory)/\(name)")
      }
    }
  }

  // MARK: Segments

  private mutating func openSegments() throws -> [LogSegment] {
    var segments: [LogSegment] = []
    for name in try FileSystem.list(directory) {
      guard let base = FileNames.offset(in: name, suffix: FileNames.log) else { continue }
      let segment = try openSegment(at: base)
      segments.append(segment)
    }
    return segments
  }

  private mutating func openSegment(at base: Offset) throws -> LogSegment {
    do {
      let segment = try LogSegment(
        directory: directory, baseOffset: base, config: config, nowMs: nowMs)
      if try segment.hasSaneIndexes() { return segment }
    } catch is LogError {
      // A transaction index that cannot be read is worked out from the log as well.
      let stem = "\(directory)/\(FileNames.offset(base))"
      try FileSystem.removeFile(stem + FileNames.transactionIndex)
    }
    let segment = try LogSegment(
      directory: directory, baseOffset: base, config: config, nowMs: nowMs)
    report.rebuiltIndexes += 1
    _ = try recoverSegment(segment) { _ in }
    return segment
  }

  /// Reads everything from the recovery point on.
  private mutating func recover(
    _ segments: inout [LogSegment], from recoveryPoint: Offset, epochs: inout LeaderEpochCache
  ) throws {
    let first = segments.lastIndex { $0.baseOffset <= recoveryPoint } ?? 0
    var index = first
    while index < segments.count {
      let segment = segments[index]
      report.recoveredSegments += 1
      var found: [(LeaderEpoch, Offset)] = []
      var next = segment.baseOffset
      var isContiguous = true
      let cut = try recoverSegment(segment) { header in
        isContiguous = isContiguous && header.baseOffset == next
        next = header.nextOffset
        guard header.magic == 2 else { return }
        let epoch = LeaderEpoch(header.partitionLeaderEpoch)
        if found.last?.0 != epoch { found.append((epoch, header.baseOffset)) }
      }
      for (epoch, offset) in found where epoch > (epochs.latest?.epoch ?? .none) {
        try epochs.assign(epoch, at: offset)
      }
      index += 1
      let isFollowed = index == segments.count || segments[index].baseOffset == next
      guard cut > 0 || (!isFollowed && isContiguous && !config.isCompacted) else { continue }
      report.truncatedBytes += cut
      try removeRest(&segments, from: index)
    }
  }

  /// What lies behind a cut does not continue the log; neither does what lies behind a hole, which
  /// is left where a power failure took the end of a segment and not the segment after it. Cleaning
  /// leaves holes too, so logs that are or were compacted keep theirs: their own offsets have gaps.
  private mutating func removeRest(_ segments: inout [LogSegment], from index: Int) throws {
    for segment in segments[index...] {
      report.truncatedBytes += segment.size
      try segment.remove()
    }
    segments.removeSubrange(index...)
  }

  private func recoverSegment(
    _ segment: LogSegment, _ each: (BatchHeader) throws -> Void
  ) throws -> Int {
    // Producers as of the segment's start decide what goes into its transaction index.
    var producers = try producers(before: segment.baseOffset)
    return try segment.recover(producers: &producers, each: each)
  }

  /// What is known of producers at a segment's base: the newest snapshot not beyond it, brought up
  /// through the segments between.
  private func producers(before base: Offset) throws -> ProducerTable {
    var table = ProducerTable()
    var start: Offset = 0
    for offset in try ProducerSnapshot.offsets(in: directory).reversed() where offset <= base {
      guard let bytes = try FileSystem.readFile(ProducerSnapshot.path(directory, offset)),
        let loaded = try? ProducerSnapshot.decode(bytes)
      else { continue }
      for producer in loaded { table.load(producer) }
      start = offset
      break
    }
    let bases = try FileSystem.list(directory).compactMap {
      FileNames.offset(in: $0, suffix: FileNames.log)
    }.filter { $0 < base }
    guard start < base else { return table }
    let first = bases.lastIndex { $0 <= start } ?? 0
    for earlier in bases.dropFirst(first) {
      let segment = try LogSegment(
        directory: directory, baseOffset: earlier, config: config, nowMs: nowMs)
      try segment.replayProducers(into: &table, from: start, to: base)
    }
    return table
  }

  // MARK: Producers

  /// Snapshots that belong to no segment are removed, but for the newest.
  private func loadProducers(_ state: LogState) throws {
    let bases = Set(state.segments.map(\.baseOffset))
    let snapshots = try ProducerSnapshot.offsets(in: directory)
    for offset in snapshots.dropLast() where !bases.contains(offset) {
      try FileSystem.removeFile(ProducerSnapshot.path(directory, offset))
    }
    try state.loadProducers(to: state.logEndOffset)
    state.producers.expire(now: WallTime(milliseconds: nowMs), after: config.producerIDExpirationMs)
    state.highWatermark = state.logStartOffset
  }
}

extension PartitionLog {
  /// Opens the log in `directory`, creating it when there is none. Reads much after a crash.
  ///
  /// - Parameters:
  ///   - logStart: from `log-start-offset-checkpoint`, if it has the partition.
  ///   - recoveryPoint: from `recovery-point-offset-checkpoint`, else 0.
  ///   - wasClean: the log directory has `.kafka_cleanshutdown`.
  public static func open(
    directory: String, partition: TopicPartition, config: LogConfig, logStart: Offset? = nil,
    recoveryPoint: Offset = 0, wasClean: Bool, now: WallTime
  ) throws(LogError) -> (log: PartitionLog, report: LoadReport) {
    try LogError.mapping {
      var loader = LogLoader(
        directory: directory, partition: partition, config: config, wasClean: wasClean,
        nowMs: now.milliseconds)
      let state = try loader.load(logStart: logStart, recoveryPoint: recoveryPoint)
      return (PartitionLog(state), loader.report)
    }
  }
}
