// Requests that read and change configurations: topics and groups by their names, everything else
// by the cluster.
import Control
import KafkaMessages
import KafkaProtocol
import Metadata

/// The error that a configuration's owner fails with; nil: allowed.
private func refusal(
  _ operation: AclOperation, _ type: Int8, _ name: String, _ access: Access
) -> ErrorCode? {
  switch ConfigResourceType(rawValue: type) {
  case .topic:
    access.may(operation, .topic, name) ? nil : .topicAuthorizationFailed
  case .group:
    access.may(operation, .group, name) ? nil : .groupAuthorizationFailed
  case .broker, .brokerLogger, .clientMetrics:
    access.mayOnCluster(operation) ? nil : .clusterAuthorizationFailed
  // The handler has an answer for what does not exist.
  case .unknown, nil: nil
  }
}

extension DescribeConfigsRequest: GuardedRequest {
  public mutating func restrict(
    _ access: Access, version: Int16
  ) -> Restriction<DescribeConfigsResponse> {
    resources.refuse(into: \.results) { resource in
      guard
        let code = refusal(
          .describeConfigs, resource.resourceType, resource.resourceName, access)
      else { return nil }
      return DescribeConfigsResponse.DescribeConfigsResult(
        refusing: code, resource.resourceType, resource.resourceName)
    }
  }
}

extension AlterConfigsRequest: GuardedRequest {
  public mutating func restrict(
    _ access: Access, version: Int16
  ) -> Restriction<AlterConfigsResponse> {
    resources.refuse(into: \.responses) { resource in
      guard
        let code = refusal(.alterConfigs, resource.resourceType, resource.resourceName, access)
      else { return nil }
      return AlterConfigsResponse.AlterConfigsResourceResponse(
        refusing: code, resource.resourceType, resource.resourceName)
    }
  }
}

extension IncrementalAlterConfigsRequest: GuardedRequest {
  public mutating func restrict(
    _ access: Access, version: Int16
  ) -> Restriction<IncrementalAlterConfigsResponse> {
    resources.refuse(into: \.responses) { resource in
      guard
        let code = refusal(.alterConfigs, resource.resourceType, resource.resourceName, access)
      else { return nil }
      return IncrementalAlterConfigsResponse.AlterConfigsResourceResponse(
        refusing: code, resource.resourceType, resource.resourceName)
    }
  }
}

/// The answer for one resource, which the three APIs spell alike.
public protocol ConfigAnswer: Sendable {
  init()
  var errorCode: Int16 { get set }
  var errorMessage: String? { get set }
  var resourceType: Int8 { get set }
  var resourceName: String { get set }
}

extension ConfigAnswer {
  public init(_ refusal: Refusal, _ type: Int8, _ name: String) {
    self.init()
    errorCode = refusal.code.rawValue
    errorMessage = refusal.message
    resourceType = type
    resourceName = name
  }

  fileprivate init(refusing code: ErrorCode, _ type: Int8, _ name: String) {
    self.init(Refusal(code, code.message), type, name)
  }
}

extension DescribeConfigsResponse.DescribeConfigsResult: ConfigAnswer {}
extension AlterConfigsResponse.AlterConfigsResourceResponse: ConfigAnswer {}
extension IncrementalAlterConfigsResponse.AlterConfigsResourceResponse: ConfigAnswer {}
