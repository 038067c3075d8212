import Bytes
import Foundation
import Glibc
import LogStorage
import Platform
import Records
import SimulatedMachine
import Synchronization
import Testing
import Values

/// Logs on a simulated disk. Each test is a process of its own, as a process simulates one machine.
@Suite struct FlushTests {
  /// Where a log has come to, for the driver.
  private final class Progress: Sendable {
    let acknowledged = Atomic<Int64>(0)
    let isDone = Atomic<Bool>(false)
  }

  private static func open(
    _ path: String, _ config: LogConfig
  ) throws -> PartitionLog {
    try PartitionLog.open(
      directory: path, partition: TopicPartition("t", 0), config: config, wasClean: false,
      now: Clock.wallNow()
    ).log
  }

  private static func append(
    _ value: Int, to log: PartitionLog, epoch: Int32 = 1
  ) throws -> Offset {
    var builder = BatchBuilder(BatchOptions(), reserving: 256)
    builder.append(
      timestamp: Clock.wallNow().milliseconds, key: nil, value: Array("value \(value)".utf8),
      headers: [])
    var output = ByteWriter()
    try builder.finish(into: &output)
    var bytes = output.array()
    return try bytes.withUnsafeMutableBytes {
      try log.append(leader: $0, leaderEpoch: LeaderEpoch(epoch), now: Clock.wallNow())
    }.logEndOffset
  }

  /// `flush.messages=1`: what was acknowledged is there after a power failure, whatever segment it
  /// went to.
  @Test func whatWasFlushedSurvivesInNewSegmentsToo() async {
    await #expect(processExitsWith: .success) {
      let top = FileSystem.exists("/dev/shm") ? "/dev/shm" : "/tmp"
      let folder = "\(top)/jackdaw-flush-\(getpid())"
      let machine = try SimulatedMachine(seed: 3, folder: folder)
      var config = LogConfig()
      config.flushMessages = 1
      config.segmentBytes = 300
      var survived = 0
      for round in 0..<40 {
        let path = "\(machine.folder)/node/t-\(round)"
        let progress = Progress()
        let process = try machine.start("node") { [config] in
          do {
            let log = try FlushTests.open(path, config)
            try FileSystem.syncDirectory("\(folder)/node")
            for value in 0..<(3 + round % 7) {
              progress.acknowledged.store(
                try FlushTests.append(value, to: log), ordering: .relaxed)
            }
            progress.isDone.store(true, ordering: .relaxed)
            Platform.Thread.sleep(ms: 1_000_000)
          } catch { print("round \(round): \(error)") }
        }
        #expect(
          machine.run(untilMs: 60_000) { progress.isDone.load(ordering: .relaxed) })
        machine.crash(process, losing: .unsynced)
        let again = Progress()
        try machine.start("node") { [config] in
          if let log = try? FlushTests.open(path, config) {
            again.acknowledged.store(log.logEndOffset, ordering: .relaxed)
          }
          again.isDone.store(true, ordering: .relaxed)
        }
        #expect(machine.run(untilMs: 60_000) { again.isDone.load(ordering: .relaxed) })
        let (before, after) = (
          progress.acknowledged.load(ordering: .relaxed),
          again.acknowledged.load(ordering: .relaxed)
        )
        #expect(after == before, "round \(round)")
        survived += Int(after)
      }
      #expect(survived > 200)
      // Not through the machine, which keeps what is removed.
      try? FileManager.default.removeItem(atPath: folder)
      exit(0)
    }
  }

  /// A follower cuts its log and goes on in a new epoch. A power failure may take the new records,
  /// but never bring the old ones back behind epochs that say that they are the leader's.
  @Test func whatWasCutOffStaysAway() async {
    await #expect(processExitsWith: .success) {
      let top = FileSystem.exists("/dev/shm") ? "/dev/shm" : "/tmp"
      let folder = "\(top)/jackdaw-cut-\(getpid())"
      let machine = try SimulatedMachine(seed: 4, folder: folder)
      for round in 0..<60 {
        let path = "\(machine.folder)/node/t-\(round)"
        let (before, after) = (Progress(), Progress())
        let process = try machine.start("node") {
          do {
            let log = try FlushTests.open(path, LogConfig())
            try FileSystem.syncDirectory("\(folder)/node")
            for value in 0..<4 { _ = try FlushTests.append(value, to: log) }
            try log.flush(now: Clock.wallNow())
            try log.truncate(to: 3, now: Clock.wallNow())
            _ = try FlushTests.append(4, to: log, epoch: 2)
            before.isDone.store(true, ordering: .relaxed)
            Platform.Thread.sleep(ms: 1_000_000)
          } catch { print("round \(round): \(error)") }
        }
        #expect(machine.run(untilMs: 60_000) { before.isDone.load(ordering: .relaxed) })
        machine.crash(process, losing: .unsynced)
        try machine.start("node") {
          if let log = try? FlushTests.open(path, LogConfig()),
            let bytes = FileManager.default.contents(atPath: path + "/00000000000000000000.log")
          {
            // The epoch that the last record's batch carries.
            var last: Int32 = -1
            bytes.withUnsafeBytes { raw in
              var batches = BatchIterator(raw)
              while let batch = try? batches.next() { last = batch.header.partitionLeaderEpoch }
            }
            let isOld = log.logEndOffset == 4 && last == 1
            after.acknowledged.store(isOld ? 1 : 0, ordering: .relaxed)
          }
          after.isDone.store(true, ordering: .relaxed)
        }
        #expect(machine.run(untilMs: 60_000) { after.isDone.load(ordering: .relaxed) })
        #expect(after.acknowledged.load(ordering: .relaxed) == 0, "round \(round)")
      }
      try? FileManager.default.removeItem(atPath: folder)
      exit(0)
    }
  }
}
