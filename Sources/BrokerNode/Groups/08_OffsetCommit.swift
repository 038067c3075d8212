/// OffsetCommit, key 8, versions 0–9.
///
/// Stores how far a group has read, and answers when the in-sync replicas have it. Members commit
/// with their generation; consumers without group management, and administrators of an empty
/// group, with generation -1. Partitions that do not exist are refused one by one.
/// - Version 0 stored offsets in ZooKeeper; here it stores them where all versions do.
/// - Version 1 carries a timestamp for each partition; versions 2–4 a retention of their own
///   (KIP-211 took it away).
/// - Version 6: the leader epoch of the last record read (KIP-320); 7: `group.instance.id`.
import Groups
import KafkaMessages
import KafkaProtocol
import Values

enum OffsetCommitHandler: ApiHandler {
  static func handle(_ request: OffsetCommitRequest, _ context: RequestContext) {
    guard request.groupInstanceID == nil || GroupCoordinator.knowsStaticMembers(context) else {
      context.reply(refusal(request, .unsupportedVersion))
      return
    }
    let image = context.services.metadata.image
    var command = command(request, at: context.loop.wallNow)
    command.commits.removeAll { image.topics.partition($0.partition) == nil }
    guard !command.commits.isEmpty else {
      context.reply(refusal(request, .unknownTopicOrPartition))
      return
    }
    let pending = context.park()
    let commits = command
    GroupCoordinator.withShard(of: request.groupID, context) { host in
      host.submit({ .commitOffsets(commits, $0) }) { reply in
        guard case .offsetCommit(let results) = reply else { return }
        pending.send(response(request, results))
      }
    } else: { error in
      let results = commits.commits.map { (partition: $0.partition, error: error) }
      pending.send(response(request, results))
    }
  }

  static func command(
    _ request: OffsetCommitRequest, at time: WallTime
  ) -> OffsetCommitCommand {
    var command = OffsetCommitCommand()
    command.groupID = request.groupID
    command.generation = request.generationIDOrMemberEpoch
    command.memberID = request.memberID
    command.instanceID = request.groupInstanceID
    let expiry = request.retentionTimeMs == -1
      ? nil
      : WallTime(
        milliseconds: time.milliseconds.addingReportingOverflow(request.retentionTimeMs)
          .partialValue)
    for topic in request.topics {
      for partition in topic.partitions {
        command.commits.append(
          OffsetCommit(
            TopicPartition(topic.name, partition.partitionIndex),
            OffsetAndMetadata(
              offset: partition.committedOffset, leaderEpoch: partition.committedLeaderEpoch,
              metadata: partition.committedMetadata ?? "",
              commitTimestamp: partition.commitTimestamp == -1
                ? time : WallTime(milliseconds: partition.commitTimestamp),
              expireTimestamp: expiry)))
      }
    }
    return command
  }

  /// Answers every partition of the request; those without a result do not exist.
  static func response(
    _ request: OffsetCommitRequest, _ results: [(partition: TopicPartition, error: ErrorCode)]
  ) -> OffsetCommitResponse {
    var errors: [TopicPartition: ErrorCode] = [:]
    for result in results { errors[result.partition] = result.error }
    return OffsetCommitResponse {
      $0.topics = request.topics.map { topic in
        OffsetCommitResponse.OffsetCommitResponseTopic {
          $0.name = topic.name
          $0.partitions = topic.partitions.map { partition in
            let at = TopicPartition(topic.name, partition.partitionIndex)
            return OffsetCommitResponse.OffsetCommitResponsePartition {
              $0.partitionIndex = partition.partitionIndex
              $0.errorCode = (errors[at] ?? .unknownTopicOrPartition).rawValue
            }
          }
        }
      }
    }
  }

  private static func refusal(
    _ request: OffsetCommitRequest, _ error: ErrorCode
  ) -> OffsetCommitResponse {
    let results = command(request, at: WallTime(milliseconds: 0)).commits.map {
      (partition: $0.partition, error: error)
    }
    return response(request, results)
  }
}
