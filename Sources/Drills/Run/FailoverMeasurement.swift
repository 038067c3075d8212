// How soon a killed broker's partitions take writes again, measured kill by kill.
import KafkaClient
import Platform
import Values

/// Settings of a measurement.
public struct FailoverOptions: Sendable {
  public enum Victim: String, Sendable, CaseIterable {
    /// The broker that leads a partition, another partition each time.
    case leader
    /// The broker that is the controller too: in ZooKeeper mode, or with both roles in a process.
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
  /// The same kills with what happened in between.
  public var kills: [FailoverKill]
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
    var text = [
      "\(milliseconds.count) kills of the \(victim), \(mode) mode, after \(quietMs / 1000) s of "
        + "load",
      line("all partitions of the victim write again", milliseconds),
      line("the first of them", toFirstMilliseconds),
    ]
    for kind in FailoverStep.Kind.allCases {
      let firsts = kills.compactMap { kill in kill.steps.first { $0.kind == kind }?.atMs }
      if !firsts.isEmpty { text.append(line("first \(kind.rawValue)", firsts)) }
    }
    return text + [
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
    guard options.victim == .leader || cluster.members(.controller).isEmpty else {
      throw DrillProblem(
        "controllers with processes of their own lead no partitions; measure leaders")
    }
    let timeline = Timeline { _ in }
    try cluster.up(tell)
    let target = LoadTarget(
      topic: "failover-\(UInt32.random(in: 0...9_999_999))", partitions: 6)
    let admin = try LoadRuntime.admin(cluster.bootstrap)
    try await target.create(replicas: 3, configs: ["min.insync.replicas": "2"], admin)
    let run = DrillRun(
      cluster: cluster, options: DrillOptions(), timeline: timeline, target: target,
      recorder: Recorder(keepingAtLeast: 300_000),
      monitor: Monitor(bootstrap: cluster.bootstrap, topic: target.topic),
      admin: admin)
    let report = try await measure(run)
    await admin.close()
    return report
  }

  private func measure(_ run: DrillRun) async throws -> FailoverReport {
    let stop = StopSignal()
    var kills: [FailoverKill] = []
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
          let kill = try await kill(run, Int32(round))
          kills.append(kill)
          tell("kill \(round + 1), \(kill.text)")
        }
      } catch { failure = error }
      stop.stop()
      await group.waitForAll()
    }
    if let failure { throw failure }
    let verdicts = suspicions()
    return FailoverReport(
      mode: cluster.mode, victim: options.victim.rawValue, milliseconds: kills.map(\.toAllMs),
      toFirstMilliseconds: kills.map(\.toFirstMs), kills: kills, quietMs: options.quietMs,
      acknowledged: run.recorder.records.acknowledged, unknown: run.recorder.records.unknown,
      confirmed: verdicts.confirmed,
      falseSuspicions: verdicts.wrong + (options.kills == 0 ? verdicts.confirmed : 0))
  }

  /// One kill, and the healing that the next one needs.
  private func kill(_ run: DrillRun, _ round: Int32) async throws -> FailoverKill {
    let controller = try? await run.controller()
    let victim =
      options.victim == .controller
      ? try await run.controller() : try await run.leader(of: round % run.target.partitions)
    guard let sample = run.monitor.latest else { throw DrillProblem("no metadata") }
    let led = sample.partitions.indices.filter { sample.partitions[$0].leader == victim.number }
      .map { Int32($0) }
    let (start, wallStart) = (Clock.now(), Clock.wallNow())
    try cluster.kill(victim)
    var seen: [Instant] = []
    await run.wait(upToMs: options.limitMs) {
      let first = run.recorder.firstAcknowledged(after: start)
      seen = led.compactMap { first[$0] }
      return seen.count == led.count
    }
    let isComplete = seen.count == led.count
    let times = seen.map { $0.milliseconds(since: start) }
    var result = FailoverKill(
      victim: victim.name, wasController: victim == controller,
      toFirstMs: times.min() ?? options.limitMs,
      toAllMs: isComplete ? times.max() ?? 0 : options.limitMs, steps: [])
    result.steps = steps(
      of: KillTimeline(victim: victim.number, killed: wallStart), result, led, start, run)
    try cluster.start(victim)
    // The old registration may still be in the ISR: it must have left before it is full again.
    await run.pause(forMs: 500)
    guard await run.waitForFullISR() else {
      throw DrillProblem("\(victim.name) did not come back into the ISR")
    }
    await run.pause(forMs: 500)
    return result
  }

  /// What the members' logs, the metadata and the writes tell of a kill, in the order of time.
  private func steps(
    of timeline: KillTimeline, _ kill: FailoverKill, _ led: [Int32], _ start: Instant,
    _ run: DrillRun
  ) -> [FailoverStep] {
    var steps: [FailoverStep] = []
    for member in cluster.members where member.name != kill.victim {
      let log = cluster.logText(of: member) ?? ""
      steps += timeline.steps(in: log, of: member.name, limitMs: kill.toAllMs)
    }
    let seen = run.monitor.first(from: start) { sample in
      led.allSatisfy { index in
        let leader = sample.partitions[Int(index)].leader
        return leader >= 0 && leader != timeline.victim
      }
    }
    if let seen {
      steps.append(FailoverStep(.seen, by: "client", atMs: seen.milliseconds(since: start)))
    }
    steps.append(FailoverStep(.firstWrite, by: "client", atMs: kill.toFirstMs))
    steps.append(FailoverStep(.allWrite, by: "client", atMs: kill.toAllMs))
    return steps.enumerated().sorted { ($0.element.atMs, $0.offset) < ($1.element.atMs, $1.offset) }
      .map(\.element)
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
