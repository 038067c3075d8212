import Platform
import Values

/// Cutting the log at either end, and what producers and epochs forget with it.
extension LogState {
  /// Forgets all records from `offset` on.
  /// - Returns: false when there were none.
  func truncate(to offset: Offset, nowMs: Int64) throws -> Bool {
    guard offset < logEndOffset else {
      // The log is that short already, but an epoch may have been promised beyond it.
      try epochs.truncate(fromEnd: offset)
      return false
    }
    guard let first = segments.first, first.baseOffset <= offset else {
      try startAnew(at: offset, logStartOffset: nil, nowMs: nowMs)
      return true
    }
    let count = segments.count
    while segments.count > 1, active.baseOffset > offset {
      let segment = segments.removeLast()
      try removeSnapshots { $0 >= segment.baseOffset && $0 > offset }
      try segment.remove()
    }
    // A batch that has the offset within goes as a whole; the next fetch brings it again.
    let position = try active.locate(offset)?.position ?? active.size
    try active.truncate(to: offset, position: position)
    // The epochs that follow are durable at once. Were the cut not, a power failure could bring
    // back what was cut off, and those epochs would vouch for it.
    try active.sync()
    if segments.count < count { try FileSystem.syncDirectory(directory) }
    try ended(at: offset)
    try loadProducers(to: offset)
    return true
  }

  /// Removes everything; the log goes on at `offset`.
  /// Removes everything, also what producers and epochs there were; the log goes on at `offset`.
  func startAnew(at offset: Offset, logStartOffset start: Offset?, nowMs: Int64) throws {
    for segment in segments { try segment.remove() }
    try removeSnapshots { _ in true }
    let segment = try LogSegment(
      directory: directory, baseOffset: offset, config: config, nowMs: nowMs)
    try segment.createIndexes()
    segments = [segment]
    try FileSystem.syncDirectory(directory)
    try epochs.clear()
    logStartOffset = start ?? offset
    try ended(at: offset)
    highWatermark = max(logStartOffset, min(highWatermark, offset))
    producers.reset(to: offset)
  }

  /// Nothing the log says of itself may reach beyond its new end.
  private func ended(at offset: Offset) throws {
    logEndOffset = offset
    generation += 1
    layout += 1
    recent.clear()
    limitPlace = nil
    recoveryPoint = min(recoveryPoint, offset)
    logStartOffset = min(logStartOffset, offset)
    highWatermark = min(highWatermark, offset)
    try epochs.truncate(fromEnd: offset)
  }

  /// Snapshots of what is cut off speak of producers as they never were.
  private func removeSnapshots(where isGone: (Offset) -> Bool) throws {
    for offset in try ProducerSnapshot.offsets(in: directory) where isGone(offset) {
      try FileSystem.removeFile(ProducerSnapshot.path(directory, offset))
      if producers.snapshotOffset == offset { producers.snapshotOffset = -1 }
    }
  }

  /// Works out what is known of producers at `offset`: the newest snapshot at or below it, brought
  /// up from the batches behind. Snapshots beyond it are removed, damaged ones too.
  func loadProducers(to offset: Offset) throws {
    try removeSnapshots { $0 > offset }
    producers.reset(to: logStartOffset)
    for snapshot in try ProducerSnapshot.offsets(in: directory).reversed() {
      let path = ProducerSnapshot.path(directory, snapshot)
      guard snapshot >= logStartOffset, let bytes = try FileSystem.readFile(path) else { continue }
      guard let loaded = try? ProducerSnapshot.decode(bytes) else {
        try FileSystem.removeFile(path)
        continue
      }
      for producer in loaded { producers.load(producer) }
      producers.mapEndOffset = snapshot
      producers.snapshotOffset = snapshot
      break
    }
    let start = producers.mapEndOffset
    if start < offset, let first = segmentIndex(for: start) ?? segments.indices.first {
      for segment in segments[first...] where segment.baseOffset < offset {
        try segment.replayProducers(into: &producers, from: start, to: offset)
      }
    }
    producers.mapEndOffset = offset
    producers.highWatermarkMoved(to: highWatermark)
  }

  // MARK: The log's start

  /// Hides records below `offset`; segments that hold nothing else go with the next retention run.
  func setLogStart(to offset: Offset) throws -> Bool {
    guard offset <= highWatermark else {
      throw LogError.offsetOutOfRange(
        requested: offset, start: logStartOffset, end: highWatermark)
    }
    guard offset > logStartOffset else { return false }
    logStartOffset = offset
    try epochs.truncate(fromStart: offset)
    producers.logStartMoved(to: offset)
    return true
  }

  /// A follower takes over its leader's log start, also beyond its own high watermark.
  func raiseLogStart(to offset: Offset) throws {
    guard offset > logStartOffset, offset <= logEndOffset else { return }
    if offset > highWatermark { _ = setHighWatermark(offset) }
    _ = try setLogStart(to: offset)
  }
}
