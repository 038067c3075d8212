/// AddPartitionsToTxn, key 24, versions 0–5.
///
/// Takes partitions into a producer's transaction, which begins with the first of them. One
/// partition that may not or cannot be taken in keeps out the others: OPERATION_NOT_ATTEMPTED.
/// - Versions 0–3 come from producers, for one transaction; internal topics are not theirs.
/// - Version 2 is the first whose clients know PRODUCER_FENCED.
/// - Version 4: from brokers, for several transactions; `verifyOnly` asks whether the partitions
///   are in the transaction already (KIP-890); 5: TRANSACTION_ABORTABLE.
import KafkaMessages
import KafkaProtocol
import Transactions
import Values

enum AddPartitionsToTxnHandler: ApiHandler {
  typealias Transaction = AddPartitionsToTxnRequest.AddPartitionsToTxnTransaction
  typealias Answer = AddPartitionsToTxnResponse.AddPartitionsToTxnResult
  private typealias Results = [(partition: TopicPartition, error: ErrorCode)]

  static func handle(_ request: AddPartitionsToTxnRequest, _ context: RequestContext) {
    let (pending, version) = (context.park(), context.version)
    let transactions = version >= 4 ? request.transactions : [single(request)]
    let gathering = Gathering<Answer>(transactions.count) { answers in
      pending.send(response(answers, version: version))
    }
    for (place, transaction) in transactions.enumerated() {
      take(transaction, context) { results in
        gathering.fill(place, answer(transaction, results, version: version))
      }
    }
  }

  private static func single(_ request: AddPartitionsToTxnRequest) -> Transaction {
    Transaction {
      $0.transactionalID = request.v3AndBelowTransactionalID
      $0.producerID = request.v3AndBelowProducerID
      $0.producerEpoch = request.v3AndBelowProducerEpoch
      $0.topics = request.v3AndBelowTopics
    }
  }

  private static func take(
    _ transaction: Transaction, _ context: RequestContext,
    _ completion: @escaping @Sendable (Results) -> Void
  ) {
    let partitions = transaction.topics.flatMap { topic in
      topic.partitions.map { TopicPartition(topic.name, $0) }
    }
    let image = context.services.metadata.image
    let isClient = context.version < 4
    let refused = partitions.map { at -> ErrorCode in
      if isClient, InternalTopics.contains(at.topic) { return .topicAuthorizationFailed }
      return image.topics.partition(at) == nil ? .unknownTopicOrPartition : .none
    }
    guard refused.allSatisfy({ $0 == .none }) else {
      return completion(
        zip(partitions, refused).map { ($0, $1 == .none ? .operationNotAttempted : $1) })
    }
    let command = TransactionCommand(
      transaction.transactionalID,
      ProducerIdentity(ProducerID(transaction.producerID), epoch: transaction.producerEpoch))
    let verifies = transaction.verifyOnly
    TransactionCoordinator.withShard(of: transaction.transactionalID, context) { host in
      host.submit({
        verifies
          ? .verifyPartitions(command, partitions, $0) : .addPartitions(command, partitions, $0)
      }) { reply in
        switch reply {
        case .verifyPartitions(let results): completion(results)
        case .addPartitions(let error): completion(partitions.map { ($0, error) })
        default: break
        }
      }
    } else: { error in
      completion(partitions.map { ($0, error) })
    }
  }

  // MARK: Answers

  private static func answer(
    _ transaction: Transaction, _ results: Results, version: Int16
  ) -> Answer {
    var errors: [TopicPartition: ErrorCode] = [:]
    for result in results { errors[result.partition] = result.error }
    return Answer {
      $0.transactionalID = transaction.transactionalID
      $0.topicResults = transaction.topics.map { topic in
        .init {
          $0.name = topic.name
          $0.resultsByPartition = topic.partitions.map { partition in
            let error = errors[TopicPartition(topic.name, partition)] ?? .unknownServerError
            return .init {
              $0.partitionIndex = partition
              $0.partitionErrorCode =
                TransactionApis.told(error, version: version, fencedSince: 2).rawValue
            }
          }
        }
      }
    }
  }

  private static func response(
    _ answers: [Answer], version: Int16
  ) -> AddPartitionsToTxnResponse {
    AddPartitionsToTxnResponse {
      if version >= 4 {
        $0.resultsByTransaction = answers
      } else {
        $0.resultsByTopicV3AndBelow = answers.first?.topicResults ?? []
      }
    }
  }
}
