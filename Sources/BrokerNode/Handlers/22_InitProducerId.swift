/// InitProducerId, key 22, versions 0–5.
///
/// Gives a producer its id and epoch. An idempotent producer gets a new id with epoch 0, whatever
/// it had. A transactional one gets the id of its transactional id under the next epoch, which
/// fences whoever used it before; a transaction that is open is aborted first, and until then the
/// answer is CONCURRENT_TRANSACTIONS.
/// - Version 3: the producer may name the id and epoch it had, to go on after an error (KIP-360).
/// - Version 4 is the first whose clients know PRODUCER_FENCED; before, INVALID_PRODUCER_EPOCH.
import KafkaMessages
import KafkaProtocol
import Transactions
import Values

enum InitProducerIDHandler: ApiHandler {
  static func handle(_ request: InitProducerIdRequest, _ context: RequestContext) {
    guard let transactionalID = request.transactionalID else {
      return giveNewID(context)
    }
    var command = InitProducerCommand()
    command.transactionalID = transactionalID
    command.timeoutMs = request.transactionTimeoutMs
    switch (request.producerID, request.producerEpoch) {
    case (-1, -1): break
    case (-1, _), (_, -1):
      return context.reply(response(.invalidRequest, nil))
    case (let id, let epoch):
      command.expected = ProducerIdentity(ProducerID(id), epoch: epoch)
    }
    guard !transactionalID.isEmpty else { return context.reply(response(.invalidRequest, nil)) }
    let (pending, version, wanted) = (context.park(), context.version, command)
    TransactionCoordinator.withShard(of: transactionalID, context) { host in
      host.submit({ .initProducer(wanted, $0) }) { reply in
        guard case .initProducer(let error, let producer) = reply else { return }
        let told = TransactionApis.told(error, version: version, fencedSince: 4)
        pending.send(response(told, producer))
      }
    } else: { error in
      pending.send(response(error, nil))
    }
  }

  private static func giveNewID(_ context: RequestContext) {
    let pending = context.park()
    context.services.producerIDs.take { result in
      switch result {
      case .success(let id): pending.send(response(.none, ProducerIdentity(id, epoch: 0)))
      case .failure(let error): pending.send(response(error, nil))
      }
    }
  }

  private static func response(
    _ error: ErrorCode, _ producer: ProducerIdentity?
  ) -> InitProducerIdResponse {
    InitProducerIdResponse {
      $0.errorCode = error.rawValue
      $0.producerID = producer?.id.rawValue ?? -1
      $0.producerEpoch = producer?.epoch ?? -1
    }
  }
}
