// The cluster and the load of a simulation, and the settings that make a run of it short.
import Drills
import LocalCluster
import Values

enum SimulatedPlan {
  /// When the simulated clock begins.
  static let startOfTime = Instant(milliseconds: 1_000_000)

  static func cluster(_ options: SimulationOptions) -> ClusterPlan {
    var plan = ClusterPlan(
      mode: options.mode, brokers: options.brokers, coordinators: options.quorum)
    if options.mode == .kraft {
      plan.quorum = QuorumPlan(
        controllers: options.isCombined ? options.brokers : options.quorum,
        isCombined: options.isCombined)
      // Formatted by each member itself, under one name.
      plan.quorum?.clusterID =
        Uuid(high: 0x6a61_636b_6461_4077, low: options.seed | 1 << 63).description
    }
    return plan
  }

  /// Fewer threads than a host would have, and small files; times are those of `jackdaw local`.
  static func settings(
    _ options: SimulationOptions
  ) -> [ClusterMember.Role: [String: String]] {
    [
      .coordinator: ["preAllocSize": "64", "snapCount": "400"],
      .controller: ["num.network.threads": "1", "num.io.threads": "1"],
      .broker: [
        "num.network.threads": "1", "num.io.threads": "2", "log.cleaner.enable": "false",
        "offsets.topic.num.partitions": "3",
        "log.segment.bytes": "65536", "log.index.size.max.bytes": "4096",
        "replica.lag.time.max.ms": "6000", "replica.fetch.wait.max.ms": "200",
        "num.recovery.threads.per.data.dir": "1",
        "log.flush.offset.checkpoint.interval.ms": "5000",
      ],
    ]
  }

  static func topics(_ options: SimulationOptions, _ plan: ClusterPlan) -> [LoadedTopic] {
    switch options.scenario {
    case .random:
      [
        loaded(
          "simulated", options, plan,
          load(options).with {
            $0.keptTopics = 6
            $0.movers = options.movesPartitions ? 1 : 0
          })
      ]
    case .lostPageCache: pageCacheTopics(options, plan)
    case .isolatedLeader: [loaded("simulated", options, plan, load(options))]
    }
  }

  static func load(_ options: SimulationOptions) -> DrillLoad {
    DrillLoad.with {
      $0.producers = 2
      $0.recordsPerSecond = 25
      $0.groupMembers = 2
      $0.znodeSessions = options.mode == .zookeeper ? 2 : 0
      $0.administrators = 1
      $0.partitions = 3
    }
  }

  static func loaded(
    _ topic: String, _ options: SimulationOptions, _ plan: ClusterPlan, _ load: DrillLoad
  ) -> LoadedTopic {
    var loads = LoadSet(
      load, bootstrap: plan.bootstrap,
      coordination: options.mode == .zookeeper ? plan.connect : nil,
      target: LoadTarget(topic: topic, partitions: load.partitions),
      replicationFactor: Int16(min(3, options.brokers)), recorder: Recorder(),
      seed: options.seed)
    loads.znodePauseMs = 50
    loads.brokers = plan.members.filter { $0.role == .broker }.map { Int32($0.number) }
    return LoadedTopic(loads)
  }
}
