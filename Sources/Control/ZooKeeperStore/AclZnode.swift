import KafkaRecords
import Values

/// `/kafka-acl/<Type>/<name>` and `/kafka-acl-extended/prefixed/<Type>/<name>` (version 1): the
/// access control entries of one resource pattern.
public enum AclZnode {
  /// Names in paths by the number of the wire, from 2 on.
  static let resourceTypes = [
    "Topic", "Group", "Cluster", "TransactionalId", "DelegationToken", "User",
  ]
  /// The same as change notifications name them.
  private static let changeTypes = [
    "TOPIC", "GROUP", "CLUSTER", "TRANSACTIONAL_ID", "DELEGATION_TOKEN", "USER",
  ]
  /// By number from 2 on.
  static let operations = [
    "All", "Read", "Write", "Create", "Delete", "Alter", "Describe", "ClusterAction",
    "DescribeConfigs", "AlterConfigs", "IdempotentWrite", "CreateTokens", "DescribeTokens",
  ]
  private static let permissions = ["Deny", "Allow"]

  public struct Resource: Hashable, Sendable {
    public static let literal: Int8 = 3
    public static let prefixed: Int8 = 4

    public var type: Int8
    public var name: String
    public var patternType: Int8

    public init(type: Int8, name: String, patternType: Int8) {
      self.type = type
      self.name = name
      self.patternType = patternType
    }

    public init?(path: String) {
      for (root, pattern) in [
        ("/kafka-acl/", Self.literal), ("/kafka-acl-extended/prefixed/", Self.prefixed),
      ] where path.hasPrefix(root) {
        let rest = path.dropFirst(root.utf8.count)
        guard let slash = rest.firstIndex(of: "/"),
          let index = AclZnode.resourceTypes.firstIndex(of: String(rest[..<slash]))
        else { return nil }
        self.init(
          type: Int8(index + 2), name: String(rest[rest.index(after: slash)...]),
          patternType: pattern)
        return
      }
      return nil
    }

    public var path: String {
      let root = patternType == Self.literal ? "/kafka-acl" : "/kafka-acl-extended/prefixed"
      return "\(root)/\(AclZnode.name(type, in: AclZnode.resourceTypes))/\(name)"
    }

    /// The prefix of the sequential node that announces a change.
    public var changePath: String {
      patternType == Self.literal
        ? "/kafka-acl-changes/acl_changes_" : "/kafka-acl-extended-changes/acl_changes_"
    }

    fileprivate var changeType: String { AclZnode.name(type, in: AclZnode.changeTypes) }

    fileprivate init?(changeType: String, name: String, patternType: Int8) {
      let type = AclZnode.number(changeType, in: AclZnode.changeTypes)
      guard type > 0 else { return nil }
      self.init(type: type, name: name, patternType: patternType)
    }
  }

  /// Entries without an id, in the order of the znode; nil for what is no such list.
  ///
  /// A znode without data has no entries. Names are read in whatever case, as by AclAuthorizer; an
  /// operation or a permission of a later release is kept as UNKNOWN (0).
  public static func decode(_ data: [UInt8], of resource: Resource) -> [AccessControlEntryRecord]? {
    if data.isEmpty { return [] }
    guard let json = try? JSON(parsing: data), json["version"]?.int32 == version,
      let entries = json["acls"]?.array
    else { return nil }
    var records: [AccessControlEntryRecord] = []
    for json in entries {
      guard let principal = json["principal"]?.string, let host = json["host"]?.string,
        let operation = json["operation"]?.string, let permission = json["permissionType"]?.string
      else { return nil }
      records.append(
        .init {
          $0.resourceType = resource.type
          $0.resourceName = resource.name
          $0.patternType = resource.patternType
          $0.principal = principal
          $0.host = host
          $0.operation = number(operation, in: operations)
          $0.permissionType = number(permission, in: permissions)
        })
    }
    return records
  }

  public static func encode(_ entries: [AccessControlEntryRecord]) -> [UInt8] {
    let list = entries.map { entry in
      JSON.object([
        .init("principal", .string(entry.principal)),
        .init("permissionType", .string(name(entry.permissionType, in: permissions))),
        .init("host", .string(entry.host)),
        .init("operation", .string(name(entry.operation, in: operations))),
      ])
    }
    return JSON.object([
      .init("acls", .array(list)), .init("version", .integer(Int64(version))),
    ]).bytes
  }

  private static let version: Int32 = 1

  /// The number of the wire that a name stands for: 0 for one that is not known.
  private static func number(_ name: String, in names: [String]) -> Int8 {
    let wanted = name.uppercased()
    let index = names.firstIndex(of: name) ?? names.firstIndex { $0.uppercased() == wanted }
    return index.map { Int8($0 + 2) } ?? 0
  }

  private static func name(_ number: Int8, in names: [String]) -> String {
    let index = Int(number) - 2
    return names.indices.contains(index) ? names[index] : "Unknown"
  }

  /// The content of a change notification: text for literal patterns, JSON for others.
  public static func encodeChange(_ resource: Resource) -> [UInt8] {
    if resource.patternType == Resource.literal {
      return Array("\(resource.changeType):\(resource.name)".utf8)
    }
    return JSON.object([
      .init("version", .integer(1)), .init("resourceType", .string(resource.changeType)),
      .init("name", .string(resource.name)), .init("patternType", .string("PREFIXED")),
    ]).bytes
  }

  public static func decodeChange(_ data: [UInt8]) -> Resource? {
    if let json = try? JSON(parsing: data) {
      guard let type = json["resourceType"]?.string, let name = json["name"]?.string,
        json["patternType"]?.string == "PREFIXED"
      else { return nil }
      return Resource(changeType: type, name: name, patternType: Resource.prefixed)
    }
    guard let text = String(validating: data, as: UTF8.self), let colon = text.firstIndex(of: ":")
    else { return nil }
    return Resource(
      changeType: String(text[..<colon]), name: String(text[text.index(after: colon)...]),
      patternType: Resource.literal)
  }
}
