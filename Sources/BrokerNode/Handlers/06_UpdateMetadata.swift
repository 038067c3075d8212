/// UpdateMetadata, key 6, versions 0–8: the controller of a ZooKeeper-mode cluster tells every
/// broker what the cluster looks like.
///
/// STALE_CONTROLLER_EPOCH when a newer controller has spoken, STALE_BROKER_EPOCH (version ≥ 5) when
/// the request is meant for an earlier registration of this broker. Live brokers are always told
/// completely, partitions only where they changed.
import KafkaMessages
import KafkaProtocol
import Values

enum UpdateMetadataHandler: ApiHandler {
  static func handle(_ request: UpdateMetadataRequest, _ context: RequestContext) {
    let (services, loop) = (context.services, context.loop)
    if services.isStale(requestEpoch: request.brokerEpoch) {
      context.reply(UpdateMetadataResponse { $0.errorCode = ErrorCode.staleBrokerEpoch.rawValue })
      return
    }
    let pending = context.park()
    services.controllerGate.admit(ControllerEpoch(request.controllerEpoch), services) { isReal in
      // At once for a controller that is known; else from where the store answers.
      let apply: @Sendable () -> Void = {
        pending.send(Self.apply(request, services, loop, isReal: isReal))
      }
      if loop.eventLoop.isCurrent { apply() } else { loop.eventLoop.execute(apply) }
    }
  }

  private static func apply(
    _ request: UpdateMetadataRequest, _ services: BrokerServices, _ loop: BrokerLoop, isReal: Bool
  ) -> UpdateMetadataResponse {
    var response = UpdateMetadataResponse()
    guard isReal, let change = services.metadata.update(request) else {
      response.errorCode = ErrorCode.staleControllerEpoch.rawValue
      return response
    }
    services.replicas.metadataChanged(change, on: loop)
    return response
  }
}

extension BrokerServices {
  /// Whether a controller's request is meant for an earlier life of this broker. What it says may
  /// rest on records that this broker no longer has.
  func isStale(requestEpoch: Int64) -> Bool {
    requestEpoch >= 0 && requestEpoch < brokerEpoch.rawValue
  }
}
