/// CreatePartitions, key 37, versions 0–3; decided by the controller (`Controller/`).
///
/// Adds partitions to topics. The count is the new total; existing records stay where they are.
import KafkaMessages
import KafkaProtocol

enum CreatePartitionsHandler: ApiHandler {
  static func handle(_ request: CreatePartitionsRequest, _ context: RequestContext) {
    guard let controller = context.services.controller else {
      context.disconnect("not started yet")
      return
    }
    let pending = context.park()
    controller.createPartitions(request, version: context.version) { pending.send($0) }
  }
}
