/// OffsetForLeaderEpoch, key 23, versions 0–4: where a leader epoch ends in the leader's log
/// (KIP-101, KIP-279), for followers and for consumers that check for truncation (KIP-320).
///
/// Version 1 answers with the epoch found, 2 carries the current leader epoch, 3 the replica's id.
import KafkaMessages
import KafkaProtocol
import Values

enum OffsetForLeaderEpochHandler: ApiHandler {
  static func handle(_ request: OffsetForLeaderEpochRequest, _ context: RequestContext) {
    context.reply(
      OffsetForLeaderEpochResponse {
        $0.topics = request.topics.map { topic in
          OffsetForLeaderEpochResponse.OffsetForLeaderTopicResult {
            $0.topic = topic.topic
            $0.partitions = topic.partitions.map { find($0, in: topic.topic, context.services) }
          }
        }
      })
  }

  private static func find(
    _ wanted: OffsetForLeaderEpochRequest.OffsetForLeaderPartition, in topic: String,
    _ services: BrokerServices
  ) -> OffsetForLeaderEpochResponse.EpochEndOffset {
    var answer = OffsetForLeaderEpochResponse.EpochEndOffset()
    answer.partition = wanted.partition
    let at = TopicPartition(topic, wanted.partition)
    do throws(PartitionFailure) {
      guard let partition = services.partitions[at] else { throw services.missing(at) }
      let log = try partition.checkedLog(leaderEpoch: wanted.currentLeaderEpoch)
      if let end = log.endOffset(for: LeaderEpoch(wanted.leaderEpoch)) {
        answer.leaderEpoch = end.epoch.rawValue
        answer.endOffset = end.offset
      }
    } catch {
      answer.errorCode = error.code.rawValue
    }
    return answer
  }
}
