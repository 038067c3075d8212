/// Brings one listener what is committed: on the listener's loop, from its own place in the log.
///
/// It reads some batches at a time and lets the loop do other work in between. A listener whose
/// place the log has left behind is given the newest snapshot, then what follows it.
import KafkaTransport
import LogStorage
import Metadata
import Platform
import Raft
import Telemetry
import Values

final class MetadataFeed {
  /// Bytes that are read and given at a time.
  private static let chunkBytes = 1 << 20

  private let listener: any MetadataListener
  private let store: MetadataLogStore
  private weak var driver: RaftDriver?
  private let loop: EventLoop
  private let limits: MetadataLogOptions
  private let makesSnapshots: Bool
  private static let log = Log("metadata")

  // Confined to `loop`, as the listener is.
  private var nextOffset: Offset = 0
  private var committed: Offset = 0
  private var isReading = false
  private var isStopped = false
  /// Led, but not yet caught up to where it began.
  private var awaited: (epoch: LeaderEpoch, startOffset: Offset)?
  private var leads: LeaderEpoch?
  private var bytesSinceSnapshot: Int64 = 0
  private var lastSnapshotMs: Int64
  private var isMakingSnapshot = false

  init(
    _ listener: any MetadataListener, store: MetadataLogStore, driver: RaftDriver, loop: EventLoop,
    makesSnapshots: Bool
  ) {
    self.listener = listener
    self.store = store
    self.driver = driver
    self.loop = loop
    self.makesSnapshots = makesSnapshots
    limits = driver.options.log
    lastSnapshotMs = Clock.wallNow().milliseconds
  }

  // MARK: From the driver's loop

  func advance(to offset: Offset) {
    onLoop { feed in
      feed.committed = max(feed.committed, offset)
      feed.read()
    }
  }

  func tell(_ leader: QuorumLeader) { onLoop { $0.listener.leaderChanged(leader) } }

  func tell(_ voters: VoterSet, kraftVersion: Int16) {
    onLoop { $0.listener.votersChanged(voters, kraftVersion: kraftVersion) }
  }

  func lead(_ epoch: LeaderEpoch, from startOffset: Offset) {
    onLoop { feed in
      feed.awaited = (epoch, startOffset)
      feed.announceLeadership()
    }
  }

  func resign(_ epoch: LeaderEpoch) {
    onLoop { feed in
      feed.awaited = nil
      guard feed.leads == epoch else { return }
      feed.leads = nil
      feed.listener.resigned(epoch: epoch.rawValue)
    }
  }

  func stop() { onLoop { $0.isStopped = true } }

  private func onLoop(_ body: @escaping @Sendable (MetadataFeed) -> Void) {
    let box = Unchecked(self)
    loop.execute { if !box.value.isStopped { body(box.value) } }
  }

  // MARK: Reading

  private func read() {
    guard !isReading, !isStopped, nextOffset < committed else { return }
    isReading = true
    defer { isReading = false }
    do {
      if let snapshot = wantedSnapshot {
        do { return try load(snapshot) } catch {
          // A newer one may have taken its place meanwhile.
          guard store.snapshots.last?.id != snapshot else { throw error }
          return onLoop { $0.read() }
        }
      }
      let bytes = try store.read(from: nextOffset, to: committed, maxBytes: Self.chunkBytes)
      let batches = try bytes.withUnsafeBytes { try MetadataBatch.read($0) }
      deliver(batches.filter { $0.lastOffset >= nextOffset })
    } catch LogError.offsetOutOfRange {
      // The log was replaced or cut at its start meanwhile; there is a snapshot then.
    } catch LogError.closed {
      isStopped = true
      return
    } catch {
      return fail("\(error)")
    }
    // The rest in another turn, so that the loop's timers and messages have theirs.
    if nextOffset < committed { onLoop { $0.read() } }
  }

  private var wantedSnapshot: SnapshotID? {
    guard let newest = store.snapshots.last?.id, newest.offset > nextOffset,
      newest.offset <= committed, nextOffset == 0 || nextOffset < store.startOffset
    else { return nil }
    return newest
  }

  private func deliver(_ batches: [MetadataBatch]) {
    guard let last = batches.last else { return }
    nextOffset = last.lastOffset + 1
    bytesSinceSnapshot += batches.reduce(0) { $0 + Int64($1.sizeInBytes) }
    listener.committed(
      batches.map {
        CommittedBatch(
          baseOffset: $0.baseOffset, lastOffset: $0.lastOffset, epoch: $0.epoch,
          timestamp: $0.timestamp, records: $0.records, sizeInBytes: $0.sizeInBytes)
      })
    announceLeadership()
    if nextOffset >= committed { makeSnapshotIfDue() }
  }

  private func load(_ id: SnapshotID) throws {
    var image = MetadataImage()
    var timestamp: Int64 = -1
    var size = 0
    try SnapshotFile.forEachBatchOfWhole(store.path(of: id)) { batch in
      size += batch.sizeInBytes
      if case .snapshotHeader(let header)? = batch.controls.first {
        timestamp = header.lastContainedLogTimestamp
      }
      for record in batch.records { image.apply(record) }
    }
    Self.log.info("snapshot \(id.stem) loaded", ["bytes": size])
    nextOffset = id.offset
    bytesSinceSnapshot = 0
    lastSnapshotMs = Clock.wallNow().milliseconds
    listener.loaded(
      LoadedSnapshot(
        lastOffset: id.offset - 1, epoch: id.epoch.rawValue, timestamp: timestamp, image: image,
        sizeInBytes: size))
    announceLeadership()
    if nextOffset < committed { onLoop { $0.read() } }
  }

  private func announceLeadership() {
    guard let (epoch, startOffset) = awaited, nextOffset >= startOffset else { return }
    awaited = nil
    leads = epoch
    listener.becameLeader(epoch: epoch.rawValue, nextOffset: store.endOffset)
  }

  private func fail(_ why: String) {
    isStopped = true
    Self.log.error("committed metadata cannot be read: \(why)")
    driver?.options.onFailure(why)
  }

  // MARK: Snapshots

  private func makeSnapshotIfDue() {
    let now = Clock.wallNow().milliseconds
    let isDue =
      bytesSinceSnapshot >= limits.maxRecordBytesBetweenSnapshots
      || limits.maxSnapshotIntervalMs > 0 && now - lastSnapshotMs >= limits.maxSnapshotIntervalMs
    guard makesSnapshots, isDue, !isMakingSnapshot, bytesSinceSnapshot > 0,
      let content = listener.makeSnapshot()
    else { return }
    isMakingSnapshot = true
    bytesSinceSnapshot = 0
    lastSnapshotMs = now
    let box = Unchecked(self)
    let loop = loop
    driver?.createSnapshot(content) { _ in loop.execute { box.value.isMakingSnapshot = false } }
  }
}
