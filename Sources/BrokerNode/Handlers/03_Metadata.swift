/// Metadata, key 3, versions 0–12.
///
/// Which brokers there are, and for the topics asked for who leads and who has the replicas, with
/// the addresses of the listener that the client came in by.
/// - Version 0: an empty list means all topics; from 1 on null does.
/// - Version 4: the client may forbid that missing topics are created; before, they are when
///   `auto.create.topics.enable` allows it. The answer is LEADER_NOT_AVAILABLE then; clients ask
/// again.
/// - Version 5: offline replicas; 7: leader epochs; 8: authorized operations; 10: topic ids; 12:
/// topics
///   by id.
import KafkaMessages
import KafkaProtocol
import Metadata
import Values

enum MetadataHandler: ApiHandler {
  static func handle(_ request: MetadataRequest, _ context: RequestContext) {
    let image = context.services.metadata.image
    let listener = context.client.listener
    var response = MetadataResponse()
    response.clusterID = context.services.clusterID
    response.controllerID = context.services.metadata.advertisedController().rawValue
    response.brokers = image.brokers.alive.compactMap { broker in
      broker.endpoint(listener).map { endpoint in
        MetadataResponse.MetadataResponseBroker {
          $0.nodeID = broker.id.rawValue
          $0.host = endpoint.host
          $0.port = Int32(endpoint.port)
          $0.rack = broker.rack
        }
      }
    }
    if request.includeClusterAuthorizedOperations {
      response.clusterAuthorizedOperations = AuthorizedOperations.cluster
    }
    var answer = TopicAnswers(image: image, listener: listener, version: context.version)
    answer.withOperations = request.includeTopicAuthorizedOperations
    var missing: [String] = []
    if let topics = wantedTopics(request, version: context.version) {
      for topic in topics {
        response.topics.append(self.topic(topic, answer, &missing))
      }
    } else {
      image.topics.forEach { response.topics.append(answer.topic($0)) }
    }
    if !missing.isEmpty {
      create(missing, allowed: request.allowAutoTopicCreation, in: &response, context)
    }
    context.reply(response)
  }

  /// Nil for all topics.
  private static func wantedTopics(
    _ request: MetadataRequest, version: Int16
  ) -> [MetadataRequest.MetadataRequestTopic]? {
    guard let topics = request.topics else { return nil }
    return version == 0 && topics.isEmpty ? nil : topics
  }

  private static func topic(
    _ wanted: MetadataRequest.MetadataRequestTopic, _ answer: TopicAnswers,
    _ missing: inout [String]
  ) -> MetadataResponse.MetadataResponseTopic {
    if let name = wanted.name {
      if let topic = answer.image.topics[name] { return answer.topic(topic) }
      missing.append(name)
      let isValid = AutoTopicCreation.isValidName(name)
      return TopicAnswers.failed(
        name, isValid ? .unknownTopicOrPartition : .invalidTopicException)
    }
    if let topic = answer.image.topics[wanted.topicID] { return answer.topic(topic) }
    var failed = TopicAnswers.failed(nil, .unknownTopicID)
    failed.topicID = wanted.topicID
    return failed
  }

  private static func create(
    _ names: [String], allowed: Bool, in response: inout MetadataResponse,
    _ context: RequestContext
  ) {
    let mayCreate = context.version < 4 || allowed
    guard mayCreate, context.services.currentConfig.topics.isAutoCreationEnabled else { return }
    let valid = names.filter { AutoTopicCreation.isValidName($0) }
    if valid.isEmpty { return }
    context.services.autoTopicCreation.create(valid, services: context.services)
    for index in response.topics.indices
    where response.topics[index].name.map({ valid.contains($0) }) == true
      && response.topics[index].errorCode == ErrorCode.unknownTopicOrPartition.rawValue
    {
      response.topics[index].errorCode = ErrorCode.leaderNotAvailable.rawValue
    }
  }
}

/// Builds the answers about topics from one image.
struct TopicAnswers {
  let image: MetadataImage
  let listener: String
  let version: Int16
  var withOperations = false

  func topic(_ topic: TopicImage) -> MetadataResponse.MetadataResponseTopic {
    MetadataResponse.MetadataResponseTopic {
      $0.name = topic.name
      $0.topicID = MetadataCache.publicID(topic.id)
      $0.isInternal = InternalTopics.contains(topic.name)
      if withOperations { $0.topicAuthorizedOperations = AuthorizedOperations.topic }
      $0.partitions.reserveCapacity(topic.partitions.count)
      for (number, partition) in topic.partitions.entries {
        $0.partitions.append(self.partition(number, partition))
      }
    }
  }

  static func failed(
    _ name: String?, _ error: ErrorCode
  ) -> MetadataResponse.MetadataResponseTopic {
    MetadataResponse.MetadataResponseTopic {
      $0.errorCode = error.rawValue
      $0.name = name
      $0.isInternal = name.map(InternalTopics.contains) ?? false
    }
  }

  func partition(
    _ number: Int32, _ partition: PartitionImage
  ) -> MetadataResponse.MetadataResponsePartition {
    MetadataResponse.MetadataResponsePartition {
      $0.partitionIndex = number
      $0.leaderEpoch = partition.leaderEpoch.rawValue
      $0.replicaNodes = partition.replicas.rawIDs
      $0.isrNodes = partition.isr.rawIDs
      $0.offlineReplicas = image.offlineReplicas(partition).rawIDs
      guard image.brokers.isAlive(partition.leader) else {
        $0.errorCode = ErrorCode.leaderNotAvailable.rawValue
        $0.leaderID = -1
        return
      }
      if image.brokers[partition.leader]?.endpoint(listener) == nil {
        // Before version 6 clients do not know the precise error.
        let error: ErrorCode = version >= 6 ? .listenerNotFound : .leaderNotAvailable
        $0.errorCode = error.rawValue
        $0.leaderID = -1
        return
      }
      $0.leaderID = partition.leader.rawValue
    }
  }
}

/// Topics that Kafka keeps for itself.
enum InternalTopics {
  static let offsets = "__consumer_offsets"
  static let transactions = "__transaction_state"
  static func contains(_ name: String) -> Bool { name == offsets || name == transactions }
}

/// Operations that may be done, as bits by their numbers: without an authorizer, all.
enum AuthorizedOperations {
  /// create, alter, describe, cluster action, describe configs, alter configs, idempotent write
  static let cluster: Int32 = bits(5, 7, 8, 9, 10, 11, 12)
  /// read, write, create, delete, alter, describe, describe configs, alter configs
  static let topic: Int32 = bits(3, 4, 5, 6, 7, 8, 10, 11)
  /// read, delete, describe
  static let group: Int32 = bits(3, 6, 8)

  private static func bits(_ operations: Int32...) -> Int32 {
    operations.reduce(0) { $0 | 1 << $1 }
  }
}
