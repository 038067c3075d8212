/// `meta.properties` in every log directory: whose directory it is.
///
/// Version 0 belongs to ZooKeeper mode: `broker.id` and `cluster.id`, written at the first start.
/// Version 1 belongs to KRaft: `node.id`, `cluster.id` and the directory's own id (KIP-858),
/// written by `storage format` only. A directory of another node or cluster is never touched.
import LogStorage
import Platform
import Settings
import Values

public struct MetaProperties: Equatable, Sendable {
  public static let fileName = "meta.properties"

  /// 0 or 1.
  public var version = 0
  public var nodeID: BrokerID?
  public var clusterID: String?
  /// Of this one directory; nil in version 0 and in directories formatted before 3.7.
  public var directoryID: Uuid?

  public init(
    version: Int = 0, nodeID: BrokerID? = nil, clusterID: String? = nil, directoryID: Uuid? = nil
  ) {
    self.version = version
    self.nodeID = nodeID
    self.clusterID = clusterID
    self.directoryID = directoryID
  }

  public static func path(_ directory: String) -> String { "\(directory)/\(fileName)" }

  /// Nil when the directory has none.
  public static func read(_ directory: String) throws(StartupError) -> MetaProperties? {
    let path = path(directory)
    do {
      guard let bytes = try FileSystem.readFile(path) else { return nil }
      return try MetaProperties(Properties(parsing: bytes, file: path), path: path)
    } catch {
      throw (error as? StartupError) ?? StartupError("\(path): \(error)")
    }
  }

  private init(_ properties: Properties, path: String) throws(StartupError) {
    let text = properties["version"] ?? "0"
    guard let version = Int(text), version == 0 || version == 1 else {
      throw StartupError("\(path): version=\(text) is not known")
    }
    self.version = version
    clusterID = properties["cluster.id"]
    let key = version == 1 ? "node.id" : "broker.id"
    if let id = properties[key] ?? properties[version == 1 ? "broker.id" : "node.id"] {
      guard let number = Int32(id) else { throw StartupError("\(path): \(key)=\(id) is no number") }
      nodeID = BrokerID(number)
    }
    if let id = properties["directory.id"] {
      guard let uuid = Uuid(id) else { throw StartupError("\(path): directory.id=\(id) is no id") }
      directoryID = uuid
    }
  }

  /// The file's text. Version 1 has the order in which Kafka's own formatter writes the keys.
  public func text(at date: String? = nil) -> String {
    var text = date.map { "#\n#\($0)\n" } ?? "#\n"
    guard version == 1 else {
      text += "version=0\n"
      if let nodeID { text += "broker.id=\(nodeID.rawValue)\n" }
      if let clusterID { text += "cluster.id=\(clusterID)\n" }
      return text
    }
    if let nodeID { text += "node.id=\(nodeID.rawValue)\n" }
    if let directoryID { text += "directory.id=\(directoryID)\n" }
    text += "version=1\n"
    if let clusterID { text += "cluster.id=\(clusterID)\n" }
    return text
  }

  public func write(_ directory: String, date: String? = nil) throws(StartupError) {
    do throws(SystemError) {
      try FileSystem.replaceFile(Self.path(directory), with: Array(text(at: date).utf8))
    } catch {
      throw StartupError("\(Self.path(directory)): \(error)")
    }
  }
}

// MARK: ZooKeeper mode

extension MetaProperties {
  /// Finds the broker's id among configuration and directories, checks that all directories belong
  /// to it and to the cluster, and marks those that are new.
  public static func settle(
    _ directories: [LogDirectory], configured: BrokerID, clusterID: String,
    generate: () throws -> BrokerID
  ) throws -> BrokerID {
    var known: [(directory: String, meta: MetaProperties?)] = []
    for directory in directories {
      known.append((directory.path, try read(directory.path)))
    }
    for (directory, meta) in known {
      if meta?.version == 1 {
        throw StartupError(
          "\(path(directory)): version=1 belongs to KRaft mode, but process.roles is not set")
      }
      guard let stored = meta?.clusterID, stored != clusterID else { continue }
      throw StartupError(
        "\(path(directory)): cluster.id=\(stored), but the cluster's id is \(clusterID); "
          + "the broker is connecting to the wrong cluster, or log.dirs is another's")
    }
    let stored = known.compactMap { $0.meta?.nodeID }
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
    let wanted = MetaProperties(nodeID: id, clusterID: clusterID)
    for (directory, meta) in known {
      let isSame = meta?.nodeID == id && meta?.clusterID == clusterID
      if !isSame { try wanted.write(directory) }
    }
    return id
  }
}

// MARK: KRaft mode

extension MetaProperties {
  /// Reads the directories of a KRaft node and checks that they belong to it and to one cluster.
  ///
  /// - Returns: the cluster's id and each directory's own id; directories that have none get one
  ///   drawn from `random` (those were formatted before 3.7).
  /// - Throws: names the command to run when a directory is not formatted.
  public static func load(
    kraft directories: [String], nodeID: BrokerID, random: () -> Uuid
  ) throws(StartupError) -> (clusterID: String, directoryIDs: [String: Uuid]) {
    var ids: [String: Uuid] = [:]
    var cluster: String?
    for directory in directories {
      guard var meta = try read(directory) else {
        throw StartupError(
          "\(path(directory)): not there; format the directory first with "
            + "`jackdaw storage format --cluster-id <id> --config <this file>`")
      }
      guard meta.version == 1 else {
        throw StartupError(
          "\(path(directory)): version=0 belongs to ZooKeeper mode, but process.roles is set")
      }
      guard meta.nodeID == nodeID else {
        let stored = meta.nodeID.map { "\($0.rawValue)" } ?? ""
        throw StartupError(
          "\(path(directory)): node.id=\(stored), but the configuration has "
            + "node.id=\(nodeID.rawValue)")
      }
      guard let own = meta.clusterID, cluster == nil || cluster == own else {
        throw StartupError(
          "\(path(directory)): cluster.id=\(meta.clusterID ?? ""), but another directory has "
            + "\(cluster ?? "none")")
      }
      cluster = own
      if meta.directoryID == nil {
        meta.directoryID = random()
        try meta.write(directory)
      }
      guard let id = meta.directoryID, !ids.values.contains(id) else {
        throw StartupError("\(path(directory)): directory.id is that of another directory")
      }
      ids[directory] = id
    }
    guard let cluster else { throw StartupError("log.dirs: no directory") }
    return (cluster, ids)
  }
}
