// Snapshots: made here, received from the leader, and removed with the log before them (KIP-630).
import KafkaTransport
import LogStorage
import Metadata
import Platform
import Raft
import Telemetry
import Values

extension RaftCore {
  // MARK: Made here

  func createSnapshot(
    _ content: SnapshotContent, _ completion: @escaping @Sendable (Bool) -> Void
  ) {
    let id = SnapshotID(offset: content.lastOffset + 1, epoch: LeaderEpoch(content.epoch))
    // Neither what is not committed nor what another snapshot stands for already.
    guard !hasFailed, let committed = machine.highWatermark, id.offset <= committed,
      id.offset > machine.log.latestSnapshot?.id.offset ?? 0
    else { return completion(false) }
    let level = machine.log.kraftVersion(below: id.offset)
    let preamble = SnapshotPreamble(
      lastContainedLogTimestamp: content.timestamp, kraftVersion: level,
      voters: machine.log.voters(below: id.offset)?.record)
    let path = store.path(of: id)
    let core = Unchecked(self)
    worker.submit(
      { () -> Result<Int64, StartupError> in
        do {
          var writer = try SnapshotWriter(
            path: path, epoch: content.epoch, preamble: preamble, now: Clock.wallNow())
          try content.records { try writer.append($0) }
          try writer.finish()
          return .success(Int64(writer.size))
        } catch { return .failure(StartupError("\(error)")) }
      }, then: loop
    ) { result in
      core.value.created(id, result)
      if case .success = result { completion(true) } else { completion(false) }
    }
  }

  private func created(_ id: SnapshotID, _ result: Result<Int64, StartupError>) {
    switch result {
    case .failure(let error):
      // The log has everything still; the next try may find room.
      Self.log.error("snapshot \(id.stem) not written: \(error)")
    case .success(let size):
      let snapshot = Snapshot(id, size: size)
      Self.log.info("snapshot \(id.stem) written", ["bytes": size])
      store.note(snapshot)
      take(.snapshotCreated(snapshot))
    }
  }

  // MARK: Received

  func beginSnapshot(_ id: SnapshotID) throws {
    receiving = (id, try File(store.partPath(of: id), [.read, .write, .create, .truncate]))
    Self.log.info("receiving snapshot \(id.stem)")
  }

  func writeChunk(_ id: SnapshotID, at position: Int64, _ token: Token) throws {
    guard case .bytes(let bytes)? = payloads.removeValue(forKey: token), let receiving,
      receiving.id == id
    else { return }
    try receiving.file.write(bytes, at: position)
  }

  func discard(_ id: SnapshotID) throws {
    if receiving?.id == id { receiving = nil }
    try FileSystem.removeFile(store.partPath(of: id))
  }

  /// What a received snapshot holds for the machine.
  private struct Verified: Sendable {
    var size: Int64
    var entries: ControlEntries
  }

  func install(_ id: SnapshotID, size: Int64) {
    guard let receiving, receiving.id == id else { return take(.snapshotFailed(id)) }
    let file = receiving.file
    let (part, path) = (store.partPath(of: id), store.path(of: id))
    let core = Unchecked(self)
    worker.submit(
      { () -> Result<Verified, StartupError> in
        do {
          try file.sync()
          var entries = ControlEntries()
          try SnapshotFile.forEachBatchOfWhole(part) { entries.take($0, offset: id.offset - 1) }
          let found = try file.size()
          guard found == size else { throw StartupError("\(found) bytes instead of \(size)") }
          try FileSystem.rename(part, to: path)
          if let parent = FileSystem.parent(of: path) { try FileSystem.syncDirectory(parent) }
          return .success(Verified(size: found, entries: entries))
        } catch { return .failure(StartupError("\(error)")) }
      }, then: loop
    ) { result in
      core.value.installed(id, result)
    }
  }

  private func installed(_ id: SnapshotID, _ result: Result<Verified, StartupError>) {
    receiving = nil
    guard !hasFailed else { return }
    switch result {
    case .failure(let error):
      Self.log.warn("snapshot \(id.stem) refused: \(error)")
      do { try FileSystem.removeFile(store.partPath(of: id)) } catch { return fail("\(error)") }
      take(.snapshotFailed(id))
    case .success(let verified):
      do throws(LogError) {
        flush.cap = min(flush.cap, id.offset)
        try store.startAnew(at: id, size: verified.size, now: Clock.wallNow())
      } catch { return fail("\(error)") }
      Self.log.info("snapshot \(id.stem) received", ["bytes": verified.size])
      removeLater(store.forget(before: id.offset))
      take(
        .snapshotInstalled(
          Snapshot(id, size: verified.size), voters: verified.entries.voters.last?.voters,
          kraftVersion: verified.entries.levels.last?.level ?? 0))
    }
  }

  // MARK: Removed

  func scheduleCleaning() {
    loop.schedule(afterMs: options.cleaningIntervalMs) { [weak self] in
      guard let self, !hasFailed else { return }
      clean(now: Clock.wallNow())
      scheduleCleaning()
    }
  }

  /// Removes the oldest snapshots, and the log before the one that is then the oldest, while they
  /// take too much room or are too old. The newest snapshot stays, and all that follows it.
  func clean(now: WallTime) {
    guard let keep = store.oldestToKeep(options.log, now: now), keep.offset > store.startOffset
    else { return removeCondemned(now) }
    do throws(LogError) {
      try store.raiseStart(to: keep.offset, now: now)
    } catch { return fail("\(error)") }
    removeLater(store.forget(before: keep.offset))
    Self.log.info("log starts at snapshot \(keep.stem)")
    take(.logStartRaised(to: keep.offset))
    removeCondemned(now)
  }

  private func removeCondemned(_ now: WallTime) {
    do throws(LogError) { try store.log.removeCondemnedFiles(now: now) } catch { fail("\(error)") }
  }

  /// Somebody may be reading them.
  private func removeLater(_ snapshots: [Snapshot]) {
    let paths = snapshots.map { store.path(of: $0.id) }
    worker.submit {
      for path in paths {
        do { try FileSystem.removeFile(path) } catch {
          RaftCore.log.warn("snapshot not removed: \(error)")
        }
      }
    }
  }
}

extension MetadataLogStore {
  /// The log goes on behind a snapshot that was received.
  func startAnew(at id: SnapshotID, size: Int64, now: WallTime) throws(LogError) {
    try log.truncateFullyAndStart(at: id.offset, now: now)
    note(Snapshot(id, size: size))
  }

  /// Hides what lies before a snapshot's end and removes segments that hold nothing else.
  func raiseStart(to offset: Offset, now: WallTime) throws(LogError) {
    _ = try log.deleteRecords(before: offset)
    _ = try log.applyRetention(now: now)
  }

  /// The oldest snapshot that is to stay; nil: all are.
  func oldestToKeep(_ options: MetadataLogOptions, now: WallTime) -> SnapshotID? {
    let all = snapshots
    var keep: SnapshotID?
    var total = Int64(log.size) + all.reduce(0) { $0 + $1.size }
    for (snapshot, next) in zip(all, all.dropFirst()) {
      let isTooMuch = options.retentionBytes >= 0 && total > options.retentionBytes
      guard isTooMuch || isTooOld(snapshot, options, now) else { break }
      total -= snapshot.size
      keep = next.id
    }
    return keep
  }

  private func isTooOld(
    _ snapshot: Snapshot, _ options: MetadataLogOptions, _ now: WallTime
  ) -> Bool {
    guard options.retentionMs >= 0,
      let last = try? SnapshotFile.lastTimestamp(path(of: snapshot.id))
    else { return false }
    return now.milliseconds - last > options.retentionMs
  }
}
