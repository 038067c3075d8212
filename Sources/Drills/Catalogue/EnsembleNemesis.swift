// Faults of the coordination ensemble alone, drawn from a seed, for the linearizability checker.
import FaultProxy
import Values

extension DrillCatalogue {
  static let ensembleNemesis = Drill(
    34, "ensemble-nemesis", "Kills, pauses and cut links in the ensemble, drawn from a seed",
    breaks: "One coordination server at a time, the leader and a follower by turns, is killed, "
      + "stands still, or hears nothing of the others or they nothing of it, while clients still "
      + "reach it.",
    mustHold: "Znodes stay linearizable: compare-and-set, and reads that follow a sync."
  ) { run in
    guard run.cluster.members(.coordinator).count > 2 else {
      throw DrillProblem("an ensemble of fewer than three servers survives no fault")
    }
    var nemesis = EnsembleNemesis(seed: run.options.seed)
    for round in 1...EnsembleNemesis.rounds {
      try await nemesis.strike(run, round: round)
    }
    let answered = run.recorder.calls.acknowledged
    run.check("there is a history to judge", answered > 500, "\(answered) operations answered")
  }.with {
    $0.needsLinks = true
    $0.load.producers = 1
    $0.load.groupMembers = 0
    $0.load.znodeSessions = 6
  }
}

/// Draws the rounds; the same seed draws the same ones.
struct EnsembleNemesis {
  /// Every fault once for the leader, and once for a follower.
  static let rounds = Fault.allCases.count * 2

  /// What happens to a server.
  enum Fault: CaseIterable {
    case kill, pause, cutOff, deaf, mute
  }

  private var random: SplitMix
  /// In the order of the rounds: the leader's and the followers' by turns.
  let deck: [Fault]

  init(seed: UInt64) {
    random = SplitMix(seed: seed)
    let (first, second) = (
      Fault.allCases.shuffled(using: &random), Fault.allCases.shuffled(using: &random)
    )
    deck = zip(first, second).flatMap { [$0, $1] }
  }

  /// One fault, for longer than an ensemble of the local cluster needs to miss a server (2 s), and
  /// time for the server to come back.
  mutating func strike(_ run: DrillRun, round: Int) async throws {
    var leader: DrillMember?
    await run.wait(upToMs: 15_000) {
      leader = try run.ensembleLeader()
      return true
    }
    guard let leader else {
      run.check("the ensemble has a leader before round \(round)", false)
      return
    }
    let others = run.cluster.members(.coordinator).filter { $0 != leader }
    let victim =
      round % 2 == 1 ? leader : others[Int.random(in: 0..<others.count, using: &random)]
    try hit(victim, by: deck[round - 1], run)
    await run.pause(forMs: Int64.random(in: 1_500...3_000, using: &random))
    try run.heal("\(victim.name) again") {
      run.cluster.links?.heal()
      try run.cluster.resume(victim)
      if !run.cluster.isRunning(victim) { try run.cluster.start(victim) }
    }
    await run.pause(forMs: Int64.random(in: 400...800, using: &random))
  }

  private func hit(_ victim: DrillMember, by fault: Fault, _ run: DrillRun) throws {
    let others = run.cluster.members(.coordinator).filter { $0 != victim }.map(\.name)
    switch fault {
    case .kill:
      try run.fault("SIGKILL \(victim.name)") { try run.cluster.kill(victim) }
    case .pause:
      try run.fault("SIGSTOP \(victim.name)") { try run.cluster.pause(victim) }
    case .cutOff:
      try run.fault("cut \(victim.name) from the others") {
        try run.setLinks(LinkTable.between([victim.name], others), .cut)
      }
    case .deaf:
      try run.fault("nothing reaches \(victim.name) from the others") {
        try run.setLinks(LinkTable.oneWay(from: others, to: [victim.name]), .cut)
      }
    case .mute:
      try run.fault("nothing that \(victim.name) sends reaches the others") {
        try run.setLinks(LinkTable.oneWay(from: [victim.name], to: others), .cut)
      }
    }
  }
}
