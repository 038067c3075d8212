import KafkaClient
import KafkaMessages
import KafkaProtocol
import Platform
import Settings
import Values

/// `jackdaw client-metrics`: subscriptions to what clients measure (KIP-714, KIP-1000).
struct ClientMetricsTool: Tool {
  let name = "client-metrics"
  let summary = "List, describe, alter and delete subscriptions to clients' metrics."

  private static let actions = ["--alter", "--delete", "--describe", "--list"]
  private static let settings: [(flag: String, key: String)] = [
    ("--interval", "interval.ms"), ("--metrics", "metrics"), ("--match", "match"),
  ]

  var syntax: CommandLineSyntax {
    CommandLineSyntax(
      command: "jackdaw client-metrics", summary: summary,
      flags: AdminSession.flags + [
        .toggle("--alter", "Change a subscription, or make a new one."),
        .toggle("--delete", "Delete a subscription."),
        .toggle("--describe", "Show subscriptions."),
        .toggle("--list", "Show the names of subscriptions."),
        .value("--name", "NAME", "Which one."),
        .toggle("--generate-name", "With --alter: a random name."),
        .value("--interval", "MS", "How often clients push, in milliseconds."),
        .value("--match", "k1=v1,k2=v2", "Which clients, by patterns of client_id and others."),
        .value("--metrics", "m1,m2", "Prefixes of the metrics' names; * for all."),
      ])
  }

  func run(_ line: ParsedCommandLine, on console: Console) async throws -> Int32 {
    let actions = Self.actions.filter { line.has($0) }
    guard let action = actions.first, actions.count == 1 else {
      throw SettingsError(
        "exactly one of --alter, --delete, --describe and --list is needed")
    }
    try check(line, action)
    try await AdminSession.with(line) { session in
      switch action {
      case "--alter": try await alter(line, session, console)
      case "--delete": try await delete(try line.require("--name"), session, console)
      case "--describe": try await describe(line.value("--name"), session, console)
      default:
        for name in try await session.admin.listClientMetricsResources() { console.line(name) }
      }
    }
    return 0
  }

  private func check(_ line: ParsedCommandLine, _ action: String) throws(SettingsError) {
    if action != "--alter" {
      let others = Self.settings.map(\.flag) + ["--generate-name"]
      let wrong = others + (action == "--list" ? ["--name"] : [])
      if let flag = wrong.first(where: { line.has($0) || line.value($0) != nil }) {
        throw SettingsError("cannot be combined with \(action)", key: flag)
      }
    } else if (line.value("--name") != nil) == line.has("--generate-name") {
      throw SettingsError("one of --name and --generate-name is needed with --alter")
    }
  }

  // MARK: Actions

  private func alter(
    _ line: ParsedCommandLine, _ session: AdminSession, _ console: Console
  ) async throws {
    var random = SystemRandom()
    let name = line.value("--name") ?? Uuid.random(using: &random).description
    // The empty text takes a setting back.
    let changes = Self.settings.compactMap { flag, key in
      line.value(flag).map { $0.isEmpty ? ConfigChange(.delete, key) : ConfigChange(.set, key, $0) }
    }
    try await change(name, changes, session)
    console.line("Altered client metrics config for \(name).")
  }

  private func delete(_ name: String, _ session: AdminSession, _ console: Console) async throws {
    let entries = try await configs(of: name, session)
    try await change(name, entries.map { ConfigChange(.delete, $0.name) }, session)
    console.line("Deleted client metrics config for \(name).")
  }

  private func describe(
    _ name: String?, _ session: AdminSession, _ console: Console
  ) async throws {
    let names = try await session.admin.listClientMetricsResources()
    for name in name.map({ [$0] }) ?? names {
      let entries = try await configs(of: name, session)
      console.line("Client metrics configs for \(name) are:")
      for entry in entries.sorted(by: { $0.name < $1.name }) {
        console.line("  \(entry.name)=\(entry.value ?? "null")")
      }
    }
  }

  private func configs(
    of name: String, _ session: AdminSession
  ) async throws -> [AdminClient.ConfigEntry] {
    let resource = KafkaClient.ConfigResource(.clientMetrics, name)
    return try await session.admin.describeConfigs([resource])[resource]?.get() ?? []
  }

  private func change(
    _ name: String, _ changes: [ConfigChange], _ session: AdminSession
  ) async throws {
    let resource = KafkaClient.ConfigResource(.clientMetrics, name)
    let results = try await session.admin.alterConfigs([resource: changes])
    try results[resource]?.get()
  }
}
