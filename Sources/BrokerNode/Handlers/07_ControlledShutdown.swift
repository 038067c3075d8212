/// ControlledShutdown, key 7, versions 0–3; decided by the controller (`Controller/`).
///
/// A broker that wants to stop asks the controller to lead its partitions elsewhere. The answer
/// lists the partitions it still leads; the broker asks again until there are none or it loses
/// patience. Version 0 has no client id in its header; 2 adds the broker epoch.
import KafkaMessages
import KafkaProtocol

enum ControlledShutdownHandler: ApiHandler {
  static func handle(_ request: ControlledShutdownRequest, _ context: RequestContext) {
    guard let controller = context.services.controller else {
      context.disconnect("not started yet")
      return
    }
    let pending = context.park()
    controller.controlledShutdown(request, version: context.version) { pending.send($0) }
  }
}
