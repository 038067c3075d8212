/// InitProducerId, key 22, versions 0–5.
///
/// Gives an idempotent producer its id, with epoch 0. From version 3 on a producer may name the id
/// and epoch it had; without a transactional id it simply gets a new one (KIP-360). Transactional
/// ids need a transaction coordinator, which this broker does not have: UNSUPPORTED_VERSION, which
/// clients report at once instead of trying again.
import KafkaMessages
import KafkaProtocol
import Values

enum InitProducerIDHandler: ApiHandler {
  static func handle(_ request: InitProducerIdRequest, _ context: RequestContext) {
    var response = InitProducerIdResponse()
    response.producerID = -1
    response.producerEpoch = -1
    if let transactionalID = request.transactionalID {
      let error: ErrorCode = transactionalID.isEmpty ? .invalidRequest : .unsupportedVersion
      response.errorCode = error.rawValue
      context.reply(response)
      return
    }
    let pending = context.park()
    context.services.producerIDs.take { [failed = response] result in
      var response = failed
      switch result {
      case .success(let id):
        response.producerID = id.rawValue
        response.producerEpoch = 0
      case .failure(let error):
        response.errorCode = error.rawValue
      }
      pending.send(response)
    }
  }
}
