/// AlterConfigs and IncrementalAlterConfigs in KRaft mode: decided by the controller, but for what
/// only the broker concerned can tell.
///
/// A broker's own settings are checked by that broker before they go to the controller, which
/// knows neither its static configuration nor what fits it. What is refused here is left out of
/// the forwarded request, and the answers are put together.
import Authorization
import Control
import KafkaMessages
import KafkaProtocol
import Metadata
import Values

enum ForwardedIncrementalAlterConfigsHandler: ApiHandler {
  static func handle(_ request: IncrementalAlterConfigsRequest, _ context: RequestContext) {
    typealias Answer = IncrementalAlterConfigsResponse.AlterConfigsResourceResponse
    let refusals = request.resources.map { resource in
      LocalConfigCheck.refusal(
        resource.resourceType, resource.resourceName,
        .incremental(
          resource.configs.map {
            ($0.name, AlterConfig.Operation(rawValue: $0.configOperation) ?? .set, $0.value)
          }), context.services)
    }
    var rest = request
    rest.resources = zip(request.resources, refusals).filter { $0.1 == nil }.map(\.0)
    let refused = zip(request.resources, refusals).compactMap { resource, refusal in
      refusal.map { Answer($0, resource.resourceType, resource.resourceName) }
    }
    let pending = context.park()
    if rest.resources.isEmpty {
      return pending.send(IncrementalAlterConfigsResponse { $0.responses = refused })
    }
    Forwarding.send(rest, context) { outcome in
      switch outcome {
      case .success(var response):
        response.responses += refused
        pending.send(response)
      case .failure(let why): pending.disconnect("not answered by the controller: \(why)")
      }
    }
  }
}

enum ForwardedAlterConfigsHandler: ApiHandler {
  static func handle(_ request: AlterConfigsRequest, _ context: RequestContext) {
    typealias Answer = AlterConfigsResponse.AlterConfigsResourceResponse
    let refusals = request.resources.map { resource in
      LocalConfigCheck.refusal(
        resource.resourceType, resource.resourceName,
        .replace(resource.configs.map { ($0.name, $0.value) }), context.services)
    }
    var rest = request
    rest.resources = zip(request.resources, refusals).filter { $0.1 == nil }.map(\.0)
    let refused = zip(request.resources, refusals).compactMap { resource, refusal in
      refusal.map { Answer($0, resource.resourceType, resource.resourceName) }
    }
    let pending = context.park()
    if rest.resources.isEmpty {
      return pending.send(AlterConfigsResponse { $0.responses = refused })
    }
    Forwarding.send(rest, context) { outcome in
      switch outcome {
      case .success(var response):
        response.responses += refused
        pending.send(response)
      case .failure(let why): pending.disconnect("not answered by the controller: \(why)")
      }
    }
  }
}

/// What a broker checks of a change before the controller does.
enum LocalConfigCheck {
  /// Why the change cannot be; nil to let the controller decide.
  static func refusal(
    _ type: Int8, _ name: String, _ changes: AlterConfig.Change, _ services: BrokerServices
  ) -> Refusal? {
    let own = "\(services.brokerID.rawValue)"
    switch ConfigResourceType(rawValue: type) {
    case .brokerLogger:
      return Refusal(.invalidRequest, "This broker has no loggers whose level could be changed.")
    case .broker where !name.isEmpty && name != own:
      return Refusal(
        .invalidRequest, "Unexpected broker id, expected \(own), but received \(name)")
    case .broker:
      // The same rules as the controller's, with this broker's own settings below.
      let control = Controller(
        image: services.metadata.image, options: services.controllerOptions)
      do throws(Refusal) {
        _ = try control.decide(AlterConfig(ConfigResource(.broker, name), changes))
        return nil
      } catch {
        return error
      }
    default: return nil
    }
  }
}
