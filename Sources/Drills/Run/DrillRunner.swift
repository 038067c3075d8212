// Carries a drill out: cluster, load, faults, healing, judgement.
import Histories
import KafkaClient
import Platform
import Values

/// One drill on one cluster, from nothing to the report.
public struct DrillRunner: Sendable {
  public let drill: Drill
  public let cluster: any ClusterUnderTest
  public let options: DrillOptions
  private let timeline: Timeline

  /// - Parameter onMark: hears of every event as it happens.
  public init(
    _ drill: Drill, on cluster: any ClusterUnderTest, options: DrillOptions,
    onMark: @escaping @Sendable (TimelineEvent) -> Void
  ) {
    self.drill = drill
    self.cluster = cluster
    self.options = options
    timeline = Timeline(onMark: onMark)
  }

  /// - Parameter live: told twice a second how far the load has come.
  /// - Throws: when the drill could not be carried out. What the cluster did wrong is in the
  ///   report.
  public func run(
    live: @escaping @Sendable (LiveFigures) -> Void = { _ in }
  ) async throws -> DrillReport {
    try refuseWhatCannotWork()
    timeline.mark(.phase, "starting the cluster")
    let timeline = timeline
    try cluster.up { timeline.mark(.note, $0) }
    let target = LoadTarget(
      topic: "drill-\(drill.number)-\(UInt32.random(in: 0...9_999_999))",
      partitions: drill.load.partitions)
    let admin = try LoadRuntime.admin(cluster.bootstrap)
    try await createTopic(target, admin)
    let run = DrillRun(
      cluster: cluster, options: options, timeline: timeline, target: target,
      recorder: Recorder(), monitor: Monitor(bootstrap: cluster.bootstrap, topic: target.topic),
      admin: admin)
    let window = try await withLoad(run, live)
    let isRead = await finalRead(run)
    let convergence = await converge(run)
    await admin.close()
    timeline.mark(.phase, "judging")
    return DrillReport(
      drill: drill, run: run, window: window, hasFinalRead: isRead, convergence: convergence)
  }

  private func refuseWhatCannotWork() throws(DrillProblem) {
    guard drill.modes.contains(cluster.mode) else {
      throw DrillProblem(
        "drill \(drill.name) exists in \(drill.modes.sorted().joined(separator: " and ")) mode only"
      )
    }
    if drill.needsLinks, cluster.links == nil {
      throw DrillProblem("drill \(drill.name) cuts links, which needs a local cluster of ours")
    }
    if drill.needsFiles, cluster.members.contains(where: { cluster.dataFolder(of: $0) == nil }) {
      throw DrillProblem("drill \(drill.name) touches data directories of a local cluster of ours")
    }
  }

  private func createTopic(_ target: LoadTarget, _ admin: AdminClient) async throws {
    let replicas = Int16(min(3, cluster.members(.broker).count))
    try await LoadSet(
      drill.load, bootstrap: cluster.bootstrap, coordination: cluster.coordination, target: target,
      replicationFactor: replicas, recorder: Recorder(), seed: options.seed
    ).createTopic(admin)
  }

  // MARK: Load

  /// Runs the script with the load beside it, heals, and stops the load.
  /// - Returns: the time in which load was on, cool-down included.
  private func withLoad(
    _ run: DrillRun, _ live: @escaping @Sendable (LiveFigures) -> Void
  ) async throws -> ClosedRange<Instant> {
    let stop = StopSignal()
    let watchEnd = StopSignal()
    let loads = LoadSet(drill.load, on: cluster, run, seed: options.seed)
    var failure: (any Error)?
    let begin = Clock.now()
    var end = begin
    await withTaskGroup(of: Void.self) { group in
      group.addTask { await run.monitor.run(until: watchEnd) }
      group.addTask { await Self.tell(run, live, until: watchEnd) }
      await withTaskGroup(of: Void.self) { loading in
        loading.addTask { await loads.run(until: stop) }
        do {
          try await act(run)
        } catch {
          failure = error
        }
        healEverything(run)
        await recover(run)
        end = Clock.now()
        stop.stop()
        await loading.waitForAll()
      }
      watchEnd.stop()
    }
    if let failure { throw failure }
    return begin...end
  }

  private func act(_ run: DrillRun) async throws {
    timeline.mark(.phase, "load")
    let warm = await run.waitForFullISR(limitMs: 30_000)
    guard warm else { throw DrillProblem("the topic's replicas are not in sync before any fault") }
    await run.pause(forMs: options.warmUpMs)
    // A busy machine may need longer for a client's first batch than for the warm-up.
    let isWritten = await run.wait(upToMs: 30_000) {
      run.recorder.records.acknowledged > 0 || drill.load.producers == 0
    }
    guard isWritten else {
      throw DrillProblem("no write was acknowledged before any fault")
    }
    timeline.mark(.phase, "fault")
    try await drill.script(run)
  }

  /// Whatever the script left broken.
  private func healEverything(_ run: DrillRun) {
    var mended: [String] = []
    if let links = cluster.links, !links.disturbed.isEmpty {
      links.heal()
      mended.append("links")
    }
    for member in cluster.members {
      try? cluster.resume(member)
      if !cluster.isRunning(member), (try? cluster.start(member)) != nil {
        mended.append(member.name)
      }
    }
    if !mended.isEmpty { timeline.mark(.healed, mended.joined(separator: ", ")) }
    if timeline.first(.healed) == nil { timeline.mark(.healed, "nothing was left to heal") }
  }

  private func recover(_ run: DrillRun) async {
    timeline.mark(.phase, "recovery")
    await awaitNotice(run)
    let isFull = await run.waitForFullISR()
    run.check(
      "every partition has its full ISR again", isFull,
      isFull ? "" : "not within \(options.recoveryLimitMs) ms")
    if isFull { timeline.mark(.fullISR, "every replica is in sync") }
    await run.pause(forMs: options.coolDownMs)
  }

  /// Metadata may still be what they were before the fault: a broker that comes back sooner than
  /// its session ends was never missed, until it registers again.
  private func awaitNotice(_ run: DrillRun) async {
    let aimed = run.aimedAt
    guard !aimed.isEmpty, let fault = timeline.first(.fault) else { return }
    await run.wait(upToMs: 30_000) {
      run.monitor.first(from: fault) { sample in
        sample.partitions.contains { !$0.isr.contains { aimed.contains($0) } }
      } != nil
    }
  }

  private static func tell(
    _ run: DrillRun, _ live: @Sendable (LiveFigures) -> Void, until stop: StopSignal
  ) async {
    var last = run.recorder.records
    var at = Clock.now()
    while !stop.isStopped {
      await LoadRuntime.pause(500)
      let now = Clock.now()
      let counts = run.recorder.records
      let seconds = max(0.001, Double(now.milliseconds(since: at)) / 1000)
      live(
        LiveFigures(
          elapsedMs: now.milliseconds(since: run.timeline.start),
          writesPerSecond: Double(counts.acknowledged - last.acknowledged) / seconds,
          readsPerSecond: Double(counts.consumed - last.consumed) / seconds,
          unknown: counts.unknown))
      last = counts
      at = now
    }
  }

  // MARK: The end

  private func finalRead(_ run: DrillRun) async -> Bool {
    guard drill.load.producers > 0 else { return false }
    timeline.mark(.phase, "final read")
    let read = FinalRead(
      bootstrap: cluster.bootstrap, target: run.target, recorder: run.recorder)
    let isComplete = (try? await read.run(limitMs: 60_000)) ?? false
    run.check("everything could be read at the end", isComplete)
    return isComplete
  }

  private func converge(_ run: DrillRun) async -> [DrillCheck] {
    timeline.mark(.phase, "convergence")
    // The last records reach the followers with their next fetch.
    var replicas = Convergence.replicas(of: run.target, on: cluster)
    await run.wait(upToMs: 10_000) {
      replicas = Convergence.replicas(of: run.target, on: cluster)
      return replicas.allSatisfy(\.holds)
    }
    var trees: [DrillCheck] = []
    if cluster.mode == "zookeeper" {
      trees = await Convergence.trees(of: cluster)
      await run.wait(upToMs: 10_000) {
        if trees.allSatisfy(\.holds) { return true }
        trees = await Convergence.trees(of: cluster)
        return trees.allSatisfy(\.holds)
      }
    }
    return replicas + trees
  }
}

/// How far the load has come, for a live view.
public struct LiveFigures: Sendable {
  public var elapsedMs: Int64
  public var writesPerSecond: Double
  public var readsPerSecond: Double
  public var unknown: Int
}
