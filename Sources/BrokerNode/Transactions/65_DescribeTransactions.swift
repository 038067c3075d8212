/// DescribeTransactions, key 65, version 0: what the coordinator knows of transactional ids
/// (KIP-664).
import KafkaMessages
import KafkaProtocol
import Transactions
import Values

enum DescribeTransactionsHandler: ApiHandler {
  typealias Answer = DescribeTransactionsResponse.TransactionState

  static func handle(_ request: DescribeTransactionsRequest, _ context: RequestContext) {
    let pending = context.park()
    let gathering = Gathering<Answer>(request.transactionalIDs.count) { answers in
      pending.send(DescribeTransactionsResponse { $0.transactionStates = answers })
    }
    for (place, id) in request.transactionalIDs.enumerated() {
      guard !id.isEmpty else {
        gathering.fill(place, refusal(id, .invalidRequest))
        continue
      }
      TransactionCoordinator.withShard(of: id, context) { host in
        gathering.fill(place, answer(id, host.shard.describe(id)))
      } else: { error in
        gathering.fill(place, refusal(id, error))
      }
    }
  }

  private static func refusal(_ id: String, _ error: ErrorCode) -> Answer {
    Answer {
      $0.transactionalID = id
      $0.errorCode = error.rawValue
    }
  }

  private static func answer(_ id: String, _ description: TransactionDescription) -> Answer {
    if description.error != .none { return refusal(id, description.error) }
    return Answer {
      $0.transactionalID = id
      $0.transactionState = description.state
      $0.transactionTimeoutMs = description.timeoutMs
      $0.transactionStartTimeMs = description.startMs
      $0.producerID = description.producer.id.rawValue
      $0.producerEpoch = description.producer.epoch
      for at in description.partitions {
        if $0.topics.last?.topic != at.topic { $0.topics.append(.init { $0.topic = at.topic }) }
        $0.topics[$0.topics.count - 1].partitions.append(at.partition)
      }
    }
  }
}
