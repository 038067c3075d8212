/// DeleteRecords, key 21, versions 0–2: raises the start of partitions, and answers when all live
/// replicas have done so (KIP-107).
///
/// -1 means everything up to the high watermark. Compacted topics that do not delete are refused
/// with POLICY_VIOLATION; offsets beyond the high watermark are OFFSET_OUT_OF_RANGE.
import KafkaMessages
import KafkaProtocol
import LogStorage
import Platform
import Replication
import Values

enum DeleteRecordsHandler: ApiHandler {
  static func handle(_ request: DeleteRecordsRequest, _ context: RequestContext) {
    let operation = DeleteRecordsOperation(request, context)
    operation.start(context, timeoutMs: Int64(request.timeoutMs))
  }
}

private final class DeleteRecordsOperation: WaitingRequest {
  private struct Wait {
    var partition: Partition
    var offset: Offset
    var place: (topic: Int, partition: Int)
  }

  private var response = DeleteRecordsResponse()
  private var waits: [Wait] = []
  private var pending: PendingReply?

  init(_ request: DeleteRecordsRequest, _ context: RequestContext) {
    for (topicPlace, topic) in request.topics.enumerated() {
      var results: [DeleteRecordsResponse.DeleteRecordsPartitionResult] = []
      for (place, wanted) in topic.partitions.enumerated() {
        var result = DeleteRecordsResponse.DeleteRecordsPartitionResult()
        result.partitionIndex = wanted.partitionIndex
        result.lowWatermark = -1
        do throws(PartitionFailure) {
          let at = TopicPartition(topic.name, wanted.partitionIndex)
          let (partition, start, low) = try delete(at, wanted.offset, context)
          result.lowWatermark = low
          if low < start {
            waits.append(
              Wait(partition: partition, offset: start, place: (topicPlace, place)))
          }
        } catch {
          result.errorCode = error.code.rawValue
        }
        results.append(result)
      }
      response.topics.append(
        DeleteRecordsResponse.DeleteRecordsTopicResult {
          $0.name = topic.name
          $0.partitions = results
        })
    }
  }

  private func delete(
    _ at: TopicPartition, _ offset: Offset, _ context: RequestContext
  ) throws(PartitionFailure) -> (Partition, start: Offset, low: Offset) {
    let services = context.services
    guard !InternalTopics.contains(at.topic) else { throw PartitionFailure(.invalidTopicException) }
    guard let partition = services.partitions[at] else { throw services.missing(at) }
    let log = try partition.checkedLog(leaderEpoch: -1)
    guard services.topicConfig(at.topic).isDeleted else { throw PartitionFailure(.policyViolation) }
    let target = offset == -1 ? log.highWatermark : offset
    guard target >= 0 else { throw PartitionFailure(.offsetOutOfRange) }
    do throws(LogError) {
      let start = try log.deleteRecords(before: target)
      context.loop.noteChange(of: partition)
      return (partition, start, partition.replica.lowWatermark(localLogStartOffset: start))
    } catch {
      throw PartitionFailure(error)
    }
  }

  func start(_ context: RequestContext, timeoutMs: Int64) {
    if waits.isEmpty {
      context.reply(response)
      return
    }
    pending = context.park()
    // Followers tell their log starts with their fetches, which wake nobody: look now and then.
    context.loop.wait(
      self, on: waits.map(\.partition), until: context.loop.now.advanced(milliseconds: timeoutMs))
    poll(on: context.loop)
  }

  private func poll(on loop: BrokerLoop) {
    loop.eventLoop.schedule(afterMs: 50) { [self] in
      guard pending != nil else { return }
      for wait in waits { loop.noteChange(of: wait.partition) }
      poll(on: loop)
    }
  }

  func isDone(on loop: BrokerLoop) -> Bool {
    waits.removeAll { wait in
      let low = wait.partition.replica.lowWatermark(localLogStartOffset: wait.offset)
      set(wait, low: low, error: .none)
      return low >= wait.offset
    }
    guard waits.isEmpty else { return false }
    finish()
    return true
  }

  func expire(on loop: BrokerLoop) {
    for wait in waits { set(wait, low: -1, error: .requestTimedOut) }
    finish()
  }

  private func set(_ wait: Wait, low: Offset, error: ErrorCode) {
    let place = wait.place
    response.topics[place.topic].partitions[place.partition].lowWatermark = low
    response.topics[place.topic].partitions[place.partition].errorCode = error.rawValue
  }

  private func finish() {
    pending?.send(response)
    pending = nil
  }
}
