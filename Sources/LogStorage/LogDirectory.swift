import Platform
import Synchronization
import Values

/// One of the broker's log directories (`log.dirs`): a lock file, the checkpoints, and a directory
/// for each partition. A failure of its disk takes it offline; the others go on.
public final class LogDirectory: Sendable {
  public let path: String
  /// Held for the life of the object, against a second broker on the same directory.
  private let lockFile: File
  private let failure = Mutex<SystemError?>(nil)
  public let recoveryPoints: OffsetCheckpoint
  public let highWatermarks: OffsetCheckpoint
  public let logStarts: OffsetCheckpoint
  public let cleanerOffsets: OffsetCheckpoint
  /// The epoch of the broker that stopped here cleanly; nil: it did not.
  public let cleanShutdownEpoch: Int64?

  /// Takes the directory, creating it if need be. The mark of a clean shutdown is taken away, so
  /// that it speaks for the last run only.
  init(path: String) throws {
    self.path = path
    try FileSystem.createDirectory(path)
    lockFile = try File("\(path)/.lock", [.read, .write, .create])
    guard try lockFile.tryLock() else {
      throw SystemError("flock", code: 11, on: "\(path)/.lock, which another process holds")
    }
    recoveryPoints = OffsetCheckpoint(path: "\(path)/recovery-point-offset-checkpoint")
    highWatermarks = OffsetCheckpoint(path: "\(path)/replication-offset-checkpoint")
    logStarts = OffsetCheckpoint(path: "\(path)/log-start-offset-checkpoint")
    cleanerOffsets = OffsetCheckpoint(path: "\(path)/cleaner-offset-checkpoint")
    cleanShutdownEpoch = try CleanShutdownFile.read(directory: path)
    try FileSystem.removeFile("\(path)/\(CleanShutdownFile.name)")
  }

  public var isOffline: Bool { failure.withLock { $0 != nil } }

  /// Notes the first failure.
  /// - Returns: whether it was the first.
  func fail(_ error: SystemError) -> Bool {
    failure.withLock { known in
      guard known == nil else { return false }
      known = error
      return true
    }
  }

  /// The directories of partitions, by name.
  func partitions() throws(SystemError) -> [(path: String, name: LogDirectoryName)] {
    var found: [(String, LogDirectoryName)] = []
    for name in try FileSystem.list(path) {
      let child = "\(path)/\(name)"
      // The metadata log lives beside the partitions and belongs to the controller.
      guard name != "__cluster_metadata-0", let parsed = LogDirectoryName(name),
        try FileSystem.status(child)?.kind == .directory
      else { continue }
      found.append((child, parsed))
    }
    return found
  }
}
