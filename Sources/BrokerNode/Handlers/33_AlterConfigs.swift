/// AlterConfigs, key 33, versions 0–2; decided by the controller (`Controller/`).
///
/// Replaces everything that is set for topics and brokers; deprecated by IncrementalAlterConfigs,
/// because it forgets what is not named. Any broker of a ZooKeeper-mode cluster does it.
import KafkaMessages
import KafkaProtocol

enum AlterConfigsHandler: ApiHandler {
  static func handle(_ request: AlterConfigsRequest, _ context: RequestContext) {
    guard let controller = context.services.controller else {
      context.disconnect("not started yet")
      return
    }
    let pending = context.park()
    controller.alterConfigs(request, version: context.version) { pending.send($0) }
  }
}
