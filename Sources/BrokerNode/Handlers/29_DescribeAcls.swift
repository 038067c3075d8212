/// DescribeAcls (29), CreateAcls (30) and DeleteAcls (31), versions 0–3 (KIP-140, KIP-290).
///
/// Brokers know all entries and describe them. Changes go to the controller in KRaft mode; in
/// ZooKeeper mode any broker writes them. Without `authorizer.class.name` the answer is
/// SECURITY_DISABLED.
import Authorization
import KafkaMessages
import KafkaProtocol

enum DescribeAclsHandler: ApiHandler {
  static func handle(_ request: DescribeAclsRequest, _ context: RequestContext) {
    guard context.services.authorizer != nil else {
      return context.reply(request.refused(noAuthorizer))
    }
    context.reply(request.answer(from: context.services.metadata.image.accessControl))
  }
}

/// In ZooKeeper mode.
enum CreateAclsHandler: ApiHandler {
  static func handle(_ request: CreateAclsRequest, _ context: RequestContext) {
    guard context.services.authorizer != nil, let controller = context.services.controller else {
      return context.reply(request.refused(noAuthorizer, version: context.version))
    }
    let pending = context.park()
    controller.createAcls(request) { pending.send($0) }
  }
}

/// In ZooKeeper mode.
enum DeleteAclsHandler: ApiHandler {
  static func handle(_ request: DeleteAclsRequest, _ context: RequestContext) {
    guard context.services.authorizer != nil, let controller = context.services.controller else {
      return context.reply(request.refused(noAuthorizer, version: context.version))
    }
    let pending = context.park()
    controller.deleteAcls(request) { pending.send($0) }
  }
}
