// What a drill's script works with: the cluster, its members by what they do, faults and marks.
import FaultProxy
import Histories
import KafkaClient
import Platform
import Synchronization
import Values

/// Settings of a run.
public struct DrillOptions: Sendable {
  /// Load before the first fault.
  public var warmUpMs: Int64 = 3_000
  /// How long a fault lasts where the drill leaves it open.
  public var faultMs: Int64 = 5_000
  /// Load after everything was healed and is in sync again.
  public var coolDownMs: Int64 = 2_000
  /// How long healing may take before it counts as failed.
  public var recoveryLimitMs: Int64 = 90_000
  /// For everything random.
  public var seed: UInt64 = 1
  public init() {}
}

/// A thing that a drill checks beside the history.
public struct DrillCheck: Sendable, Equatable {
  public var name: String
  public var holds: Bool
  public var detail: String
}

/// One run of one drill, as its script sees it.
public final class DrillRun: Sendable {
  public let cluster: any ClusterUnderTest
  public let options: DrillOptions
  public let timeline: Timeline
  let target: LoadTarget
  let recorder: Recorder
  let monitor: Monitor
  let admin: AdminClient
  private struct State {
    var checks: [DrillCheck] = []
    /// Brokers whose leadership the first fault was aimed at.
    var aimedAt: Set<Int32> = []
  }
  private let state = Mutex(State())

  init(
    cluster: any ClusterUnderTest, options: DrillOptions, timeline: Timeline, target: LoadTarget,
    recorder: Recorder, monitor: Monitor, admin: AdminClient
  ) {
    self.cluster = cluster
    self.options = options
    self.timeline = timeline
    self.target = target
    self.recorder = recorder
    self.monitor = monitor
    self.admin = admin
  }

  // MARK: Who is who

  /// The broker that leads a partition of the run's topic.
  public func leader(of partition: Int32 = 0) async throws -> DrillMember {
    let metadata = try await admin.cluster.metadata(of: [target.topic], timeoutMs: 15_000)
    guard let id = metadata.topics[target.topic]?.partition(partition)?.leader,
      let member = cluster.member(.broker, id)
    else { throw DrillProblem("partition \(partition) of \(target.topic) has no leader to break") }
    return member
  }

  /// Brokers other than these.
  public func brokers(except excluded: [DrillMember]) -> [DrillMember] {
    cluster.members(.broker).filter { !excluded.contains($0) }
  }

  /// The active controller: a broker, or in KRaft mode the quorum's leader.
  public func controller() async throws -> DrillMember {
    if cluster.mode == "kraft" {
      let quorum = try await admin.describeQuorum()
      guard let id = quorum.topics.first?.partitions.first?.leaderID,
        let member = cluster.member(.controller, id) ?? cluster.member(.broker, id)
      else { throw DrillProblem("the quorum has no leader") }
      return member
    }
    let id = try await admin.cluster.updateMetadata(topics: []).controllerID
    guard let member = cluster.member(.broker, id) else {
      throw DrillProblem("no broker is the controller")
    }
    return member
  }

  /// The coordination server that leads the ensemble.
  public func ensembleLeader() throws -> DrillMember {
    for member in cluster.members(.coordinator) {
      guard let port = cluster.directPort(of: member) else { continue }
      if CoordinatorProbe.mode(port: port) == "leader" { return member }
    }
    throw DrillProblem("no coordination server says that it leads")
  }

  // MARK: Doing

  public func pause(forMs ms: Int64) async { await LoadRuntime.pause(ms) }

  /// Breaks something, and marks when. Times to detect and to elect count from here, for the
  /// partitions that `brokers` led.
  public func fault(
    _ text: String, leadershipOf brokers: [DrillMember] = [],
    _ body: () throws -> Void
  ) rethrows {
    state.withLock { state in
      if state.aimedAt.isEmpty { state.aimedAt = Set(brokers.map(\.number)) }
    }
    timeline.mark(.fault, text)
    try body()
  }

  public func heal(_ text: String, _ body: () throws -> Void) rethrows {
    try body()
    timeline.mark(.healed, text)
  }

  /// Cuts, slows or clears links; only in drills with `needsLinks`.
  public func setLinks(_ links: [Link], _ rule: LinkRule) throws {
    guard let table = cluster.links else {
      throw DrillProblem("no proxies stand between the members of this cluster")
    }
    table.set(links, rule)
  }

  /// Waits for something to become true.
  /// - Returns: whether it did in time.
  @discardableResult
  public func wait(
    upToMs limit: Int64, until condition: () async throws -> Bool
  ) async -> Bool {
    let deadline = Clock.now().advanced(milliseconds: limit)
    while Clock.now() < deadline {
      if (try? await condition()) == true { return true }
      await LoadRuntime.pause(25)
    }
    return false
  }

  /// Waits until every partition has all of its replicas in sync.
  public func waitForFullISR(limitMs: Int64? = nil) async -> Bool {
    await wait(upToMs: limitMs ?? options.recoveryLimitMs) { isFull(monitor.latest) }
  }

  func isFull(_ sample: MetadataSample?) -> Bool {
    sample?.isFull(target) ?? false
  }

  // MARK: Judging

  /// Notes something that must hold, beside what the history shows.
  public func check(_ name: String, _ holds: Bool, _ detail: String = "") {
    state.withLock { $0.checks.append(DrillCheck(name: name, holds: holds, detail: detail)) }
    if !holds { timeline.mark(.note, "\(name) does not hold: \(detail)") }
  }

  var checks: [DrillCheck] { state.withLock { $0.checks } }
  var aimedAt: Set<Int32> { state.withLock { $0.aimedAt } }
}
