// Access control entries, and the index by which an authorizer finds those that matter.
import KafkaRecords
import Values

/// One access control entry without its id; numbers are those of the wire.
public struct AccessControlEntry: Hashable, Sendable {
  public var resourceType: Int8
  public var resourceName: String
  public var patternType: Int8
  public var principal: String
  public var host: String
  public var operation: Int8
  public var permissionType: Int8

  public init(_ record: AccessControlEntryRecord) {
    resourceType = record.resourceType
    resourceName = record.resourceName
    patternType = record.patternType
    principal = record.principal
    host = record.host
    operation = record.operation
    permissionType = record.permissionType
  }

  var pattern: ResourcePattern {
    ResourcePattern(type: resourceType, name: resourceName, patternType: patternType)
  }
}

/// What an entry is about: one resource, all of a type (the literal `*`), or those whose names
/// begin alike (KIP-290). Numbers are those of the wire.
public struct ResourcePattern: Hashable, Sendable {
  public static let literal: Int8 = 3
  public static let prefixed: Int8 = 4
  /// The literal name that stands for every resource of its type.
  public static let wildcard = "*"

  public var type: Int8
  public var name: String
  public var patternType: Int8

  public init(type: Int8, name: String, patternType: Int8) {
    self.type = type
    self.name = name
    self.patternType = patternType
  }
}

/// Entries by their ids and by what they are about.
public struct AccessControlImage: Equatable, Sendable {
  private var byID: [Uuid: AccessControlEntry] = [:]
  /// How many ids each entry has: one, unless two logs were joined.
  private var entries: [AccessControlEntry: Int] = [:]
  private var byPattern: [ResourcePattern: [AccessControlEntry]] = [:]
  /// How long the prefixes of a type's prefixed patterns are, so that only those need be tried.
  private var prefixes: [Int8: [PrefixLength]] = [:]

  /// A length in bytes of UTF-8 and the number of patterns that have it.
  private struct PrefixLength: Equatable, Sendable {
    var length: Int
    var count: Int
  }

  public init() {}

  public var ids: [Uuid] { byID.keys.sorted() }

  public subscript(id: Uuid) -> AccessControlEntry? { byID[id] }

  /// Whether there is such an entry, under whatever id.
  public func contains(_ entry: AccessControlEntry) -> Bool { entries[entry] != nil }

  /// The entries about a resource: by its own name, by a prefix of it, by the wildcard.
  public func entries(covering type: Int8, _ name: String) -> [AccessControlEntry] {
    typealias Pattern = ResourcePattern
    var found = byPattern[Pattern(type: type, name: name, patternType: Pattern.literal)] ?? []
    if name != Pattern.wildcard {
      found +=
        byPattern[Pattern(type: type, name: Pattern.wildcard, patternType: Pattern.literal)] ?? []
    }
    for prefix in prefixes[type] ?? [] {
      guard let start = String(name.utf8.prefix(prefix.length)) else { continue }
      guard start.utf8.count == prefix.length else { continue }
      found += byPattern[Pattern(type: type, name: start, patternType: Pattern.prefixed)] ?? []
    }
    return found
  }

  // MARK: Records

  mutating func apply(_ record: AccessControlEntryRecord) {
    remove(record.id)
    let entry = AccessControlEntry(record)
    byID[record.id] = entry
    entries[entry, default: 0] += 1
    guard entries[entry] == 1 else { return }
    if byPattern[entry.pattern] == nil, entry.patternType == ResourcePattern.prefixed {
      count(entry, 1)
    }
    byPattern[entry.pattern, default: []].append(entry)
  }

  mutating func remove(_ id: Uuid) {
    guard let entry = byID.removeValue(forKey: id) else { return }
    let left = (entries[entry] ?? 1) - 1
    entries[entry] = left == 0 ? nil : left
    guard left == 0 else { return }
    byPattern[entry.pattern]?.removeAll { $0 == entry }
    guard byPattern[entry.pattern]?.isEmpty == true else { return }
    byPattern[entry.pattern] = nil
    if entry.patternType == ResourcePattern.prefixed { count(entry, -1) }
  }

  /// Notes that a prefixed pattern has come or gone.
  private mutating func count(_ entry: AccessControlEntry, _ change: Int) {
    let length = entry.resourceName.utf8.count
    var lengths = prefixes[entry.resourceType] ?? []
    if let place = lengths.firstIndex(where: { $0.length == length }) {
      lengths[place].count += change
      if lengths[place].count == 0 { lengths.remove(at: place) }
    } else {
      lengths.append(PrefixLength(length: length, count: change))
    }
    prefixes[entry.resourceType] = lengths.isEmpty ? nil : lengths
  }

  /// Two images are the same if they hold the same entries under the same ids; the order in which
  /// they came shows in the index, and is of no interest.
  public static func == (a: Self, b: Self) -> Bool { a.byID == b.byID }
}
