import Foundation
import KafkaClient
import KafkaMessages
import KafkaProtocol
import Settings

/// `jackdaw acls`: list, add and remove access control entries, as kafka-acls does.
struct AclsTool: Tool {
  let name = "acls"
  let summary = "List, add and remove access control entries."

  var syntax: CommandLineSyntax {
    CommandLineSyntax(
      command: "jackdaw acls", summary: summary,
      flags: AdminSession.flags + [
        .toggle("--add", "Add entries."),
        .toggle("--remove", "Remove entries."),
        .toggle("--list", "List entries, of the resources given or of all."),
        .value("--topic", "NAME", repeatable: true, "A topic; * for all."),
        .value("--group", "ID", repeatable: true, "A consumer group; * for all."),
        .toggle("--cluster", "The cluster."),
        .value("--transactional-id", "ID", repeatable: true, "A transactional id; * for all."),
        .value("--delegation-token", "ID", repeatable: true, "A delegation token; * for all."),
        .value("--user-principal", "NAME", repeatable: true, "A user, for tokens; * for all."),
        .value(
          "--resource-pattern-type", "ANY|MATCH|LITERAL|PREFIXED", default: "LITERAL",
          "How names are meant; ANY and MATCH only with --list and --remove."),
        .value("--operation", "NAME", repeatable: true, "An operation; All unless given."),
        .value("--allow-principal", "TYPE:NAME", repeatable: true, "Who is allowed; User:* all."),
        .value("--deny-principal", "TYPE:NAME", repeatable: true, "Who is denied."),
        .value("--allow-host", "ADDRESS", repeatable: true, "From where; anywhere unless given."),
        .value("--deny-host", "ADDRESS", repeatable: true, "From where; anywhere unless given."),
        .value("--principal", "TYPE:NAME", repeatable: true, "With --list: only theirs."),
        .toggle("--producer", "What a producer needs: Write, Describe, Create on --topic."),
        .toggle("--consumer", "What a consumer needs: Read, Describe on --topic, Read on --group."),
        .toggle("--idempotent", "With --producer: IdempotentWrite on the cluster."),
        .toggle("--force", "Ask no questions."),
        .value("--authorizer", "CLASS", "With --authorizer-properties: AclAuthorizer's name."),
        .value(
          "--authorizer-properties", "KEY=VALUE", repeatable: true,
          "zookeeper.connect=HOST:PORT,…: entries are read and changed there, without a broker."),
        .value(
          "--zk-tls-config-file", "FILE",
          "With --authorizer-properties: zookeeper.ssl.* keys of a TLS connection."),
      ])
  }

  func run(_ line: ParsedCommandLine, on console: Console) async throws -> Int32 {
    let actions = ["--add", "--remove", "--list"].filter(line.has)
    guard actions.count == 1 else {
      throw SettingsError("exactly one of --list, --add and --remove is needed")
    }
    let arguments = try AclArguments(line)
    if let connect = try ZnodeAcls.connectString(line) {
      try await ZnodeAcls.with(connect, line, console) {
        try await act(actions[0], arguments, $0, console)
      }
    } else {
      try await AdminSession.with(line) {
        try await act(actions[0], arguments, $0.admin, console)
      }
    }
    return 0
  }

  private func act(
    _ action: String, _ arguments: AclArguments, _ store: any AclStore, _ console: Console
  ) async throws {
    switch action {
    case "--add": try await add(arguments, store, console)
    case "--remove": try await remove(arguments, store, console)
    default: try await list(arguments, store, console)
    }
  }

  // MARK: Adding

  private func add(
    _ arguments: AclArguments, _ store: any AclStore, _ console: Console
  ) async throws {
    for (pattern, entries) in try arguments.additions() {
      console.line("Adding ACLs for resource `\(pattern)`: ")
      show(entries, console)
      let results = try await store.createAcls(entries.map { $0.creation(of: pattern) })
      for result in results { try result.get() }
    }
    try await list(arguments, store, console)
  }

  // MARK: Removing

  private func remove(
    _ arguments: AclArguments, _ store: any AclStore, _ console: Console
  ) async throws {
    for (pattern, entries) in try arguments.removals() {
      let question =
        entries.isEmpty
        ? "Are you sure you want to delete all ACLs for resource filter `\(pattern)`? (y/n)"
        : "Are you sure you want to remove ACLs: \n \(lines(entries)) \n "
          + "from resource filter `\(pattern)`? (y/n)"
      guard arguments.isForced || confirms(question, console) else { continue }
      let filters =
        entries.isEmpty ? [pattern.deletion(of: nil)] : entries.map(pattern.deletion(of:))
      for result in try await store.deleteAcls(filters) { _ = try result.get() }
    }
    try await list(arguments, store, console)
  }

  private func confirms(_ question: String, _ console: Console) -> Bool {
    console.line(question)
    console.flush()
    return readLine().map { $0.lowercased() == "y" } ?? false
  }

  // MARK: Listing

  private func list(
    _ arguments: AclArguments, _ store: any AclStore, _ console: Console
  ) async throws {
    if arguments.principals.isEmpty {
      try await list(arguments.patterns, of: nil, store, console)
    }
    for principal in arguments.principals {
      console.line("ACLs for principal `\(principal)`")
      try await list(arguments.patterns, of: principal, store, console)
    }
  }

  private func list(
    _ patterns: [AclPattern], of principal: String?, _ store: any AclStore, _ console: Console
  ) async throws {
    for filter in patterns.isEmpty ? [AclPattern.any] : patterns {
      let found = try await store.describeAcls(filter.description(of: principal))
      for resource in found {
        let pattern = AclPattern(
          type: resource.resourceType, name: resource.resourceName,
          patternType: resource.patternType)
        console.line("Current ACLs for resource `\(pattern)`: ")
        show(resource.acls.map(AclEntry.init), console)
      }
    }
  }

  private func show(_ entries: [AclEntry], _ console: Console) {
    console.line(" \(lines(entries)) \n")
  }

  private func lines(_ entries: [AclEntry]) -> String {
    entries.map { "\t\($0)" }.joined(separator: "\n ")
  }
}
