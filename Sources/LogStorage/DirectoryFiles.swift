import Platform
import Values

/// `meta.properties` of a log directory: whose directory it is.
public struct MetaProperties: Equatable, Sendable {
  /// 0: ZooKeeper mode, where the broker writes it at its first start. 1: KRaft, where `storage
  /// format` does.
  public var version: Int
  /// `broker.id` in version 0, `node.id` in version 1; nil if it is not in the file.
  public var nodeID: Int32?
  public var clusterID: String?
  /// Of the directory itself (KIP-858); always in version 1.
  public var directoryID: Uuid?

  public init(version: Int, nodeID: Int32?, clusterID: String?, directoryID: Uuid? = nil) {
    self.version = version
    self.nodeID = nodeID
    self.clusterID = clusterID
    self.directoryID = directoryID
  }

  public static let fileName = "meta.properties"

  /// Nil if the directory has none: a new disk, or an unformatted one.
  public static func read(directory: String) throws(LogError) -> MetaProperties? {
    try LogError.mapping {
      guard let bytes = try FileSystem.readFile("\(directory)/\(fileName)") else { return nil }
      return try MetaProperties(text: String(decoding: bytes, as: UTF8.self))
    }
  }

  init(text: String) throws(LogError) {
    var values: [Substring: Substring] = [:]
    for line in text.split(whereSeparator: \.isNewline) where !line.hasPrefix("#") {
      guard let sign = line.firstIndex(of: "=") else { continue }
      values[line[..<sign].trimmed] = line[line.index(after: sign)...].trimmed
    }
    guard let version = values["version"].flatMap({ Int($0) }), (0...1).contains(version) else {
      throw .corrupt("\(Self.fileName): version \(values["version"] ?? "missing")")
    }
    self.version = version
    let id = values[version == 0 ? "broker.id" : "node.id"]
    nodeID = id.flatMap { Int32($0) }
    if let id, nodeID == nil { throw .corrupt("\(Self.fileName): id \(id)") }
    clusterID = values["cluster.id"].map(String.init)
    directoryID = values["directory.id"].flatMap { Uuid($0) }
  }

  public var text: String {
    var text = "#\n"
    if let nodeID { text += "\(version == 0 ? "broker.id" : "node.id")=\(nodeID)\n" }
    if let directoryID { text += "directory.id=\(directoryID)\n" }
    text += "version=\(version)\n"
    if let clusterID { text += "cluster.id=\(clusterID)\n" }
    return text
  }

  public func write(directory: String) throws(LogError) {
    try LogError.mapping {
      try FileSystem.createDirectory(directory)
      try FileSystem.replaceFile("\(directory)/\(Self.fileName)", with: Array(text.utf8))
    }
  }
}

/// `partition.metadata` of a partition's directory: the topic's id.
enum PartitionMetadata {
  static func read(directory: String) throws -> Uuid? {
    let path = "\(directory)/\(FileNames.partitionMetadata)"
    guard let bytes = try FileSystem.readFile(path) else { return nil }
    var version: Substring?
    var id: Uuid?
    for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
      guard let colon = line.firstIndex(of: ":") else { continue }
      let value = line[line.index(after: colon)...].trimmed
      switch line[..<colon] {
      case "version": version = value
      case "topic_id": id = Uuid(value)
      default: continue
      }
    }
    guard version == "0", let id else { throw LogError.corrupt("\(path): not of version 0") }
    return id.isZero ? nil : id
  }

  static func write(_ id: Uuid, directory: String) throws(SystemError) {
    try FileSystem.replaceFile(
      "\(directory)/\(FileNames.partitionMetadata)", with: Array("version: 0\ntopic_id: \(id)".utf8)
    )
  }
}

/// `.kafka_cleanshutdown`: there only between a clean shutdown and the next start.
enum CleanShutdownFile {
  static let name = ".kafka_cleanshutdown"

  /// - Parameter brokerEpoch: of the broker that stopped; -1 in ZooKeeper mode.
  static func write(directory: String, brokerEpoch: Int64) throws(SystemError) {
    let text = #"{"version":0,"brokerEpoch":\#(brokerEpoch)}"#
    try FileSystem.replaceFile("\(directory)/\(name)", with: Array(text.utf8))
  }

  /// The epoch of the broker that stopped cleanly, or nil after a crash.
  static func read(directory: String) throws(SystemError) -> Int64? {
    guard let bytes = try FileSystem.readFile("\(directory)/\(name)") else { return nil }
    let text = String(decoding: bytes, as: UTF8.self)
    // The file's presence is what counts; older brokers leave it empty.
    guard let key = text.split(separator: "\"brokerEpoch\":").dropFirst().first else { return -1 }
    return Int64(key.prefix { $0 == "-" || $0.isNumber }) ?? -1
  }
}

extension Substring {
  /// Without blanks at both ends.
  var trimmed: Substring {
    var rest = self
    while rest.first?.isWhitespace == true { rest.removeFirst() }
    while rest.last?.isWhitespace == true { rest.removeLast() }
    return rest
  }
}
