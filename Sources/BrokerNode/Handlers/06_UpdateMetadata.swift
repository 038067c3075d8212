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
    var response = UpdateMetadataResponse()
    if context.services.isStale(requestEpoch: request.brokerEpoch) {
      response.errorCode = ErrorCode.staleBrokerEpoch.rawValue
      context.reply(response)
      return
    }
    guard let change = context.services.metadata.update(request) else {
      response.errorCode = ErrorCode.staleControllerEpoch.rawValue
      context.reply(response)
      return
    }
    context.services.replicas.metadataChanged(change, on: context.loop)
    context.reply(response)
  }
}

extension BrokerServices {
  /// Whether a controller's request is meant for an earlier life of this broker. What it says may
  /// rest on records that this broker no longer has.
  func isStale(requestEpoch: Int64) -> Bool {
    requestEpoch >= 0 && requestEpoch < brokerEpoch.rawValue
  }
}
