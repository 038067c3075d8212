import KafkaMessages
import KafkaProtocol
import Records
import Values

/// Who the producer is to the brokers: its id and epoch, and the transaction it is in. Confined to
/// the client's loop.
///
/// Without a transactional id: `none → asking → ready`, and again after a reset. With one, the
/// transaction's states are in `Transactions`.
final class ProducerIdentity {
  let cluster: KafkaCluster
  let transactionalID: String?
  private(set) var producerID = BatchHeader.noProducerID
  private(set) var epoch: Int16 = -1
  /// The producer cannot go on: fenced, or not allowed.
  private(set) var fatalError: ClientError?
  /// Sequences are to begin anew once nothing is in flight.
  private(set) var needsReset = false
  private var isAsking = false
  let transaction: TransactionState?

  init(cluster: KafkaCluster, transactionalID: String?) {
    self.cluster = cluster
    self.transactionalID = transactionalID
    transaction = transactionalID.map { TransactionState(cluster: cluster, transactionalID: $0) }
  }

  var isReady: Bool { producerID >= 0 }

  /// Takes what InitProducerId has given.
  func adopt(producerID: Int64, epoch: Int16) {
    self.producerID = producerID
    self.epoch = epoch
    needsReset = false
  }

  /// Asks for an id, until there is one; `ready` is called when there is. A transactional producer
  /// gets its id by `initTransactions` only.
  func obtain(_ ready: @escaping () -> Void) {
    guard transactionalID == nil, !isAsking, fatalError == nil else { return }
    isAsking = true
    let request = InitProducerIdRequest {
      $0.transactionalID = nil
      $0.transactionTimeoutMs = Int32(
        clamping: cluster.config.integer("transaction.timeout.ms"))
      $0.producerID = -1
      $0.producerEpoch = -1
    }
    cluster.send(request, to: .any) { [weak self] result in
      guard let self else { return }
      isAsking = false
      let outcome = result.flatMap { response -> Result<InitProducerIdResponse, ClientError> in
        let code = ErrorCode(response.errorCode)
        return code == .none ? .success(response) : .failure(ClientError(code))
      }
      switch outcome {
      case .success(let response):
        adopt(producerID: response.producerID, epoch: response.producerEpoch)
        ready()
      case .failure(let error) where error.isRetriable:
        cluster.loop.schedule(afterMs: cluster.retryBackoffMs) { ready() }
      case .failure(let error):
        fatalError = error
        ready()
      }
    }
  }

  /// A fresh id, instead of a gap in the sequences of the old one (KIP-360).
  func reset(_ ready: @escaping () -> Void) {
    guard transactionalID == nil else { return }
    producerID = BatchHeader.noProducerID
    needsReset = false
    obtain(ready)
  }

  /// A batch was given up that may or may not be in the log.
  func wantReset(after error: ClientError) {
    needsReset = true
    transaction?.mustAbort(error)
  }

  /// Looks for errors that end the producer.
  func note(_ error: ClientError) {
    switch error.code {
    case .producerFenced?, .transactionalIDAuthorizationFailed?, .clusterAuthorizationFailed?:
      fatalError = error
    case .invalidProducerEpoch? where transactionalID != nil: fatalError = error
    default: break
    }
  }

  /// Whether batches for the partition may be sent; a transaction takes it in first.
  func mayProduce(to partition: TopicPartition, _ ready: @escaping () -> Void) -> Bool {
    guard let transaction else { return true }
    return transaction.include(partition, self, ready)
  }
}
