/// TxnOffsetCommit, key 28, versions 0–4.
///
/// Commits a group's offsets in a producer's transaction: they count when it is committed, and
/// never if it is aborted. Before the first ones are stored the coordinator of the transaction is
/// asked whether it knows of them (KIP-890).
/// - Before version 2 clients do not know COORDINATOR_LOAD_IN_PROGRESS.
/// - Version 2: leader epochs; 3: who commits, by generation and member, so that a consumer that
///   was thrown out of its group cannot (KIP-447).
import Groups
import KafkaMessages
import KafkaProtocol
import Transactions
import Values

enum TxnOffsetCommitHandler: ApiHandler {
  static func handle(_ request: TxnOffsetCommitRequest, _ context: RequestContext) {
    let image = context.services.metadata.image
    var known = command(request, at: context.loop.wallNow)
    known.commits.removeAll { image.topics.partition($0.partition) == nil }
    guard !known.commits.isEmpty else { return context.reply(response(request, [])) }
    let (pending, version, commit) = (context.park(), context.version, known)
    let refuse: @Sendable (ErrorCode) -> Void = { error in
      let results = commit.commits.map { (partition: $0.partition, error: error) }
      pending.send(response(request, results, version: version))
    }
    admit(request, context) { verification in
      guard let groups = pending.loop.services.groups as? GroupCoordinator else {
        return refuse(.coordinatorNotAvailable)
      }
      groups.withShard(of: request.groupID) { host in
        if let producer = commit.transaction { host.admit(producer, verification) }
        host.submit({ .commitOffsets(commit, $0) }) { reply in
          guard case .offsetCommit(let results) = reply else { return }
          pending.send(response(request, results, version: version))
        }
      } else: { refuse($0) }
    } else: { refuse($0) }
  }

  /// Asks about the transaction where it has not begun yet.
  private static func admit(
    _ request: TxnOffsetCommitRequest, _ context: RequestContext,
    _ body: @escaping @Sendable (UInt64?) -> Void,
    else refuse: @escaping @Sendable (ErrorCode) -> Void
  ) {
    let services = context.services
    let at = TopicPartition(
      InternalTopics.offsets,
      GroupPartitioner.partition(
        for: request.groupID, count: GroupCoordinator.partitionCount(services)))
    let producer = ProducerIdentity(ProducerID(request.producerID), epoch: request.producerEpoch)
    guard services.currentConfig.producers.isVerificationEnabled,
      let coordinator = services.transactions
    else { return body(nil) }
    guard let partition = services.partitions[at], partition.isLeader else {
      return refuse(.notCoordinator)
    }
    guard
      let number = partition.beginVerification(producer.id, epoch: producer.epoch)
    else { return body(nil) }
    coordinator.verifier.verify(TransactionCommand(request.transactionalID, producer), [at]) {
      verdict in
      guard let error = verdict[at] else { return body(number) }
      partition.endVerification(producer.id, number)
      refuse(told(error))
    }
  }

  /// What says that the transaction itself is in order is worth another try.
  private static func told(_ error: ErrorCode) -> ErrorCode {
    switch error {
    case .networkException: .coordinatorLoadInProgress
    case .transactionAbortable: .invalidTxnState
    default: error
    }
  }

  private static func command(
    _ request: TxnOffsetCommitRequest, at time: WallTime
  ) -> OffsetCommitCommand {
    var command = OffsetCommitCommand()
    command.groupID = request.groupID
    command.generation = request.generationID
    command.memberID = request.memberID
    command.instanceID = request.groupInstanceID
    command.transaction = TransactionalProducer(
      id: ProducerID(request.producerID), epoch: request.producerEpoch)
    for topic in request.topics {
      for partition in topic.partitions {
        command.commits.append(
          OffsetCommit(
            TopicPartition(topic.name, partition.partitionIndex),
            OffsetAndMetadata(
              offset: partition.committedOffset, leaderEpoch: partition.committedLeaderEpoch,
              metadata: partition.committedMetadata ?? "", commitTimestamp: time)))
      }
    }
    return command
  }

  /// Answers every partition of the request; those without a result do not exist.
  private static func response(
    _ request: TxnOffsetCommitRequest, _ results: [(partition: TopicPartition, error: ErrorCode)],
    version: Int16 = 4
  ) -> TxnOffsetCommitResponse {
    var errors: [TopicPartition: ErrorCode] = [:]
    for result in results {
      let isTooNew = version < 2 && result.error == .coordinatorLoadInProgress
      errors[result.partition] = isTooNew ? .coordinatorNotAvailable : result.error
    }
    return TxnOffsetCommitResponse {
      $0.topics = request.topics.map { topic in
        .init {
          $0.name = topic.name
          $0.partitions = topic.partitions.map { partition in
            let at = TopicPartition(topic.name, partition.partitionIndex)
            return .init {
              $0.partitionIndex = partition.partitionIndex
              $0.errorCode = (errors[at] ?? .unknownTopicOrPartition).rawValue
            }
          }
        }
      }
    }
  }
}
