// What machines do to processes: clocks that jump, disks that fill, networks that part before a
// crash.
import FaultProxy
import Foundation
import KafkaClient
import Values

extension DrillCatalogue {
  static let machines: [Drill] = [killIsolatedLeader, fullDisk, clockJump]

  private static let killIsolatedLeader = Drill(
    37, "kill-isolated-leader", "Cut a leader off from its followers, then kill it",
    breaks: "The leader of partition 0 and the other brokers do not hear each other; before "
      + "anybody leaves the ISR the leader is killed, and stays away until others lead.",
    mustHold: "What the leader took in alone was not acknowledged: nothing acknowledged is lost."
  ) { run in
    let leader = try await run.leader()
    let others = run.brokers(except: [leader]).map(\.name)
    try run.fault("cut \(leader.name) from \(others.joined(separator: ", "))") {
      try run.setLinks(LinkTable.between([leader.name], others), .cut)
    }
    // Far below replica.lag.time.max.ms: the followers are in the ISR all the time.
    await run.pause(forMs: 2_500)
    try run.fault("SIGKILL \(leader.name)", leadershipOf: [leader]) { try run.cluster.kill(leader) }
    // The others cannot tell a process that is gone behind a cut link from one that is out of
    // reach: its session must end. Back before that it could go on as the leader, with all it had.
    let isReplaced = await run.wait(upToMs: 60_000) {
      run.monitor.latest?.partitions.allSatisfy { $0.leader != leader.number && $0.leader >= 0 }
        ?? false
    }
    run.check("others lead what \(leader.name) led", isReplaced)
    await run.pause(forMs: run.options.faultMs)
    try run.heal("links are whole, start \(leader.name)") {
      run.cluster.links?.heal()
      try run.cluster.start(leader)
    }
  }.with { $0.needsLinks = true }

  private static let fullDisk = Drill(
    35, "full-disk", "A disk that is full",
    breaks: "No file of a broker may grow any more (RLIMIT_FSIZE, which gives EFBIG where a full "
      + "disk gives ENOSPC).",
    mustHold: "Only its replicas go offline; others take over; nothing acknowledged is lost."
  ) { run in
    let leader = try await run.leader()
    try run.fault("the disk of \(leader.name) is full", leadershipOf: [leader]) {
      guard run.cluster.limitFileSize(of: leader, bytes: 0) else {
        throw DrillProblem("the files of \(leader.name) cannot be limited")
      }
    }
    let isLeft = await run.wait(upToMs: 60_000) {
      run.monitor.latest?.partitions.allSatisfy { $0.leader != leader.number && $0.leader >= 0 }
        ?? false
    }
    run.check("others lead the partitions of \(leader.name)", isLeft)
    let written = run.recorder.records.acknowledged
    await run.pause(forMs: run.options.faultMs)
    run.check(
      "writes go on", run.recorder.records.acknowledged > written,
      "\(run.recorder.records.acknowledged - written) acknowledged")
    // With its only directory gone a broker ends, if it has not yet.
    if run.cluster.isRunning(leader) { try run.cluster.kill(leader) }
    try run.heal("there is room again, start \(leader.name)") { try run.cluster.start(leader) }
  }.with { $0.needsFiles = true }

  private static let clockJump = Drill(
    36, "clock-jump", "Clocks that jump",
    breaks: "The time of day of the leader of partition 0 jumps an hour forward, that of all other "
      + "members an hour back, and later to where they were.",
    mustHold: "Sessions and leaderships do not care: nobody is suspected, no write is lost."
  ) { run in
    let leader = try await run.leader()
    guard run.cluster.setClock(of: leader, offsetMs: 0) else {
      throw DrillProblem("the clocks of this cluster cannot be moved")
    }
    let before = run.monitor.latest?.partitions.map(\.epoch)
    run.fault("clocks jump: \(leader.name) +1 h, all others -1 h") {
      for member in run.cluster.members {
        _ = run.cluster.setClock(of: member, offsetMs: member == leader ? hour : -hour)
      }
    }
    await run.pause(forMs: run.options.faultMs)
    let at = TopicPartition(run.target.topic, 0)
    var ahead: Int64 = 0
    // The newest record cannot be seen before it is replicated; under load it often is not yet.
    await run.wait(upToMs: 10_000) {
      let found = try await run.admin.cluster.listOffsets([at: .maxTimestamp])[at]
      ahead = (found?.timestamp ?? 0) - Int64(Date().timeIntervalSince1970 * 1000)
      return ahead > hour / 2
    }
    run.check("the leader stamps records with its new time", ahead > hour / 2, "\(ahead) ms ahead")
    await run.pause(forMs: run.options.faultMs)
    run.check("nobody was suspected", run.isFull(run.monitor.latest))
    run.check("leaders stayed", before == run.monitor.latest?.partitions.map(\.epoch))
    run.heal("clocks are right again") {
      for member in run.cluster.members { _ = run.cluster.setClock(of: member, offsetMs: 0) }
    }
  }.with {
    $0.needsFiles = true
    // So that the jump can be seen from outside.
    $0.load.topicSettings = ["message.timestamp.type": "LogAppendTime"]
  }

  private static let hour: Int64 = 3_600_000
}
