import KafkaClient
import KafkaMessages
import KafkaProtocol
import Settings

/// `jackdaw configs`: describe and alter the dynamic configurations of topics and brokers, and the
/// quotas of users, clients and addresses.
struct ConfigsTool: Tool {
  let name = "configs"
  let summary =
    "Describe and alter configurations of topics and nodes, quotas, SCRAM credentials."

  var syntax: CommandLineSyntax {
    CommandLineSyntax(
      command: "jackdaw configs", summary: summary,
      flags: AdminSession.flags + [
        AdminSession.controllerFlag,
        .toggle("--describe", "Show configurations."),
        .toggle("--alter", "Change configurations."),
        .toggle("--all", "With --describe: defaults too."),
        .value(
          "--entity-type", "topics|brokers|broker-loggers|users|clients|ips|client-metrics",
          repeatable: true,
          "What is configured; users and clients together too."),
        .value("--entity-name", "NAME", repeatable: true, "Which one."),
        .toggle("--entity-default", "The default of all brokers, users, clients or ips."),
        .value("--topic", "NAME", "Short for --entity-type topics --entity-name NAME."),
        .value("--broker", "ID", "Short for --entity-type brokers --entity-name ID."),
        .value(
          "--broker-logger", "ID", "Short for --entity-type broker-loggers --entity-name ID."),
        .value(
          "--client-metrics", "NAME",
          "Short for --entity-type client-metrics --entity-name NAME."),
        .toggle("--broker-defaults", "Short for --entity-type brokers --entity-default."),
        .value("--add-config", "k=v,k=[a,b]", "Configurations to set."),
        .value("--add-config-file", "FILE", "Properties file with configurations to set."),
        .value("--delete-config", "k1,k2", "Configurations to remove."),
        .toggle("--force", "Ask no questions; there are none."),
        .value("--output", "text|json", default: "text", "For --describe."),
      ] + QuotaConfigs.flags)
  }

  private struct Entity {
    let type: ConfigResourceType
    /// nil: all of the type; "": the default of all brokers.
    let name: String?

    /// The node that has to be asked; nil when any will do.
    func node(_ name: String) -> KafkaCluster.Target? {
      guard type == .broker || type == .brokerLogger else { return nil }
      return Int32(name).map { .node($0) }
    }

    func title(_ name: String) -> String {
      switch type {
      case .topic: "topic \(name)"
      case .clientMetrics: "client-metric \(name)"
      case .brokerLogger: "broker-logger \(name)"
      case .broker: name.isEmpty ? "brokers in the cluster" : "broker \(name)"
      }
    }
  }

  func run(_ line: ParsedCommandLine, on console: Console) async throws -> Int32 {
    guard line.has("--describe") != line.has("--alter") else {
      throw SettingsError("exactly one of --describe and --alter is needed")
    }
    if let quotas = try QuotaConfigs(line) {
      try await AdminSession.with(line) { session in
        if line.has("--describe") { return try await quotas.describe(session, console) }
        try await quotas.alter(
          adding: try additions(line), deleting: deletions(line), session, console)
      }
      return 0
    }
    let entity = try entity(line)
    try await AdminSession.with(line) { session in
      if line.has("--describe") {
        try await describe(entity, line, session, console)
      } else {
        try await alter(entity, line, session, console)
      }
    }
    return 0
  }

  private func entity(_ line: ParsedCommandLine) throws(SettingsError) -> Entity {
    if let name = line.value("--topic") { return Entity(type: .topic, name: name) }
    if let name = line.value("--broker") { return Entity(type: .broker, name: name) }
    if let name = line.value("--broker-logger") { return Entity(type: .brokerLogger, name: name) }
    if let name = line.value("--client-metrics") {
      return Entity(type: .clientMetrics, name: name)
    }
    if line.has("--broker-defaults") { return Entity(type: .broker, name: "") }
    let name = line.has("--entity-default") ? "" : line.value("--entity-name")
    switch try line.require("--entity-type") {
    case "topics": return Entity(type: .topic, name: name)
    case "brokers": return Entity(type: .broker, name: name)
    case "broker-loggers": return Entity(type: .brokerLogger, name: name)
    case "client-metrics": return Entity(type: .clientMetrics, name: name)
    case let other:
      throw SettingsError(
        "topics, brokers, broker-loggers, users, clients, ips and client-metrics are supported",
        key: "--entity-type", value: other)
    }
  }

  // MARK: Describe

  private struct Described: Encodable {
    let entity: String
    let configs: [[String: String]]
  }

  private func describe(
    _ entity: Entity, _ line: ParsedCommandLine, _ session: AdminSession, _ console: Console
  ) async throws {
    var all: [Described] = []
    for name in try await names(entity, session) {
      var request = DescribeConfigsRequest()
      request.includeSynonyms = true
      request.resources = [
        DescribeConfigsRequest.DescribeConfigsResource {
          $0.resourceType = entity.type.rawValue
          $0.resourceName = name
          $0.configurationKeys = nil
        }
      ]
      let response = try await session.send(request, to: entity.node(name) ?? .any)
      for result in response.results {
        try ErrorCode.check(result.errorCode, result.errorMessage, entity.title(name))
        let shown = result.configs.filter { line.has("--all") || isDynamic($0) }
          .sorted { $0.name < $1.name }
        if line.value("--output") == "json" {
          all.append(Described(entity: entity.title(name), configs: shown.map(fields)))
        } else {
          let kind = line.has("--all") ? "All" : "Dynamic"
          console.line("\(kind) configs for \(entity.title(name)) are:")
          for config in shown { console.line("  " + text(config)) }
        }
      }
    }
    if line.value("--output") == "json" { try console.json(all) }
  }

  private func names(_ entity: Entity, _ session: AdminSession) async throws -> [String] {
    if let name = entity.name { return [name] }
    if entity.type == .clientMetrics {
      return try await session.admin.listClientMetricsResources()
    }
    if session.cluster.isOfControllers {
      guard entity.type != .topic else {
        throw ToolFailure("controllers list no topics: name one, or ask brokers")
      }
      return try await session.admin.describeCluster().sortedNodes.map { "\($0.id)" }
    }
    if entity.type == .topic { return try await session.topics(matching: nil).compactMap(\.name) }
    return try await session.metadata(topics: []).brokers.map(\.nodeID).sorted().map(String.init)
  }

  private func isDynamic(_ config: DescribeConfigsResponse.DescribeConfigsResourceResult) -> Bool {
    switch ConfigSource(rawValue: config.configSource) {
    case .dynamicTopic, .dynamicBroker, .dynamicDefaultBroker, .clientMetrics: true
    default: false
    }
  }

  private func text(_ config: DescribeConfigsResponse.DescribeConfigsResourceResult) -> String {
    let synonyms = config.synonyms.map { synonym in
      let source = ConfigSource(rawValue: synonym.source) ?? .unknown
      return "\(source.text):\(synonym.name)=\(synonym.value ?? "null")"
    }
    return "\(config.name)=\(config.value ?? "null") sensitive=\(config.isSensitive)"
      + " synonyms={\(synonyms.joined(separator: ", "))}"
  }

  private func fields(
    _ config: DescribeConfigsResponse.DescribeConfigsResourceResult
  ) -> [String: String] {
    [
      "name": config.name, "value": config.value ?? "",
      "source": (ConfigSource(rawValue: config.configSource) ?? .unknown).text,
    ]
  }

  // MARK: Alter

  private func alter(
    _ entity: Entity, _ line: ParsedCommandLine, _ session: AdminSession, _ console: Console
  ) async throws {
    guard let name = entity.name else {
      throw SettingsError("--alter needs --entity-name or --entity-default")
    }
    var changes: [IncrementalAlterConfigsRequest.AlterableConfig] = []
    for (key, value) in try additions(line) {
      changes.append(
        IncrementalAlterConfigsRequest.AlterableConfig {
          $0.name = key
          $0.configOperation = 0
          $0.value = value
        })
    }
    for key in deletions(line) {
      changes.append(
        IncrementalAlterConfigsRequest.AlterableConfig {
          $0.name = key
          $0.configOperation = 1
          $0.value = nil
        })
    }
    guard !changes.isEmpty else {
      throw SettingsError("--alter needs --add-config, --add-config-file or --delete-config")
    }
    var request = IncrementalAlterConfigsRequest()
    request.resources = [
      IncrementalAlterConfigsRequest.AlterConfigsResource {
        $0.resourceType = entity.type.rawValue
        $0.resourceName = name
        $0.configs = changes
      }
    ]
    let response: IncrementalAlterConfigsResponse
    if let node = entity.node(name), !session.cluster.isOfControllers {
      response = try await session.send(request, to: node)
    } else {
      response = try await session.sendToController(request) { $0.responses.first?.errorCode }
    }
    for result in response.responses {
      try ErrorCode.check(result.errorCode, result.errorMessage, entity.title(name))
    }
    console.line("Completed updating config for \(entity.title(name)).")
  }

  private func deletions(_ line: ParsedCommandLine) -> [String] {
    (line.value("--delete-config") ?? "").split(separator: ",").map(String.init)
  }

  private func additions(_ line: ParsedCommandLine) throws -> [(String, String)] {
    var pairs: [(String, String)] = []
    if let path = line.value("--add-config-file") {
      pairs += try ClientProperties.read(path).sorted { $0.key < $1.key }.map { ($0, $1) }
    }
    for text in ConfigList.split(line.value("--add-config") ?? "") {
      guard let separator = text.firstIndex(of: "="), separator != text.startIndex else {
        throw SettingsError("expected key=value", key: "--add-config", value: text)
      }
      pairs.append(
        (String(text[..<separator]), ConfigList.unwrap(text[text.index(after: separator)...])))
    }
    return pairs
  }
}

/// `k1=v1,k2=[a,b]`: commas inside brackets belong to the value.
enum ConfigList {
  static func split(_ text: String) -> [String] {
    var parts: [String] = []
    var part = ""
    var depth = 0
    for character in text {
      switch character {
      case "[": depth += 1
      case "]": depth -= 1
      case "," where depth == 0:
        parts.append(part)
        part = ""
        continue
      default: break
      }
      part.append(character)
    }
    if !part.isEmpty { parts.append(part) }
    return parts
  }

  /// The value without the brackets around it.
  static func unwrap(_ text: Substring) -> String {
    text.hasPrefix("[") && text.hasSuffix("]") ? String(text.dropFirst().dropLast()) : String(text)
  }
}
