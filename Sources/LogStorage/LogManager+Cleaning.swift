import Values

/// Which logs are being cleaned, and how far each was.
struct CleanerState {
  private var busy: Set<TopicPartition> = []
  /// What the checkpoint files say; read once.
  var cleanedUpTo: [TopicPartition: Offset]?
  /// Logs that could not be cleaned; they are left alone until the next start.
  var uncleanable: Set<TopicPartition> = []

  mutating func begin(_ partition: TopicPartition) -> Bool { busy.insert(partition).inserted }
  mutating func end(_ partition: TopicPartition) { busy.remove(partition) }

  mutating func forget(_ partition: TopicPartition) {
    cleanedUpTo?[partition] = nil
    uncleanable.remove(partition)
  }
}

/// Choosing which compacted log to clean, and remembering how far each was.
extension LogManager {
  /// Cleans the dirtiest compacted log, if any is dirty enough. Several threads may call this; each
  /// takes another log.
  /// - Returns: whether there was one: then there may be more.
  public func runCleaner(limits: CleanerConfig = CleanerConfig(), now: WallTime) -> Bool {
    guard let (log, dirt) = takeDirtiest(now: now) else { return false }
    let partition = log.topicPartition
    do {
      let result = try log.clean(dirt, limits: limits, now: now)
      state.withLock { state in
        state.cleaner.end(partition)
        if state.logs[partition] === log {
          state.cleaner.cleanedUpTo?[partition] = result.cleanedUpTo
        }
      }
      if let home = directory(of: partition) { try checkpointCleaner(home) }
      onEvent(.cleaned(partition, result))
    } catch {
      state.withLock { state in
        state.cleaner.end(partition)
        if case .corrupt = error { state.cleaner.uncleanable.insert(partition) }
      }
      // Of a log that was deleted meanwhile, files are rightly missing.
      guard !log.isClosed else { return true }
      note(error, of: partition)
      onEvent(.cleaningFailed(partition, error))
    }
    return true
  }

  /// Logs past `max.compaction.lag.ms` come first, then the one with most to gain.
  private func takeDirtiest(now: WallTime) -> (PartitionLog, Dirtiness)? {
    loadCleanerOffsets()
    let (offsets, uncleanable) = state.withLock {
      ($0.cleaner.cleanedUpTo ?? [:], $0.cleaner.uncleanable)
    }
    var best: (log: PartitionLog, dirt: Dirtiness)?
    for log in logs where !uncleanable.contains(log.topicPartition) {
      let config = log.config
      guard config.isCompacted else { continue }
      let dirt = log.dirtiness(cleanedUpTo: offsets[log.topicPartition], now: now)
      guard dirt.dirtyBytes > 0, dirt.isOverdue || dirt.ratio > config.minCleanableDirtyRatio
      else { continue }
      guard dirt.ratio > best?.dirt.ratio ?? -1 || dirt.isOverdue else { continue }
      if best?.dirt.isOverdue == true { continue }
      best = (log, dirt)
    }
    guard let best, state.withLock({ $0.cleaner.begin(best.log.topicPartition) }) else {
      return nil
    }
    return best
  }

  /// The checkpoints are read once; afterwards memory knows better.
  private func loadCleanerOffsets() {
    guard state.withLock({ $0.cleaner.cleanedUpTo == nil }) else { return }
    var offsets: [TopicPartition: Offset] = [:]
    for directory in liveDirectories {
      offsets.merge((try? directory.cleanerOffsets.read()) ?? [:]) { max($0, $1) }
    }
    state.withLock { state in
      if state.cleaner.cleanedUpTo == nil { state.cleaner.cleanedUpTo = offsets }
    }
  }

  /// Written after each cleaning: a crash costs at most one.
  private func checkpointCleaner(_ directory: LogDirectory) throws(LogError) {
    let offsets = state.withLock { state in
      (state.cleaner.cleanedUpTo ?? [:]).filter { state.directories[$0.key] === directory }
    }
    try directory.cleanerOffsets.write(offsets)
  }
}
