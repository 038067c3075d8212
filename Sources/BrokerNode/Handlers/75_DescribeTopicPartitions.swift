/// DescribeTopicPartitions, key 75, version 0 (KIP-966); in KRaft mode only.
///
/// Topics with their partitions in pages: at most so many partitions as the request and
/// `max.request.partition.size.limit` allow, and a cursor where the next page begins. No topics
/// means all; topics come in the order of their names. A cursor with a negative partition is
/// INVALID_REQUEST. Eligible leader replicas are empty below metadata.version 4.0-IV0.
import KafkaMessages
import KafkaProtocol
import Metadata
import Values

enum DescribeTopicPartitionsHandler: ApiHandler {
  private typealias Topic = DescribeTopicPartitionsResponse.DescribeTopicPartitionsResponseTopic
  private typealias Row =
    DescribeTopicPartitionsResponse.DescribeTopicPartitionsResponsePartition

  static func handle(_ request: DescribeTopicPartitionsRequest, _ context: RequestContext) {
    if let cursor = request.cursor, cursor.partitionIndex < 0 {
      // The response has no place for an error of its own.
      context.disconnect("DescribeTopicPartitions: cursor at \(cursor.partitionIndex)")
      return
    }
    let services = context.services
    let limit = services.currentConfig.topics.maxRequestPartitionSizeLimit
    let image = services.metadata.image
    let answer = TopicAnswers(
      image: image, listener: context.client.listener,
      version: MetadataRequest.validVersions.upperBound)
    let names =
      request.topics.isEmpty
      ? image.topics.sortedNames : Set(request.topics.map(\.name)).sorted()
    context.reply(
      page(
        names, from: request.cursor.map { ($0.topicName, $0.partitionIndex) },
        room: max(1, min(limit, Int(request.responsePartitionLimit))), answer))
  }

  /// One page of the topics of these names, which are sorted.
  static func page(
    _ names: [String], from cursor: (topic: String, partition: Int32)?, room: Int,
    _ answer: TopicAnswers
  ) -> DescribeTopicPartitionsResponse {
    var response = DescribeTopicPartitionsResponse()
    var room = room
    for name in names where name >= cursor?.topic ?? "" {
      guard room > 0 else {
        response.nextCursor = .init {
          $0.topicName = name
          $0.partitionIndex = 0
        }
        return response
      }
      guard let topic = answer.image.topics[name] else {
        response.topics.append(missing(name))
        continue
      }
      let first = name == cursor?.topic ? cursor?.partition ?? 0 : 0
      let entries = topic.partitions.entries.filter { $0.0 >= first }
      var described = header(topic)
      described.partitions = entries.prefix(room).map { row($0.0, $0.1, answer) }
      response.topics.append(described)
      if entries.count > room {
        response.nextCursor = .init {
          $0.topicName = name
          $0.partitionIndex = entries[room].0
        }
        return response
      }
      room -= entries.count
    }
    return response
  }

  private static func missing(_ name: String) -> Topic {
    Topic {
      let isValid = AutoTopicCreation.isValidName(name)
      $0.errorCode =
        (isValid ? ErrorCode.unknownTopicOrPartition : .invalidTopicException).rawValue
      $0.name = name
      $0.isInternal = InternalTopics.contains(name)
    }
  }

  private static func header(_ topic: TopicImage) -> Topic {
    Topic {
      $0.name = topic.name
      $0.topicID = topic.id
      $0.isInternal = InternalTopics.contains(topic.name)
      $0.topicAuthorizedOperations = AuthorizedOperations.topic
    }
  }

  private static func row(
    _ number: Int32, _ partition: PartitionImage, _ answer: TopicAnswers
  ) -> Row {
    let known = answer.partition(number, partition)
    return Row {
      $0.errorCode = known.errorCode
      $0.partitionIndex = number
      $0.leaderID = known.leaderID
      $0.leaderEpoch = known.leaderEpoch
      $0.replicaNodes = known.replicaNodes
      $0.isrNodes = known.isrNodes
      $0.eligibleLeaderReplicas = partition.eligibleLeaderReplicas.rawIDs
      $0.lastKnownElr = partition.lastKnownElr.rawIDs
      $0.offlineReplicas = known.offlineReplicas
    }
  }
}
