// The store of a running server: appends with group commit, snapshots beside, cutting back.

import Bytes
import Containers
import Platform
import Telemetry
import Values
import ZooKeeperProtocol
import Znodes

/// Transactions and snapshots on disk, as seen from the coordinator's loop.
///
/// Appends of a turn leave together at its end. While the disk is busy with one batch, the next one
/// gathers: the busier the server, the more transactions share a flush.
public final class TxnStore: TurnHook, @unchecked Sendable {  // confined to `loop`
  public let directory: DataDirectory
  private let loop: EventLoop
  private let compression: SnapshotCompression
  private let slowFlushMs: Int64
  private let writer: TxnLogWriter
  /// One thread, so that batches and rolls keep their order.
  private let logThread: IOPool
  private let snapshotThread: IOPool

  /// `flushDelay`, in milliseconds
  private let flushDelayMs: Int64
  /// `maxWriteQueuePollTime`, in milliseconds
  private let maxIdleMs: Int64
  /// `maxBatchSize`; 0: a flush takes everything that waits for it.
  private let maxBatch: Int64

  /// Transactions that leave in one flush.
  private struct Batch {
    var bytes: [UInt8]
    var first: Int64
    var last: Int64
    var count: Int64
  }

  /// Batches that are full, oldest first, and the one that is not.
  private var full = RingQueue<Batch>()
  private var gathered = ByteWriter(reserving: 4096)
  private var gatheredFirst: Int64 = 0
  private var gatheredLast: Int64 = 0
  private var gatheredCount: Int64 = 0
  private var isHooked = false
  private var isWriting = false
  private var lastFlush = Instant.zero
  private var lastAppend = Instant.zero
  /// A flush waits for `flushDelay`.
  private var isDelayed = false
  private var rollsNext = false
  /// Batches of before the last cut do not count any more.
  private var generation = 0
  public private(set) var isSnapshotting = false
  /// Of transactions, in this process.
  private(set) var bytesSinceSnapshot: Int64 = 0

  /// Everything appended up to here is durable.
  public var onFlushed: ((Int64) -> Void)?
  /// The disk has failed: what is in memory must not be believed to last.
  public var onFailure: ((StorageError) -> Void)?
  /// A snapshot of the state after this transaction is durable.
  public var onSnapshot: ((Int64) -> Void)?
  /// A flush has succeeded: milliseconds that it took, and how many transactions it held.
  var onFlushMeasured: ((_ ms: Int64, _ txns: Int64) -> Void)?
  /// A snapshot has been written: milliseconds that it took.
  var onSnapshotMeasured: ((_ ms: Int64) -> Void)?

  init(
    _ directory: DataDirectory, on loop: EventLoop, preallocation: Int64 = 64 << 20,
    syncs: Bool = true, tuning: StorageTuning = StorageTuning()
  ) throws(SystemError) {
    self.directory = directory
    self.loop = loop
    self.compression = tuning.snapshotCompression
    slowFlushMs = tuning.slowFlushMs
    flushDelayMs = tuning.flushDelayMs
    maxIdleMs = tuning.maxIdleMs ?? tuning.flushDelayMs / 3
    maxBatch = tuning.maxBatchSize
    writer = TxnLogWriter(
      directory, preallocation: preallocation, syncs: syncs, maxFileBytes: tuning.maxLogBytes)
    logThread = try IOPool(threads: 1, name: "log")
    snapshotThread = try IOPool(threads: 1, name: "snapshot")
  }

  /// Finishes what is under way and ends the threads.
  public func stop() {
    logThread.stop()
    snapshotThread.stop()
  }

  /// Runs file work that nothing waits for, between snapshots.
  func inBackground(_ work: @escaping @Sendable () -> Void) { snapshotThread.submit(work) }

  // MARK: Appending

  /// Logs a transaction; `onFlushed` tells when it is durable.
  public func append(_ zxid: Int64, _ txn: [UInt8]) {
    if gathered.count == 0 { gatheredFirst = zxid }
    gatheredLast = zxid
    gatheredCount += 1
    if flushDelayMs > 0 { lastAppend = Clock.now() }
    bytesSinceSnapshot += Int64(txn.count)
    TxnLogFormat.write(txn.span.bytes, to: &gathered)
    if maxBatch > 0, gatheredCount >= maxBatch { full.append(takeGathered()) }
    hook()
  }

  private func takeGathered() -> Batch {
    defer {
      gathered.removeAll()
      gatheredCount = 0
    }
    return Batch(
      bytes: gathered.array(), first: gatheredFirst, last: gatheredLast, count: gatheredCount)
  }

  private var hasWaiting: Bool { !full.isEmpty || gathered.count > 0 }

  private func hook() {
    guard !isHooked, !isWriting else { return }
    isHooked = true
    loop.atEndOfTurn(self)
  }

  public func endOfTurn() {
    isHooked = false
    guard !isWriting, hasWaiting, !waitsForMore() else { return }
    isWriting = true
    let batch = full.popFirst() ?? takeGathered()
    let (rolls, generation) = (rollsNext, generation)
    rollsNext = false
    logThread.submit { [self, writer, loop] in
      let start = Clock.now()
      var failure: StorageError?
      if rolls { writer.roll() }
      do throws(StorageError) {
        try writer.append(batch.bytes, first: batch.first)
      } catch { failure = error }
      let elapsed = Clock.now().milliseconds(since: start)
      loop.execute { [failure] in
        if elapsed >= self.slowFlushMs { self.warnOfSlowFlush(elapsed) }
        if failure == nil { self.onFlushMeasured?(elapsed, batch.count) }
        self.written(batch.last, failure, generation: generation)
      }
    }
  }

  /// With `flushDelay`, a batch that is not full is not flushed sooner than so long after the one
  /// before: more transactions share a flush, and each waits longer. It waits for others only while
  /// they come.
  private func waitsForMore() -> Bool {
    guard flushDelayMs > 0, full.isEmpty else { return false }
    let now = Clock.now()
    let left = min(
      flushDelayMs - now.milliseconds(since: lastFlush),
      maxIdleMs - now.milliseconds(since: lastAppend))
    guard left > 0 else { return false }
    if !isDelayed {
      isDelayed = true
      loop.schedule(afterMs: left) { [weak self] in
        self?.isDelayed = false
        self?.hook()
      }
    }
    return true
  }

  private func warnOfSlowFlush(_ elapsedMs: Int64) {
    CoordinatorLog.storage.warn(
      "fsync-ing the write ahead log took long; this holds up every write", ["ms": elapsedMs])
  }

  private func written(_ last: Int64, _ failure: StorageError?, generation: Int) {
    isWriting = false
    lastFlush = Clock.now()
    if let failure {
      onFailure?(failure)
      return
    }
    if generation == self.generation { onFlushed?(last) }
    if hasWaiting { hook() }
  }

  // MARK: Snapshots

  /// Writes a snapshot in the background, and begins a new log with the next batch. Does nothing
  /// while another one is being written.
  public func snapshot(_ database: Database) {
    guard !isSnapshotting else { return }
    isSnapshotting = true
    rollsNext = true
    bytesSinceSnapshot = 0
    let path = directory.snapshot(database.lastZxid, compression)
    let start = Clock.now()
    snapshotThread.submit { [self, loop] in
      var failure: StorageError?
      do throws(StorageError) { try SnapshotFile.write(database, to: path) } catch {
        failure = error
      }
      loop.execute { [failure] in
        self.isSnapshotting = false
        if let failure {
          // The log still has everything; the next snapshot may have more luck.
          CoordinatorLog.storage.error("snapshot failed", ["reason": failure])
        } else {
          let elapsed = Clock.now().milliseconds(since: start)
          CoordinatorLog.storage.info("snapshot written", ["file": path, "ms": elapsed])
          self.onSnapshotMeasured?(elapsed)
          self.onSnapshot?(database.lastZxid)
        }
      }
    }
  }

  /// Replaces everything by a database that came from a leader: durable on return. Blocks.
  public func install(_ database: Database) throws(StorageError) {
    settle()
    writer.roll()
    // What this log has beyond the leader's state was never agreed on.
    try LogTruncation(directory: directory).cut(after: database.lastZxid)
    try SnapshotFile.write(database, to: directory.snapshot(database.lastZxid, compression))
    // What was logged before need not lead up to the snapshot, and would be taken for its past by
    // a learner that asks for it.
    try LogTruncation(directory: directory).removeAll()
  }

  /// Cuts the log behind a transaction; on return, what is left is durable. Blocks. `onFlushed`
  /// will not speak of what was appended before.
  public func truncate(to zxid: Int64) throws(StorageError) {
    // What waits to be written may belong to what is kept.
    var batches: [Batch] = []
    while let batch = full.popFirst() { batches.append(batch) }
    if gathered.count > 0 { batches.append(takeGathered()) }
    settle()
    for batch in batches { try writer.append(batch.bytes, first: batch.first) }
    writer.roll()
    try LogTruncation(directory: directory).cut(after: zxid)
  }

  /// Forgets what has gathered and waits for what is being written.
  private func settle() {
    generation += 1
    full.removeAll()
    gathered.removeAll()
    gatheredCount = 0
    let done = Semaphore()
    logThread.submit { done.signal() }
    done.wait()
  }

  /// Logged transactions from the last one at or below `from`, through `through`; nil if the log
  /// does not reach back so far, or holds more than `limit` bytes of them. Runs on an I/O thread.
  public func read(
    from: Int64, through: Int64, limit: Int,
    _ completion: @escaping @Sendable ([LoggedTxn]?) -> Void
  ) {
    let directory = directory
    logThread.submit(
      { LogRange(directory: directory).read(from: from, through: through, limit: limit) },
      then: loop, completion)
  }
}
