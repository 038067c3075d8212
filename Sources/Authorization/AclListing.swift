// DescribeAcls (29): entries by a filter, gathered by what they are about.
import Control
import KafkaMessages
import KafkaProtocol
import Metadata

/// What the API answers where no authorizer is configured.
public let noAuthorizer = Refusal(.securityDisabled, "No Authorizer is configured.")

extension DescribeAclsRequest {
  /// The entries of an image that the filter lets through.
  public func answer(from image: AccessControlImage) -> DescribeAclsResponse {
    let filter = AclFilter(self)
    guard filter.isKnown else {
      return DescribeAclsResponse {
        $0.errorCode = ErrorCode.invalidRequest.rawValue
        $0.errorMessage = "The AclBindingFilter contains UNKNOWN elements."
      }
    }
    typealias Resource = DescribeAclsResponse.DescribeAclsResource
    var resources: [Resource] = []
    var places: [ResourcePattern: Int] = [:]
    for id in image.ids {
      guard let entry = image[id], filter.matches(entry) else { continue }
      let pattern = ResourcePattern(
        type: entry.resourceType, name: entry.resourceName, patternType: entry.patternType)
      let place = places[pattern] ?? resources.count
      if place == resources.count {
        places[pattern] = place
        resources.append(
          Resource {
            $0.resourceType = pattern.type
            $0.resourceName = pattern.name
            $0.patternType = pattern.patternType
          })
      }
      resources[place].acls.append(
        .init {
          $0.principal = entry.principal
          $0.host = entry.host
          $0.operation = entry.operation
          $0.permissionType = entry.permissionType
        })
    }
    return DescribeAclsResponse {
      $0.errorMessage = nil
      $0.resources = resources
    }
  }

  public func refused(_ refusal: Refusal) -> DescribeAclsResponse {
    DescribeAclsResponse {
      $0.errorCode = refusal.code.rawValue
      $0.errorMessage = refusal.message
    }
  }
}
