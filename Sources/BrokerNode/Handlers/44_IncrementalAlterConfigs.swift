/// IncrementalAlterConfigs, key 44, versions 0–1; decided by the controller (`Controller/`).
///
/// Sets, deletes, appends to or subtracts from single configurations (KIP-339). Any broker of a
/// ZooKeeper-mode cluster does it.
import KafkaMessages
import KafkaProtocol

enum IncrementalAlterConfigsHandler: ApiHandler {
  static func handle(_ request: IncrementalAlterConfigsRequest, _ context: RequestContext) {
    guard let controller = context.services.controller else {
      context.disconnect("not started yet")
      return
    }
    let pending = context.park()
    controller.incrementalAlterConfigs(request, version: context.version) { pending.send($0) }
  }
}
