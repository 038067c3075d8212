import Platform
import Values

/// Logs that the broker finds in its directories though they are not its replicas.
extension LogManager {
  /// Takes a log out of service and keeps its files under a name that no start loads:
  /// `<topic>-<partition>.<unique>-stray`.
  ///
  /// - Returns: the directory's new path.
  public func setAside(_ partition: TopicPartition) throws(LogError) -> String {
    guard let (log, home) = takeOut(partition) else { return "" }
    let name = LogDirectoryName.name(for: partition, role: .stray, unique: Self.uniqueName())
    let path = "\(home.path)/\(name)"
    do {
      try log.moveDirectory(to: path)
    } catch {
      note(error, in: home)
      throw error
    }
    return path
  }
}
