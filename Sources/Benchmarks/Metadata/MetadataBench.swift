// The metadata quorum under many partitions: failover, creation, a broker's start, snapshots.
import Foundation
import Glibc
import KafkaClient
import LocalCluster
import Platform
import Values

/// What the bench measures, and how large.
///
/// Clusters with very many partitions begin with a snapshot that names them, on brokers that are
/// away: the quorum, and the one broker that runs, have them in their metadata, and no disk has to
/// hold their logs. What is created is created on brokers that run.
public struct MetadataBench {
  public var folder: URL
  public var executables: URL
  /// Partitions in the metadata while the active controller is killed.
  public var failoverPartitions = [1_000, 100_000]
  public var kills = 5
  /// Created in topics of a thousand, then known to a broker that starts.
  public var createdPartitions = 10_000
  /// In the snapshot that one controller loads.
  public var snapshotRecords = 1_000_000
  public var firstPort = 14_092
  public var progress: (String) -> Void = { _ in }

  static let partitionsPerTopic = 100

  public init(folder: URL, executables: URL) {
    self.folder = folder
    self.executables = executables
  }

  public func run() async throws -> MetadataReport {
    _ = ProcessInformation.raiseDescriptorLimit()
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    var report = MetadataReport(limits: try MachineLimits.measure(in: folder))
    for partitions in failoverPartitions {
      report.failovers.append(try await failover(partitions))
    }
    if createdPartitions > 0 { report.creation = try await creation() }
    if snapshotRecords > 0 { report.snapshot = try snapshotLoad() }
    return report
  }

  // MARK: Clusters

  private func cluster(_ name: String, brokers: Int, controllers: Int) -> LocalCluster {
    var plan = ClusterPlan(
      mode: .kraft, brokers: brokers, brokerPort: firstPort, metricsPort: firstPort + 40)
    var quorum = QuorumPlan(controllers: controllers, controllerPort: firstPort + 20)
    var random = SystemRandom()
    quorum.clusterID = Uuid.random(using: &random).description
    plan.quorum = quorum
    return LocalCluster(
      folder: ClusterFolder(folder.appending(path: name).path), plan: plan,
      executables: executables)
  }

  private func admin(_ cluster: LocalCluster) throws -> AdminClient {
    // Each attempt is short and the next soon, so that the client adds little of its own.
    try AdminClient([
      "bootstrap.servers": cluster.plan.bootstrap, "retry.backoff.ms": "10",
      "request.timeout.ms": "30000",
    ])
  }

  private func controllers(of cluster: LocalCluster) -> [ClusterMember] {
    cluster.plan.members.filter { $0.role == .controller }
  }

  /// Waits for one controller to lead, and names it.
  private func leader(
    of cluster: LocalCluster, limitMs: Int64 = 120_000
  ) throws -> ClusterMember {
    let deadline = Clock.now().advanced(milliseconds: limitMs)
    while Clock.now() < deadline {
      let found = controllers(of: cluster).first {
        LocalCluster.quorumRole(port: $0.port) == "leader"
      }
      if let found { return found }
      usleep(2_000)
    }
    throw BenchmarkFailure("no controller leads after \(limitMs) ms")
  }

  private func residentBytes(_ member: ClusterMember, _ cluster: LocalCluster) -> Int64 {
    cluster.processIDs[member.name].flatMap { ProcessInformation.residentBytes(of: $0) } ?? 0
  }

  // MARK: Failover

  /// From SIGKILL of the active controller to the acknowledgement of a CreateTopics sent after it.
  private func failover(_ partitions: Int) async throws -> MetadataReport.Failover {
    progress("failover with \(partitions) partitions")
    let cluster = cluster("failover-\(partitions)", brokers: 1, controllers: 3)
    let seed = MetadataSeed(
      topics: partitions / Self.partitionsPerTopic, partitions: Self.partitionsPerTopic)
    for member in controllers(of: cluster) { try seed.write(for: member, of: cluster) }
    defer { try? cluster.wipe() }
    try cluster.up(limitMs: 180_000)
    let admin = try admin(cluster)
    var times: [Double] = []
    for kill in 0...kills {
      let name = "kill-\(kill)"
      let leader = try leader(of: cluster)
      let began = Clock.now()
      // The first round kills nobody: it is what the client itself takes.
      if kill > 0 { _ = cluster.signal(leader, SIGKILL) }
      try await create([NewTopic(name, partitions: 1, replicationFactor: 1)], admin)
      let spent = Double(Clock.now().nanoseconds - began.nanoseconds) / 1e6
      progress("  \(kill == 0 ? "without a kill" : "kill \(kill)"): \(Int(spent)) ms")
      times.append(spent)
      guard kill > 0 else { continue }
      try cluster.start(leader)
      try waitUntilCaughtUp(leader, cluster)
    }
    let resident = try residentBytes(self.leader(of: cluster), cluster)
    await admin.close()
    return MetadataReport.Failover(
      partitions: partitions, undisturbedMs: times[0], milliseconds: Array(times.dropFirst()),
      residentMiB: Double(resident) / 1_048_576)
  }

  /// A controller that has just come back serves again when it knows what all others know.
  private func waitUntilCaughtUp(_ member: ClusterMember, _ cluster: LocalCluster) throws {
    let deadline = Clock.now().advanced(milliseconds: 120_000)
    while LocalCluster.quorumRole(port: member.port) == nil {
      guard Clock.now() < deadline else {
        throw BenchmarkFailure("\(member.name) does not come back")
      }
      usleep(5_000)
    }
    // Its metadata are loaded while it already answers.
    usleep(2_000_000)
  }

  private func create(_ topics: [NewTopic], _ admin: AdminClient) async throws {
    for (name, result) in try await admin.createTopics(topics) {
      guard case .failure(let error) = result else { continue }
      // Acknowledged by a controller that could not say so any more.
      if error.code == .topicAlreadyExists { continue }
      throw BenchmarkFailure("topic \(name): \(error)")
    }
  }

  // MARK: Creation, and a broker's start

  private func creation() async throws -> MetadataReport.Creation {
    progress("creation of \(createdPartitions) partitions")
    let cluster = cluster("creation", brokers: 3, controllers: 3)
    defer { try? cluster.wipe() }
    try cluster.up()
    let admin = try admin(cluster)
    let topics = max(1, createdPartitions / 1_000)
    let began = Clock.now()
    for topic in 0..<topics {
      let count = Int32(createdPartitions / topics)
      try await create(
        [NewTopic("created-\(topic)", partitions: count, replicationFactor: 1)], admin)
    }
    let acknowledged = Double(Clock.now().nanoseconds - began.nanoseconds) / 1e6
    // Created is one thing, led by a broker that knows it another.
    while true {
      let known = try await admin.listTopics().filter { $0.name.hasPrefix("created-") }
      let led = known.flatMap(\.partitions).filter { $0.leader >= 0 && $0.error == .none }
      if led.count >= createdPartitions { break }
      guard Clock.now().milliseconds(since: began) < 300_000 else {
        throw BenchmarkFailure("\(led.count) of \(createdPartitions) partitions have leaders")
      }
      usleep(10_000)
    }
    let served = Double(Clock.now().nanoseconds - began.nanoseconds) / 1e6
    await admin.close()
    return MetadataReport.Creation(
      partitions: createdPartitions, acknowledgedMs: acknowledged, ledMs: served,
      brokerStartMs: try brokerStart(cluster))
  }

  /// From the start of a broker's process to RUNNING, with all these partitions in the metadata and
  /// a third of them on its own disk.
  private func brokerStart(_ cluster: LocalCluster) throws -> Double {
    guard let broker = cluster.plan.members.last(where: { $0.role == .broker }) else {
      throw BenchmarkFailure("no broker")
    }
    progress("a broker's start with \(createdPartitions) partitions")
    let ready = "Transitioning from RECOVERY to RUNNING."
    cluster.stop(broker, graceMs: 60_000)
    let before = cluster.logText(of: broker).components(separatedBy: ready).count
    let began = Clock.now()
    try cluster.start(broker)
    while cluster.logText(of: broker).components(separatedBy: ready).count == before {
      guard Clock.now().milliseconds(since: began) < 180_000 else {
        throw BenchmarkFailure("\(broker.name) does not come to RUNNING")
      }
      usleep(5_000)
    }
    return Double(Clock.now().nanoseconds - began.nanoseconds) / 1e6
  }

  // MARK: Snapshots

  /// From the start of a lone controller to its leading, all of the snapshot in memory.
  private func snapshotLoad() throws -> MetadataReport.SnapshotLoad {
    progress("snapshot of \(snapshotRecords) records")
    let cluster = cluster("snapshot", brokers: 1, controllers: 1)
    guard let controller = controllers(of: cluster).first else {
      throw BenchmarkFailure("no controller")
    }
    let perTopic = Self.partitionsPerTopic
    let seed = MetadataSeed(topics: snapshotRecords / (perTopic + 1), partitions: perTopic)
    let size = try seed.write(for: controller, of: cluster)
    defer { try? cluster.wipe() }
    try cluster.folder.write(cluster.plan)
    let began = Clock.now()
    try cluster.start(controller)
    _ = try leader(of: cluster)
    // Only what is loaded can be acted upon: the active controller says when it is.
    while !cluster.logText(of: controller).contains("Becoming the active controller") {
      guard Clock.now().milliseconds(since: began) < 180_000 else {
        throw BenchmarkFailure("\(controller.name) does not become active")
      }
      usleep(5_000)
    }
    let spent = Double(Clock.now().nanoseconds - began.nanoseconds) / 1e6
    return MetadataReport.SnapshotLoad(
      records: seed.recordCount, sizeMiB: Double(size) / 1_048_576, milliseconds: spent,
      residentMiB: Double(residentBytes(controller, cluster)) / 1_048_576)
  }
}
