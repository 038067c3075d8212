// What load generators have in common.
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

  var all: [TopicPartition] { (0..<partitions).map { TopicPartition(topic, $0) } }
}
