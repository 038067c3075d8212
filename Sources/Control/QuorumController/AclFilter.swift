// The filter by which DescribeAcls and DeleteAcls choose entries (KIP-140, KIP-290).
import KafkaMessages
import Metadata

/// Numbers of the access control protocol (KIP-140) that have a meaning of their own.
enum AclNumber {
  static let unknown: Int8 = 0
  static let any: Int8 = 1
  static let matchPattern: Int8 = 2
  static let literal: Int8 = 3
  static let prefixed: Int8 = 4
  static let deny: Int8 = 2
  static let allow: Int8 = 3
  /// The highest resource type, operation and permission that Kafka 3.9 knows.
  static let lastResourceType: Int8 = 7
  static let lastOperation: Int8 = 14
  static let wildcard = "*"
  static let cluster: Int8 = 4
  /// The only resource of its type.
  static let clusterName = "kafka-cluster"
}

/// Nil names match everything, and so does the number ANY.
public struct AclFilter: Sendable {
  public var resourceType: Int8
  public var resourceName: String?
  public var patternType: Int8
  public var principal: String?
  public var host: String?
  public var operation: Int8
  public var permissionType: Int8

  public init(_ filter: DeleteAclsRequest.DeleteAclsFilter) {
    resourceType = filter.resourceTypeFilter
    resourceName = filter.resourceNameFilter
    patternType = filter.patternTypeFilter
    principal = filter.principalFilter
    host = filter.hostFilter
    operation = filter.operation
    permissionType = filter.permissionType
  }

  public init(_ request: DescribeAclsRequest) {
    resourceType = request.resourceTypeFilter
    resourceName = request.resourceNameFilter
    patternType = request.patternTypeFilter
    principal = request.principalFilter
    host = request.hostFilter
    operation = request.operation
    permissionType = request.permissionType
  }

  /// Whether all numbers have a meaning.
  public var isKnown: Bool {
    (1...AclNumber.lastResourceType).contains(resourceType)
      && (1...AclNumber.prefixed).contains(patternType)
      && (1...AclNumber.lastOperation).contains(operation)
      && (1...AclNumber.allow).contains(permissionType)
  }

  public func matches(_ entry: AccessControlEntry) -> Bool {
    func fits(_ wanted: Int8, _ actual: Int8) -> Bool {
      wanted == AclNumber.any || wanted == actual
    }
    return fits(resourceType, entry.resourceType) && fits(operation, entry.operation)
      && fits(permissionType, entry.permissionType)
      && (principal == nil || principal == entry.principal)
      && (host == nil || host == entry.host) && matchesPattern(entry)
  }

  /// The pattern type MATCH matches whatever covers the name.
  private func matchesPattern(_ entry: AccessControlEntry) -> Bool {
    guard
      patternType == AclNumber.any || patternType == AclNumber.matchPattern
        || patternType == entry.patternType
    else { return false }
    guard let name = resourceName else { return true }
    guard patternType == AclNumber.matchPattern else { return name == entry.resourceName }
    if entry.patternType == AclNumber.prefixed { return name.hasPrefix(entry.resourceName) }
    return name == entry.resourceName || entry.resourceName == AclNumber.wildcard
  }
}
