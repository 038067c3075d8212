import KafkaRecords
import Metadata
import Testing
import Values

@testable import Authorization

/// Builds an image from entries, each under an id of its own.
func image(_ entries: [AccessControlEntryRecord]) -> MetadataImage {
  var image = MetadataImage()
  for (place, entry) in entries.enumerated() {
    var record = entry
    record.id = Uuid(high: 1, low: UInt64(place + 1))
    image.apply(.accessControlEntry(record))
  }
  return image
}

func entry(
  _ permission: Permission, _ principal: String, _ operation: AclOperation, _ type: ResourceType,
  _ name: String, prefixed: Bool = false, host: String = "*"
) -> AccessControlEntryRecord {
  AccessControlEntryRecord {
    $0.resourceType = type.rawValue
    $0.resourceName = name
    $0.patternType = prefixed ? ResourcePattern.prefixed : ResourcePattern.literal
    $0.principal = principal
    $0.host = host
    $0.operation = operation.rawValue
    $0.permissionType = permission.rawValue
  }
}

enum Permission: Int8 {
  case deny = 2
  case allow = 3
}

@Suite struct StandardAuthorizerTests {
  private func allows(
    _ entries: [AccessControlEntryRecord], as principal: String = "User:alice",
    _ operation: AclOperation, _ name: String, host: String = "10.0.0.1",
    authorizer: StandardAuthorizer = StandardAuthorizer()
  ) -> Bool {
    authorizer.allows(
      principal, from: host, operation, on: .topic, name, by: image(entries).accessControl)
  }

  @Test func withoutEntriesTheSettingDecides() {
    #expect(!allows([], .read, "t"))
    let lenient = StandardAuthorizer(allowsWithoutEntries: true)
    #expect(allows([], .read, "t", authorizer: lenient))
    // Entries about the topic, none of which fits: the setting does not help.
    let other = [entry(.allow, "User:bob", .read, .topic, "t")]
    #expect(!allows(other, .read, "t", authorizer: lenient))
    #expect(allows(other, .read, "u", authorizer: lenient))
  }

  @Test func superUsersAreNeverDenied() {
    let authorizer = StandardAuthorizer(superUsers: ["User:alice"])
    let denied = [entry(.deny, "User:*", .all, .topic, "*")]
    #expect(allows(denied, .alter, "t", authorizer: authorizer))
    #expect(!allows(denied, as: "User:bob", .alter, "t", authorizer: authorizer))
  }

  @Test func patternsLiteralPrefixedAndWildcard() {
    let literal = [entry(.allow, "User:alice", .read, .topic, "orders")]
    #expect(allows(literal, .read, "orders"))
    #expect(!allows(literal, .read, "orders2"))
    #expect(!allows(literal, .read, "order"))
    let prefixed = [entry(.allow, "User:alice", .read, .topic, "ord", prefixed: true)]
    #expect(allows(prefixed, .read, "orders"))
    #expect(allows(prefixed, .read, "ord"))
    #expect(!allows(prefixed, .read, "or"))
    let wildcard = [entry(.allow, "User:alice", .read, .topic, "*")]
    #expect(allows(wildcard, .read, "anything"))
    // A prefix that ends inside a character matches nothing.
    let accented = [entry(.allow, "User:alice", .read, .topic, "é", prefixed: true)]
    #expect(allows(accented, .read, "été"))
    #expect(!allows(accented, .read, "e"))
  }

  @Test func denialsWinWhateverTheirPattern() {
    let entries = [
      entry(.allow, "User:alice", .all, .topic, "orders"),
      entry(.deny, "User:*", .read, .topic, "ord", prefixed: true),
    ]
    #expect(!allows(entries, .read, "orders"))
    #expect(allows(entries, .write, "orders"))
    // What denies READ does not deny DESCRIBE.
    #expect(allows(entries, .describe, "orders"))
  }

  @Test func hostsAndPrincipals() {
    let entries = [entry(.allow, "User:alice", .read, .topic, "t", host: "10.0.0.1")]
    #expect(allows(entries, .read, "t"))
    #expect(!allows(entries, .read, "t", host: "10.0.0.2"))
    #expect(!allows(entries, as: "User:bob", .read, "t"))
    #expect(allows([entry(.allow, "User:*", .read, .topic, "t")], as: "User:bob", .read, "t"))
  }

  @Test(arguments: [AclOperation.read, .write, .delete, .alter])
  func operationsThatImplyDescribe(_ operation: AclOperation) {
    let entries = [entry(.allow, "User:alice", operation, .topic, "t")]
    #expect(allows(entries, .describe, "t"))
    #expect(!allows(entries, .describeConfigs, "t"))
  }

  @Test func changingConfigsImpliesReadingThem() {
    let entries = [entry(.allow, "User:alice", .alterConfigs, .topic, "t")]
    #expect(allows(entries, .describeConfigs, "t"))
    #expect(!allows(entries, .describe, "t"))
  }

  @Test func removedEntriesAllowNothing() {
    var image = image([
      entry(.allow, "User:alice", .read, .topic, "ord", prefixed: true),
      entry(.allow, "User:alice", .read, .topic, "oak", prefixed: true),
    ])
    image.apply(.removeAccessControlEntry(.init { $0.id = Uuid(high: 1, low: 1) }))
    func allows(_ name: String) -> Bool {
      StandardAuthorizer().allows(
        "User:alice", from: "h", .read, on: .topic, name, by: image.accessControl)
    }
    #expect(!allows("orders"))
    #expect(allows("oaks"))
  }

  // MARK: Any resource of a type

  private func allowsAny(_ entries: [AccessControlEntryRecord]) -> Bool {
    StandardAuthorizer().allowsAny(
      "User:alice", from: "h", .write, of: .topic, by: image(entries).accessControl)
  }

  @Test func anyResourceNeedsOneThatIsNotDenied() {
    let allowed = entry(.allow, "User:alice", .write, .topic, "orders")
    #expect(!allowsAny([]))
    #expect(allowsAny([allowed]))
    #expect(!allowsAny([allowed, entry(.deny, "User:*", .write, .topic, "orders")]))
    #expect(!allowsAny([allowed, entry(.deny, "User:*", .all, .topic, "o", prefixed: true)]))
    #expect(!allowsAny([allowed, entry(.deny, "User:alice", .write, .topic, "*")]))
    #expect(allowsAny([allowed, entry(.deny, "User:alice", .write, .topic, "other")]))
    // A literal denial leaves the rest of what a prefix allows.
    let prefixed = entry(.allow, "User:alice", .write, .topic, "ord", prefixed: true)
    #expect(allowsAny([prefixed, entry(.deny, "User:alice", .write, .topic, "orders")]))
    #expect(!allowsAny([entry(.allow, "User:alice", .read, .topic, "orders")]))
  }

  /// AclAuthorizer differs from StandardAuthorizer where entries are about others' resources.
  @Test func anyResourceInZooKeeperMode() {
    let others = [entry(.allow, "User:bob", .write, .topic, "*")]
    func allowsAny(_ entries: [AccessControlEntryRecord], isAclAuthorizer: Bool) -> Bool {
      StandardAuthorizer(allowsWithoutEntries: true, isAclAuthorizer: isAclAuthorizer).allowsAny(
        "User:alice", from: "h", .write, of: .topic, by: image(entries).accessControl)
    }
    #expect(allowsAny(others, isAclAuthorizer: true))
    #expect(!allowsAny(others, isAclAuthorizer: false))
    let denied = [entry(.deny, "User:alice", .write, .topic, "*")]
    #expect(!allowsAny(denied, isAclAuthorizer: true))
  }

  @Test func auditLinesOfBothAuthorizers() {
    func line(_ isAclAuthorizer: Bool) -> String {
      AccessDenial(
        principal: "User:a", host: "h", operation: .clusterAction, type: .cluster,
        name: "kafka-cluster", request: "StopReplica", isAclAuthorizer: isAclAuthorizer
      ).description
    }
    let rest = "from host = h on resource = Cluster:LITERAL:kafka-cluster for request = StopReplica"
    #expect(line(true) == "Principal = User:a is Denied Operation = ClusterAction \(rest)")
    #expect(line(false) == "Principal = User:a is Denied operation = CLUSTER_ACTION \(rest)")
  }
}
