// Brokers that die, stop, freeze.
import Values

extension DrillCatalogue {
  static let brokers: [Drill] = [
    killLeader, stopLeader, rollingBounce, freezeBroker, killAllBrokers, leaderFlaps,
  ]

  private static let killLeader = Drill(
    1, "kill-leader", "SIGKILL a partition leader under acks=all",
    breaks: "The broker that leads partition 0 is killed without warning.",
    mustHold: "No acknowledged record is lost; a new leader within the bound."
  ) { run in
    let leader = try await run.leader()
    try run.fault("SIGKILL \(leader.name)", leadershipOf: [leader]) { try run.cluster.kill(leader) }
    await run.pause(forMs: run.options.faultMs)
    try run.heal("start \(leader.name)") { try run.cluster.start(leader) }
  }.with { $0.isShort = true }

  private static let stopLeader = Drill(
    2, "stop-leader", "SIGTERM a leader",
    breaks: "The broker that leads partition 0 is asked to stop, and starts again.",
    mustHold: "Controlled shutdown: clients see retriable errors at most, and no gap worth noting."
  ) { run in
    let leader = try await run.leader()
    try run.fault("SIGTERM \(leader.name)", leadershipOf: [leader]) { try run.cluster.stop(leader) }
    await run.pause(forMs: run.options.faultMs)
    try run.heal("start \(leader.name)") { try run.cluster.start(leader) }
    run.check(
      "no record's fate became unknown", run.recorder.records.unknown == 0,
      "\(run.recorder.records.unknown) unknown")
  }

  private static let rollingBounce = Drill(
    3, "rolling-bounce", "Rolling bounce of all brokers, clean and then hard",
    breaks:
      "Five times over all brokers: each is stopped (later killed) and started again, one at a "
      + "time.",
    mustHold: "Everything acknowledged is consumed; order holds for each key."
  ) { run in
    for round in 1...5 {
      for broker in run.cluster.members(.broker) {
        let isHard = round > 3
        try run.fault("\(isHard ? "SIGKILL" : "SIGTERM") \(broker.name), round \(round)") {
          if isHard { try run.cluster.kill(broker) } else { try run.cluster.stop(broker) }
        }
        try run.cluster.start(broker)
        let isFull = await run.waitForFullISR()
        run.check("full ISR after \(broker.name), round \(round)", isFull)
      }
    }
  }

  private static let freezeBroker = Drill(
    6, "freeze-broker", "SIGSTOP a broker past its session, then SIGCONT",
    breaks: "The broker that leads partition 0 stands still until its session is over.",
    mustHold: "It registers again, with a higher broker epoch, and follows."
  ) { run in
    let leader = try await run.leader()
    let before = try await brokerEpoch(run, of: leader)
    let (fencedBefore, unfencedBefore) = fencings(run, of: leader)
    try run.fault("SIGSTOP \(leader.name)", leadershipOf: [leader]) {
      try run.cluster.pause(leader)
    }
    let isReplaced = await run.wait(upToMs: 40_000) {
      run.monitor.latest?.partitions.allSatisfy { $0.leader != leader.number && $0.leader >= 0 }
        ?? false
    }
    run.check("others lead while it stands still", isReplaced)
    await run.pause(forMs: 1_000)
    try run.heal("SIGCONT \(leader.name)") { try run.cluster.resume(leader) }
    if let before {
      var after: Int64?
      await run.wait(upToMs: 40_000) {
        after = try await brokerEpoch(run, of: leader)
        return after.map { $0 > before } ?? false
      }
      run.check(
        "the broker epoch is strictly higher", after.map { $0 > before } ?? false,
        "\(before), then \(after.map { "\($0)" } ?? "none")")
    } else if run.cluster.logText(of: leader) != nil {
      // KRaft's broker keeps its registration: it is fenced, and asks to be unfenced.
      var (fenced, unfenced) = (0, 0)
      await run.wait(upToMs: 40_000) {
        (fenced, unfenced) = fencings(run, of: leader)
        return fenced > fencedBefore && unfenced > unfencedBefore
      }
      run.check(
        "it was fenced, and unfenced again", fenced > fencedBefore && unfenced > unfencedBefore,
        "\(fenced - fencedBefore) times fenced, \(unfenced - unfencedBefore) unfenced")
    }
  }

  /// The epoch of a broker's registration in ZooKeeper; nil in KRaft mode.
  private static func brokerEpoch(_ run: DrillRun, of broker: DrillMember) async throws -> Int64? {
    guard run.cluster.mode == "zookeeper", let coordination = run.cluster.coordination else {
      return nil
    }
    return try await SessionExpiry.registration(of: broker.number, at: coordination).epoch
  }

  /// How often controllers have logged that they fenced and unfenced a broker.
  private static func fencings(
    _ run: DrillRun, of broker: DrillMember
  ) -> (fenced: Int, unfenced: Int) {
    var counts = (fenced: 0, unfenced: 0)
    for member in run.cluster.members {
      for line in run.cluster.logText(of: member)?.split(separator: "\n") ?? [] {
        if line.contains("Fencing broker \(broker.number) ") { counts.fenced += 1 }
        if line.contains("from broker \(broker.number) to unfence has been granted") {
          counts.unfenced += 1
        }
      }
    }
    return counts
  }

  private static let killAllBrokers = Drill(
    18, "kill-all-brokers", "SIGKILL all brokers at once",
    breaks: "All brokers are killed in the same moment, and started again.",
    mustHold: "Nothing acknowledged is lost: the page cache outlives the processes."
  ) { run in
    try run.fault("SIGKILL of all brokers", leadershipOf: []) {
      for broker in run.cluster.members(.broker) { try run.cluster.kill(broker) }
    }
    await run.pause(forMs: 1_000)
    try run.heal("start all brokers") {
      for broker in run.cluster.members(.broker) { try run.cluster.start(broker) }
    }
  }.with { $0.isShort = true }

  private static let leaderFlaps = Drill(
    22, "leader-flaps", "An idempotent producer through changes of leader",
    breaks: "The leader of partition 0 is killed and started again, several times in a row.",
    mustHold: "No duplicate, no gap, one value for each offset."
  ) { run in
    for round in 1...4 {
      let leader = try await run.leader()
      try run.fault("SIGKILL \(leader.name), round \(round)", leadershipOf: [leader]) {
        try run.cluster.kill(leader)
      }
      _ = await run.wait(upToMs: 30_000) {
        run.monitor.latest?.partitions.allSatisfy { $0.leader != leader.number && $0.leader >= 0 }
          ?? false
      }
      try run.heal("start \(leader.name)") { try run.cluster.start(leader) }
      let isFull = await run.waitForFullISR()
      run.check("full ISR after round \(round)", isFull)
    }
  }
}
