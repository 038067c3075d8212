import Platform
import Synchronization
import Values

/// Something the operator should read about: what happened to which log or directory.
public enum LogEvent: Sendable {
  case loaded(TopicPartition, LoadReport)
  case directoryFailed(path: String, SystemError)
  case loadFailed(path: String, LogError)
  case segmentsDeleted(TopicPartition, RetentionResult)
  case cleaned(TopicPartition, CleanerResult)
  case cleaningFailed(TopicPartition, LogError)
}

/// All logs of a broker, over all its log directories.
///
/// It has no threads of its own: the node calls `flushDirty`, `runRetention`, `checkpoint`,
/// `removeCondemned`, `runCleaner` and `expireProducers` on an I/O thread, as often as the
/// configuration says.
public final class LogManager: Sendable {
  struct State {
    var logs: [TopicPartition: PartitionLog] = [:]
    var directories: [TopicPartition: LogDirectory] = [:]
    /// Copies that move between directories.
    var future: [TopicPartition: PartitionLog] = [:]
    /// Directories that wait to be removed.
    var condemned: [(path: String, dueMs: Int64)] = []
    var cleaner = CleanerState()
  }

  public let directories: [LogDirectory]
  /// Paths of `log.dirs` that could not be taken at all.
  public let unusable: [(path: String, error: LogError)]
  let configure: @Sendable (String) -> LogConfig
  let onEvent: @Sendable (LogEvent) -> Void
  let state = Mutex(State())

  /// Takes the directories; reads no log yet.
  ///
  /// - Parameters:
  ///   - paths: `log.dirs`.
  ///   - configure: the settings of a topic's logs, by its name.
  ///   - onEvent: called from whatever thread something happens on.
  public init(
    paths: [String], configure: @escaping @Sendable (String) -> LogConfig,
    onEvent: @escaping @Sendable (LogEvent) -> Void = { _ in }
  ) {
    self.configure = configure
    self.onEvent = onEvent
    var taken: [LogDirectory] = []
    var refused: [(String, LogError)] = []
    for path in paths {
      do { taken.append(try LogDirectory(path: path)) } catch {
        refused.append((path, LogError(error)))
      }
    }
    directories = taken
    unusable = refused
  }

  /// Directories that still work.
  public var liveDirectories: [LogDirectory] { directories.filter { !$0.isOffline } }

  // MARK: Finding logs

  public func log(_ partition: TopicPartition) -> PartitionLog? {
    state.withLock { $0.logs[partition] }
  }

  /// All logs, by partition.
  public var logs: [PartitionLog] {
    state.withLock { Array($0.logs.values) }.sorted { $0.topicPartition < $1.topicPartition }
  }

  public func directory(of partition: TopicPartition) -> LogDirectory? {
    state.withLock { $0.directories[partition] }
  }

  /// The topic's id as the partition's directory has it.
  public func topicID(_ partition: TopicPartition) throws(LogError) -> Uuid? {
    guard let log = log(partition) else { return nil }
    return try LogError.mapping { try PartitionMetadata.read(directory: log.directory) }
  }

  /// Sets the topic's id where a log was made before there was one.
  public func setTopicID(_ id: Uuid, of partition: TopicPartition) throws(LogError) {
    guard let log = log(partition) else { return }
    try LogError.mapping { try PartitionMetadata.write(id, directory: log.directory) }
  }

  // MARK: Making and removing logs

  /// The partition's log, made if there is none: in the live directory with the fewest logs, or in
  /// `directory`.
  public func log(
    creating partition: TopicPartition, topicID: Uuid?, in directory: LogDirectory? = nil,
    now: WallTime
  ) throws(LogError) -> PartitionLog {
    if let log = log(partition) { return log }
    guard let home = directory ?? emptiestDirectory() else {
      throw .logDirectoryFailed(SystemError("open", code: 5, on: "every log directory"))
    }
    let path = "\(home.path)/\(partition)"
    do {
      let log = try PartitionLog.open(
        directory: path, partition: partition, config: configure(partition.topic),
        wasClean: true, now: now
      ).log
      try LogError.mapping {
        if let topicID, !topicID.isZero {
          try PartitionMetadata.write(topicID, directory: path)
        }
        try FileSystem.syncDirectory(home.path)
      }
      return state.withLock { state in
        // Somebody else may have been faster; then theirs is the log.
        if let known = state.logs[partition] { return known }
        state.logs[partition] = log
        state.directories[partition] = home
        return log
      }
    } catch {
      note(error, in: home)
      throw error
    }
  }

  private func emptiestDirectory() -> LogDirectory? {
    let counts = state.withLock { state in
      state.directories.values.reduce(into: [:]) { $0[$1.path, default: 0] += 1 }
    }
    return liveDirectories.min { counts[$0.path, default: 0] < counts[$1.path, default: 0] }
  }

  /// Takes a log out of service. Its directory is renamed, and removed `file.delete.delay.ms`
  /// later.
  public func delete(_ partition: TopicPartition, now: WallTime) throws(LogError) {
    guard let (log, home) = takeOut(partition) else { return }
    let delay = log.config.fileDeleteDelayMs
    let name = LogDirectoryName.name(
      for: partition, role: .deleted, unique: Self.uniqueName())
    do {
      try log.moveDirectory(to: "\(home.path)/\(name)")
    } catch {
      note(error, in: home)
      throw error
    }
    state.withLock { $0.condemned.append(("\(home.path)/\(name)", now.milliseconds.adding(delay))) }
  }

  /// Forgets a log; nil if there is none.
  func takeOut(_ partition: TopicPartition) -> (PartitionLog, LogDirectory)? {
    state.withLock { state in
      state.cleaner.forget(partition)
      guard let log = state.logs.removeValue(forKey: partition),
        let home = state.directories.removeValue(forKey: partition)
      else { return nil }
      return (log, home)
    }
  }

  /// Thirty-two hexadecimal digits for a directory's name.
  static func uniqueName() -> String {
    SystemRandom.bytes(16).map { byte in
      (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }.joined()
  }

  /// Applies changed topic settings to the topic's logs.
  public func updateConfig(topic: String) {
    let config = configure(topic)
    for log in logs where log.topicPartition.topic == topic { log.update(config) }
  }

  // MARK: Failures

  /// Takes the directory offline if the error says that its disk failed. Its logs are gone from
  /// `log(_:)` from then on; the node tells the controller.
  public func note(_ error: LogError, in directory: LogDirectory) {
    guard case .logDirectoryFailed(let cause) = error else { return }
    takeOffline(directory, cause)
  }

  /// The same for an error that a partition's log threw.
  public func note(_ error: LogError, of partition: TopicPartition) {
    guard let home = directory(of: partition) else { return }
    note(error, in: home)
  }

  private func takeOffline(_ directory: LogDirectory, _ error: SystemError) {
    guard directory.fail(error) else { return }
    let lost = state.withLock { state in
      let lost = state.directories.filter { $0.value === directory }.keys.compactMap {
        state.logs[$0]
      }
      for log in lost {
        state.logs[log.topicPartition] = nil
        state.cleaner.forget(log.topicPartition)
      }
      return lost
    }
    for log in lost { log.closeWithoutWriting() }
    onEvent(.directoryFailed(path: directory.path, error))
  }

  /// Partitions whose logs are in directories that failed.
  public var offlinePartitions: [TopicPartition] {
    state.withLock { state in
      state.directories.filter { $0.value.isOffline }.keys.sorted()
    }
  }
}
