/// `quorum-state` beside the metadata log: which epoch this node has seen, whom it voted for and
/// who led. Losing it would let a node vote twice, so it is replaced at once and flushed.
import Control
import KafkaRecords
import Platform
import Values

public struct QuorumStateFile: Sendable {
  public static let name = "quorum-state"
  public let path: String

  public init(directory: String) { path = "\(directory)/\(Self.name)" }

  /// Nil when there is none: a node that has never taken part.
  public func read() throws(StartupError) -> QuorumStateData? {
    let bytes: [UInt8]
    do throws(SystemError) {
      guard let found = try FileSystem.readFile(path) else { return nil }
      bytes = found
    } catch { throw StartupError("\(path): \(error)") }
    guard let json = try? JSON(parsing: bytes), let data = Self.decode(json) else {
      throw StartupError("\(path): not a quorum state of version 0 or 1")
    }
    return data
  }

  /// - Parameter version: 0 for kraft.version 0, else 1.
  public func write(_ data: QuorumStateData, version: Int16) throws(SystemError) {
    try FileSystem.replaceFile(path, with: Array(Self.encode(data, version: version).utf8))
  }

  public func remove() throws(SystemError) { _ = try FileSystem.removeFile(path) }

  /// Fields in the order of the schema, the version last, as Kafka writes them.
  static func encode(_ data: QuorumStateData, version: Int16) -> String {
    var fields: [JSON.Field] = []
    if version == 0 { fields.append(.init("clusterId", .string(data.clusterID))) }
    fields.append(.init("leaderId", .integer(Int64(data.leaderID))))
    fields.append(.init("leaderEpoch", .integer(Int64(data.leaderEpoch))))
    fields.append(.init("votedId", .integer(Int64(data.votedID))))
    if version == 0 {
      fields.append(.init("appliedOffset", .integer(data.appliedOffset)))
      let voters = data.currentVoters.map { voters in
        JSON.array(
          voters.map { .object([.init("voterId", .integer(Int64($0.voterID)))]) })
      }
      fields.append(.init("currentVoters", voters ?? .null))
    } else {
      fields.append(.init("votedDirectoryId", .string("\(data.votedDirectoryID)")))
    }
    fields.append(.init("data_version", .integer(Int64(version))))
    return String(decoding: JSON.object(fields).bytes, as: UTF8.self)
  }

  static func decode(_ json: JSON) -> QuorumStateData? {
    guard let version = json["data_version"]?.int64, version == 0 || version == 1,
      let leader = json["leaderId"]?.int32, let epoch = json["leaderEpoch"]?.int32,
      let voted = json["votedId"]?.int32
    else { return nil }
    var data = QuorumStateData()
    data.leaderID = leader
    data.leaderEpoch = epoch
    data.votedID = voted
    if version == 1 {
      guard let text = json["votedDirectoryId"]?.string, let id = Uuid(text) else { return nil }
      data.votedDirectoryID = id
      return data
    }
    data.clusterID = json["clusterId"]?.string ?? ""
    data.appliedOffset = json["appliedOffset"]?.int64 ?? 0
    data.currentVoters = json["currentVoters"]?.array?.compactMap { entry in
      entry["voterId"]?.int32.map { id in QuorumStateData.Voter { $0.voterID = id } }
    }
    return data
  }
}
