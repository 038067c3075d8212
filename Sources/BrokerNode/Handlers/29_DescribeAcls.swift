/// DescribeAcls (29), CreateAcls (30) and DeleteAcls (31), versions 0–3 (KIP-140, KIP-290).
///
/// Brokers in KRaft mode know all entries and describe them; changes go to the controller. In
/// ZooKeeper mode, and without `authorizer.class.name`, the answer is SECURITY_DISABLED.
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

/// In ZooKeeper mode, where no authorizer can be configured.
enum CreateAclsHandler: ApiHandler {
  static func handle(_ request: CreateAclsRequest, _ context: RequestContext) {
    context.reply(request.refused(noAuthorizer, version: context.version))
  }
}

/// In ZooKeeper mode, where no authorizer can be configured.
enum DeleteAclsHandler: ApiHandler {
  static func handle(_ request: DeleteAclsRequest, _ context: RequestContext) {
    context.reply(request.refused(noAuthorizer, version: context.version))
  }
}
