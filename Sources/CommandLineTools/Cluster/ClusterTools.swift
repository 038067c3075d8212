import KafkaClient
import KafkaMessages
import KafkaProtocol
import Settings

/// `jackdaw cluster`: the cluster's id, and brokers that are gone for good.
struct ClusterTool: Tool {
  let name = "cluster"
  let summary = "Print the cluster's id; unregister brokers that are gone for good."

  var syntax: CommandLineSyntax {
    CommandLineSyntax(
      command: "jackdaw cluster",
      summary: "cluster-id prints the cluster's id; unregister takes a broker out (KRaft mode).",
      flags: AdminSession.flags + [
        .value("--config", "FILE", "Properties for the client."),
        .value("--id", "ID", aliases: ["-i"], "The broker to unregister."),
        .value("--output", "text|json", default: "text", "Form of the result."),
      ], operands: ["cluster-id|unregister"])
  }

  private struct Description: Encodable {
    let clusterId: String
    let controllerId: Int32
    let brokers: [String]
  }

  func run(_ line: ParsedCommandLine, on console: Console) async throws -> Int32 {
    let flag = line.has("--config") ? "--config" : "--command-config"
    if line.operands[0] == "unregister" {
      guard let id = try line.integer("--id", in: 0...Int(Int32.max)) else {
        throw SettingsError("missing", key: "--id")
      }
      try await AdminSession.with(line, configFlag: flag) { session in
        try await session.admin.unregisterBroker(Int32(id))
      }
      console.line("Broker \(id) is no longer registered.")
      return 0
    }
    guard line.operands[0] == "cluster-id" else {
      throw SettingsError("must be cluster-id or unregister", value: line.operands[0])
    }
    let response = try await AdminSession.with(line, configFlag: flag) { session in
      try await session.send(DescribeClusterRequest())
    }
    try ErrorCode.check(response.errorCode, response.errorMessage, "cluster")
    if line.value("--output") == "json" {
      try console.json(
        Description(
          clusterId: response.clusterID, controllerId: response.controllerID,
          brokers: response.brokers.map { "\($0.brokerID)@\($0.host):\($0.port)" }.sorted()))
    } else {
      console.line("Cluster ID: \(response.clusterID)")
    }
    return 0
  }
}

/// `jackdaw broker-api-versions`: the APIs that every broker lists.
struct BrokerApiVersionsTool: Tool {
  let name = "broker-api-versions"
  let summary = "Print the API versions that every broker serves."

  var syntax: CommandLineSyntax {
    CommandLineSyntax(
      command: "jackdaw broker-api-versions", summary: summary, flags: AdminSession.flags)
  }

  func run(_ line: ParsedCommandLine, on console: Console) async throws -> Int32 {
    try await AdminSession.with(line) { session in
      for node in session.cluster.metadata.sortedNodes {
        let title = "\(node.host):\(node.port) (id: \(node.id) rack: \(node.rack ?? "null"))"
        let response = try await session.cluster.apiVersions(of: .node(node.id))
        try ErrorCode.check(response.errorCode, nil, title)
        console.line("\(title) -> (")
        let rows = response.apiKeys.sorted { $0.apiKey < $1.apiKey }.map(row)
        console.line(rows.joined(separator: ",\n"))
        console.line(")")
      }
    }
    return 0
  }

  private func row(_ api: ApiVersionsResponse.ApiVersion) -> String {
    let range =
      api.minVersion == api.maxVersion
      ? "\(api.minVersion)" : "\(api.minVersion) to \(api.maxVersion)"
    guard let known = ApiKey(rawValue: api.apiKey) else {
      return "\tUNKNOWN(\(api.apiKey)): \(range) [usable: unknown]"
    }
    return "\t\(known.name)(\(api.apiKey)): \(range) [usable: \(api.maxVersion)]"
  }
}
