import Platform
import Values

/// How much of a compacted log waits for the cleaner.
struct Dirtiness: Sendable {
  var firstDirtyOffset: Offset
  var firstUncleanableOffset: Offset
  var cleanBytes: Int
  var dirtyBytes: Int
  /// `max.compaction.lag.ms` has passed for the oldest dirty record.
  var isOverdue: Bool

  var ratio: Double {
    let total = cleanBytes + dirtyBytes
    return total == 0 ? 0 : Double(dirtyBytes) / Double(total)
  }
}

extension PartitionLog {
  /// How dirty the log is, if everything below `checkpoint` has been cleaned.
  func dirtiness(cleanedUpTo checkpoint: Offset?, now: WallTime) -> Dirtiness {
    withState { state in
      let start = state.segments[0].baseOffset
      // A checkpoint outside of the log speaks of one that was truncated or deleted.
      let known = checkpoint.map { $0 > state.logEndOffset ? start : max($0, start) } ?? start
      let firstDirty = max(known, state.logStartOffset)
      let end = max(
        state.firstUncleanableOffset(from: firstDirty, nowMs: now.milliseconds), firstDirty)
      var clean = 0
      var dirty = 0
      for segment in state.segments.dropLast() {
        if segment.baseOffset < firstDirty {
          clean += segment.size
        } else if segment.baseOffset < end {
          dirty += segment.size
        }
      }
      let oldest = state.segments.dropLast().first { $0.baseOffset >= firstDirty && $0.size > 0 }
      let lag = state.config.maxCompactionLagMs
      let isOverdue =
        lag < .max && firstDirty < end
        && (oldest?.firstTimestamp.map { now.age(of: $0) > lag } ?? false)
      return Dirtiness(
        firstDirtyOffset: firstDirty, firstUncleanableOffset: end, cleanBytes: clean,
        dirtyBytes: dirty, isOverdue: isOverdue)
    }
  }

  /// Cleans the log from its first dirty offset on. Reads and writes much.
  func clean(
    _ dirt: Dirtiness, limits: CleanerConfig, now: WallTime
  ) throws(LogError) -> CleanerResult {
    let work = withState { CleaningWork(plan: $0.cleaningPlan(dirt)) }
    let plan = work.plan
    return try LogError.mapping {
      var cleaner = Cleaner(plan, limits: limits, nowMs: now.milliseconds)
      return try cleaner.run { cleaned, old in
        let step = CleaningWork(plan: plan, cleaned: cleaned, old: old)
        try withState { (state) throws(LogError) in
          try state.guarding { try state.replace(step, nowMs: now.milliseconds) }
        }
      }
    }
  }
}

/// What goes between the log and its cleaner.
private struct CleaningWork: @unchecked Sendable {  // old segments change under the lock only
  let plan: Cleaner.Plan
  var cleaned: LogSegment?
  var old: [LogSegment] = []
}

extension LogState {
  /// The active segment is never part of it: batches are still being added there.
  fileprivate func cleaningPlan(_ dirt: Dirtiness) -> Cleaner.Plan {
    var last: [Int64: BatchFilter.LastBatch] = [:]
    for producer in producers.states {
      last[producer.producerID] = BatchFilter.LastBatch(
        dataOffset: producer.batches.last?.lastOffset, epoch: producer.epoch)
    }
    return Cleaner.Plan(
      directory: directory, config: config, generation: generation,
      segments: segments.dropLast().filter { $0.baseOffset < dirt.firstUncleanableOffset },
      firstDirtyOffset: dirt.firstDirtyOffset,
      firstUncleanableOffset: dirt.firstUncleanableOffset, producers: last)
  }

  /// Puts a cleaned segment in the place of those it was made of. After a crash in between, loading
  /// finishes what has been decided by the suffix `.swap`.
  fileprivate func replace(_ step: CleaningWork, nowMs: Int64) throws {
    let old = step.old
    guard generation == step.plan.generation, let cleaned = step.cleaned, !old.isEmpty,
      let first = segments.firstIndex(where: { $0 === old[0] }),
      first + old.count < segments.count, zip(old, segments[first...]).allSatisfy({ $0 === $1 })
    else { throw LogError.changedUnderCleaner }
    // From this rename on the new segment counts, whenever a crash comes.
    try cleaned.changeSuffix(to: FileNames.swap)
    try FileSystem.syncDirectory(directory)
    for segment in old { try condemn(segment, nowMs: nowMs) }
    try cleaned.changeSuffix(to: "")
    try FileSystem.syncDirectory(directory)
    segments.replaceSubrange(first..<(first + old.count), with: [cleaned])
    limitPlace = nil
    layout += 1
  }
}

extension LogState {
  /// Up to where the cleaner may go: not into what readers may not see yet, not into the active
  /// segment, and not into what is younger than `min.compaction.lag.ms`.
  func firstUncleanableOffset(from firstDirty: Offset, nowMs: Int64) -> Offset {
    var end = min(lastStableOffset, active.baseOffset)
    let lag = config.minCompactionLagMs
    guard lag > 0 else { return end }
    for segment in segments.dropLast() where segment.baseOffset >= firstDirty {
      guard let newest = try? segment.newestMs(), newest > nowMs - lag else { continue }
      end = min(end, segment.baseOffset)
      break
    }
    return end
  }
}
