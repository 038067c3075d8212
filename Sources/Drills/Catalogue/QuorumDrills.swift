// The controller quorum, in KRaft mode.
import Values

extension DrillCatalogue {
  static let quorum: [Drill] = [killQuorumLeader, loseMajority].map { drill in
    drill.with { $0.modes = ["kraft"] }
  }

  private static let killQuorumLeader = Drill(
    11, "kill-quorum-leader", "Kill the quorum's leader",
    breaks: "The controller that leads the metadata quorum is killed while topics come and go.",
    mustHold: "The committed metadata stay as they were; administration goes on."
  ) { run in
    let leader = try await run.controller()
    let before = try await run.admin.listTopics()
    try run.fault("SIGKILL \(leader.name)") { try run.cluster.kill(leader) }
    let isReplaced = await run.wait(upToMs: 30_000) { try await run.controller() != leader }
    run.check("another controller leads", isReplaced)
    await run.pause(forMs: run.options.faultMs)
    let after = Set(try await run.admin.listTopics().map(\.name))
    let kept = before.map(\.name).filter { !$0.contains("-admin-") }
    let gone = kept.filter { !after.contains($0) }
    run.check("every committed topic is there", gone.isEmpty, gone.joined(separator: ", "))
    try run.heal("start \(leader.name)") { try run.cluster.start(leader) }
  }.with {
    $0.isShort = true
    $0.load.administrators = 1
  }

  private static let loseMajority = Drill(
    12, "lose-majority", "Lose the quorum's majority, restore one",
    breaks: "All controllers but one are killed; then one comes back.",
    mustHold: "No change of metadata is acknowledged meanwhile; the data path goes on; one more "
      + "controller is enough."
  ) { run in
    let controllers = run.cluster.members(.controller)
    guard controllers.count >= 3 else {
      throw DrillProblem("three controllers or more are needed to lose a majority")
    }
    let killed = Array(controllers.dropFirst())
    try run.fault("SIGKILL \(killed.map(\.name).joined(separator: ", "))") {
      for controller in killed { try run.cluster.kill(controller) }
    }
    // Requests that were answered before the fault may still be counted now.
    await run.pause(forMs: 1_500)
    let done = run.recorder.administration.acknowledged
    let written = run.recorder.records.acknowledged
    await run.pause(forMs: run.options.faultMs)
    let doneSince = run.recorder.administration.acknowledged - done
    run.check(
      "no change of metadata was acknowledged", doneSince == 0, "\(doneSince) acknowledged")
    run.check(
      "writes went on without the quorum", run.recorder.records.acknowledged > written,
      "\(run.recorder.records.acknowledged - written) acknowledged")
    try run.heal("start \(killed[0].name)") { try run.cluster.start(killed[0]) }
    let isBack = await run.wait(upToMs: 30_000) {
      run.recorder.administration.acknowledged > done
    }
    run.check("two of three controllers are enough", isBack)
  }.with { $0.load.administrators = 1 }
}
