/// CreateTopics, key 19, versions 0–7; decided by the controller (`Controller/`).
///
/// Creates topics with partitions and replicas of the controller's choice or as assigned. Version
/// 1 can only validate; from 4 on -1 asks for the defaults; 5 answers with what was created
/// (KIP-525); 7 with the topic id.
import KafkaMessages
import KafkaProtocol

enum CreateTopicsHandler: ApiHandler {
  static func handle(_ request: CreateTopicsRequest, _ context: RequestContext) {
    guard let controller = context.services.controller else {
      context.disconnect("not started yet")
      return
    }
    let pending = context.park()
    controller.createTopics(request, version: context.version) { pending.send($0) }
  }
}
