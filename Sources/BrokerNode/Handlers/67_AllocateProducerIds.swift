/// AllocateProducerIds, key 67, versions 0–0; decided by the controller (`Controller/`).
///
/// A broker asks for a block of producer ids to give out (KIP-730).
import KafkaMessages
import KafkaProtocol

enum AllocateProducerIDsHandler: ApiHandler {
  static func handle(_ request: AllocateProducerIdsRequest, _ context: RequestContext) {
    guard let controller = context.services.controller else {
      context.disconnect("not started yet")
      return
    }
    let pending = context.park()
    controller.allocateProducerIDs(request, version: context.version) { pending.send($0) }
  }
}
