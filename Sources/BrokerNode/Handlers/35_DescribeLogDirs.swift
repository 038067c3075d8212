/// DescribeLogDirs, key 35, versions 0–4: what is in each log directory, and how large.
///
/// Null topics mean all. Version 4 adds the space of the file system. A directory that has failed
/// is listed with KAFKA_STORAGE_ERROR. Sizes are asked of the file system, on an I/O thread.
import KafkaMessages
import KafkaProtocol
import LogStorage
import Platform
import Values

enum DescribeLogDirsHandler: ApiHandler {
  private typealias Result = DescribeLogDirsResponse.DescribeLogDirsResult

  static func handle(_ request: DescribeLogDirsRequest, _ context: RequestContext) {
    let pending = context.park()
    let services = context.services
    services.io.submit { pending.send(answer(request, services)) }
  }

  private static func answer(
    _ request: DescribeLogDirsRequest, _ services: BrokerServices
  ) -> DescribeLogDirsResponse {
    let wanted = request.topics.map { topics in
      Set(topics.flatMap { topic in topic.partitions.map { TopicPartition(topic.topic, $0) } })
    }
    let logs = services.replicas.logs
    return DescribeLogDirsResponse {
      $0.results = logs.directories.map { describe($0, logs, wanted, services) }
      $0.results += logs.unusable.map { unusable in
        Result {
          $0.logDir = unusable.path
          $0.errorCode = ErrorCode.kafkaStorageError.rawValue
        }
      }
    }
  }

  private static func describe(
    _ directory: LogDirectory, _ logs: LogManager, _ wanted: Set<TopicPartition>?,
    _ services: BrokerServices
  ) -> Result {
    var result = Result()
    result.logDir = directory.path
    guard !directory.isOffline else {
      result.errorCode = ErrorCode.kafkaStorageError.rawValue
      return result
    }
    if let space = try? FileSystem.space(at: directory.path) {
      result.totalBytes = space.total
      result.usableBytes = space.free
    }
    let found = logs.describe(directory).filter { wanted?.contains($0.partition) ?? true }
    for log in found.sorted(by: { $0.partition < $1.partition }) {
      let partition = DescribeLogDirsResponse.DescribeLogDirsPartition {
        $0.partitionIndex = log.partition.partition
        $0.partitionSize = Int64(log.size)
        $0.isFutureKey = log.isFuture
        $0.offsetLag = lag(log.partition, services)
      }
      if result.topics.last?.name == log.partition.topic {
        result.topics[result.topics.count - 1].partitions.append(partition)
      } else {
        result.topics.append(
          DescribeLogDirsResponse.DescribeLogDirsTopic {
            $0.name = log.partition.topic
            $0.partitions = [partition]
          })
      }
    }
    return result
  }

  /// How far the high watermark is ahead of the log's end, which it is only on a lagging follower.
  private static func lag(_ at: TopicPartition, _ services: BrokerServices) -> Int64 {
    guard let offsets = services.partitions[at]?.log?.offsets else { return 0 }
    return max(0, offsets.highWatermark - offsets.logEndOffset)
  }
}
