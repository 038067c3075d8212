/// The ids of a broker's log directories (KIP-858), by path. There are none in ZooKeeper mode.
import LogStorage
import Values

struct LogDirectoryIDs: Equatable, Sendable {
  private var byPath: [String: Uuid]

  init(_ byPath: [String: Uuid] = [:]) { self.byPath = byPath }

  func id(ofPath path: String) -> Uuid? { byPath[path] }
  func id(of directory: LogDirectory) -> Uuid? { byPath[directory.path] }

  /// The directory of that id, if it works.
  func directory(_ id: Uuid, of logs: LogManager) -> LogDirectory? {
    logs.liveDirectories.first { byPath[$0.path] == id }
  }

  /// The ids of the directories that work, ascending.
  func online(_ logs: LogManager) -> [Uuid] {
    logs.liveDirectories.compactMap { byPath[$0.path] }.sorted()
  }

  /// The ids of those that worked and have failed since, ascending.
  func offline(_ logs: LogManager) -> [Uuid] {
    logs.directories.filter(\.isOffline).compactMap { byPath[$0.path] }.sorted()
  }
}
