/// `meta.properties` in every log directory: whose directory it is.
///
/// In ZooKeeper mode version 0 with `broker.id` and `cluster.id`, written at the first start. A
/// directory of another broker or cluster is never touched.
import LogStorage
import Platform
import Settings
import Values

struct ZooKeeperMetaProperties: Equatable {
  var brokerID: BrokerID?
  var clusterID: String?

  static func path(_ directory: String) -> String { "\(directory)/meta.properties" }

  /// Nil when the directory has none.
  static func read(_ directory: String) throws(StartupError) -> ZooKeeperMetaProperties? {
    let path = path(directory)
    do {
      guard let bytes = try FileSystem.readFile(path) else { return nil }
      let properties = try Properties(parsing: bytes, file: path)
      var found = ZooKeeperMetaProperties()
      found.clusterID = properties["cluster.id"]
      let id = properties["broker.id"] ?? properties["node.id"]
      found.brokerID = id.flatMap { Int32($0) }.map { BrokerID($0) }
      if id != nil, found.brokerID == nil { throw StartupError("\(path): broker.id is no number") }
      return found
    } catch {
      throw (error as? StartupError) ?? StartupError("\(path): \(error)")
    }
  }

  func write(_ directory: String) throws(StartupError) {
    var text = "#\nversion=0\n"
    if let brokerID { text += "broker.id=\(brokerID.rawValue)\n" }
    if let clusterID { text += "cluster.id=\(clusterID)\n" }
    do throws(SystemError) {
      try FileSystem.replaceFile(Self.path(directory), with: Array(text.utf8))
    } catch {
      throw StartupError("\(Self.path(directory)): \(error)")
    }
  }

  /// Finds the broker's id among configuration and directories, checks that all directories belong
  /// to it and to the cluster, and marks those that are new.
  static func settle(
    _ directories: [LogDirectory], configured: BrokerID, clusterID: String,
    generate: () throws(StartupError) -> BrokerID
  ) throws(StartupError) -> BrokerID {
    var known: [(directory: String, meta: ZooKeeperMetaProperties?)] = []
    for directory in directories {
      known.append((directory.path, try read(directory.path)))
    }
    for (directory, meta) in known {
      guard let stored = meta?.clusterID, stored != clusterID else { continue }
      throw StartupError(
        "\(path(directory)): cluster.id=\(stored), but the cluster's id is \(clusterID); "
          + "the broker is connecting to the wrong cluster, or log.dirs is another's")
    }
    let stored = known.compactMap { $0.meta?.brokerID }
    if let first = stored.first, let other = stored.first(where: { $0 != first }) {
      throw StartupError(
        "log.dirs: directories of different brokers, \(first.rawValue) and \(other.rawValue)")
    }
    if let first = stored.first, configured != .none, first != configured {
      throw StartupError(
        "broker.id=\(configured.rawValue), but \(path(known[0].directory)) belongs to broker "
          + "\(first.rawValue)")
    }
    let id: BrokerID
    if configured != .none {
      id = configured
    } else if let first = stored.first {
      id = first
    } else {
      id = try generate()
    }
    let wanted = ZooKeeperMetaProperties(brokerID: id, clusterID: clusterID)
    for (directory, meta) in known where meta != wanted { try wanted.write(directory) }
    return id
  }
}
