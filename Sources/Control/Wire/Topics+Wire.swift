// Requests about topics as commands, and results as responses: the same in both modes.
import KafkaMessages
import KafkaProtocol
import Metadata
import Values

extension TopicToCreate {
  public init(_ topic: CreateTopicsRequest.CreatableTopic) {
    self.init(
      name: topic.name, partitions: topic.numPartitions,
      replicationFactor: topic.replicationFactor,
      assignments: topic.assignments.map { ($0.partitionIndex, $0.brokerIDs.brokerIDs) },
      configs: topic.configs.map { ($0.name, $0.value) })
  }
}

extension Array where Element == String {
  /// What is mentioned more than once: which of the mentions is meant nobody can say.
  public var duplicates: Set<String> {
    var seen: Set<String> = []
    return Set(filter { !seen.insert($0).inserted })
  }
}

extension Result where Failure == Refusal {
  /// Error code and message, as most responses have them.
  public var wire: (code: Int16, message: String?) {
    switch self {
    case .success: (0, nil)
    case .failure(let refusal): (refusal.code.rawValue, refusal.message)
    }
  }
}
