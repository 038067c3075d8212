// Consumer groups whose members and coordinator die, and faults drawn from a seed.
import FaultProxy
import KafkaClient
import Values

extension DrillCatalogue {
  static let groups: [Drill] = [killGroupCoordinator, nemesis]

  private static let killGroupCoordinator = Drill(
    24, "kill-group-coordinator", "Kill group members and the group's coordinator",
    breaks: "The broker that coordinates the run's consumer group is killed, twice; members come "
      + "and go with it.",
    mustHold: "Committed offsets never go back; each partition is owned once in a generation."
  ) { run in
    for round in 1...2 {
      let group = "\(run.target.topic)-group"
      let described = try await run.admin.cluster.coordinator(of: group, .group)
      guard let coordinator = run.cluster.member(.broker, described) else {
        throw DrillProblem("node \(described) coordinates the group and is no member")
      }
      try run.fault("SIGKILL \(coordinator.name), round \(round)", leadershipOf: [coordinator]) {
        try run.cluster.kill(coordinator)
      }
      await run.pause(forMs: run.options.faultMs)
      try run.heal("start \(coordinator.name)") { try run.cluster.start(coordinator) }
      let isFull = await run.waitForFullISR()
      run.check("full ISR after round \(round)", isFull)
    }
  }.with { $0.load.groupMembers = 4 }

  private static let nemesis = Drill(
    30, "nemesis", "Several faults at once, drawn from a seed",
    breaks: "For half a minute members are killed, frozen and cut off at random, never more than a "
      + "minority of a role at a time.",
    mustHold: "Nothing acknowledged is lost, doubled or reordered; all recovers."
  ) { run in
    var nemesis = Nemesis(seed: run.options.seed)
    for _ in 0..<10 { try await nemesis.strike(run) }
  }.with { $0.load.znodeSessions = 3 }
}

/// Draws faults; the same seed draws the same ones.
struct Nemesis {
  private var random: SplitMix

  init(seed: UInt64) { random = SplitMix(seed: seed) }

  /// One fault on one or two members of different roles, held for a while, and healed.
  mutating func strike(_ run: DrillRun) async throws {
    var victims: [DrillMember] = []
    for role in MemberRole.allCases {
      let members = run.cluster.members(role)
      guard members.count > 2, Bool.random(using: &random) || victims.isEmpty else { continue }
      victims.append(members[Int.random(in: 0..<members.count, using: &random)])
    }
    for victim in victims { try hit(victim, run) }
    await run.pause(forMs: Int64.random(in: 500...3_000, using: &random))
    try run.heal("\(victims.map(\.name).joined(separator: ", ")) again") {
      run.cluster.links?.heal()
      for victim in victims {
        try run.cluster.resume(victim)
        if !run.cluster.isRunning(victim) { try run.cluster.start(victim) }
      }
    }
    await run.pause(forMs: Int64.random(in: 500...2_000, using: &random))
  }

  private mutating func hit(_ victim: DrillMember, _ run: DrillRun) throws {
    let others = run.cluster.members.filter { $0 != victim }.map(\.name)
    switch Int.random(in: 0..<(run.cluster.links == nil ? 2 : 5), using: &random) {
    case 0: try run.fault("SIGKILL \(victim.name)") { try run.cluster.kill(victim) }
    case 1: try run.fault("SIGSTOP \(victim.name)") { try run.cluster.pause(victim) }
    case 2:
      try run.fault("cut \(victim.name) off") {
        try run.setLinks(LinkTable.between([victim.name], others), .cut)
      }
    case 3:
      try run.fault("nothing that \(victim.name) sends arrives") {
        try run.setLinks(LinkTable.oneWay(from: [victim.name], to: others), .cut)
      }
    default:
      try run.fault("links of \(victim.name) stall and break") {
        try run.setLinks(
          LinkTable.between([victim.name], others),
          .lossy(stalls: 0.3, stallMs: 300, resets: 0.02))
      }
    }
  }
}
