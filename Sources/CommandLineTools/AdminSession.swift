import Foundation
import KafkaClient
import KafkaMessages
import KafkaProtocol
import Settings
import Values

/// A tool's connection to a cluster: bootstrap address, client properties, and requests that find
/// the node which must answer them.
final class AdminSession: Sendable {
  let cluster: KafkaCluster
  /// The client library's calls, over the same connections.
  let admin: AdminClient
  /// How long a request is tried again: `--timeout`, where the tool has it.
  private let patienceMs: Int

  /// The flags that every tool with a cluster has.
  static let flags: [Flag] = [
    .value("--bootstrap-server", "HOST:PORT,…", "Where to find the cluster."),
    .value("--command-config", "FILE", "Properties for the client."),
  ]

  /// The flag of tools that can ask the controllers themselves (KIP-919).
  static let controllerFlag = Flag.value(
    "--bootstrap-controller", "HOST:PORT,…", "Where to find the controllers; in place of brokers.")

  /// - Parameter aliases: older names of `--bootstrap-server`, such as `--broker-list`.
  init(_ line: ParsedCommandLine, configFlag: String = "--command-config") async throws {
    let bootstrap = try AdminSession.bootstrapProperties(line)
    var properties: [String: String] = [:]
    if let path = line.value(configFlag) { properties = try ClientProperties.read(path) }
    properties["bootstrap.servers"] = nil
    properties["bootstrap.controllers"] = nil
    properties.merge(bootstrap) { $1 }
    patienceMs = try line.integer("--timeout", in: 1...3_600_000) ?? 30_000
    cluster = try KafkaCluster(try ClientConfig(properties, for: .admin))
    admin = AdminClient(over: cluster, timeoutMs: Int64(patienceMs))
    _ = try await retrying { [cluster] () throws(ClientError) in
      try await cluster.updateMetadata(topics: [])
    }
  }

  static func bootstrap(_ line: ParsedCommandLine) throws(SettingsError) -> String {
    if let servers = line.value("--bootstrap-server") ?? line.value("--broker-list") {
      return servers
    }
    return try line.require("--bootstrap-server")
  }

  /// The client property that says where to begin: with brokers, or with controllers.
  static func bootstrapProperties(
    _ line: ParsedCommandLine
  ) throws(SettingsError) -> [String: String] {
    guard let controllers = line.value("--bootstrap-controller") else {
      return ["bootstrap.servers": try bootstrap(line)]
    }
    guard line.value("--bootstrap-server") == nil else {
      throw SettingsError("only one of --bootstrap-server and --bootstrap-controller is needed")
    }
    return ["bootstrap.controllers": controllers]
  }

  /// Runs `body` with a session that is closed afterwards, whatever happens.
  static func with<Result: Sendable>(
    _ line: ParsedCommandLine, configFlag: String = "--command-config",
    _ body: (AdminSession) async throws -> Result
  ) async throws -> Result {
    let session = try await AdminSession(line, configFlag: configFlag)
    do {
      let result = try await body(session)
      await session.cluster.close()
      return result
    } catch {
      await session.cluster.close()
      throw error
    }
  }

  // MARK: Sending

  /// Tries again, for `patienceMs`, while the failure is one that passes.
  func retrying<Value: Sendable>(
    _ body: @Sendable () async throws(ClientError) -> Value
  ) async throws -> Value {
    let end = ContinuousClock.now + .milliseconds(patienceMs)
    while true {
      do throws(ClientError) {
        return try await body()
      } catch {
        guard error.isRetriable, ContinuousClock.now < end else { throw error }
      }
      try await Task.sleep(for: .milliseconds(100))
    }
  }

  /// Sends to the active controller; finds it anew when `code` says that it has moved.
  func sendToController<Request: KafkaRequest>(
    _ request: Request, code: @escaping @Sendable (Request.Response) -> Int16?
  ) async throws -> Request.Response {
    try await retrying { [cluster] () throws(ClientError) in
      _ = try await cluster.updateMetadata(topics: [])
      let response = try await cluster.send(request, to: .controller)
      if let code = code(response), ErrorCode(code) == .notController {
        throw ClientError(.notController)
      }
      return response
    }
  }

  func send<Request: KafkaRequest>(
    _ request: Request, to target: KafkaCluster.Target = .any
  ) async throws -> Request.Response {
    try await retrying { [cluster] () throws(ClientError) in
      try await cluster.send(request, to: target)
    }
  }

  /// The cluster's id, as brokers and controllers tell it.
  func clusterID() async throws -> String {
    let type: Int8 = cluster.isOfControllers ? 2 : 1
    return try await send(DescribeClusterRequest { $0.endpointType = type }).clusterID
  }

  /// Whether brokers have users' SCRAM credentials to tell of.
  func isScramKnown() async throws -> Bool { try await serves(.describeUserScramCredentials) }

  /// Whether brokers list an API; the first of them is asked.
  func serves(_ api: ApiKey) async throws -> Bool {
    guard let node = try await admin.describeCluster().sortedNodes.first else { return false }
    return try await admin.apiVersions(of: node.id).apiKeys.contains { $0.apiKey == api.rawValue }
  }

  // MARK: Topics

  /// Fresh metadata: of all topics, or of those named.
  func metadata(topics names: [String]? = nil) async throws -> MetadataResponse {
    var request = MetadataRequest()
    request.allowAutoTopicCreation = false
    request.topics = names?.map { name in
      MetadataRequest.MetadataRequestTopic { $0.name = name }
    }
    return try await send(request)
  }

  /// The topics whose names match one of the patterns (all when there is none), in order of name.
  func topics(
    matching pattern: String?, excludingInternal: Bool = false
  ) async throws -> [MetadataResponse.MetadataResponseTopic] {
    let filter = try pattern.map(TopicFilter.init)
    return try await metadata().topics.filter { topic in
      guard let name = topic.name else { return false }
      return (filter?.matches(name) ?? true) && !(excludingInternal && topic.isInternal)
    }.sorted { ($0.name ?? "") < ($1.name ?? "") }
  }

  /// Partitions grouped by the broker that leads them.
  func byLeader(
    _ partitions: [TopicPartition]
  ) async throws -> [(leader: Int32, partitions: [TopicPartition])] {
    let names = Set(partitions.map(\.topic)).sorted()
    let leaders = try await retrying { [cluster] () throws(ClientError) in
      try await cluster.metadata(of: names, leaders: partitions)
    }
    return Dictionary(grouping: partitions) { leaders[$0] ?? -1 }
      .sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
  }
}

extension KafkaCluster {
  /// The leader of each partition; throws LEADER_NOT_AVAILABLE while one has none.
  fileprivate func metadata(
    of names: [String], leaders partitions: [TopicPartition]
  ) async throws(ClientError) -> [TopicPartition: Int32] {
    var request = MetadataRequest()
    request.allowAutoTopicCreation = false
    request.topics = names.map { name in MetadataRequest.MetadataRequestTopic { $0.name = name } }
    let response = try await send(request, to: .any)
    var leaders: [TopicPartition: Int32] = [:]
    for topic in response.topics {
      let code = ErrorCode(topic.errorCode)
      if code != .none { throw ClientError(code, topic.name) }
      for partition in topic.partitions {
        leaders[TopicPartition(topic.name ?? "", partition.partitionIndex)] = partition.leaderID
      }
    }
    for partition in partitions {
      guard let leader = leaders[partition] else {
        throw ClientError(.unknownTopicOrPartition, partition.description)
      }
      if leader < 0 { throw ClientError(.leaderNotAvailable, partition.description) }
    }
    return leaders
  }
}

/// Topic names as the tools take them: regular expressions separated by commas, matching whole
/// names.
struct TopicFilter {
  private let expressions: [NSRegularExpression]

  init(_ pattern: String) throws {
    expressions = try pattern.split(separator: ",").map { part in
      do {
        return try NSRegularExpression(pattern: "^(?:\(part))$")
      } catch {
        throw ToolFailure("\(part) is no topic name and no regular expression")
      }
    }
  }

  func matches(_ name: String) -> Bool {
    let range = NSRange(name.startIndex..., in: name)
    return expressions.contains { $0.firstMatch(in: name, range: range) != nil }
  }
}

/// Client properties from a file.
enum ClientProperties {
  static func read(_ path: String) throws -> [String: String] {
    guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
      throw ToolFailure("\(path): no such file, or not readable")
    }
    var properties: [String: String] = [:]
    for entry in try Properties(parsing: text, file: path).effectiveEntries {
      properties[entry.key] = entry.value
    }
    return properties
  }
}

extension ErrorCode {
  /// Fails with the code's name and what the broker added, unless there is no error.
  static func check(_ code: Int16, _ message: String?, _ subject: String) throws {
    let error = ErrorCode(code)
    guard error != .none else { return }
    let text = message.flatMap { $0.isEmpty ? nil : $0 } ?? error.message
    throw ToolFailure("\(subject): \(error.name): \(text)")
  }
}
