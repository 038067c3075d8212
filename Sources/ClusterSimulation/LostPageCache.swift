// Drill 19: power fails, and what page caches held is gone.
//
// Kafka answers acks=all when the records are in the page caches of all in-sync replicas, not on
// their disks. One broker that loses its cache loses nothing that the others do not have. All of
// them at once may lose what was not flushed, on a topic that leaves flushing to the system; a
// topic with `flush.messages=1` loses nothing even then.
import Drills
import Histories
import LocalCluster
import Platform
import Values

extension LoadedTopic {
  /// What a loss of acknowledged records looks like in a history: they are gone, their offsets are
  /// given to others, and readers that had read them find themselves beyond the end. Committed
  /// offsets and generations of groups, which lie in a topic that is not flushed, may go back.
  private static let losses: Set<AnomalyKind> = [
    .lostWrite, .unseen, .inconsistentOffsets, .nonmonotonicPoll, .pollSkip, .nonmonotonicSend,
    .internalNonmonotonicPoll, .internalPollSkip, .duplicate,
  ]
  private static let lossesOfGroups: Set<AnomalyKind> = [.offsetRegression, .doubleOwnership]

  /// What may be found once all brokers have lost power at the same time.
  var lossesWithoutPower: Set<AnomalyKind> {
    let isFlushed = loads.load.topicSettings["flush.messages"] == "1"
    return isFlushed ? Self.lossesOfGroups : Self.lossesOfGroups.union(Self.losses)
  }
}

extension SimulatedPlan {
  /// One topic that is flushed with every record, one that is not.
  static func pageCacheTopics(_ options: SimulationOptions, _ plan: ClusterPlan) -> [LoadedTopic] {
    var flushed = load(options)
    flushed.topicSettings = ["flush.messages": "1"]
    flushed.administrators = 0
    flushed.znodeSessions = 0
    // Offsets of groups are not flushed with every commit: only records are judged here.
    flushed.groupMembers = 1
    var cached = load(options)
    cached.administrators = 0
    return [
      loaded("flushed", options, plan, flushed), loaded("cached", options, plan, cached),
    ]
  }
}

extension ClusterSimulation {
  /// First one broker after the other, each when the one before has everything again; then all.
  func losePageCaches() throws {
    var random = SplitMix(seed: options.seed ^ 0xd411_1900)
    for name in cluster.names(.broker).shuffled(using: &random) {
      try advance(Int64.random(in: 500...3_000, using: &random))
      tell("\(name) loses power")
      cluster.crash(name, losing: .unsynced)
      try advance(Int64.random(in: 100...8_000, using: &random))
      cluster.release(name)
      guard try advance(options.livenessMs, until: { isWhole }) else {
        report.violations.append("liveness: \(name) does not come back into the ISR")
        return
      }
    }
    let lostBefore = lossesOfRecords
    if lostBefore > 0 {
      report.violations.append(
        "\(lostBefore) acknowledged records were lost though only one broker lost power at a time")
    }
    try advance(Int64.random(in: 500...3_000, using: &random))
    tell("every broker loses power")
    for name in cluster.names(.broker) { cluster.crash(name, losing: .unsynced) }
    try advance(Int64.random(in: 100...5_000, using: &random))
    for name in cluster.names(.broker) { cluster.release(name) }
    haveAllLostPower = true
  }

  private var isWhole: Bool {
    cluster.notServing.isEmpty && topics.allSatisfy(\.sawFullISR) && cluster.recovering.isEmpty
  }

  /// Losses that the history proves so far, without a final read.
  private var lossesOfRecords: Int {
    topics.map { topic in
      let recorder = topic.loads.recorder
      let counts = recorder.judge(recorder.history(hasFinalRead: false)).findings.counts
      return (counts[.lostWrite] ?? 0) + (counts[.inconsistentOffsets] ?? 0)
    }.reduce(0, +)
  }

  private func tell(_ text: String) {
    let ms = machine.now.milliseconds(since: SimulatedPlan.startOfTime)
    report.faults.append("\(ms) ms: \(text)")
    machine.note("nemesis: \(text)")
  }
}
