/// AlterPartitionReassignments, key 45, versions 0–0; decided by the controller (`Controller/`).
///
/// Moves partitions to other brokers, or with null replicas cancels a move (KIP-455).
import KafkaMessages
import KafkaProtocol

enum AlterPartitionReassignmentsHandler: ApiHandler {
  static func handle(_ request: AlterPartitionReassignmentsRequest, _ context: RequestContext) {
    guard let controller = context.services.controller else {
      context.disconnect("not started yet")
      return
    }
    let pending = context.park()
    controller.alterPartitionReassignments(request, version: context.version) { pending.send($0) }
  }
}
