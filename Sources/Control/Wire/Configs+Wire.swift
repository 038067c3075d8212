// Changes of configuration as commands, and their results as responses: the same in both modes.
import KafkaMessages
import KafkaProtocol
import Metadata
import Values

extension AlterConfigsRequest.AlterConfigsResource {
  /// The change; nil for a type of resource that is not known.
  public var command: AlterConfig? {
    ConfigResourceType(rawValue: resourceType).map { type in
      AlterConfig(
        ConfigResource(type, resourceName), .replace(configs.map { ($0.name, $0.value) }))
    }
  }
}

extension IncrementalAlterConfigsRequest.AlterConfigsResource {
  /// The change; nil for a type of resource that is not known.
  /// - Throws: INVALID_REQUEST for an operation that is not known.
  public func command() throws(Refusal) -> AlterConfig? {
    guard let type = ConfigResourceType(rawValue: resourceType) else { return nil }
    let operations = try configs.map { config throws(Refusal) in
      guard let operation = AlterConfig.Operation(rawValue: config.configOperation) else {
        throw Refusal(
          .invalidRequest, "Unknown operation type \(config.configOperation) for \(config.name)")
      }
      return (config.name, operation, config.value)
    }
    return AlterConfig(ConfigResource(type, resourceName), .incremental(operations))
  }
}

extension AlterConfigsResponse.AlterConfigsResourceResponse {
  public init(
    _ resource: AlterConfigsRequest.AlterConfigsResource, _ result: Result<Void, Refusal>
  ) {
    self.init()
    resourceType = resource.resourceType
    resourceName = resource.resourceName
    (errorCode, errorMessage) = result.wire
  }
}

extension IncrementalAlterConfigsResponse.AlterConfigsResourceResponse {
  public init(
    _ resource: IncrementalAlterConfigsRequest.AlterConfigsResource,
    _ result: Result<Void, Refusal>
  ) {
    self.init()
    resourceType = resource.resourceType
    resourceName = resource.resourceName
    (errorCode, errorMessage) = result.wire
  }
}
