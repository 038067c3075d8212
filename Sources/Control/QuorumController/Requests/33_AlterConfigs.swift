// AlterConfigs (33) and IncrementalAlterConfigs (44) in KRaft mode.
import KafkaMessages
import KafkaProtocol
import KafkaRecords
import Metadata
import Values

extension AlterConfigsRequest: ControllerRequest {
  public func refused(_ refusal: Refusal, version: Int16) -> AlterConfigsResponse {
    .init { $0.responses = resources.map { .init($0, .failure(refusal)) } }
  }

  public func decide(
    _ machine: inout QuorumController, _ context: RequestContext
  ) -> QuorumController.Outcome<AlterConfigsResponse> {
    var draft = ConfigDraft(machine)
    let duplicates = resources.map(\.key).duplicates
    var response = AlterConfigsResponse()
    var answered: Set<String> = []
    for resource in resources where answered.insert(resource.key).inserted {
      let result = Result { () throws(Refusal) in
        if duplicates.contains(resource.key) {
          throw Refusal(.invalidRequest, "Duplicate resource.")
        }
        guard let command = resource.command else { throw unknownType(resource.resourceType) }
        try draft.alter(command)
      }
      response.responses.append(.init(resource, result))
    }
    return .init(validateOnly ? [] : draft.records, response)
  }
}

extension IncrementalAlterConfigsRequest: ControllerRequest {
  public func refused(_ refusal: Refusal, version: Int16) -> IncrementalAlterConfigsResponse {
    .init { $0.responses = resources.map { .init($0, .failure(refusal)) } }
  }

  public func decide(
    _ machine: inout QuorumController, _ context: RequestContext
  ) -> QuorumController.Outcome<IncrementalAlterConfigsResponse> {
    var draft = ConfigDraft(machine)
    let duplicates = resources.map(\.key).duplicates
    var response = IncrementalAlterConfigsResponse()
    var answered: Set<String> = []
    for resource in resources where answered.insert(resource.key).inserted {
      let result = Result { () throws(Refusal) in
        if duplicates.contains(resource.key) {
          throw Refusal(.invalidRequest, "Duplicate resource.")
        }
        guard let command = try resource.command() else {
          throw unknownType(resource.resourceType)
        }
        try draft.alter(command)
      }
      response.responses.append(.init(resource, result))
    }
    return .init(validateOnly ? [] : draft.records, response)
  }
}

private func unknownType(_ type: Int8) -> Refusal {
  Refusal(.unsupportedVersion, "Unknown resource type \(type).")
}

extension AlterConfigsRequest.AlterConfigsResource {
  fileprivate var key: String { "\(resourceType) \(resourceName)" }
}

extension IncrementalAlterConfigsRequest.AlterConfigsResource {
  fileprivate var key: String { "\(resourceType) \(resourceName)" }
}
