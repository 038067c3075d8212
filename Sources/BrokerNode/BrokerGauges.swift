/// Gauges of the replicas, read when somebody looks.
import KafkaProtocol
import Replication
import Telemetry
import Values

enum BrokerGauges {
  static func register(_ services: BrokerServices) {
    let registry = services.metrics.registry
    let prefix = "kafka_server_replicamanager_"
    func count(_ name: String, _ help: String, _ matches: @escaping @Sendable (Partition) -> Bool) {
      registry.gauge("\(prefix)\(name)", help: help) {
        Double(services.partitions.all.count { matches($0) })
      }
    }
    registry.gauge("\(prefix)partitioncount", help: "Replicas on this broker") {
      Double(services.partitions.count)
    }
    count("leadercount", "Partitions led by this broker") { $0.isLeader }
    count("underreplicatedpartitions", "Led partitions with replicas out of sync") {
      $0.replica.isUnderReplicated
    }
    count("underminisrpartitioncount", "Led partitions below min.insync.replicas") {
      $0.replica.isUnderMinISR
    }
    count("atminisrpartitioncount", "Led partitions at min.insync.replicas") {
      $0.replica.isAtMinISR
    }
    count("offlinereplicacount", "Replicas whose log directory failed") { $0.isOffline }
    registry.gauge(
      "kafka_server_replicafetchermanager_maxlag", help: "Records the slowest follower is behind"
    ) { Double(services.replicas.fetchers.maxLag) }
    collectByPartition(services, "kafka_cluster_partition_underminisr") { $0.isUnderMinISR }
    collectByPartition(services, "kafka_cluster_partition_atminisr") { $0.isAtMinISR }
    // The controller of the same process has a gauge of its own.
    if !services.config.quorum.isController {
      registry.gauge("kafka_controller_kafkacontroller_activecontrollercount") {
        services.controller?.isActive == true ? 1 : 0
      }
    }
  }

  private static func collectByPartition(
    _ services: BrokerServices, _ name: String,
    _ value: @escaping @Sendable (PartitionReplica) -> Bool
  ) {
    services.metrics.registry.collect(name) {
      services.partitions.all.filter(\.isLeader).map { partition in
        Metrics.Sample(
          [("topic", partition.id.topic), ("partition", "\(partition.id.partition)")],
          value(partition.replica) ? 1 : 0)
      }
    }
  }
}
