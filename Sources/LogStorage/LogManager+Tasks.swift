import Platform
import Values

/// One log as DescribeLogDirs tells it.
public struct LogDescription: Equatable, Sendable {
  public var partition: TopicPartition
  public var size: Int
  public var isFuture: Bool
}

/// What the node has done from time to time, on threads that may wait for the disk.
extension LogManager {
  /// Runs `body` for each log; what the disk fails at takes its directory offline.
  private func forEachLog(_ body: (PartitionLog) throws(LogError) -> Void) {
    for log in logs {
      do { try body(log) } catch { note(error, of: log.topicPartition) }
    }
  }

  /// Flushes logs for which `flush.ms`, `flush.messages` or a roll asks for it.
  public func flushDirty(now: WallTime) {
    forEachLog { (log) throws(LogError) in
      if log.isFlushDue(now: now) { try log.flush(now: now) }
    }
  }

  /// Deletes old segments by each topic's policy.
  public func runRetention(now: WallTime) {
    forEachLog { (log) throws(LogError) in
      let result = try log.applyRetention(now: now)
      if result.deletedSegments > 0 { onEvent(.segmentsDeleted(log.topicPartition, result)) }
    }
  }

  /// Forgets producers that have been silent for too long.
  public func expireProducers(now: WallTime) {
    for log in logs { log.expireProducers(now: now) }
  }

  /// Removes files and directories whose time has come.
  public func removeCondemned(now: WallTime) {
    forEachLog { (log) throws(LogError) in try log.removeCondemnedFiles(now: now) }
    let due = state.withLock { state in
      let due = state.condemned.filter { $0.dueMs <= now.milliseconds }.map(\.path)
      state.condemned.removeAll { $0.dueMs <= now.milliseconds }
      return due
    }
    for path in due {
      do throws(SystemError) { try FileSystem.removeTree(path) } catch {
        guard let home = directories.first(where: { path.hasPrefix($0.path + "/") }) else {
          continue
        }
        note(.logDirectoryFailed(error), in: home)
      }
    }
  }

  /// Writes recovery points and log starts of all directories.
  public func checkpoint() {
    checkpointRecoveryPoints()
    checkpointLogStarts()
  }

  /// Recovery reads from these points on, so they must never be ahead of what was flushed.
  public func checkpointRecoveryPoints() {
    for directory in liveDirectories {
      do { try checkpointRecoveryPoints(directory) } catch { note(error, in: directory) }
    }
  }

  /// Below these offsets nothing is read, though the files may have it (DeleteRecords).
  public func checkpointLogStarts() {
    for directory in liveDirectories {
      do { try checkpointLogStarts(directory) } catch { note(error, in: directory) }
    }
  }

  /// The logs that live in a directory.
  private func logs(in directory: LogDirectory) -> [PartitionLog] {
    logs.filter { self.directory(of: $0.topicPartition) === directory }
  }

  private func checkpointRecoveryPoints(_ directory: LogDirectory) throws(LogError) {
    let points = logs(in: directory).reduce(into: [:]) {
      $0[$1.topicPartition] = $1.recoveryPoint
    }
    try directory.recoveryPoints.write(points)
  }

  private func checkpointLogStarts(_ directory: LogDirectory) throws(LogError) {
    var starts: [TopicPartition: Offset] = [:]
    for log in logs(in: directory) {
      // A start that is the first segment's base needs no telling.
      let start = log.withState { state in
        state.logStartOffset > state.segments[0].baseOffset ? state.logStartOffset : nil
      }
      starts[log.topicPartition] = start
    }
    try directory.logStarts.write(starts)
  }

  /// Writes the high watermarks of all logs.
  public func checkpointHighWatermarks() {
    for directory in liveDirectories {
      let offsets = logs(in: directory).reduce(into: [:]) {
        $0[$1.topicPartition] = $1.highWatermark
      }
      do { try directory.highWatermarks.write(offsets) } catch { note(error, in: directory) }
    }
  }

  /// Flushes and closes all logs, writes the checkpoints, and marks the shutdown as clean.
  ///
  /// - Parameter brokerEpoch: goes into the mark; -1 in ZooKeeper mode.
  public func shutdown(brokerEpoch: Int64 = -1, now: WallTime) {
    checkpointHighWatermarks()
    for directory in liveDirectories {
      do {
        for log in logs(in: directory) { try log.close(now: now) }
        try checkpointRecoveryPoints(directory)
        try checkpointLogStarts(directory)
        try LogError.mapping {
          try CleanShutdownFile.write(directory: directory.path, brokerEpoch: brokerEpoch)
        }
      } catch { note(error, in: directory) }
    }
  }

  /// The logs of a directory with their sizes.
  public func describe(_ directory: LogDirectory) -> [LogDescription] {
    logs(in: directory).map {
      LogDescription(partition: $0.topicPartition, size: $0.size, isFuture: false)
    }
  }
}
