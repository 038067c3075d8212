// What `topics --describe` shows beyond Metadata: who may lead without loss though out of sync.
import KafkaMessages
import KafkaProtocol
import Values

/// Eligible leader replicas and the last leaders (KIP-966) of partitions, by
/// DescribeTopicPartitions. Brokers in ZooKeeper mode and older ones do not serve it: nothing is
/// known there.
struct EligibleReplicas {
  /// Nil where the broker did not tell.
  struct Entry {
    var eligible: [Int32]?
    var lastKnown: [Int32]?
  }

  private var entries: [TopicPartition: Entry] = [:]

  subscript(topic: String, partition: Int32) -> Entry {
    entries[TopicPartition(topic, partition)] ?? Entry()
  }

  /// Asks page by page until the last.
  ///
  /// - Parameter pageSize: partitions in one answer at most; nil for the protocol's 2000.
  static func of(
    _ topics: [String], _ session: AdminSession, pageSize: Int?
  ) async throws -> EligibleReplicas {
    var found = EligibleReplicas()
    guard !topics.isEmpty, try await session.serves(.describeTopicPartitions) else { return found }
    var request = DescribeTopicPartitionsRequest()
    request.topics = topics.map { name in .init { $0.name = name } }
    if let pageSize { request.responsePartitionLimit = Int32(pageSize) }
    while true {
      let response = try await session.send(request)
      for topic in response.topics {
        for row in topic.partitions {
          found.entries[TopicPartition(topic.name ?? "", row.partitionIndex)] = Entry(
            eligible: row.eligibleLeaderReplicas, lastKnown: row.lastKnownElr)
        }
      }
      guard let next = response.nextCursor else { return found }
      // A broker whose pages do not move on would keep the tool for ever.
      if let last = request.cursor,
        (next.topicName, next.partitionIndex) <= (last.topicName, last.partitionIndex)
      {
        throw ToolFailure(
          "DescribeTopicPartitions does not move on from \(next.topicName)-\(next.partitionIndex)")
      }
      // What is done need not be named again.
      request.topics.removeAll { $0.name < next.topicName }
      request.cursor = .init {
        $0.topicName = next.topicName
        $0.partitionIndex = next.partitionIndex
      }
    }
  }
}
