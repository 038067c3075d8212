import KafkaMessages
import Settings

/// What the flags of `jackdaw acls` ask for.
struct AclArguments {
  /// The resources that were named, in the order of the flags.
  let patterns: [AclPattern]
  /// Of `--principal`.
  let principals: [String]
  let isForced: Bool
  private let line: ParsedCommandLine
  private let isAddition: Bool

  init(_ line: ParsedCommandLine) throws(SettingsError) {
    self.line = line
    isAddition = line.has("--add")
    isForced = line.has("--force")
    principals = line.all("--principal")
    let typeName = (line.value("--resource-pattern-type") ?? "LITERAL").uppercased()
    guard let patternType = AclNames.patternTypes.number(of: typeName), patternType > 0 else {
      throw SettingsError(
        "must be ANY, MATCH, LITERAL or PREFIXED", key: "--resource-pattern-type",
        value: typeName)
    }
    if isAddition, patternType < AclNames.literal {
      throw SettingsError(
        "a resource has the pattern type LITERAL or PREFIXED when entries are added",
        key: "--resource-pattern-type", value: typeName)
    }
    var found: [AclPattern] = []
    for (flag, type) in Self.resources {
      for name in line.all(flag) {
        found.append(AclPattern(type: type, name: name, patternType: patternType))
      }
    }
    if line.has("--cluster") || line.has("--idempotent") && !line.has("--producer") {
      found.append(.cluster)
    }
    patterns = found
    if found.isEmpty, !line.has("--list") {
      throw SettingsError(
        "at least one resource is needed: --topic, --cluster, --group, --transactional-id, "
          + "--delegation-token or --user-principal")
    }
    try checkRoles()
  }

  private static let resources: [(String, Int8)] = [
    ("--topic", AclNames.topic), ("--group", AclNames.group),
    ("--transactional-id", AclNames.transactionalID),
    ("--delegation-token", AclNames.delegationToken), ("--user-principal", AclNames.user),
  ]

  private func checkRoles() throws(SettingsError) {
    let isProducer = line.has("--producer")
    let isConsumer = line.has("--consumer")
    if isProducer || isConsumer, !line.all("--operation").isEmpty {
      throw SettingsError("--producer and --consumer imply their own --operation")
    }
    if isProducer, line.all("--topic").isEmpty {
      throw SettingsError("--producer needs a --topic")
    }
    if line.has("--idempotent"), !isProducer {
      throw SettingsError("--idempotent is only for --producer")
    }
    if isConsumer, line.all("--topic").isEmpty || line.all("--group").isEmpty {
      throw SettingsError("--consumer needs a --topic and a --group")
    }
    if isConsumer, !isProducer,
      line.has("--cluster") || !line.all("--transactional-id").isEmpty
    {
      throw SettingsError("--consumer is only for topics and groups")
    }
  }

  /// What each resource gets.
  func additions() throws(SettingsError) -> [(AclPattern, [AclEntry])] {
    guard !line.all("--allow-principal").isEmpty || !line.all("--deny-principal").isEmpty else {
      throw SettingsError("--add needs --allow-principal or --deny-principal")
    }
    return try resourceEntries()
  }

  /// What each resource loses; without entries, all that it has.
  func removals() throws(SettingsError) -> [(AclPattern, [AclEntry])] {
    let isWhole =
      line.all("--allow-principal").isEmpty && line.all("--deny-principal").isEmpty
      && !line.has("--producer") && !line.has("--consumer")
    if isWhole { return patterns.map { ($0, []) } }
    return try resourceEntries()
  }

  private func resourceEntries() throws(SettingsError) -> [(AclPattern, [AclEntry])] {
    if line.has("--producer") || line.has("--consumer") { return try roleEntries() }
    let names = line.all("--operation")
    var result: [(AclPattern, [AclEntry])] = []
    for pattern in patterns {
      var operations: [Int8] = []
      for name in names.isEmpty ? ["All"] : names {
        operations.append(try operation(name, for: pattern.type))
      }
      result.append((pattern, try entries(operations)))
    }
    return result
  }

  private func operation(_ name: String, for type: Int8) throws(SettingsError) -> Int8 {
    let plain = name.replacing("_", with: "").uppercased()
    let found = AclNames.operations.firstIndex {
      $0.replacing("_", with: "") == plain
    }
    let allowed = AclNames.operations(of: type)
    guard let found, allowed.contains(Int8(found)) else {
      let list = allowed.sorted().map { AclNames.operations[Int($0)] }.joined(separator: ", ")
      throw SettingsError(
        "\(AclNames.resourceTypes[Int(type)]) only supports \(list)", key: "--operation",
        value: name)
    }
    return Int8(found)
  }

  /// Topics, groups and transactional ids of producers and consumers.
  private func roleEntries() throws(SettingsError) -> [(AclPattern, [AclEntry])] {
    let isProducer = line.has("--producer")
    let isConsumer = line.has("--consumer")
    var result: [(AclPattern, [AclEntry])] = []
    for pattern in patterns {
      var operations: [Int8] = []
      switch pattern.type {
      case AclNames.topic:
        if isProducer { operations += [AclNames.write, AclNames.describe, AclNames.create] }
        if isConsumer {
          operations += [AclNames.read] + (isProducer ? [] : [AclNames.describe])
        }
      case AclNames.group where isConsumer: operations = [AclNames.read]
      case AclNames.transactionalID where isProducer:
        operations = [AclNames.write, AclNames.describe]
      default: break
      }
      if !operations.isEmpty { result.append((pattern, try entries(operations))) }
    }
    if isProducer, line.has("--idempotent") {
      result.append((.cluster, try entries([AclNames.idempotentWrite])))
    }
    return result
  }

  /// Everybody from everywhere, allowed and denied.
  private func entries(_ operations: [Int8]) throws(SettingsError) -> [AclEntry] {
    var result: [AclEntry] = []
    for (permission, flag) in [(AclNames.allow, "allow"), (AclNames.deny, "deny")] {
      let hosts = line.all("--\(flag)-host")
      for principal in line.all("--\(flag)-principal") {
        guard let colon = principal.firstIndex(of: ":"), colon > principal.startIndex else {
          throw SettingsError(
            "is written type:name, as in User:alice", key: "--\(flag)-principal",
            value: principal)
        }
        for host in hosts.isEmpty ? ["*"] : hosts {
          for operation in operations {
            result.append(
              AclEntry(
                principal: principal, host: host, operation: operation, permission: permission))
          }
        }
      }
    }
    return result
  }
}
