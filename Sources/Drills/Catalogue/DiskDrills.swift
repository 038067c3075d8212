// Replicas that run out, logs that lose their tail, directories that fail.
import Foundation
import Glibc
import KafkaClient
import Values

extension DrillCatalogue {
  static let disks: [Drill] = [
    lastReplica, lastReplicaUnclean, erasedTail, divergence, unwritableDirectory,
  ]

  /// Kills brokers until only the leader of partition 0 is left, and then that one.
  /// - Returns: the last one, and all the others.
  private static func killDownToOne(
    _ run: DrillRun
  ) async throws -> (last: DrillMember, others: [DrillMember]) {
    let last = try await run.leader()
    let others = run.brokers(except: [last])
    for broker in others {
      try run.fault("SIGKILL \(broker.name)") { try run.cluster.kill(broker) }
      await run.wait(upToMs: 30_000) {
        run.monitor.latest?.partitions.allSatisfy { !$0.isr.contains(broker.number) } ?? false
      }
    }
    await run.pause(forMs: 1_500)
    try run.fault("SIGKILL \(last.name), the last one in sync") { try run.cluster.kill(last) }
    return (last, others)
  }

  private static let lastReplica = Drill(
    16, "last-replica", "ISR down to one, then kill the last replica",
    breaks:
      "The followers are killed one by one, then the last replica in sync; then the followers "
      + "come back, and the last one only later.",
    mustHold: "Clean election: unavailable until the last one returns, and nothing is lost."
  ) { run in
    let (last, others) = try await killDownToOne(run)
    try run.heal("start \(others.map(\.name).joined(separator: ", "))") {
      for broker in others { try run.cluster.start(broker) }
    }
    await run.pause(forMs: run.options.faultMs)
    let leaders = run.monitor.latest?.partitions.map(\.leader) ?? []
    run.check(
      "nobody leads without the last replica in sync",
      leaders.allSatisfy { $0 < 0 || $0 == last.number },
      "leaders \(leaders)")
    try run.heal("start \(last.name)") { try run.cluster.start(last) }
  }.with { $0.load.topicSettings = ["min.insync.replicas": "1"] }

  private static let lastReplicaUnclean = Drill(
    33, "last-replica-unclean", "The same, with unclean election",
    breaks: "As drill 16, with unclean.leader.election.enable=true and the last replica away for "
      + "good until the end.",
    mustHold: "Available again at once; what was lost is counted and reported."
  ) { run in
    let (last, others) = try await killDownToOne(run)
    try run.heal("start \(others.map(\.name).joined(separator: ", "))") {
      for broker in others { try run.cluster.start(broker) }
    }
    let isLed = await run.wait(upToMs: 60_000) {
      run.monitor.latest?.partitions.allSatisfy { $0.leader >= 0 && $0.leader != last.number }
        ?? false
    }
    run.check("others lead, uncleanly", isLed)
    await run.pause(forMs: 2_000)
    try run.heal("start \(last.name)") { try run.cluster.start(last) }
  }.with {
    $0.load.topicSettings = [
      "min.insync.replicas": "1", "unclean.leader.election.enable": "true",
    ]
    $0.tolerance = DrillTolerance(countsLosses: true)
  }

  private static let erasedTail = Drill(
    17, "erased-tail", "Last replica standing, its log tail erased",
    breaks:
      "The last replica in sync is killed and the end of its log is cut off, as a disk that lied "
      + "about flushing would leave it; then all come back.",
    mustHold:
      "Without eligible-leader replicas (KIP-966) the loss cannot be prevented: it is counted "
      + "and reported, and the replicas agree afterwards."
  ) { run in
    let (last, others) = try await killDownToOne(run)
    guard let folder = run.cluster.dataFolder(of: last) else {
      throw DrillProblem("the data of \(last.name) are out of reach")
    }
    for partition in run.target.all {
      try LogSurgery.cutTail(of: folder.appending(path: "\(partition)"), bytes: 4096)
    }
    try run.heal("start \(last.name)") { try run.cluster.start(last) }
    await run.pause(forMs: 3_000)
    try run.heal("start \(others.map(\.name).joined(separator: ", "))") {
      for broker in others { try run.cluster.start(broker) }
    }
  }.with {
    $0.needsFiles = true
    $0.load.topicSettings = ["min.insync.replicas": "1"]
    $0.tolerance = DrillTolerance(countsLosses: true)
  }

  private static let divergence = Drill(
    20, "divergence", "Divergent epochs, then rejoin",
    breaks: "Leaders are killed in turn while acks=1 writes flow, so that each comes back with "
      + "records that nobody else has.",
    mustHold: "Truncation by leader epoch: all logs are identical byte for byte afterwards."
  ) { run in
    for round in 1...3 {
      let leader = try await run.leader()
      try run.fault("SIGKILL \(leader.name), round \(round)", leadershipOf: [leader]) {
        try run.cluster.kill(leader)
      }
      await run.wait(upToMs: 30_000) {
        run.monitor.latest?.partitions.allSatisfy { $0.leader != leader.number && $0.leader >= 0 }
          ?? false
      }
      await run.pause(forMs: 500)
      try run.heal("start \(leader.name)") { try run.cluster.start(leader) }
      _ = await run.waitForFullISR()
    }
  }.with {
    $0.load.acks = "1"
    $0.tolerance = DrillTolerance(countsLosses: true)
  }

  private static let unwritableDirectory = Drill(
    21, "unwritable-directory", "A log directory that cannot be written",
    breaks: "The directory of a broker's replicas is replaced by one that takes no more bytes.",
    mustHold: "Only its replicas go offline; no crash loop; others take over."
  ) { run in
    let leader = try await run.leader()
    guard let folder = run.cluster.dataFolder(of: leader) else {
      throw DrillProblem("the data of \(leader.name) are out of reach")
    }
    let moved = folder.deletingLastPathComponent().appending(path: "data-away")
    try run.cluster.pause(leader)
    try FileManager.default.moveItem(at: folder, to: moved)
    // A file where the directory was: whatever is opened or made below it fails.
    try Data().write(to: folder)
    try run.cluster.resume(leader)
    run.fault("the log directory of \(leader.name) is gone", leadershipOf: [leader]) {}
    let isLeft = await run.wait(upToMs: 60_000) {
      run.monitor.latest?.partitions.allSatisfy { $0.leader != leader.number && $0.leader >= 0 }
        ?? false
    }
    run.check("others lead the partitions of \(leader.name)", isLeft)
    // With its only directory gone a broker ends; it must not come back by itself.
    try? run.cluster.kill(leader)
    try FileManager.default.removeItem(at: folder)
    try FileManager.default.moveItem(at: moved, to: folder)
    try run.heal("the directory is back, start \(leader.name)") { try run.cluster.start(leader) }
  }.with { $0.needsFiles = true }
}

/// Cuts logs as a crashed disk would leave them.
enum LogSurgery {
  /// Cuts so many bytes off the end of a partition's last segment.
  static func cutTail(of folder: URL, bytes: UInt64) throws {
    let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
      .filter { $0.hasSuffix(".log") }.sorted()
    guard let last = names.last else { return }
    let handle = try FileHandle(forWritingTo: folder.appending(path: last))
    defer { try? handle.close() }
    let end = try handle.seekToEnd()
    try handle.truncate(atOffset: end > bytes ? end - bytes : 0)
  }
}
