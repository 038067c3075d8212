import KafkaMessages

/// The numbers of the access control protocol (KIP-140), and how Kafka's tools write them.
enum AclNames {
  static let resourceTypes = [
    "UNKNOWN", "ANY", "TOPIC", "GROUP", "CLUSTER", "TRANSACTIONAL_ID", "DELEGATION_TOKEN", "USER",
  ]
  static let patternTypes = ["UNKNOWN", "ANY", "MATCH", "LITERAL", "PREFIXED"]
  static let operations = [
    "UNKNOWN", "ANY", "ALL", "READ", "WRITE", "CREATE", "DELETE", "ALTER", "DESCRIBE",
    "CLUSTER_ACTION", "DESCRIBE_CONFIGS", "ALTER_CONFIGS", "IDEMPOTENT_WRITE", "CREATE_TOKENS",
    "DESCRIBE_TOKENS",
  ]
  static let permissions = ["UNKNOWN", "ANY", "DENY", "ALLOW"]

  static let any: Int8 = 1
  static let topic: Int8 = 2
  static let group: Int8 = 3
  static let cluster: Int8 = 4
  static let transactionalID: Int8 = 5
  static let delegationToken: Int8 = 6
  static let user: Int8 = 7
  static let literal: Int8 = 3
  static let read: Int8 = 3
  static let write: Int8 = 4
  static let create: Int8 = 5
  static let describe: Int8 = 8
  static let idempotentWrite: Int8 = 12
  static let deny: Int8 = 2
  static let allow: Int8 = 3

  /// The operations that a resource type knows, ALL among them.
  static func operations(of type: Int8) -> Set<Int8> {
    switch type {
    case topic: [2, 3, 4, 5, 6, 7, 8, 10, 11]
    case group: [2, 3, 6, 8, 10, 11]
    case cluster: [2, 5, 7, 8, 9, 10, 11, 12]
    case transactionalID: [2, 4, 8]
    case delegationToken: [2, 8]
    default: [2, 13, 14]
    }
  }
}

extension [String] {
  /// The number that a name stands for.
  func number(of name: String) -> Int8? { firstIndex(of: name).map(Int8.init) }

  fileprivate func name(of number: Int8) -> String {
    indices.contains(Int(number)) ? self[Int(number)] : "UNKNOWN"
  }
}

/// What entries are about, or a filter for that.
struct AclPattern: Equatable, CustomStringConvertible {
  var type: Int8
  /// Nil: any.
  var name: String?
  var patternType: Int8

  static let any = AclPattern(type: AclNames.any, name: nil, patternType: AclNames.any)
  static let cluster = AclPattern(
    type: AclNames.cluster, name: "kafka-cluster", patternType: AclNames.literal)

  var description: String {
    let isFilter = patternType < AclNames.literal
    return "ResourcePattern\(isFilter ? "Filter" : "")"
      + "(resourceType=\(AclNames.resourceTypes.name(of: type)), name=\(name ?? "<any>"), "
      + "patternType=\(AclNames.patternTypes.name(of: patternType)))"
  }

  /// The filter of DescribeAcls.
  func description(of principal: String?) -> DescribeAclsRequest {
    DescribeAclsRequest {
      $0.resourceTypeFilter = type
      $0.resourceNameFilter = name
      $0.patternTypeFilter = patternType
      $0.principalFilter = principal
      $0.hostFilter = nil
      $0.operation = AclNames.any
      $0.permissionType = AclNames.any
    }
  }

  /// The filter of DeleteAcls: one entry, or nil for all.
  func deletion(of entry: AclEntry?) -> DeleteAclsRequest.DeleteAclsFilter {
    .init {
      $0.resourceTypeFilter = type
      $0.resourceNameFilter = name
      $0.patternTypeFilter = patternType
      $0.principalFilter = entry?.principal
      $0.hostFilter = entry?.host
      $0.operation = entry?.operation ?? AclNames.any
      $0.permissionType = entry?.permission ?? AclNames.any
    }
  }
}

/// One entry of a resource.
struct AclEntry: Equatable, CustomStringConvertible {
  var principal: String
  var host: String
  var operation: Int8
  var permission: Int8

  init(principal: String, host: String, operation: Int8, permission: Int8) {
    self.principal = principal
    self.host = host
    self.operation = operation
    self.permission = permission
  }

  init(_ entry: DescribeAclsResponse.AclDescription) {
    self.init(
      principal: entry.principal, host: entry.host, operation: entry.operation,
      permission: entry.permissionType)
  }

  var description: String {
    "(principal=\(principal), host=\(host), "
      + "operation=\(AclNames.operations.name(of: operation)), "
      + "permissionType=\(AclNames.permissions.name(of: permission)))"
  }

  func creation(of pattern: AclPattern) -> CreateAclsRequest.AclCreation {
    .init {
      $0.resourceType = pattern.type
      $0.resourceName = pattern.name ?? ""
      $0.resourcePatternType = pattern.patternType
      $0.principal = principal
      $0.host = host
      $0.operation = operation
      $0.permissionType = permission
    }
  }
}
