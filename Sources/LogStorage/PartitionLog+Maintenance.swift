import Platform
import Values

extension PartitionLog {
  /// Makes all that has been appended durable, and moves the recovery point. Waits for the disk,
  /// but does not hold the lock meanwhile.
  public func flush(now: WallTime) throws(LogError) {
    let plan = try withState { (state) throws(LogError) -> FlushPlan in
      try state.guarding {
        var plan = FlushPlan(upTo: state.logEndOffset, generation: state.generation)
        guard state.recoveryPoint < state.logEndOffset else { return plan }
        let first = state.segmentIndex(for: state.recoveryPoint) ?? 0
        var files: [File] = []
        for segment in state.segments[first...] { files += try segment.filesToSync() }
        // Files that were made since the last flush are found again only if their names last, too.
        if state.active.baseOffset >= state.recoveryPoint { plan.directory = state.directory }
        let snapshot = ProducerSnapshot.path(state.directory, state.producers.snapshotOffset)
        if state.producers.snapshotOffset > state.recoveryPoint, FileSystem.exists(snapshot) {
          files.append(try File(snapshot))
        }
        plan.files = files
        return plan
      }
    }
    var failure: SystemError?
    do throws(SystemError) {
      for file in plan.files { try file.syncData() }
      if let directory = plan.directory { try FileSystem.syncDirectory(directory) }
    } catch { failure = error }
    try withState { (state) throws(LogError) in
      try state.guarding {
        if let failure { throw failure }
        // What was cut off meanwhile and written anew is other bytes than those that were flushed.
        if state.generation == plan.generation {
          state.recoveryPoint = max(state.recoveryPoint, plan.upTo)
        }
        state.lastFlushMs = now.milliseconds
      }
    }
  }

  /// What a flush has to make durable.
  private struct FlushPlan: Sendable {
    var files: [File] = []
    /// Where files were made that no flush has seen yet.
    var directory: String?
    var upTo: Offset
    /// Of the log when the plan was made.
    var generation: Int
  }

  /// Whether `flush.ms` or `flush.messages` asks for a flush, or a segment was ended since the
  /// last.
  public func isFlushDue(now: WallTime) -> Bool {
    withState { state in
      guard state.recoveryPoint < state.logEndOffset else { return false }
      return state.recoveryPoint < state.active.baseOffset
        || now.milliseconds - state.lastFlushMs >= state.config.flushMs
        || state.logEndOffset - state.recoveryPoint >= state.config.flushMessages
    }
  }

  /// Deletes segments that the topic's policy does not want any more; see
  /// `LogState.applyRetention`.
  public func applyRetention(now: WallTime) throws(LogError) -> RetentionResult {
    try withState { (state) throws(LogError) in
      try state.guarding { try state.applyRetention(nowMs: now.milliseconds) }
    }
  }

  /// Removes files of deleted segments whose time has come.
  public func removeCondemnedFiles(now: WallTime) throws(LogError) {
    try withState { (state) throws(LogError) in
      try state.guarding { try state.removeCondemned(nowMs: now.milliseconds) }
    }
  }

  /// Ends the active segment, if it has anything.
  public func roll(now: WallTime) throws(LogError) {
    try withState { (state) throws(LogError) in
      try state.guarding { try state.roll(at: state.logEndOffset, nowMs: now.milliseconds) }
    }
  }

  /// Writes what recovery would have to work out, flushes, and serves no more.
  public func close(now: WallTime) throws(LogError) {
    try withState { (state) throws(LogError) in
      try state.guarding {
        try state.takeSnapshot()
        try state.active.finish()
      }
    }
    try flush(now: now)
    withState { $0.isClosed = true }
  }

  /// Serves no more, as when the disk failed or the log is about to be removed; writes nothing.
  public func closeWithoutWriting() { withState { $0.isClosed = true } }

  /// Takes the log out of service: its directory gets another name, under which it waits to be
  /// deleted.
  func moveDirectory(to path: String) throws(LogError) {
    try withState { (state) throws(LogError) in
      try state.guarding {
        state.isClosed = true
        try FileSystem.rename(state.directory, to: path)
        if let parent = FileSystem.parent(of: path) { try FileSystem.syncDirectory(parent) }
        state.directory = path
        for segment in state.segments { try segment.directoryMoved(to: path) }
        for entry in state.condemned { try entry.segment.directoryMoved(to: path) }
        state.epochs.move(to: "\(path)/\(FileNames.leaderEpochCheckpoint)")
      }
    }
  }
}

extension LogSegment {
  /// The open files that have to reach the disk for the segment to be durable.
  func filesToSync() throws(SystemError) -> [File] {
    var files = [file, try offsetIndex.file.opened(), try timeIndex.file.opened()]
    if !transactionIndex.entries.isEmpty {
      files.append(try File(transactionIndex.path, [.read, .write]))
    }
    return files
  }
}
