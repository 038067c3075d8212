/// OffsetFetch, key 9, versions 0–9.
///
/// What groups have committed. Partitions without an offset answer -1; nothing is refused because
/// of a group's state.
/// - Version 0 read from ZooKeeper; here it reads where all versions do.
/// - Version 2: null topics ask for every partition that has an offset, and there is an error for
///   the whole group; before, it stands at each partition.
/// - Version 5: leader epochs; 7: `requireStable`, which refuses offsets whose commit is under way
///   (KIP-447); 8: several groups at once (KIP-709); 9: members of the newer protocol, which do not
///   exist in ZooKeeper mode.
import Groups
import KafkaMessages
import KafkaProtocol
import Values

enum OffsetFetchHandler: ApiHandler {
  typealias Group = OffsetFetchResponse.OffsetFetchResponseGroup

  static func handle(_ request: OffsetFetchRequest, _ context: RequestContext) {
    let groups = wanted(request, version: context.version)
    let pending = context.park()
    let version = context.version
    let gathering = Gathering<Group>(groups.count) { answers in
      pending.send(response(answers, version: version))
    }
    for (place, group) in groups.enumerated() {
      let partitions = group.topics.map { topics in
        topics.flatMap { topic in
          topic.partitionIndexes.map { TopicPartition(topic.name, $0) }
        }
      }
      GroupCoordinator.withShard(of: group.groupID, context) { host in
        let offsets = host.shard.fetchOffsets(
          group.groupID, partitions, requireStable: request.requireStable)
        gathering.fill(place, answer(group.groupID, offsets))
      } else: { error in
        gathering.fill(place, refusal(group, error, version: version))
      }
    }
  }

  /// Before version 8 a request is about one group.
  private static func wanted(
    _ request: OffsetFetchRequest, version: Int16
  ) -> [OffsetFetchRequest.OffsetFetchRequestGroup] {
    if version >= 8 { return request.groups }
    return [
      OffsetFetchRequest.OffsetFetchRequestGroup {
        $0.groupID = request.groupID
        $0.topics = request.topics.map { topics in
          topics.map { topic in
            OffsetFetchRequest.OffsetFetchRequestTopics {
              $0.name = topic.name
              $0.partitionIndexes = topic.partitionIndexes
            }
          }
        }
      }
    ]
  }

  static func answer(_ groupID: String, _ offsets: [FetchedOffset]) -> Group {
    var topics: [OffsetFetchResponse.OffsetFetchResponseTopics] = []
    var places: [String: Int] = [:]
    for offset in offsets {
      let name = offset.partition.topic
      if places[name] == nil {
        places[name] = topics.count
        topics.append(OffsetFetchResponse.OffsetFetchResponseTopics { $0.name = name })
      }
      topics[places[name] ?? 0].partitions.append(
        OffsetFetchResponse.OffsetFetchResponsePartitions {
          $0.partitionIndex = offset.partition.partition
          $0.committedOffset = offset.offset
          $0.committedLeaderEpoch = offset.leaderEpoch
          $0.metadata = offset.metadata
          $0.errorCode = offset.error.rawValue
        })
    }
    return Group {
      $0.groupID = groupID
      $0.topics = topics
    }
  }

  static func refusal(
    _ group: OffsetFetchRequest.OffsetFetchRequestGroup, _ error: ErrorCode, version: Int16
  ) -> Group {
    Group {
      $0.groupID = group.groupID
      $0.errorCode = error.rawValue
      guard version < 2 else { return }
      $0.topics = (group.topics ?? []).map { topic in
        OffsetFetchResponse.OffsetFetchResponseTopics {
          $0.name = topic.name
          $0.partitions = topic.partitionIndexes.map { index in
            OffsetFetchResponse.OffsetFetchResponsePartitions {
              $0.partitionIndex = index
              $0.committedOffset = -1
              $0.errorCode = error.rawValue
            }
          }
        }
      }
    }
  }

  static func response(_ groups: [Group], version: Int16) -> OffsetFetchResponse {
    if version >= 8 { return OffsetFetchResponse { $0.groups = groups } }
    return OffsetFetchResponse {
      $0.errorCode = groups.first?.errorCode ?? 0
      $0.topics = (groups.first?.topics ?? []).map { topic in
        OffsetFetchResponse.OffsetFetchResponseTopic {
          $0.name = topic.name
          $0.partitions = topic.partitions.map { partition in
            OffsetFetchResponse.OffsetFetchResponsePartition {
              $0.partitionIndex = partition.partitionIndex
              $0.committedOffset = partition.committedOffset
              $0.committedLeaderEpoch = partition.committedLeaderEpoch
              $0.metadata = partition.metadata
              $0.errorCode = partition.errorCode
            }
          }
        }
      }
    }
  }
}
