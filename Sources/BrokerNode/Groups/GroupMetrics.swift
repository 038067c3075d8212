/// What is measured about groups, under the names of Kafka's own metrics.
import Groups
import Synchronization
import Telemetry

/// The numbers of one shard.
struct GroupCounts: Sendable {
  static let states: [GroupState] = [
    .preparingRebalance, .completingRebalance, .stable, .empty, .dead,
  ]

  var groups = 0
  var offsets = 0
  var byState: [GroupState: Int] = [:]
}

final class GroupMetrics: Sendable {
  let commits: Counter
  let expiredOffsets: Counter
  let rebalances: Counter
  let loadTime: Distribution
  private let reader = Mutex<@Sendable () -> [GroupCounts]>({ [] })

  /// Reads the numbers of every shard.
  var read: @Sendable () -> [GroupCounts] {
    get { reader.withLock { $0 } }
    set { reader.withLock { $0 = newValue } }
  }

  init(_ registry: Metrics) {
    let sensors = "kafka_server_group_coordinator_metrics_"
    commits = registry.counter(
      "\(sensors)offset_commit_count_total", help: "Offsets appended to __consumer_offsets")
    expiredOffsets = registry.counter(
      "\(sensors)offset_expiration_count_total", help: "Offsets whose retention was over")
    rebalances = registry.counter(
      "\(sensors)group_completed_rebalance_count_total", help: "Generations stored")
    loadTime = registry.distribution(
      "\(sensors)partition_load_time_ms", [:],
      help: "Milliseconds to load a partition of __consumer_offsets", scale: 1)
    let manager = "kafka_coordinator_group_groupmetadatamanager_"
    gauge(registry, "\(manager)numgroups", "Groups coordinated here") { $0.groups }
    gauge(registry, "\(manager)numoffsets", "Offsets of groups coordinated here") { $0.offsets }
    for state in GroupCounts.states {
      gauge(
        registry, "\(manager)numgroups\(state.rawValue.lowercased())",
        "Groups in state \(state.rawValue)"
      ) { $0.byState[state] ?? 0 }
    }
  }

  private func gauge(
    _ registry: Metrics, _ name: String, _ help: String,
    _ value: @escaping @Sendable (GroupCounts) -> Int
  ) {
    registry.gauge(name, [:], help: help) { [weak self] in
      Double(self?.read().reduce(0) { $0 + value($1) } ?? 0)
    }
  }

  /// Counts what an append stores.
  func count(_ records: [GroupRecord]) {
    for record in records {
      switch record {
      case .offset(_, _, _?): commits.add()
      case .group(_, _?): rebalances.add()
      default: break
      }
    }
  }
}
