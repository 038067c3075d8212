/// DescribeClientQuotas, key 48, versions 0–1 (KIP-546).
///
/// The limits whose entity matches every component of the filter: by exact name (0), the default
/// (1) or any (2). A strict filter wants no other component in the entity. `ip` stands alone:
/// together with user or client id it is INVALID_REQUEST, as is a type that is named twice; a type
/// that is not known is UNSUPPORTED_VERSION.
import KafkaMessages
import KafkaProtocol
import Metadata

enum DescribeClientQuotasHandler: ApiHandler {
  private typealias Component = DescribeClientQuotasRequest.ComponentData

  static func handle(_ request: DescribeClientQuotasRequest, _ context: RequestContext) {
    var response = DescribeClientQuotasResponse()
    response.errorMessage = nil
    if let (code, message) = complaint(about: request.components) {
      response.errorCode = code.rawValue
      response.errorMessage = message
      response.entries = nil
      return context.reply(response)
    }
    let quotas = context.services.metadata.image.clientQuotas
    response.entries = quotas.entities.filter { matches($0, request) }.map { entity in
      .init {
        $0.entity = entity.parts.map { part in
          .init {
            $0.entityType = part.type
            $0.entityName = part.name
          }
        }
        $0.values = quotas[entity].sorted { $0.key < $1.key }.map { key, value in
          .init {
            $0.key = key
            $0.value = value
          }
        }
      }
    }
    context.reply(response)
  }

  private static func complaint(about components: [Component]) -> (ErrorCode, String)? {
    var seen: Set<String> = []
    for component in components {
      let type = component.entityType
      if type.isEmpty { return (.invalidRequest, "Invalid empty entity type.") }
      guard seen.insert(type).inserted else {
        return (
          .invalidRequest, "Entity type \(type) cannot appear more than once in the filter."
        )
      }
      guard ["user", "client-id", "ip"].contains(type) else {
        return (.unsupportedVersion, "Unsupported entity type \(type)")
      }
      guard (0...2).contains(component.matchType) else {
        return (.invalidRequest, "Unknown match type \(component.matchType)")
      }
      if component.matchType == 0, component.match == nil {
        return (.invalidRequest, "Request specified MATCH_TYPE_EXACT, but set match to null.")
      }
    }
    if seen.contains("ip"), seen.count > 1 {
      return (
        .invalidRequest,
        "Invalid entity filter component combination, IP filter component should not be used "
          + "with user or clientId filter component."
      )
    }
    return nil
  }

  private static func matches(
    _ entity: QuotaEntity, _ request: DescribeClientQuotasRequest
  ) -> Bool {
    if request.strict, entity.parts.count != request.components.count { return false }
    return request.components.allSatisfy { component in
      guard let name = entity.name(of: component.entityType) else { return false }
      switch component.matchType {
      case 0: return name == component.match
      case 1: return name == nil
      default: return true
      }
    }
  }
}
