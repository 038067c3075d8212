// Where access control entries lie, and how they are changed there.
import KafkaMessages
import KafkaRecords
import Metadata
import Values

extension AclZnode {
  /// The parents of what announces changes: of literal patterns, and of others.
  public static let changeRoots = ["/kafka-acl-changes", "/kafka-acl-extended-changes"]
  /// The name of an announcement; the server appends ten digits.
  public static let changePrefix = "acl_changes_"

  /// The parents of what resources of each type have.
  public static let resourceRoots = ["/kafka-acl", "/kafka-acl-extended/prefixed"].flatMap { root in
    resourceTypes.map { "\(root)/\($0)" }
  }

  /// What an authorizer creates at its first start, parents first.
  public static let paths =
    ["/kafka-acl", "/kafka-acl-extended", "/kafka-acl-extended/prefixed"] + resourceRoots
    + changeRoots
}

extension AclZnode.Resource {
  /// What an entry is about.
  public init(_ entry: AccessControlEntry) {
    self.init(
      type: entry.resourceType, name: entry.resourceName, patternType: entry.patternType)
  }

  /// The announcement of a change, with a number of its own.
  fileprivate var announcement: ZnodeOp {
    .create(path: changePath, data: AclZnode.encodeChange(self), mode: .persistentSequential)
  }
}

/// The list of one resource as it was read, and what becomes of it.
///
/// A change and its announcement are one multi: AclAuthorizer writes the same two znodes one after
/// the other, and others see no difference, but here no change can go unheard.
public struct StoredAcls: Sendable {
  public let resource: AclZnode.Resource
  public private(set) var entries: [AccessControlEntry]
  /// Nil: there is no znode.
  private let version: Int32?
  private let original: [AccessControlEntry]

  /// - Parameter content: nil where there is no znode.
  /// - Throws: UNKNOWN_SERVER_ERROR for content that is not understood.
  public init(_ resource: AclZnode.Resource, _ content: ZnodeContent?) throws(Refusal) {
    guard let records = AclZnode.decode(content?.data ?? [], of: resource) else {
      throw Refusal(.unknownServerError, "\(resource.path) is not understood")
    }
    self.resource = resource
    version = content?.version
    var entries: [AccessControlEntry] = []
    for entry in records.map({ AccessControlEntry($0) }) where !entries.contains(entry) {
      entries.append(entry)
    }
    self.entries = entries
    original = entries
  }

  public mutating func add(_ entry: AccessControlEntry) {
    if !entries.contains(entry) { entries.append(entry) }
  }

  /// Removes what filters match; answers each entry with the place of the first filter that does.
  public mutating func remove(
    matching filters: [AclFilter]
  ) -> [(entry: AccessControlEntry, filter: Int)] {
    var removed: [(entry: AccessControlEntry, filter: Int)] = []
    entries.removeAll { entry in
      guard let place = filters.firstIndex(where: { $0.isKnown && $0.matches(entry) }) else {
        return false
      }
      removed.append((entry, place))
      return true
    }
    return removed
  }

  /// What has to be written, which fails unless the list is still what was read; nil: nothing.
  public var transaction: ZnodeTransaction? {
    guard entries != original else { return nil }
    let data = AclZnode.encode(entries.map { $0.record })
    guard let version else {
      return ZnodeTransaction([.create(path: resource.path, data: data), resource.announcement])
    }
    let change: ZnodeOp =
      entries.isEmpty
      ? .delete(path: resource.path, version: version)
      : .setData(path: resource.path, data: data, version: version)
    return ZnodeTransaction([change, resource.announcement])
  }

  /// Whether a failure says that somebody else has written in between.
  public static func isConflict(_ failure: ZnodeFailure) -> Bool {
    [.badVersion, .noNode, .nodeExists].contains(failure)
  }

  /// How often a list is read again because somebody else has written it, and for how long at
  /// least is waited before, as AclAuthorizer does.
  public static let maxRetries = 10
  public static let backoffMs: Int64 = 100
  public static let backoffJitterMs: Int64 = 50
}

extension AccessControlEntry {
  /// The entry as a record without an id.
  public var record: AccessControlEntryRecord {
    .init {
      $0.resourceType = resourceType
      $0.resourceName = resourceName
      $0.patternType = patternType
      $0.principal = principal
      $0.host = host
      $0.operation = operation
      $0.permissionType = permissionType
    }
  }
}

extension AclFilter {
  /// The resources that match by their names alone, known to this server or not: those whose
  /// lists have to be read, beside those that are known.
  public var namedResources: [AclZnode.Resource] {
    guard isKnown, resourceType != AclNumber.any, let name = resourceName,
      patternType != AclNumber.matchPattern, !name.isEmpty, !name.contains("/")
    else { return [] }
    let patterns =
      patternType == AclNumber.any ? [AclNumber.literal, AclNumber.prefixed] : [patternType]
    return patterns.map {
      AclZnode.Resource(type: resourceType, name: name, patternType: $0)
    }
  }
}

extension CreateAclsRequest {
  /// The entries asked for, as they may be kept in znodes.
  public var storable: [Result<AccessControlEntry, Refusal>] {
    creations.map { creation in
      Result { () throws(Refusal) in
        // The name becomes a part of a path.
        guard !creation.resourceName.contains("/") else {
          throw Refusal(
            .invalidRequest,
            "ACL binding contains invalid resource name: \(creation.resourceName)")
        }
        return AccessControlEntry(try Self.record(creation))
      }
    }
  }
}

extension DeleteAclsRequest {
  /// The answer, by what was removed from each list.
  ///
  /// - Parameter removed: entries with the place of the filter that they answer, and the failure
  ///   of the list that they are in.
  public func response(
    _ removed: [(entry: AccessControlEntry, filter: Int, failure: Refusal?)]
  ) -> DeleteAclsResponse {
    .init {
      $0.filterResults = filters.enumerated().map { place, filter in
        guard AclFilter(filter).isKnown else {
          return Self.failure(Refusal(.invalidRequest, "Unknown patternFilter or entryFilter."))
        }
        var result = DeleteAclsResponse.DeleteAclsFilterResult()
        result.errorMessage = nil
        result.matchingAcls = removed.filter { $0.filter == place }.map { found in
          var match = Self.matching(found.entry)
          if let failure = found.failure {
            match.errorCode = failure.code.rawValue
            match.errorMessage = failure.message
          }
          return match
        }
        return result
      }
    }
  }
}
