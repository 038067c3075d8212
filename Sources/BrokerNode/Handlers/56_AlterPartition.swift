/// AlterPartition, key 56, versions 0–3; decided by the controller (`Controller/`).
///
/// A leader asks for a change of its ISR (KIP-497). From version 2 on topics are named by id, from
/// 3 on each member comes with its broker epoch (KIP-903).
import KafkaMessages
import KafkaProtocol

enum AlterPartitionHandler: ApiHandler {
  static func handle(_ request: AlterPartitionRequest, _ context: RequestContext) {
    guard let controller = context.services.controller else {
      context.disconnect("not started yet")
      return
    }
    let pending = context.park()
    controller.alterPartition(request, version: context.version) { pending.send($0) }
  }
}
