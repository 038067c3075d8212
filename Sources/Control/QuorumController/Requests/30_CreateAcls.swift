// CreateAcls (30) and DeleteAcls (31) in KRaft mode: entries are records, authorizers read them.
import KafkaMessages
import KafkaProtocol
import KafkaRecords
import Metadata
import Values

/// Numbers of the access control protocol (KIP-140) that have a meaning of their own.
private enum AclNumber {
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
}

extension CreateAclsRequest: ControllerRequest {
  public func refused(_ refusal: Refusal, version: Int16) -> CreateAclsResponse {
    .init { $0.results = creations.map { _ in Self.result(refusal) } }
  }

  /// An entry that is there already is no error, and is not written again.
  public func decide(
    _ machine: inout QuorumController, _ context: RequestContext
  ) -> QuorumController.Outcome<CreateAclsResponse> {
    var response = CreateAclsResponse()
    var records: [MetadataRecord] = []
    let existing = machine.pending.image.accessControl
    var created: [AccessControlEntry] = []
    for creation in creations {
      do throws(Refusal) {
        try Self.validate(creation)
        var record = AccessControlEntryRecord()
        record.resourceType = creation.resourceType
        record.resourceName = creation.resourceName
        record.patternType = creation.resourcePatternType
        record.principal = creation.principal
        record.host = creation.host
        record.operation = creation.operation
        record.permissionType = creation.permissionType
        let entry = AccessControlEntry(record)
        if !existing.contains(entry), !created.contains(entry) {
          record.id = Uuid.random(using: &machine.random)
          created.append(entry)
          records.append(.accessControlEntry(record))
        }
        response.results.append(Self.result(Refusal(.none)))
      } catch {
        response.results.append(Self.result(error))
      }
    }
    return .init(records, response)
  }

  private static func validate(_ creation: AclCreation) throws(Refusal) {
    func check(_ isValid: Bool, _ message: String) throws(Refusal) {
      guard isValid else { throw Refusal(.invalidRequest, message) }
    }
    try check(
      (2...AclNumber.lastResourceType).contains(creation.resourceType),
      "Invalid resourceType \(creation.resourceType)")
    try check(
      creation.resourcePatternType == AclNumber.literal
        || creation.resourcePatternType == AclNumber.prefixed,
      "Invalid patternType \(creation.resourcePatternType)")
    try check(
      (2...AclNumber.lastOperation).contains(creation.operation),
      "Invalid operation \(creation.operation)")
    try check(
      creation.permissionType == AclNumber.deny || creation.permissionType == AclNumber.allow,
      "Invalid permissionType \(creation.permissionType)")
    try check(!creation.resourceName.isEmpty, "Resource name should not be empty")
    // A principal without a type is nobody's: no connection could ever match it.
    try check(
      creation.principal.contains(":"),
      "Could not parse principal from `\(creation.principal)` (no colon is present separating "
        + "the principal type from the principal name)")
  }

  private static func result(_ refusal: Refusal) -> CreateAclsResponse.AclCreationResult {
    .init {
      $0.errorCode = refusal.code.rawValue
      $0.errorMessage = refusal.message
    }
  }
}

extension DeleteAclsRequest: ControllerRequest {
  public func refused(_ refusal: Refusal, version: Int16) -> DeleteAclsResponse {
    .init { $0.filterResults = filters.map { _ in Self.failure(refusal) } }
  }

  public func decide(
    _ machine: inout QuorumController, _ context: RequestContext
  ) -> QuorumController.Outcome<DeleteAclsResponse> {
    var response = DeleteAclsResponse()
    var removed: Set<Uuid> = []
    var records: [MetadataRecord] = []
    let image = machine.pending.image.accessControl
    for filter in filters {
      guard filter.isKnown else {
        response.filterResults.append(
          Self.failure(Refusal(.invalidRequest, "Unknown patternFilter or entryFilter.")))
        continue
      }
      var result = DeleteAclsResponse.DeleteAclsFilterResult()
      result.errorMessage = nil
      for id in image.ids {
        guard let entry = image[id], filter.matches(entry) else { continue }
        result.matchingAcls.append(Self.matching(entry))
        // Two filters may match one entry: each reports it, one record removes it.
        if removed.insert(id).inserted {
          records.append(.removeAccessControlEntry(.init { $0.id = id }))
        }
      }
      response.filterResults.append(result)
    }
    return .init(records, response)
  }

  private static func matching(
    _ entry: AccessControlEntry
  ) -> DeleteAclsResponse.DeleteAclsMatchingAcl {
    .init {
      $0.errorMessage = nil
      $0.resourceType = entry.resourceType
      $0.resourceName = entry.resourceName
      $0.patternType = entry.patternType
      $0.principal = entry.principal
      $0.host = entry.host
      $0.operation = entry.operation
      $0.permissionType = entry.permissionType
    }
  }

  private static func failure(_ refusal: Refusal) -> DeleteAclsResponse.DeleteAclsFilterResult {
    .init {
      $0.errorCode = refusal.code.rawValue
      $0.errorMessage = refusal.message
    }
  }
}

extension DeleteAclsRequest.DeleteAclsFilter {
  fileprivate var isKnown: Bool {
    (1...AclNumber.lastResourceType).contains(resourceTypeFilter)
      && (1...AclNumber.prefixed).contains(patternTypeFilter)
      && (1...AclNumber.lastOperation).contains(operation)
      && (1...AclNumber.allow).contains(permissionType)
  }

  /// Nil and ANY match everything; the pattern type MATCH matches whatever covers the name.
  fileprivate func matches(_ entry: AccessControlEntry) -> Bool {
    func fits(_ wanted: Int8, _ actual: Int8) -> Bool {
      wanted == AclNumber.any || wanted == actual
    }
    return fits(resourceTypeFilter, entry.resourceType) && fits(operation, entry.operation)
      && fits(permissionType, entry.permissionType)
      && (principalFilter == nil || principalFilter == entry.principal)
      && (hostFilter == nil || hostFilter == entry.host) && matchesPattern(entry)
  }

  private func matchesPattern(_ entry: AccessControlEntry) -> Bool {
    guard
      patternTypeFilter == AclNumber.any || patternTypeFilter == AclNumber.matchPattern
        || patternTypeFilter == entry.patternType
    else { return false }
    guard let name = resourceNameFilter else { return true }
    guard patternTypeFilter == AclNumber.matchPattern else { return name == entry.resourceName }
    if entry.patternType == AclNumber.prefixed { return name.hasPrefix(entry.resourceName) }
    return name == entry.resourceName || entry.resourceName == AclNumber.wildcard
  }
}
