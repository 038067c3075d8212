import KafkaMessages
import KafkaProtocol
import Values

/// The transaction of a transactional producer, and its coordinator. Confined to the client's loop.
///
/// | state | leaves by |
/// |---|---|
/// | `idle` | `begin` → `open` |
/// | `open` | `end` → `ending`; an error that cannot be retried → `mustAbort` |
/// | `mustAbort` | `end` with abort → `ending` |
/// | `ending` | the coordinator's answer → `idle` |
final class TransactionState {
  enum State: Equatable {
    case idle, open
    case mustAbort(ClientError)
    case ending
  }

  let cluster: KafkaCluster
  let transactionalID: String
  private(set) var state = State.idle
  /// Partitions that the coordinator has taken into the transaction.
  private var included: Set<TopicPartition> = []
  private var wanted: Set<TopicPartition> = []
  private var isAdding = false
  private var coordinator: Int32?

  init(cluster: KafkaCluster, transactionalID: String) {
    self.cluster = cluster
    self.transactionalID = transactionalID
  }

  /// Whether the coordinator has to be told of the end: an empty transaction never reached it.
  var isKnownToCoordinator: Bool { !included.isEmpty || hasOffsets }
  var hasOffsets = false

  func begin() throws(ClientError) {
    guard state == .idle else { throw .misuse("a transaction is under way") }
    state = .open
    included = []
    wanted = []
    hasOffsets = false
  }

  /// - Returns: false when the transaction can only be aborted, and a commit was asked for.
  func beginEnd(commit: Bool) throws(ClientError) {
    switch state {
    case .open: break
    case .mustAbort(let error): if commit { throw error }
    case .idle, .ending: throw .misuse("no transaction is under way")
    }
    state = .ending
  }

  func ended() {
    state = .idle
    included = []
    wanted = []
  }

  func endFailed(_ error: ClientError) { state = .mustAbort(error) }

  func mustAbort(_ error: ClientError) {
    if state == .open { state = .mustAbort(error) }
  }

  // MARK: Partitions

  /// Whether the partition is in the transaction; asks the coordinator to take it in if not.
  func include(
    _ partition: TopicPartition, _ identity: ProducerIdentity, _ ready: @escaping () -> Void
  ) -> Bool {
    if included.contains(partition) { return true }
    guard state == .open else { return false }
    wanted.insert(partition)
    add(identity, ready)
    return false
  }

  private func add(_ identity: ProducerIdentity, _ ready: @escaping () -> Void) {
    guard !isAdding, !wanted.isEmpty else { return }
    isAdding = true
    guard let coordinator else {
      cluster.findCoordinator(of: transactionalID, .transaction) { [weak self] result in
        self?.found(result, identity, ready)
      }
      return
    }
    let adding = wanted
    var request = AddPartitionsToTxnRequest()
    request.v3AndBelowTransactionalID = transactionalID
    request.v3AndBelowProducerID = identity.producerID
    request.v3AndBelowProducerEpoch = identity.epoch
    for partition in adding.sorted() {
      if request.v3AndBelowTopics.last?.name == partition.topic {
        let last = request.v3AndBelowTopics.count - 1
        request.v3AndBelowTopics[last].partitions.append(partition.partition)
      } else {
        request.v3AndBelowTopics.append(
          AddPartitionsToTxnRequest.AddPartitionsToTxnTopic {
            $0.name = partition.topic
            $0.partitions = [partition.partition]
          })
      }
    }
    cluster.send(request, to: .node(coordinator), maxVersion: 3) { [weak self] result in
      self?.added(adding, result, identity, ready)
    }
  }

  private func found(
    _ result: Result<Int32, ClientError>, _ identity: ProducerIdentity,
    _ ready: @escaping () -> Void
  ) {
    isAdding = false
    switch result {
    case .success(let node):
      coordinator = node
      add(identity, ready)
    case .failure(let error): settle(error, identity, ready)
    }
  }

  private func added(
    _ adding: Set<TopicPartition>, _ result: Result<AddPartitionsToTxnResponse, ClientError>,
    _ identity: ProducerIdentity, _ ready: @escaping () -> Void
  ) {
    isAdding = false
    switch result {
    case .failure(let error): settle(error, identity, ready)
    case .success(let response):
      var failure: ClientError?
      for topic in response.resultsByTopicV3AndBelow {
        for entry in topic.resultsByPartition {
          let code = ErrorCode(entry.partitionErrorCode)
          if code != .none, code != .operationNotAttempted { failure = ClientError(code) }
        }
      }
      if let failure { return settle(failure, identity, ready) }
      included.formUnion(adding)
      wanted.subtract(adding)
      ready()
      add(identity, ready)
    }
  }

  private func settle(
    _ error: ClientError, _ identity: ProducerIdentity, _ ready: @escaping () -> Void
  ) {
    identity.note(error)
    if error.code == .notCoordinator || error.code == nil { coordinator = nil }
    guard error.isRetriable else {
      mustAbort(error)
      ready()
      return
    }
    // The transaction before is still being completed, most often: it takes a moment only.
    let wait = error.code == .concurrentTransactions ? 20 : cluster.retryBackoffMs
    cluster.loop.schedule(afterMs: wait) { [weak self] in self?.add(identity, ready) }
  }
}
