/// FindCoordinator, key 10, versions 0–6.
///
/// Which broker coordinates a group or a transactional id: the leader of the partition of
/// `__consumer_offsets` or `__transaction_state` that the id hashes to. The topic is created when
/// somebody asks for the first time; until it has leaders the answer is COORDINATOR_NOT_AVAILABLE,
/// and clients ask again.
/// - Version 1: coordinators of transactions too (key type 1).
/// - Version 4: several keys at once (KIP-699); 5: transactions of KIP-890; 6: coordinators of
///   share groups (key type 2), of which there are none: INVALID_REQUEST.
import Groups
import KafkaMessages
import KafkaProtocol
import Metadata
import Values

enum FindCoordinatorHandler: ApiHandler {
  typealias Coordinator = FindCoordinatorResponse.Coordinator

  static func handle(_ request: FindCoordinatorRequest, _ context: RequestContext) {
    let keys = context.version >= 4 ? request.coordinatorKeys : [request.key]
    let found = keys.map { find($0, type: request.keyType, context) }
    if context.version >= 4 {
      context.reply(FindCoordinatorResponse { $0.coordinators = found })
      return
    }
    context.reply(
      FindCoordinatorResponse {
        guard let first = found.first else { return }
        $0.errorCode = first.errorCode
        $0.errorMessage = first.errorMessage
        $0.nodeID = first.nodeID
        $0.host = first.host
        $0.port = first.port
      })
  }

  private static func find(
    _ key: String, type: Int8, _ context: RequestContext
  ) -> Coordinator {
    guard type == 0 || type == 1 else {
      return refusal(key, .invalidRequest, "There is no coordinator of this type")
    }
    let image = context.services.metadata.image
    let name = type == 0 ? InternalTopics.offsets : InternalTopics.transactions
    guard let topic = image.topics[name] else {
      context.services.autoTopicCreation.create([name], services: context.services)
      return refusal(key, .coordinatorNotAvailable, nil)
    }
    let partition = GroupPartitioner.partition(
      for: key, count: Int32(topic.partitions.count))
    guard let leader = image.topics.partition(TopicPartition(topic.name, partition))?.leader,
      image.brokers.isAlive(leader),
      let endpoint = image.brokers[leader]?.endpoint(context.client.listener)
    else { return refusal(key, .coordinatorNotAvailable, nil) }
    return Coordinator {
      $0.key = key
      $0.nodeID = leader.rawValue
      $0.host = endpoint.host
      $0.port = Int32(endpoint.port)
    }
  }

  private static func refusal(
    _ key: String, _ error: ErrorCode, _ message: String?
  ) -> Coordinator {
    Coordinator {
      $0.key = key
      $0.nodeID = -1
      $0.port = -1
      $0.errorCode = error.rawValue
      $0.errorMessage = message ?? error.message
    }
  }
}
