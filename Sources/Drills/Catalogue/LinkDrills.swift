// Networks that part.
import FaultProxy
import Values

extension DrillCatalogue {
  static let links: [Drill] = [isolateFromFollowers, isolateFromController, oneWay, flapping, slow]
    .map { drill in drill.with { $0.needsLinks = true } }

  /// Everybody who decides about brokers: in ZooKeeper mode the coordinators and the controller.
  private static func deciders(_ run: DrillRun, except broker: DrillMember) async throws
    -> [String]
  {
    let keepers = run.cluster.members(.coordinator) + run.cluster.members(.controller)
    let controller = try await run.controller()
    return Set((keepers + [controller]).map(\.name)).subtracting([broker.name]).sorted()
  }

  private static let isolateFromFollowers = Drill(
    13, "isolate-from-followers", "Cut a leader off from its followers",
    breaks: "The leader of partition 0 and the other brokers do not hear each other; clients, and "
      + "whoever keeps the metadata, hear all of them.",
    mustHold: "The high watermark never passes the in-sync minimum; what the old leader took in "
      + "alone is truncated."
  ) { run in
    let leader = try await run.leader()
    let others = run.brokers(except: [leader]).map(\.name)
    try run.fault("cut \(leader.name) from \(others.joined(separator: ", "))") {
      try run.setLinks(LinkTable.between([leader.name], others), .cut)
    }
    await run.pause(forMs: run.options.faultMs * 2)
    run.heal("links are whole") { run.cluster.links?.heal() }
  }.with { $0.isShort = true }

  private static let isolateFromController = Drill(
    14, "isolate-from-controller", "Cut a leader off from the controller only",
    breaks: "The leader of partition 0 hears the other brokers, but neither the controller nor "
      + "whoever keeps the metadata.",
    mustHold: "A stale leader commits no change of ISR; nothing acknowledged is lost."
  ) { run in
    let controller = try await run.controller()
    var leader = try await run.leader()
    if leader == controller {
      guard
        let other = run.monitor.latest?.partitions.map(\.leader).first(where: {
          $0 != controller.number
        }), let member = run.cluster.member(.broker, other)
      else { throw DrillProblem("the controller leads every partition") }
      leader = member
    }
    let deciders = try await deciders(run, except: leader)
    try run.fault(
      "cut \(leader.name) from \(deciders.joined(separator: ", "))", leadershipOf: [leader]
    ) { try run.setLinks(LinkTable.between([leader.name], deciders), .cut) }
    await run.wait(upToMs: 40_000) {
      run.monitor.latest?.partitions.allSatisfy { $0.leader != leader.number && $0.leader >= 0 }
        ?? false
    }
    await run.pause(forMs: run.options.faultMs)
    run.heal("links are whole") { run.cluster.links?.heal() }
  }

  private static let oneWay = Drill(
    15, "one-way", "A one-way partition",
    breaks: "What the leader of partition 0 sends reaches nobody in the cluster; what others send "
      + "reaches it.",
    mustHold: "At most one leader for each epoch acknowledges writes."
  ) { run in
    let leader = try await run.leader()
    let others = run.cluster.members.filter { $0 != leader }.map(\.name)
    try run.fault("nothing that \(leader.name) sends arrives", leadershipOf: [leader]) {
      try run.setLinks(LinkTable.oneWay(from: [leader.name], to: others), .cut)
    }
    await run.pause(forMs: run.options.faultMs * 2)
    run.heal("links are whole") { run.cluster.links?.heal() }
  }

  private static let flapping = Drill(
    31, "flapping-links", "Links that come and go, stall and break",
    breaks:
      "The links of one broker are cut and healed every half second, and lose packets between.",
    mustHold: "Nothing acknowledged is lost, doubled or reordered; all is in sync afterwards."
  ) { run in
    let leader = try await run.leader()
    let others = run.cluster.members.filter { $0 != leader }.map(\.name)
    let links = LinkTable.between([leader.name], others)
    run.fault("links of \(leader.name) flap") {}
    for _ in 0..<6 {
      try run.setLinks(links, .cut)
      await run.pause(forMs: 500)
      try run.setLinks(links, .lossy(stalls: 0.2, stallMs: 200, resets: 0.01))
      await run.pause(forMs: 500)
    }
    run.heal("links are whole") { run.cluster.links?.heal() }
  }

  private static let slow = Drill(
    32, "slow-links", "Slow links between brokers",
    breaks: "Everything that brokers send to each other takes 50 to 100 ms longer.",
    mustHold: "Writes take longer and nothing else happens: nobody is suspected."
  ) { run in
    let brokers = run.cluster.members(.broker).map(\.name)
    let before = run.monitor.latest
    try run.fault("links between brokers are slow") {
      try run.setLinks(LinkTable.between(brokers, brokers), .slow(delayMs: 50, jitterMs: 50))
    }
    await run.pause(forMs: run.options.faultMs * 2)
    run.check("nobody was suspected", run.isFull(run.monitor.latest))
    run.check(
      "leaders stayed",
      before?.partitions.map(\.epoch) == run.monitor.latest?.partitions.map(\.epoch))
    run.heal("links are whole") { run.cluster.links?.heal() }
  }
}
