/// DescribeProducers, key 61, version 0: the idempotent producers that are active in partitions
/// (KIP-664).
import KafkaMessages
import KafkaProtocol
import Values

enum DescribeProducersHandler: ApiHandler {
  static func handle(_ request: DescribeProducersRequest, _ context: RequestContext) {
    context.reply(
      DescribeProducersResponse {
        $0.topics = request.topics.map { topic in
          DescribeProducersResponse.TopicResponse {
            $0.name = topic.name
            $0.partitions = topic.partitionIndexes.map { number in
              describe(TopicPartition(topic.name, number), context.services)
            }
          }
        }
      })
  }

  private static func describe(
    _ at: TopicPartition, _ services: BrokerServices
  ) -> DescribeProducersResponse.PartitionResponse {
    var answer = DescribeProducersResponse.PartitionResponse()
    answer.partitionIndex = at.partition
    do throws(PartitionFailure) {
      guard let partition = services.partitions[at] else { throw services.missing(at) }
      let log = try partition.checkedLog(leaderEpoch: -1)
      answer.activeProducers = log.activeProducers.map { producer in
        DescribeProducersResponse.ProducerState {
          $0.producerID = producer.producerID
          $0.producerEpoch = Int32(producer.producerEpoch)
          $0.lastSequence = producer.lastSequence
          $0.lastTimestamp = producer.lastTimestamp
          $0.coordinatorEpoch = producer.coordinatorEpoch
          $0.currentTxnStartOffset = producer.currentTransactionStartOffset
        }
      }
    } catch {
      answer.errorCode = error.code.rawValue
      answer.errorMessage = error.message
    }
    return answer
  }
}
