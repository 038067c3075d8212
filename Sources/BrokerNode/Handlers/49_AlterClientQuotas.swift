/// AlterClientQuotas, key 49, versions 0–1 (KIP-546), in ZooKeeper mode: any broker does it. In
/// KRaft mode the controller decides (`Control`).
import KafkaMessages
import KafkaProtocol

enum AlterClientQuotasHandler: ApiHandler {
  static func handle(_ request: AlterClientQuotasRequest, _ context: RequestContext) {
    guard let controller = context.services.controller else {
      context.disconnect("not started yet")
      return
    }
    let pending = context.park()
    controller.alterClientQuotas(request) { pending.send($0) }
  }
}
