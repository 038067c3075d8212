/// ListPartitionReassignments, key 46, versions 0–0; decided by the controller (`Controller/`).
///
/// Lists the moves that are under way, of the partitions named or of all (KIP-455).
import KafkaMessages
import KafkaProtocol

enum ListPartitionReassignmentsHandler: ApiHandler {
  static func handle(_ request: ListPartitionReassignmentsRequest, _ context: RequestContext) {
    guard let controller = context.services.controller else {
      context.disconnect("not started yet")
      return
    }
    let pending = context.park()
    controller.listPartitionReassignments(request, version: context.version) { pending.send($0) }
  }
}
