// Who may do what: the rules of Kafka's StandardAuthorizer over the entries of the metadata.
import Metadata
import Values

/// What can be allowed or denied; numbers of the wire (KIP-140).
public enum AclOperation: Int8, CaseIterable, Sendable {
  case all = 2
  case read, write, create, delete, alter, describe, clusterAction, describeConfigs, alterConfigs
  case idempotentWrite, createTokens, describeTokens

  /// As audit lines name it.
  public var name: String {
    switch self {
    case .all: "ALL"
    case .read: "READ"
    case .write: "WRITE"
    case .create: "CREATE"
    case .delete: "DELETE"
    case .alter: "ALTER"
    case .describe: "DESCRIBE"
    case .clusterAction: "CLUSTER_ACTION"
    case .describeConfigs: "DESCRIBE_CONFIGS"
    case .alterConfigs: "ALTER_CONFIGS"
    case .idempotentWrite: "IDEMPOTENT_WRITE"
    case .createTokens: "CREATE_TOKENS"
    case .describeTokens: "DESCRIBE_TOKENS"
    }
  }

  /// As AclAuthorizer names it in audit lines and in znodes: `ClusterAction`.
  var pascalName: String {
    name.split(separator: "_").map { $0.prefix(1) + $0.dropFirst().lowercased() }.joined()
  }

  /// Whether permission for this operation is permission for `wanted` too. Holds for what allows
  /// only: who must not read may still be told that there is a topic.
  func implies(_ wanted: AclOperation) -> Bool {
    if self == .all || self == wanted { return true }
    switch wanted {
    case .describe: return [.read, .write, .delete, .alter].contains(self)
    case .describeConfigs: return self == .alterConfigs
    default: return false
    }
  }
}

/// What operations are done to; numbers of the wire.
public enum ResourceType: Int8, CaseIterable, Sendable {
  case topic = 2
  case group, cluster, transactionalID, delegationToken, user

  public var name: String {
    switch self {
    case .topic: "Topic"
    case .group: "Group"
    case .cluster: "Cluster"
    case .transactionalID: "TransactionalId"
    case .delegationToken: "DelegationToken"
    case .user: "User"
    }
  }

  /// The operations that make sense for it, in whose terms `authorized operations` are answered.
  public var operations: [AclOperation] {
    switch self {
    case .topic:
      [.read, .write, .create, .delete, .alter, .describe, .describeConfigs, .alterConfigs]
    case .group: [.read, .delete, .describe, .describeConfigs, .alterConfigs]
    case .cluster:
      [
        .create, .alter, .describe, .clusterAction, .describeConfigs, .alterConfigs,
        .idempotentWrite,
      ]
    case .transactionalID: [.write, .describe]
    case .delegationToken: [.describe]
    case .user: [.createTokens, .describeTokens]
    }
  }
}

/// Decides over one state of the entries.
///
/// Of all entries about the resource (literal, prefixed, wildcard) that match principal, host and
/// operation, one that denies wins over all that allow. A resource that no entry is about follows
/// `allow.everyone.if.no.acl.found`; one that has entries, none of which fits, is denied.
public struct StandardAuthorizer: Sendable {
  /// The only name of the resource type CLUSTER.
  public static let clusterName = "kafka-cluster"
  private static let everyone = "User:*"
  private static let anyHost = "*"
  private static let allow: Int8 = 3

  /// Principals as text, `User:admin`, who may do everything.
  public var superUsers: Set<String>
  /// `allow.everyone.if.no.acl.found`
  public var allowsWithoutEntries: Bool

  /// Whether it stands where Kafka has AclAuthorizer, the authorizer of ZooKeeper mode: that one's
  /// rules are the same but for resources of any name, and its audit lines are written otherwise.
  public var isAclAuthorizer: Bool

  public init(
    superUsers: Set<String> = [], allowsWithoutEntries: Bool = false, isAclAuthorizer: Bool = false
  ) {
    self.superUsers = superUsers
    self.allowsWithoutEntries = allowsWithoutEntries
    self.isAclAuthorizer = isAclAuthorizer
  }

  /// - Parameters:
  ///   - principal: as text, `User:alice`.
  ///   - host: the client's address as text.
  public func allows(
    _ principal: String, from host: String, _ operation: AclOperation, on type: ResourceType,
    _ name: String, by entries: AccessControlImage
  ) -> Bool {
    if superUsers.contains(principal) { return true }
    let found = entries.entries(covering: type.rawValue, name)
    if found.isEmpty { return allowsWithoutEntries }
    var isAllowed = false
    for entry in found where Self.concerns(entry, principal, host) {
      // An operation of a later release that is not known here cannot be the one wanted.
      guard let granted = AclOperation(rawValue: entry.operation) else { continue }
      if entry.permissionType == Self.allow {
        if granted.implies(operation) { isAllowed = true }
      } else if granted == .all || granted == operation {
        return false
      }
    }
    return isAllowed
  }

  /// Whether the principal may do the operation to any resource of a type: to some that is allowed
  /// and not covered by a denial (KIP-679).
  public func allowsAny(
    _ principal: String, from host: String, _ operation: AclOperation, of type: ResourceType,
    by image: AccessControlImage
  ) -> Bool {
    if superUsers.contains(principal) { return true }
    // A name that stands for all names: those who may do everything need no entry.
    if !isAclAuthorizer,
      allows(principal, from: host, operation, on: type, "hardcode", by: image)
    {
      return true
    }
    let matching = image.ids.compactMap { image[$0] }.filter { entry in
      entry.resourceType == type.rawValue && Self.concerns(entry, principal, host)
        && (entry.operation == operation.rawValue || entry.operation == AclOperation.all.rawValue)
    }
    let denied = matching.filter { $0.permissionType != Self.allow }
    let allowed = matching.filter { $0.permissionType == Self.allow }
    let isDeniedAll = denied.contains {
      $0.patternType == ResourcePattern.literal && $0.resourceName == ResourcePattern.wildcard
    }
    if isDeniedAll { return false }
    if isAclAuthorizer, allowsWithoutEntries { return true }
    return allowed.contains { entry in
      if entry.patternType == ResourcePattern.literal,
        entry.resourceName == ResourcePattern.wildcard
      {
        return true
      }
      return !denied.contains { Self.dominates($0, entry) }
    }
  }

  /// Whether whatever `entry` allows is denied by `denial`.
  private static func dominates(_ denial: AccessControlEntry, _ entry: AccessControlEntry) -> Bool {
    if denial.patternType == ResourcePattern.prefixed {
      return entry.resourceName.hasPrefix(denial.resourceName)
    }
    return entry.patternType == ResourcePattern.literal
      && entry.resourceName == denial.resourceName
  }

  private static func concerns(
    _ entry: AccessControlEntry, _ principal: String, _ host: String
  ) -> Bool {
    (entry.principal == principal || entry.principal == everyone)
      && (entry.host == anyHost || entry.host == host)
  }
}
