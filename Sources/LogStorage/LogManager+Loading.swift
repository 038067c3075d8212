import Platform
import Synchronization
import Values

/// Bringing all logs up when the broker starts.
extension LogManager {
  /// One log to load, with what the checkpoints say of it.
  private struct Work: Sendable {
    let directory: LogDirectory
    let path: String
    let partition: TopicPartition
    let isFuture: Bool
    let logStart: Offset?
    let recoveryPoint: Offset
  }

  /// Loads all logs of all directories, each directory by so many threads. Returns when all are
  /// there; logs that cannot be read are told by events and left out, and a failing disk takes its
  /// directory offline.
  public func load(threadsPerDirectory: Int = 1, now: WallTime) {
    var work: [Work] = []
    for directory in liveDirectories {
      do { work += try plan(directory, now: now) } catch { note(error, in: directory) }
    }
    let queue = Mutex(work[...])
    let next: @Sendable () -> Work? = { queue.withLock { $0.popFirst() } }
    let count = min(work.count, max(threadsPerDirectory, 1) * max(directories.count, 1))
    var threads: [Thread] = []
    for index in 1..<max(count, 1) {
      let thread = try? Thread(name: "log-load-\(index)") { [self] in
        while let item = next() { load(item, now: now) }
      }
      if let thread { threads.append(thread) }
    }
    // This thread works too, so that loading goes on even where no other can be started.
    while let item = next() { load(item, now: now) }
    for thread in threads { thread.join() }
  }

  /// What there is to load in a directory. Logs that wait to be deleted are noted for it.
  private func plan(_ directory: LogDirectory, now: WallTime) throws(LogError) -> [Work] {
    let recoveryPoints = try readOrForget(directory.recoveryPoints)
    let starts = try readOrForget(directory.logStarts)
    return try LogError.mapping {
      var work: [Work] = []
      for (path, name) in try directory.partitions() {
        switch name.role {
        case .deleted:
          state.withLock { $0.condemned.append((path, now.milliseconds)) }
        case .stray: continue
        case .current, .future:
          work.append(
            Work(
              directory: directory, path: path, partition: name.topicPartition,
              isFuture: name.role == .future, logStart: starts[name.topicPartition],
              recoveryPoint: recoveryPoints[name.topicPartition] ?? 0))
        }
      }
      return work
    }
  }

  /// A checkpoint that cannot be understood is as good as none: recovery then reads more.
  private func readOrForget(
    _ checkpoint: OffsetCheckpoint
  ) throws(LogError) -> [TopicPartition: Offset] {
    do { return try checkpoint.read() } catch {
      if case .logDirectoryFailed = error { throw error }
      return [:]
    }
  }

  /// A log that cannot be read is left out; only a failing disk takes others with it.
  private func load(_ work: Work, now: WallTime) {
    guard !work.directory.isOffline else { return }
    do {
      let (log, report) = try PartitionLog.open(
        directory: work.path, partition: work.partition,
        config: configure(work.partition.topic), logStart: work.logStart,
        recoveryPoint: work.recoveryPoint,
        wasClean: work.directory.cleanShutdownEpoch != nil, now: now)
      state.withLock { state in
        if work.isFuture {
          state.future[work.partition] = log
        } else {
          state.logs[work.partition] = log
          state.directories[work.partition] = work.directory
        }
      }
      onEvent(.loaded(work.partition, report))
    } catch {
      onEvent(.loadFailed(path: work.path, error))
      note(error, in: work.directory)
    }
  }

  /// High watermarks as they were last checkpointed.
  public func checkpointedHighWatermarks() -> [TopicPartition: Offset] {
    var all: [TopicPartition: Offset] = [:]
    for directory in liveDirectories {
      all.merge((try? directory.highWatermarks.read()) ?? [:]) { a, _ in a }
    }
    return all
  }
}
