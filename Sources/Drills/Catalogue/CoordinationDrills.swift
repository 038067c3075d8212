// The coordination ensemble, in ZooKeeper mode.
import FaultProxy
import Values
import ZooKeeperClient

extension DrillCatalogue {
  static let coordination: [Drill] = [
    expireSession, killEnsembleLeader, loseEnsemble, killDuringSync, ensembleNemesis,
  ].map { drill in drill.with { $0.modes = ["zookeeper"] } }

  private static let expireSession = Drill(
    7, "expire-session", "Expire a broker's session from outside",
    breaks: "Somebody closes the ZooKeeper session of the broker that leads partition 0.",
    mustHold: "The broker stays up, registers again with a new epoch, and everything is in sync."
  ) { run in
    let leader = try await run.leader()
    guard let coordination = run.cluster.coordination else {
      throw DrillProblem("no coordination address is known")
    }
    let before = try await SessionExpiry.registration(of: leader.number, at: coordination)
    try await SessionExpiry.end(before.session, at: coordination)
    run.fault("the session of \(leader.name) is closed", leadershipOf: [leader]) {}
    let isBack = await run.wait(upToMs: 30_000) {
      let now = try await SessionExpiry.registration(of: leader.number, at: coordination)
      return now.epoch > before.epoch && now.session != before.session
    }
    run.check("\(leader.name) registered again with a higher epoch", isBack)
    run.check("\(leader.name) stayed up", run.cluster.isRunning(leader))
    run.heal("nothing: the broker registers by itself") {}
  }

  private static let killEnsembleLeader = Drill(
    8, "kill-ensemble-leader", "Kill the ensemble's leader",
    breaks: "The coordination server that leads is killed, and started again.",
    mustHold: "Sessions survive; the data path never stops; znodes stay linearizable."
  ) { run in
    let leader = try run.ensembleLeader()
    try run.fault("SIGKILL \(leader.name)") { try run.cluster.kill(leader) }
    let isReplaced = await run.wait(upToMs: 30_000) { try run.ensembleLeader() != leader }
    run.check("another server leads", isReplaced)
    await run.pause(forMs: run.options.faultMs)
    try run.heal("start \(leader.name)") { try run.cluster.start(leader) }
  }.with {
    $0.isShort = true
    $0.load.znodeSessions = 5
  }

  private static let loseEnsemble = Drill(
    9, "lose-ensemble", "Lose the ensemble's quorum",
    breaks: "All coordination servers but one are killed, and started again.",
    mustHold: "Produce and consume go on; administration fails cleanly; everything recovers."
  ) { run in
    let servers = run.cluster.members(.coordinator).dropFirst()
    try run.fault("SIGKILL \(servers.map(\.name).joined(separator: ", "))") {
      for server in servers { try run.cluster.kill(server) }
    }
    let before = run.recorder.records.acknowledged
    await run.pause(forMs: run.options.faultMs)
    run.check(
      "writes went on without the ensemble", run.recorder.records.acknowledged > before,
      "\(run.recorder.records.acknowledged - before) acknowledged")
    try run.heal("start \(servers.map(\.name).joined(separator: ", "))") {
      for server in servers { try run.cluster.start(server) }
    }
    let serves = await run.wait(upToMs: 30_000) {
      _ = try run.ensembleLeader()
      return true
    }
    run.check("the ensemble serves again", serves)
  }.with {
    $0.load.znodeSessions = 3
    $0.load.administrators = 1
  }

  private static let killDuringSync = Drill(
    10, "kill-during-sync", "Kill a follower while it synchronises",
    breaks: "A coordination server is killed, misses writes, and is killed again each time it has "
      + "begun to catch up.",
    mustHold: "All servers end with the same tree."
  ) { run in
    let leader = try run.ensembleLeader()
    guard let follower = run.cluster.members(.coordinator).first(where: { $0 != leader }) else {
      throw DrillProblem("an ensemble of one has no followers")
    }
    for waitMs in [1_500, 20, 60, 150, 400] as [Int64] {
      try run.fault("SIGKILL \(follower.name)") { try run.cluster.kill(follower) }
      await run.pause(forMs: 800)
      try run.heal("start \(follower.name)") { try run.cluster.start(follower) }
      await run.pause(forMs: waitMs)
    }
  }.with { $0.load.znodeSessions = 4 }
}
