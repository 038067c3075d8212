/// ElectLeaders, key 43, versions 0–2; decided by the controller (`Controller/`).
///
/// Elects leaders: preferred ones, and from version 1 on unclean ones, for the partitions named or
/// for all that need it.
import KafkaMessages
import KafkaProtocol

enum ElectLeadersHandler: ApiHandler {
  static func handle(_ request: ElectLeadersRequest, _ context: RequestContext) {
    guard let controller = context.services.controller else {
      context.disconnect("not started yet")
      return
    }
    let pending = context.park()
    controller.electLeaders(request, version: context.version) { pending.send($0) }
  }
}
