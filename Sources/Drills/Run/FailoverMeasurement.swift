// How soon a killed broker's partitions take writes again, measured kill by kill.
import KafkaClient
import Platform
import Values

/// Settings of a measurement.
public struct FailoverOptions: Sendable {
  public enum Victim: String, Sendable, CaseIterable {
    /// The broker that leads a partition, another partition each time.
    case leader
    /// The broker that is the controller of a cluster in ZooKeeper mode.
    case controller
  }

  public var kills = 50
  public var victim = Victim.leader
  /// Load without any fault before the first kill, in milliseconds: nobody may be suspected.
  public var quietMs: Int64 = 5_000
  public var producers = 2
  /// Of each producer.
  public var recordsPerSecond = 400
  /// A partition that takes no write for so long after a kill counts with this, in milliseconds.
  public var limitMs: Int64 = 60_000
  public init() {}
}

/// What was measured.
public struct FailoverReport: Sendable, Codable {
  public var mode: String
  public var victim: String
  /// Of each kill, the milliseconds until the last of the partitions that the victim had led
  /// acknowledged a write that was sent after the kill.
  public var milliseconds: [Int64]
  /// Of each kill, the same for the first of them.
  public var toFirstMilliseconds: [Int64]
  public var quietMs: Int64
  public var acknowledged: Int
  public var unknown: Int
  /// Processes that members took for gone, by their logs, and how many of those lived.
  public var confirmed: Int
  public var falseSuspicions: Int

  /// The smallest value that so large a share of the kills did not exceed; nil without kills.
  public static func percentile(_ values: [Int64], _ share: Double) -> Int64? {
    guard !values.isEmpty else { return nil }
    let rank = Int((Double(values.count) * share).rounded(.up))
    return values.sorted()[max(0, min(values.count, rank) - 1)]
  }

  public var text: [String] {
    func line(_ name: String, _ values: [Int64]) -> String {
      let shares: [(String, Double)] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1)]
      let parts = shares.map { name, share in
        "\(name) \(Self.percentile(values, share).map { "\($0) ms" } ?? "-")"
      }
      return "  \(name): " + parts.joined(separator: ", ")
    }
    return [
      "\(milliseconds.count) kills of the \(victim), \(mode) mode, after \(quietMs / 1000) s of "
        + "load",
      line("all partitions of the victim write again", milliseconds),
      line("the first of them", toFirstMilliseconds),
      "  writes: \(acknowledged) acknowledged, \(unknown) unknown",
      "  processes taken for gone: \(confirmed), wrongly: \(falseSuspicions)",
    ]
  }
}

/// Kills, measures, heals, again and again, under load.
public struct FailoverMeasurement: Sendable {
  let cluster: any ClusterUnderTest
  let options: FailoverOptions
  let tell: @Sendable (String) -> Void

  public init(
    on cluster: any ClusterUnderTest, _ options: FailoverOptions,
    tell: @escaping @Sendable (String) -> Void
  ) {
    self.cluster = cluster
    self.options = options
    self.tell = tell
  }

  public func run() async throws -> FailoverReport {
    guard options.victim == .leader || cluster.mode == "zookeeper" else {
      throw DrillProblem("in KRaft mode the controller leads no partitions; measure leaders")
    }
    let timeline = Timeline { _ in }
    try cluster.up(tell)
    let target = LoadTarget(
      topic: "failover-\(UInt32.random(in: 0...9_999_999))", partitions: 6)
    let admin = try AdminClient([
      "bootstrap.servers": cluster.bootstrap, "request.timeout.ms": "5000",
      "default.api.timeout.ms": "15000", "reconnect.backoff.max.ms": "200",
    ])
    try await target.create(replicas: 3, configs: ["min.insync.replicas": "2"], admin)
    let run = DrillRun(
      cluster: cluster, options: DrillOptions(), timeline: timeline, target: target,
      recorder: Recorder(), monitor: Monitor(bootstrap: cluster.bootstrap, topic: target.topic),
      admin: admin)
    let report = try await measure(run)
    await admin.close()
    return report
  }

  private func measure(_ run: DrillRun) async throws -> FailoverReport {
    let stop = StopSignal()
    var times: [(first: Int64, last: Int64)] = []
    var killed: [String] = []
    var failure: (any Error)?
    await withTaskGroup(of: Void.self) { group in
      group.addTask { await run.monitor.run(until: stop) }
      for _ in 0..<options.producers {
        let load = ProducerLoad(
          bootstrap: cluster.bootstrap, target: run.target, recorder: run.recorder,
          recordsPerSecond: options.recordsPerSecond)
        group.addTask { await load.run(until: stop) }
      }
      do {
        guard await run.waitForFullISR(limitMs: 60_000) else {
          throw DrillProblem("the topic's replicas are not in sync before any fault")
        }
        await run.pause(forMs: options.quietMs)
        for round in 0..<options.kills {
          let (victim, time) = try await kill(run, Int32(round))
          killed.append(victim)
          times.append(time)
          tell("kill \(round + 1), \(victim): \(time.first) ms, all \(time.last) ms")
        }
      } catch { failure = error }
      stop.stop()
      await group.waitForAll()
    }
    if let failure { throw failure }
    let verdicts = suspicions()
    return FailoverReport(
      mode: cluster.mode, victim: options.victim.rawValue, milliseconds: times.map(\.last),
      toFirstMilliseconds: times.map(\.first), quietMs: options.quietMs,
      acknowledged: run.recorder.records.acknowledged, unknown: run.recorder.records.unknown,
      confirmed: verdicts.confirmed,
      falseSuspicions: verdicts.wrong + (options.kills == 0 ? verdicts.confirmed : 0))
  }

  /// One kill, and the healing that the next one needs.
  private func kill(
    _ run: DrillRun, _ round: Int32
  ) async throws -> (String, (first: Int64, last: Int64)) {
    let victim =
      options.victim == .controller
      ? try await run.controller() : try await run.leader(of: round % run.target.partitions)
    guard let sample = run.monitor.latest else { throw DrillProblem("no metadata") }
    let led = sample.partitions.indices.filter { sample.partitions[$0].leader == victim.number }
      .map { Int32($0) }
    let start = Clock.now()
    try cluster.kill(victim)
    var seen: [Instant] = []
    await run.wait(upToMs: options.limitMs) {
      let first = run.recorder.firstAcknowledged(after: start)
      seen = led.compactMap { first[$0] }
      return seen.count == led.count
    }
    let isComplete = seen.count == led.count
    let times = seen.map { $0.milliseconds(since: start) }
    let last = isComplete ? times.max() ?? 0 : options.limitMs
    try cluster.start(victim)
    // The old registration may still be in the ISR: it must have left before it is full again.
    await run.pause(forMs: 500)
    guard await run.waitForFullISR() else {
      throw DrillProblem("\(victim.name) did not come back into the ISR")
    }
    await run.pause(forMs: 500)
    return (victim.name, (times.min() ?? options.limitMs, last))
  }

  /// What the members' logs say of processes that they took for gone.
  private func suspicions() -> (confirmed: Int, wrong: Int) {
    var result = (confirmed: 0, wrong: 0)
    for member in cluster.members {
      for line in cluster.logText(of: member)?.split(separator: "\n") ?? [] {
        if line.contains("the process of a broker is gone") { result.confirmed += 1 }
        if line.contains("seemed to be gone") { result.wrong += 1 }
      }
    }
    return result
  }
}
