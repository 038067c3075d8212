/// EndTxn, key 26, versions 0–4.
///
/// Commits or aborts a producer's transaction. Answered when the outcome is stored; the markers are
/// written afterwards, and until they are the producer's next transaction waits
/// (CONCURRENT_TRANSACTIONS).
/// - Version 2 is the first whose clients know PRODUCER_FENCED.
import KafkaMessages
import KafkaProtocol
import Transactions
import Values

enum EndTxnHandler: ApiHandler {
  static func handle(_ request: EndTxnRequest, _ context: RequestContext) {
    let (pending, version) = (context.park(), context.version)
    let (id, isCommit) = (request.transactionalID, request.committed)
    let command = TransactionCommand(
      id, ProducerIdentity(ProducerID(request.producerID), epoch: request.producerEpoch))
    TransactionCoordinator.withShard(of: id, context) { host in
      host.submit({ .end(command, isCommit: isCommit, $0) }) { reply in
        guard case .end(let error) = reply else { return }
        let told = TransactionApis.told(error, version: version, fencedSince: 2)
        pending.send(EndTxnResponse { $0.errorCode = told.rawValue })
      }
    } else: { error in
      pending.send(EndTxnResponse { $0.errorCode = error.rawValue })
    }
  }
}
