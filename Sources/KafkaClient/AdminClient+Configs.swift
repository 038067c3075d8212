import KafkaMessages
import KafkaProtocol
import Values

/// What has a configuration.
public struct ConfigResource: Hashable, Comparable, Sendable {
  public enum Kind: Int8, Sendable {
    case topic = 2
    case broker = 4
    case brokerLogger = 8
    case clientMetrics = 16
    case group = 32
  }
  public var kind: Kind
  /// A topic's name, a broker's id; empty for the default of all brokers.
  public var name: String

  public init(_ kind: Kind, _ name: String) {
    self.kind = kind
    self.name = name
  }

  public static func < (a: Self, b: Self) -> Bool {
    (a.kind.rawValue, a.name) < (b.kind.rawValue, b.name)
  }

  /// The broker that has to be asked; nil when any will do.
  var node: Int32? {
    switch kind {
    case .broker, .brokerLogger: Int32(name)
    default: nil
    }
  }
}

/// A change of one key (KIP-339).
public struct ConfigChange: Hashable, Sendable {
  public enum Operation: Int8, Sendable {
    case set = 0
    case delete = 1
    /// Adds to a list.
    case append = 2
    /// Takes out of a list.
    case subtract = 3
  }
  public var key: String
  public var value: String?
  public var operation: Operation

  public init(_ operation: Operation, _ key: String, _ value: String? = nil) {
    self.key = key
    self.value = value
    self.operation = operation
  }
}

extension AdminClient {
  public typealias ConfigEntry = DescribeConfigsResponse.DescribeConfigsResourceResult

  /// Configurations by resource; a broker is asked about its own.
  ///
  /// - Parameter keys: nil for all.
  public func describeConfigs(
    _ resources: [ConfigResource], keys: [String]? = nil, includeSynonyms: Bool = false,
    includeDocumentation: Bool = false
  ) async throws(ClientError) -> Outcomes<ConfigResource, [ConfigEntry]> {
    var results: Outcomes<ConfigResource, [ConfigEntry]> = [:]
    for (node, group) in byNode(resources) {
      var request = DescribeConfigsRequest()
      request.includeSynonyms = includeSynonyms
      request.includeDocumentation = includeDocumentation
      request.resources = group.map { resource in
        DescribeConfigsRequest.DescribeConfigsResource {
          $0.resourceType = resource.kind.rawValue
          $0.resourceName = resource.name
          $0.configurationKeys = keys
        }
      }
      let response = try await send(request, to: node) { _ in .none }
      for entry in response.results {
        guard let kind = ConfigResource.Kind(rawValue: entry.resourceType) else { continue }
        results[ConfigResource(kind, entry.resourceName)] = result(
          entry.errorCode, entry.errorMessage, entry.configs)
      }
    }
    return results
  }

  public func alterConfigs(
    _ changes: [ConfigResource: [ConfigChange]], validateOnly: Bool = false
  ) async throws(ClientError) -> Outcomes<ConfigResource, Void> {
    var results: Outcomes<ConfigResource, Void> = [:]
    for (node, group) in byNode(Array(changes.keys)) {
      var request = IncrementalAlterConfigsRequest()
      request.validateOnly = validateOnly
      request.resources = group.map { resource in
        IncrementalAlterConfigsRequest.AlterConfigsResource {
          $0.resourceType = resource.kind.rawValue
          $0.resourceName = resource.name
          $0.configs = (changes[resource] ?? []).map { change in
            IncrementalAlterConfigsRequest.AlterableConfig {
              $0.name = change.key
              $0.configOperation = change.operation.rawValue
              $0.value = change.value
            }
          }
        }
      }
      let response = try await sendChange(request, to: node) {
        Self.controllerError($0.responses.map(\.errorCode))
      }
      for entry in response.responses {
        guard let kind = ConfigResource.Kind(rawValue: entry.resourceType) else { continue }
        results[ConfigResource(kind, entry.resourceName)] = result(
          entry.errorCode, entry.errorMessage, ())
      }
    }
    return results
  }

  /// The names of client metrics subscriptions (KIP-714).
  public func listClientMetricsResources() async throws(ClientError) -> [String] {
    let response = try await sendToAny(ListClientMetricsResourcesRequest()) {
      ErrorCode($0.errorCode)
    }
    try check(response.errorCode)
    return response.clientMetricsResources.map(\.name).sorted()
  }

  private func send<Request: KafkaRequest>(
    _ request: Request, to node: Int32?, code: (Request.Response) -> ErrorCode
  ) async throws(ClientError) -> Request.Response {
    if let node { return try await sendToNode(request, node, code: code) }
    return try await sendToAny(request, code: code)
  }

  /// What is not a broker's own is changed by the controller.
  private func sendChange<Request: KafkaRequest>(
    _ request: Request, to node: Int32?, code: (Request.Response) -> ErrorCode
  ) async throws(ClientError) -> Request.Response {
    if let node { return try await sendToNode(request, node, code: code) }
    return try await cluster.sendToController(request, timeoutMs: timeoutMs, code: code)
  }

  /// Resources by the node to ask: each broker about itself, any about the rest.
  private func byNode(
    _ resources: [ConfigResource]
  ) -> [(node: Int32?, resources: [ConfigResource])] {
    var groups: [(node: Int32?, resources: [ConfigResource])] = []
    for resource in resources.sorted() {
      if let place = groups.firstIndex(where: { $0.node == resource.node }) {
        groups[place].resources.append(resource)
      } else {
        groups.append((resource.node, [resource]))
      }
    }
    return groups
  }
}
