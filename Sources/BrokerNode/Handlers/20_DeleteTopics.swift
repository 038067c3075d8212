/// DeleteTopics, key 20, versions 0–6; decided by the controller (`Controller/`).
///
/// Deletes topics, from version 6 on also by id. Answered when the topics are marked; they vanish
/// as brokers delete their replicas. TOPIC_DELETION_DISABLED when `delete.topic.enable` is false.
import KafkaMessages
import KafkaProtocol

enum DeleteTopicsHandler: ApiHandler {
  static func handle(_ request: DeleteTopicsRequest, _ context: RequestContext) {
    guard let controller = context.services.controller else {
      context.disconnect("not started yet")
      return
    }
    let pending = context.park()
    controller.deleteTopics(request, version: context.version) { pending.send($0) }
  }
}
