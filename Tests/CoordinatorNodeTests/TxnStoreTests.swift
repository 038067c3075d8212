import Bytes
import Foundation
import Platform
import Synchronization
import TestKit
import Testing
import Values
import ZooKeeperProtocol

@testable import CoordinatorNode
@testable import Znodes

/// A store on a loop of its own, and what it said.
final class RunningStore: Sendable {
  let directory: Directory
  let loop: EventLoop
  let store: TxnStore
  let flushed = Mutex<[Int64]>([])
  let failures = Mutex<[String]>([])

  init(_ directory: Directory, tuning: StorageTuning = StorageTuning()) throws {
    self.directory = directory
    loop = try EventLoop(name: "test")
    store = try TxnStore(directory.data, on: loop, preallocation: 1 << 16, tuning: tuning)
    loop.perform { [self] in
      store.onFlushed = { [unowned self] zxid in flushed.withLock { $0.append(zxid) } }
      store.onFailure = { [unowned self] error in failures.withLock { $0.append("\(error)") } }
    }
  }

  func append(_ zxids: ClosedRange<Int64>) {
    loop.perform { [self] in
      for zxid in zxids { store.append(zxid, Directory.txn(zxid).encoded()) }
    }
  }

  func wait(_ condition: () -> Bool) {
    for _ in 0..<2000 where !condition() { usleep(1000) }
    #expect(condition())
  }

  func stop() {
    store.stop()
    loop.stop()
    loop.join()
  }
}

extension Directory: @unchecked Sendable {}

@Suite struct TxnStoreTests {
  @Test func transactionsOfATurnShareAFlush() throws {
    let running = try RunningStore(try Directory())
    running.append(1...100)
    running.wait { running.flushed.withLock { $0.last == 100 } }
    #expect(running.flushed.withLock { $0.count } == 1)
    running.append(101...110)
    running.wait { running.flushed.withLock { $0.last == 110 } }
    running.stop()
    #expect(try running.directory.recover().database.lastZxid == 110)
  }

  /// `maxBatchSize`: a flush takes no more, and what waits leaves with the next ones.
  @Test func aFlushTakesOneBatch() throws {
    var tuning = StorageTuning()
    tuning.maxBatchSize = 4
    let running = try RunningStore(try Directory(), tuning: tuning)
    running.append(1...10)
    running.wait { running.flushed.withLock { $0.last == 10 } }
    #expect(running.flushed.withLock { $0 } == [4, 8, 10])
    running.stop()
    #expect(try running.directory.recover().database.lastZxid == 10)
  }

  /// `flushDelay`: a batch that is not full waits, one that is does not.
  @Test func aFlushMayWaitForMore() throws {
    var tuning = StorageTuning()
    tuning.maxBatchSize = 4
    tuning.flushDelayMs = 60_000
    let running = try RunningStore(try Directory(), tuning: tuning)
    running.append(1...1)
    running.wait { running.flushed.withLock { $0 == [1] } }
    running.append(2...2)
    running.append(3...4)
    usleep(50_000)
    #expect(running.flushed.withLock { $0 } == [1])
    running.append(5...5)
    running.wait { running.flushed.withLock { $0 == [1, 5] } }
    // What waits when the log is cut is on disk afterwards.
    running.append(6...7)
    let isCut = running.loop.perform { (try? running.store.truncate(to: 6)) != nil }
    #expect(isCut)
    running.stop()
    #expect(try running.directory.recover().database.lastZxid == 6)
  }

  @Test func aDelayedFlushComes() throws {
    var tuning = StorageTuning()
    tuning.flushDelayMs = 100
    tuning.maxIdleMs = 100
    let running = try RunningStore(try Directory(), tuning: tuning)
    running.append(1...1)
    running.wait { running.flushed.withLock { $0 == [1] } }
    let begin = Clock.now()
    running.append(2...3)
    running.wait { running.flushed.withLock { $0 == [1, 3] } }
    #expect(Clock.now().milliseconds(since: begin) >= 80)
    running.stop()
  }

  /// `maxWriteQueuePollTime`: nobody waits out a `flushDelay` for transactions that do not come.
  @Test func aFlushWaitsOnlyWhileOthersCome() throws {
    var tuning = StorageTuning()
    tuning.flushDelayMs = 60_000
    tuning.maxIdleMs = 50
    let running = try RunningStore(try Directory(), tuning: tuning)
    running.append(1...1)
    running.wait { running.flushed.withLock { $0 == [1] } }
    let begin = Clock.now()
    running.append(2...2)
    running.wait { running.flushed.withLock { $0 == [1, 2] } }
    #expect((40..<5000).contains(Clock.now().milliseconds(since: begin)))
    running.stop()
  }

  @Test func aSnapshotBeginsANewLog() throws {
    let running = try RunningStore(try Directory())
    running.append(1...10)
    running.wait { running.flushed.withLock { $0.last == 10 } }
    let database = try running.directory.recover().database
    running.loop.perform { running.store.snapshot(database) }
    running.append(11...12)
    running.wait { running.flushed.withLock { $0.last == 12 } }
    running.stop()
    #expect(try running.directory.data.listLogs().map(\.zxid) == [1, 11])
    #expect(try running.directory.recover().snapshotZxid == 10)
  }

  /// A flush that fails, a full disk, and one that is full before the file is begun.
  @Test(arguments: [
    (FileFaults.Call.sync, EIO, "sync"), (.write, ENOSPC, "write"), (.truncate, ENOSPC, "truncate"),
    (.open, ENOSPC, "open"),
  ])
  func aFailingDiskIsToldAndNothingIsAcknowledged(
    _ call: FileFaults.Call, _ code: Int32, _ name: String
  ) throws {
    let running = try RunningStore(try Directory())
    let fault = FileFaults.inject(call, under: running.directory.folder.path, code: code)
    defer { FileFaults.remove(fault) }
    running.append(1...3)
    running.wait { running.failures.withLock { !$0.isEmpty } }
    #expect(running.flushed.withLock { $0.isEmpty })
    #expect(running.failures.withLock { $0[0].contains(name) })
    running.stop()
  }

  @Test func whatIsCutIsNotAcknowledged() throws {
    let running = try RunningStore(try Directory())
    running.append(1...10)
    running.wait { running.flushed.withLock { $0.last == 10 } }
    let isCut = running.loop.perform {
      for zxid in Int64(11)...20 { running.store.append(zxid, Directory.txn(zxid).encoded()) }
      return (try? running.store.truncate(to: 5)) != nil
    }
    #expect(isCut)
    running.append(6...7)
    running.wait { running.flushed.withLock { $0.last == 7 } }
    running.stop()
    #expect(running.flushed.withLock { $0 } == [10, 7])
    #expect(try running.directory.recover().database.lastZxid == 7)
  }

  @Test func aLeadersStateReplacesWhatWasNeverAgreedOn() throws {
    let running = try RunningStore(try Directory())
    running.append(1...10)
    running.wait { running.flushed.withLock { $0.last == 10 } }
    let other = try Directory()
    try other.write(1...6)
    let database = try other.recover().database
    let isInstalled = running.loop.perform { (try? running.store.install(database)) != nil }
    #expect(isInstalled)
    running.append(7...8)
    running.wait { running.flushed.withLock { $0.last == 8 } }
    running.stop()
    let recovered = try running.directory.recover()
    #expect(recovered.snapshotZxid == 6)
    #expect(recovered.database.lastZxid == 8)
  }

  /// Wherever power is lost while the last transaction is written: everything before it is there,
  /// and the server goes on from it.
  @Test func anyCrashPointIsRecoveredFrom() throws {
    let directory = try Directory()
    try directory.write(1...4)
    let path = directory.data.log(1)
    let whole = [UInt8](try Data(contentsOf: URL(filePath: path)))
    let offsets = try directory.offsets(path)
    for end in offsets[3]..<offsets[4] {
      for isPadded in [false, true] {
        var torn = Array(whole[..<end])
        if isPadded { torn += [UInt8](repeating: 0, count: 4096) }
        try Data(torn).write(to: URL(filePath: path))
        #expect(try directory.recover().database.lastZxid == 3, "cut at \(end), padded \(isPadded)")
        #expect(try directory.recover().database.lastZxid == 3)
      }
    }
  }
}
