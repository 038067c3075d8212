// All loads of a run, by what they do.
import Histories
import KafkaClient
import Platform
import Values

/// The load of a drill or of a simulation: which clients run beside the faults, and where they
/// write down what they did.
public struct LoadSet: Sendable {
  /// Loads of one kind; a simulation gives each kind a process of its own.
  public enum Part: String, Sendable, CaseIterable {
    case producers, consumers, znodes, administrators
  }

  public var load: DrillLoad
  /// As clients are given them.
  public var bootstrap: String
  /// A connect string; nil where there is no coordination service.
  public var coordination: String?
  public var target: LoadTarget
  public var replicationFactor: Int16
  public var recorder: Recorder
  public var seed: UInt64
  /// Between two operations of a znode session.
  public var znodePauseMs: Int64 = 5
  /// Brokers that partitions are moved between.
  public var brokers: [Int32] = []
  /// librdkafka's command-line tool, which joins in; nil: our own clients alone.
  var kcat: String?

  public init(
    _ load: DrillLoad, bootstrap: String, coordination: String?, target: LoadTarget,
    replicationFactor: Int16, recorder: Recorder, seed: UInt64
  ) {
    self.load = load
    self.bootstrap = bootstrap
    self.coordination = coordination
    self.target = target
    self.replicationFactor = replicationFactor
    self.recorder = recorder
    self.seed = seed
  }

  init(_ load: DrillLoad, on cluster: any ClusterUnderTest, _ run: DrillRun, seed: UInt64) {
    self.init(
      load, bootstrap: cluster.bootstrap, coordination: cluster.coordination, target: run.target,
      replicationFactor: Int16(min(3, cluster.members(.broker).count)), recorder: run.recorder,
      seed: seed)
    kcat = Librdkafka.executable
  }

  /// Runs the loads of some kinds; returns when `stop` has been asked for and what was under way is
  /// settled.
  public func run(_ parts: Set<Part> = Set(Part.allCases), until stop: StopSignal) async {
    await withTaskGroup(of: Void.self) { group in
      for part in Part.allCases where parts.contains(part) {
        for workload in workloads(part) { group.addTask { await workload.run(until: stop) } }
      }
    }
  }

  /// Makes the topic that the loads write to.
  public func createTopic(_ admin: AdminClient) async throws {
    var configs = ["min.insync.replicas": "\(min(2, replicationFactor))"]
    for (key, value) in load.topicSettings { configs[key] = value }
    try await target.create(replicas: replicationFactor, configs: configs, admin)
  }

  /// Reads every partition to its end; false when that took too long.
  public func finalRead(limitMs: Int64) async -> Bool {
    let read = FinalRead(bootstrap: bootstrap, target: target, recorder: recorder)
    return (try? await read.run(limitMs: limitMs)) ?? false
  }

  private func workloads(_ part: Part) -> [any Workload] {
    switch part {
    case .producers: producers
    case .consumers: consumers
    case .znodes: znodeSessions
    case .administrators: administrators
    }
  }

  private var producers: [any Workload] {
    let own: [any Workload] = (0..<load.producers).map { _ in
      ProducerLoad(
        bootstrap: bootstrap, target: target, recorder: recorder, acks: load.acks,
        recordsPerSecond: load.recordsPerSecond)
    }
    guard load.producers > 0, let kcat else { return own }
    return own + [
      LibrdkafkaProducerLoad(
        bootstrap: bootstrap, target: target, recorder: recorder, executable: kcat, acks: load.acks)
    ]
  }

  private var consumers: [any Workload] {
    let group = "\(target.topic)-group"
    var all: [any Workload] = (0..<load.groupMembers).map { number in
      GroupConsumerLoad(
        bootstrap: bootstrap, target: target, group: group, member: "member-\(number)",
        recorder: recorder)
    }
    if load.groupMembers > 0 {
      all.append(
        GroupOffsetLoad(bootstrap: bootstrap, target: target, group: group, recorder: recorder))
    }
    if load.producers > 0, let kcat {
      all.append(
        LibrdkafkaConsumerLoad(
          target: target, bootstrap: bootstrap, recorder: recorder, executable: kcat))
    }
    return all
  }

  private var znodeSessions: [any Workload] {
    guard let coordination else { return [] }
    return (0..<load.znodeSessions).map { number in
      ZnodeLoad(
        coordination: coordination, paths: ["/drill-a", "/drill-b", "/drill-c"],
        recorder: recorder, seed: seed &+ UInt64(number), pauseMs: znodePauseMs)
    }
  }

  private var administrators: [any Workload] {
    let all: [any Workload] = (0..<load.administrators).map { number in
      AdminLoad(
        bootstrap: bootstrap, prefix: "\(target.topic)-admin-\(number)",
        replicationFactor: replicationFactor, recorder: recorder, kept: load.keptTopics)
    }
    return all
      + (0..<load.movers).map { number in
        MoveLoad(
          bootstrap: bootstrap, target: target, brokers: brokers,
          replicationFactor: replicationFactor, recorder: recorder,
          seed: seed &+ 0x6d6f_7665 &+ UInt64(number))
      }
  }
}
