import Foundation
import Platform
import Replication
import Synchronization
import Testing
import Values

@testable import BrokerNode

@Suite struct ValidationTests {
  /// Records are validated before the partition is held: whoever else needs it is let in meanwhile.
  ///
  /// One thread appends a batch whose records must all be looked at; another takes the partition
  /// and the log again and again. The longest it was kept out is compared with the whole append,
  /// measured in the same run.
  @Test func aLongValidationDoesNotHoldThePartition() throws {
    // A limit on timestamps makes the broker read every record.
    let broker = try LoneBroker(settings: [
      "message.max.bytes": "104857600", "log.message.timestamp.after.max.ms": "3600000",
    ])
    defer { broker.stop() }
    broker.assign("t", 0..<1)
    let partition = try #require(broker.node.services.partitions["t", 0])
    let log = try #require(partition.log)
    var records = batch(300_000)

    let isOver = Atomic(false)
    let longest = Mutex<Int64>(0)
    let isWatching = DispatchSemaphore(value: 0)
    let watcher = Thread {
      var last = Clock.now().nanoseconds
      var most: Int64 = 0
      isWatching.signal()
      while !isOver.load(ordering: .acquiring) {
        _ = partition.isLeader
        _ = log.logEndOffset
        let now = Clock.now().nanoseconds
        most = max(most, now - last)
        last = now
      }
      longest.withLock { $0 = most }
      isWatching.signal()
    }
    watcher.start()
    isWatching.wait()
    let start = Clock.now()
    var effects: [PartitionReplica.Effect] = []
    let appended = try records.withUnsafeMutableBytes {
      try partition.append($0, acks: -1, now: start, wallNow: Clock.wallNow(), into: &effects)
    }
    let whole = Clock.now().nanoseconds - start.nanoseconds
    isOver.store(true, ordering: .releasing)
    isWatching.wait()
    #expect(appended.result.recordCount == 300_000)
    let keptOut = longest.withLock { $0 }
    #expect(keptOut * 2 < whole, "kept out for \(keptOut) ns of \(whole) ns")
  }
}
