/// OffsetDelete, key 47, version 0.
///
/// Forgets offsets of a group (KIP-496): of an empty one any, of a group of consumers those of
/// topics that no member subscribes to. Topics that do not exist are refused one by one.
import Groups
import KafkaMessages
import KafkaProtocol
import Values

enum OffsetDeleteHandler: ApiHandler {
  static func handle(_ request: OffsetDeleteRequest, _ context: RequestContext) {
    let image = context.services.metadata.image
    let wanted = request.topics.flatMap { topic in
      topic.partitions.map { TopicPartition(topic.name, $0.partitionIndex) }
    }
    let known = wanted.filter { image.topics.partition($0) != nil }
    let pending = context.park()
    GroupCoordinator.withShard(of: request.groupID, context) { host in
      host.submit({ .deleteOffsets(groupID: request.groupID, known, $0) }) { reply in
        guard case .deleteOffsets(let error, let results) = reply else { return }
        pending.send(response(request, error, results))
      }
    } else: { error in
      pending.send(response(request, request.groupID.isEmpty ? .invalidGroupID : error, []))
    }
  }

  /// With an error for the group there is nothing to say about partitions; without one, those that
  /// have no result do not exist.
  static func response(
    _ request: OffsetDeleteRequest, _ error: ErrorCode,
    _ results: [(partition: TopicPartition, error: ErrorCode)]
  ) -> OffsetDeleteResponse {
    OffsetDeleteResponse {
      $0.errorCode = error.rawValue
      guard error == .none else { return }
      var errors: [TopicPartition: ErrorCode] = [:]
      for result in results { errors[result.partition] = result.error }
      $0.topics = request.topics.map { topic in
        OffsetDeleteResponse.OffsetDeleteResponseTopic {
          $0.name = topic.name
          $0.partitions = topic.partitions.map { partition in
            let at = TopicPartition(topic.name, partition.partitionIndex)
            return OffsetDeleteResponse.OffsetDeleteResponsePartition {
              $0.partitionIndex = partition.partitionIndex
              $0.errorCode = (errors[at] ?? .unknownTopicOrPartition).rawValue
            }
          }
        }
      }
    }
  }
}
