import Bytes
import Platform
import Records
import Values

/// What one cleaning did.
public struct CleanerResult: Equatable, Sendable {
  public var bytesRead = 0
  public var bytesWritten = 0
  public var recordsRead = 0
  public var recordsKept = 0
  /// Everything below it has been cleaned.
  public var cleanedUpTo: Offset = 0
}

/// The cleaner's limits; names follow the `log.cleaner.*` configurations.
public struct CleanerConfig: Sendable {
  public var dedupeBufferSize = 128 << 20
  public var loadFactor = 0.9
  /// Called with bytes read and written, to wait when that is too fast.
  public var throttle: @Sendable (Int) -> Void = { _ in }
  public init() {}
}

/// Cleans one compacted log: for each key only its last record stays.
///
/// It works beside the log, without its lock: of old segments it reads only the log files, which do
/// not change. New ones are written under
/// the suffix `.cleaned`, and take the place of the old ones in one step under the lock.
struct Cleaner {
  /// What is to be cleaned, as it was when the work began.
  struct Plan {
    var directory: String
    var config: LogConfig
    /// Of the log when this was made.
    var generation: Int
    /// All but the active segment and those that must stay as they are.
    var segments: [LogSegment]
    var firstDirtyOffset: Offset
    var firstUncleanableOffset: Offset
    var producers: [Int64: BatchFilter.LastBatch]
  }

  let plan: Plan
  let limits: CleanerConfig
  let nowMs: Int64
  private(set) var result = CleanerResult()

  init(_ plan: Plan, limits: CleanerConfig, nowMs: Int64) {
    self.plan = plan
    self.limits = limits
    self.nowMs = nowMs
  }

  /// - Parameter replace: puts a new segment in the place of old ones; throws when the log has
  ///   changed under the work.
  mutating func run(replace: (LogSegment, [LogSegment]) throws -> Void) throws -> CleanerResult {
    var keys = KeyOffsets(memory: limits.dedupeBufferSize, loadFactor: limits.loadFactor)
    let end = try collectKeys(into: &keys)
    result.cleanedUpTo = end
    let old = plan.segments.filter { $0.baseOffset < end }
    var filter = BatchFilter(
      producers: plan.producers, deleteRetentionMs: plan.config.deleteRetentionMs, nowMs: nowMs,
      keepsOldTombstones: try keepsOldTombstones(), transactions: abortedTransactions(of: old))
    for group in groups(of: old, end: end) {
      let cleaned = try clean(group, keys, &filter)
      do { try replace(cleaned, group) } catch {
        try? cleaned.remove()
        throw error
      }
    }
    result.recordsRead = filter.recordsRead
    result.recordsKept = filter.recordsKept
    return result
  }

  /// What the segments' indexes know of aborted transactions.
  private func abortedTransactions(of segments: [LogSegment]) -> CleanerTransactions {
    CleanerTransactions(segments.flatMap(\.transactionIndex.entries))
  }

  /// Old formats have no horizon in the batch: the last clean segment's time stands for it.
  private func keepsOldTombstones() throws -> Bool {
    guard let last = plan.segments.last(where: { $0.baseOffset < plan.firstDirtyOffset }) else {
      return true
    }
    let written = try FileSystem.status(last.file.path)?.modifiedMs ?? nowMs
    return written > nowMs - plan.config.deleteRetentionMs
  }

  // MARK: Keys

  /// Notes the last offset of each key in the dirty part.
  /// - Returns: how far it came before the table was full.
  private mutating func collectKeys(into keys: inout KeyOffsets) throws -> Offset {
    var transactions = abortedTransactions(of: plan.segments)
    var scratch = ByteWriter()
    let firstDirty = plan.segments.lastIndex { $0.baseOffset <= plan.firstDirtyOffset } ?? 0
    for segment in plan.segments.dropFirst(firstDirty) {
      // The index is the log's, and not to be touched without its lock.
      var scanner = segment.scanner(piece: 1 << 20)
      while let (batch, _) = try scanner.next() {
        let header = batch.header
        guard header.lastOffset >= plan.firstDirtyOffset else { continue }
        guard header.lastOffset < plan.firstUncleanableOffset else { return header.baseOffset }
        // A batch goes in whole or not at all, so that the end is the end of a batch.
        let expected = Int(max(header.recordCount, 1))
        if keys.isFull || !keys.hasRoom(for: expected), keys.count > 0 { return header.baseOffset }
        try note(batch, &transactions, &scratch, into: &keys)
        keys.latestOffset = header.lastOffset
        result.bytesRead += header.sizeInBytes
        limits.throttle(header.sizeInBytes)
      }
    }
    return plan.firstUncleanableOffset
  }

  /// Notes the keys of one batch; aborted data never counts as a key's last.
  private func note(
    _ batch: RecordBatch, _ transactions: inout CleanerTransactions, _ scratch: inout ByteWriter,
    into keys: inout KeyOffsets
  ) throws {
    if batch.header.isControl {
      _ = try transactions.passControl(batch, scratch: &scratch)
      return
    }
    if transactions.passData(batch.header) { return }
    var records = try batch.records(scratch: &scratch)
    while let record = try records.next() {
      if let key = record.key, record.offset >= plan.firstDirtyOffset {
        keys.note(key, at: record.offset)
      }
    }
  }

  // MARK: Segments

  /// Neighbours that fit into one segment together, by bytes, index entries and offsets.
  private func groups(of segments: [LogSegment], end: Offset) -> [[LogSegment]] {
    var groups: [[LogSegment]] = []
    var group: [LogSegment] = []
    var size = 0
    var entries = 0
    for (index, segment) in segments.enumerated() {
      let next = index + 1 < segments.count ? segments[index + 1].baseOffset : end
      let more = max(segment.offsetIndex.file.count, segment.timeIndex.file.count)
      if let first = group.first,
        size + segment.size > plan.config.segmentBytes
          || entries + more >= plan.config.segmentIndexBytes / TimeIndex.entrySize
          || next - first.baseOffset > Offset(Int32.max)
      {
        groups.append(group)
        group = []
        size = 0
        entries = 0
      }
      group.append(segment)
      size += segment.size
      entries += more
    }
    if !group.isEmpty { groups.append(group) }
    return groups
  }

  /// Writes one new segment with what stays of a group of old ones, and makes it durable.
  private mutating func clean(
    _ group: [LogSegment], _ keys: borrowing KeyOffsets, _ filter: inout BatchFilter
  ) throws -> LogSegment {
    for path in LogSegment.paths(
      directory: plan.directory, baseOffset: group[0].baseOffset, suffix: FileNames.cleaned)
    { try FileSystem.removeFile(path) }
    let cleaned = try LogSegment(
      directory: plan.directory, baseOffset: group[0].baseOffset, config: plan.config,
      nowMs: nowMs, suffix: FileNames.cleaned)
    try cleaned.createIndexes()
    var output = ByteWriter()
    for segment in group {
      var scanner = segment.scanner(piece: 1 << 20)
      while let (batch, _) = try scanner.next() {
        try filter.pass(batch, keys, into: &output)
        result.bytesRead += batch.header.sizeInBytes
        limits.throttle(batch.header.sizeInBytes)
        if output.count > 1 << 20 { try flush(&output, to: cleaned) }
      }
      // Half a batch in an old segment is damage; to clean on would make it permanent.
      guard scanner.position == segment.size else {
        throw LogError.corrupt("\(segment.file.path) ends within a batch")
      }
    }
    try flush(&output, to: cleaned)
    for transaction in filter.transactions.takeKept() {
      try cleaned.transactionIndex.append(transaction)
    }
    for file in try cleaned.filesToSync() { try file.sync() }
    try cleaned.finish()
    return cleaned
  }

  /// Writes what has gathered, and indexes it.
  private mutating func flush(_ output: inout ByteWriter, to segment: LogSegment) throws {
    try output.withUnsafeBytes { raw in
      try segment.write(raw)
      var batches = BatchIterator(raw)
      while let batch = try batches.next() { try segment.note(batch.header) }
    }
    result.bytesWritten += output.count
    limits.throttle(output.count)
    output.removeAll(keepingAtMost: 4 << 20)
  }
}
