import Platform
import Values

/// Why segments were deleted, for the log line.
public struct RetentionResult: Equatable, Sendable {
  public var deletedSegments = 0
  public var deletedBytes = 0
  public var logStartOffset: Offset
}

extension LogState {
  /// Deletes old segments by the topic's policy: by time, by size, and those below the log's start.
  ///
  /// Only segments whose records are all below the high watermark go. Their files are renamed, and
  /// removed `file.delete.delay.ms` later, when no reader has them open any more.
  func applyRetention(nowMs: Int64) throws -> RetentionResult {
    var result = RetentionResult(logStartOffset: logStartOffset)
    if config.deletesOldSegments {
      try deleteOldest(nowMs: nowMs, &result) { [self] segment, _ in
        guard config.retentionMs >= 0 else { return false }
        return WallTime(milliseconds: nowMs).age(of: try segment.newestMs()) > config.retentionMs
      }
      var excess = Int64(size) - config.retentionBytes
      try deleteOldest(nowMs: nowMs, &result) { [self] segment, _ in
        guard config.retentionBytes >= 0, excess >= Int64(segment.size) else { return false }
        excess -= Int64(segment.size)
        return true
      }
    }
    try deleteOldest(nowMs: nowMs, &result) { [self] _, next in
      next.map { $0 <= logStartOffset } ?? false
    }
    result.logStartOffset = logStartOffset
    return result
  }

  /// Deletes segments from the oldest on, as long as `isOld` says so of a segment, given the base
  /// offset of the one behind it.
  private func deleteOldest(
    nowMs: Int64, _ result: inout RetentionResult,
    while isOld: (LogSegment, Offset?) throws -> Bool
  ) throws {
    var count = 0
    for (index, segment) in segments.enumerated() {
      let next = index + 1 < segments.count ? segments[index + 1].baseOffset : nil
      let isEmptyAndActive = next == nil && segment.size == 0
      guard !isEmptyAndActive, (next ?? logEndOffset) <= highWatermark, try isOld(segment, next)
      else { break }
      count += 1
    }
    guard count > 0 else { return }
    // A log has always an active segment: the last one goes once there is another.
    if count == segments.count { try roll(at: logEndOffset, nowMs: nowMs) }
    let gone = Array(segments[..<count])
    result.deletedSegments += gone.count
    result.deletedBytes += gone.reduce(0) { $0 + $1.size }
    // First the log's start, which readers go by, then the segments.
    _ = try setLogStart(to: max(logStartOffset, segments[count].baseOffset))
    segments.removeFirst(count)
    for segment in gone {
      try condemn(segment, nowMs: nowMs)
      let snapshot = ProducerSnapshot.path(directory, segment.baseOffset)
      try FileSystem.removeFile(snapshot)
    }
  }

  /// Takes a segment's files out of service; they are removed later.
  func condemn(_ segment: LogSegment, nowMs: Int64) throws {
    try segment.changeSuffix(to: segment.suffix + FileNames.deleted)
    condemned.append((segment, nowMs.adding(config.fileDeleteDelayMs)))
  }

  /// Removes the files of segments whose time has come.
  func removeCondemned(nowMs: Int64) throws {
    guard condemned.contains(where: { $0.dueMs <= nowMs }) else { return }
    for entry in condemned where entry.dueMs <= nowMs { try entry.segment.remove() }
    condemned.removeAll { $0.dueMs <= nowMs }
  }
}
