// What load generators have in common.
import KafkaClient
import KafkaProtocol
import Synchronization
import Values

/// Something that runs beside the faults until it is told to stop.
protocol Workload: Sendable {
  /// Returns when `stop` has been asked for and what was under way is settled.
  func run(until stop: StopSignal) async
}

/// Asked for once, seen by many.
public final class StopSignal: Sendable {
  private let flag = Atomic<Bool>(false)
  public init() {}
  public func stop() { flag.store(true, ordering: .releasing) }
  public var isStopped: Bool { flag.load(ordering: .acquiring) }
}

/// Where values go.
public struct LoadTarget: Sendable {
  public var topic: String
  public var partitions: Int32
  public init(topic: String, partitions: Int32) {
    self.topic = topic
    self.partitions = partitions
  }

  /// Makes the topic. Its name is the run's own: one that exists was made by a try whose answer did
  /// not come in time.
  func create(
    replicas: Int16, configs: [String: String], _ admin: AdminClient
  ) async throws {
    let new = NewTopic(
      topic, partitions: partitions, replicationFactor: replicas, configs: configs)
    if case .failure(let error)? = try await admin.createTopics([new])[topic],
      error.code != .topicAlreadyExists
    {
      throw DrillProblem("topic \(topic) not created: \(error)")
    }
    _ = try await admin.cluster.metadata(of: [topic], timeoutMs: 30_000)
  }

  public var all: [TopicPartition] { (0..<partitions).map { TopicPartition(topic, $0) } }
}
