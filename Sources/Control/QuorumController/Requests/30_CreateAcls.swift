// CreateAcls (30) and DeleteAcls (31) in KRaft mode: entries are records, authorizers read them.
import KafkaMessages
import KafkaProtocol
import KafkaRecords
import Metadata
import Values

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
        var record = try Self.record(creation)
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

  /// An entry that was asked for, without an id.
  /// - Throws: INVALID_REQUEST for what cannot be an entry.
  public static func record(
    _ creation: AclCreation
  ) throws(Refusal) -> AccessControlEntryRecord {
    try validate(creation)
    return .init {
      $0.resourceType = creation.resourceType
      $0.resourceName = creation.resourceName
      $0.patternType = creation.resourcePatternType
      $0.principal = creation.principal
      $0.host = creation.host
      $0.operation = creation.operation
      $0.permissionType = creation.permissionType
    }
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
    try check(
      creation.resourceType != AclNumber.cluster
        || creation.resourceName == AclNumber.clusterName,
      "The only valid name for the CLUSTER resource is \(AclNumber.clusterName)")
    // A principal without a type is nobody's: no connection could ever match it.
    try check(
      creation.principal.contains(":"),
      "Could not parse principal from `\(creation.principal)` (no colon is present separating "
        + "the principal type from the principal name)")
  }

  public static func result(_ refusal: Refusal) -> CreateAclsResponse.AclCreationResult {
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
      let filter = AclFilter(filter)
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

  public static func matching(
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

  public static func failure(_ refusal: Refusal) -> DeleteAclsResponse.DeleteAclsFilterResult {
    .init {
      $0.errorCode = refusal.code.rawValue
      $0.errorMessage = refusal.message
    }
  }
}
