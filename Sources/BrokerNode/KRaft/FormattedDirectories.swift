/// Whose the log directories of a KRaft node are, by their `meta.properties` of version 1.
import LogStorage
import Platform
import Values

enum FormattedDirectories {
  /// Reads the directories and checks that all are formatted for this node of one cluster.
  ///
  /// - Parameter paths: of the directories that work.
  /// - Throws: one line naming the file, and the command that formats an unformatted directory.
  static func identify(
    paths: [String], nodeID: BrokerID
  ) throws(StartupError) -> ClusterIdentity {
    var clusterID: String?
    var ids: [String: Uuid] = [:]
    for path in paths {
      let meta = try read(path, nodeID)
      if let clusterID, clusterID != meta.clusterID {
        throw StartupError(
          "\(path)/\(MetaProperties.fileName): cluster.id=\(meta.clusterID ?? ""), but other "
            + "directories of log.dirs belong to cluster \(clusterID)")
      }
      clusterID = meta.clusterID
      guard let id = meta.directoryID, !ids.values.contains(id) else {
        throw StartupError(
          "\(path)/\(MetaProperties.fileName): directory.id=\(meta.directoryID?.description ?? "") "
            + "belongs to another directory too")
      }
      ids[path] = id
    }
    guard let clusterID else { throw StartupError("log.dirs: no usable directory") }
    return ClusterIdentity(
      clusterID: clusterID, brokerID: nodeID, directories: LogDirectoryIDs(ids))
  }

  private static func read(
    _ path: String, _ nodeID: BrokerID
  ) throws(StartupError) -> MetaProperties {
    let file = "\(path)/\(MetaProperties.fileName)"
    let found: MetaProperties?
    do throws(LogError) { found = try MetaProperties.read(directory: path) } catch {
      throw StartupError("\(file): \(error)")
    }
    guard var meta = found else {
      throw StartupError(
        "No `meta.properties` found in \(path) (have you run `jackdaw storage format` to format "
          + "the directory?)")
    }
    guard meta.version == 1 else {
      throw StartupError(
        "\(file): version=\(meta.version) was written by a broker in ZooKeeper mode; a node with "
          + "process.roles needs directories of its own, formatted by `jackdaw storage format`")
    }
    guard meta.nodeID == nodeID.rawValue else {
      throw StartupError(
        "\(file): node.id=\(meta.nodeID ?? -1), but the configuration says "
          + "node.id=\(nodeID.rawValue)")
    }
    guard meta.clusterID != nil else { throw StartupError("\(file): cluster.id is missing") }
    if meta.directoryID == nil {
      // Directories formatted before 3.7 have no id: they get one at the first start.
      var random = SystemRandomNumberGenerator()
      meta.directoryID = Uuid.random(using: &random)
      do throws(LogError) { try meta.write(directory: path) } catch {
        throw StartupError("\(file): \(error)")
      }
    }
    return meta
  }
}
