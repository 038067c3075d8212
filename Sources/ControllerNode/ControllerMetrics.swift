/// What a controller shows of itself, under the names that dashboards read.
import KafkaProtocol
import KafkaTransport
import Metadata
import Synchronization
import Telemetry
import Values

enum ControllerMetrics {
  /// `kafka.controller:type=KafkaController`. A standby shows what it has applied, too, as Kafka's.
  static func register(_ view: SharedView, in registry: Metrics) {
    let prefix = "kafka_controller_kafkacontroller_"
    func gauge(
      _ name: String, _ help: String, _ read: @escaping @Sendable (ControllerView) -> Double
    ) {
      registry.gauge("\(prefix)\(name)", help: help) { read(view.current) }
    }
    gauge("activecontrollercount", "1 on the active controller") { $0.isActive ? 1 : 0 }
    gauge("globaltopiccount", "Topics of the cluster") { Double($0.image.topics.count) }
    gauge("globalpartitioncount", "Partitions of the cluster") {
      Double($0.image.topics.partitionCount)
    }
    gauge("offlinepartitionscount", "Partitions without a leader") {
      Double($0.image.topics.leaderlessCount)
    }
    gauge("preferredreplicaimbalancecount", "Partitions not led by their preferred replica") {
      Double($0.image.topics.imbalancedCount)
    }
    gauge("activebrokercount", "Registered brokers that are not fenced") {
      Double($0.image.brokers.all.count { !$0.isFenced })
    }
    gauge("fencedbrokercount", "Registered brokers that are fenced") {
      Double($0.image.brokers.all.count { $0.isFenced })
    }
    gauge("lastappliedrecordoffset", "The last offset applied") { Double($0.lastOffset) }
    gauge("lastcommittedrecordoffset", "The last committed offset known") { Double($0.lastOffset) }
  }
}

/// Counts and times of requests.
final class ControllerRequestMetrics: RequestObserver {
  private let registry: Metrics

  init(_ registry: Metrics) { self.registry = registry }

  func began(_ api: ApiKey) {
    registry.counter(
      "kafka_network_requestmetrics_requests_total", ["request": api.name],
      help: "Requests received, by API"
    ).add()
  }

  func finished(_ api: ApiKey, nanoseconds: Int64) {
    registry.distribution(
      "kafka_network_requestmetrics_totaltimems", ["request": api.name],
      help: "Milliseconds from receiving a request to its answer", scale: 0.001
    ).record(nanoseconds / 1_000)
  }
}
