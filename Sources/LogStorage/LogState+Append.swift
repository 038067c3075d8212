import Bytes
import Platform
import Records
import Values

/// What an append did.
public struct AppendResult: Equatable, Sendable {
  /// Of a duplicate: the offsets it got the first time.
  public var baseOffset: Offset
  public var lastOffset: Offset
  /// The time the leader stamped the records with, else -1.
  public var logAppendTime: Int64
  public var logStartOffset: Offset
  /// The log's end behind the append.
  public var logEndOffset: Offset
  /// Bytes that were written; 0 for a duplicate.
  public var size: Int
  public var recordCount: Int64
  public var maxTimestamp: Int64
  /// The batch was here before, and nothing was written.
  public var isDuplicate: Bool
  /// A segment was ended, and should be flushed soon, by an I/O thread.
  public var wantsFlush: Bool
  /// `flush.messages` asks for a flush before anybody is told of the append.
  var mustFlush = false
}

extension LogState {
  /// Gives validated batches their offsets and writes them.
  func appendAsLeader(
    _ bytes: UnsafeMutableRawBufferPointer, leaderEpoch: LeaderEpoch, origin: AppendOrigin,
    logAppendTime: Int64, nowMs: Int64
  ) throws -> AppendResult {
    let header = try BatchHeader(UnsafeRawBufferPointer(bytes))
    if origin == .client, header.hasProducerID, let known = producers.duplicate(of: header) {
      return AppendResult(
        baseOffset: known.firstOffset, lastOffset: known.lastOffset,
        logAppendTime: known.timestamp, logStartOffset: logStartOffset, logEndOffset: logEndOffset,
        size: 0, recordCount: 0, maxTimestamp: known.timestamp, isDuplicate: true,
        wantsFlush: false)
    }
    // Batches of one append are never spread over segments by a leader, so they must fit into one.
    guard bytes.count <= config.segmentBytes else {
      throw LogError.recordListTooLarge(size: bytes.count, limit: config.segmentBytes)
    }
    RecordValidator.assignOffsets(bytes, from: logEndOffset, leaderEpoch: leaderEpoch.rawValue)
    try checkProducers(UnsafeRawBufferPointer(bytes), origin: origin)
    var result = try write(UnsafeRawBufferPointer(bytes), origin: origin, nowMs: nowMs)
    result.logAppendTime = logAppendTime
    return result
  }

  /// Writes a leader's batches, whose offsets are given.
  func appendAsFollower(
    _ bytes: UnsafeRawBufferPointer, nowMs: Int64
  ) throws -> AppendResult {
    guard let prefix = try? BatchHeader(bytes) else {
      throw LogError.corrupt("no batch in \(bytes.count) bytes")
    }
    let first = prefix.magic == 2 ? prefix.baseOffset : prefix.lastOffset
    // A gap is fine, as compaction leaves them; an overlap means that the fetcher is mistaken.
    guard first >= logEndOffset else { throw LogError.unexpectedOffset(first, end: logEndOffset) }
    return try write(bytes, origin: .replication, nowMs: nowMs)
  }

  /// Refuses the batches before anything is written, if any of them is out of its producer's turn.
  private func checkProducers(_ bytes: UnsafeRawBufferPointer, origin: AppendOrigin) throws {
    var batches = BatchIterator(bytes)
    var pending: [ProducerUpdate] = []
    while let batch = try batches.next() {
      guard batch.header.hasProducerID else { continue }
      let id = batch.header.producerID
      let known = pending.last { $0.updated.producerID == id }?.updated ?? producers.state(of: id)
      let update = try update(for: batch, from: known, origin: origin)
      if batches.remaining == 0 { return }
      pending.append(update)
    }
  }

  /// What the batch changes of its producer; throws when it is not allowed to.
  private func update(
    for batch: RecordBatch, from known: ProducerState, origin: AppendOrigin
  ) throws -> ProducerUpdate {
    var update = ProducerUpdate(known, origin: origin)
    guard batch.header.isControl else {
      try update.take(batch.header)
      return update
    }
    var scratch = ByteWriter(reserving: 64)
    var records = try batch.records(scratch: &scratch)
    if let record = try records.next(), let marker = try EndTransactionMarker(record) {
      try update.take(marker, in: batch.header)
    }
    return update
  }

  /// Writes batches to the active segment, rolling where one does not fit any more.
  private func write(
    _ bytes: UnsafeRawBufferPointer, origin: AppendOrigin, nowMs: Int64
  ) throws -> AppendResult {
    var result = AppendResult(
      baseOffset: logEndOffset, lastOffset: logEndOffset - 1, logAppendTime: -1,
      logStartOffset: logStartOffset, logEndOffset: logEndOffset, size: 0, recordCount: 0,
      maxTimestamp: BatchHeader.noTimestamp, isDuplicate: false, wantsFlush: false)
    var batches = BatchIterator(bytes)
    var runStart = 0  // of batches that go to the same segment, and are written in one call
    var runEnd = 0
    var runSize = 0
    var expected = logEndOffset  // by the next batch, at least
    while let batch = try batches.next() {
      let header = batch.header
      let first = header.magic == 2 ? header.baseOffset : header.lastOffset
      guard first >= expected, header.lastOffset >= first, header.lastOffset < .max else {
        throw LogError.corrupt("offset \(first) where \(expected) or a later one belongs")
      }
      expected = header.nextOffset
      if result.size == 0, runSize == 0 { result.baseOffset = first }
      let isFull =
        runSize == 0
        ? shouldRoll(header, nowMs: nowMs)
        : active.size + runSize + header.sizeInBytes > config.segmentBytes
          || !active.canHold(header.lastOffset)
      if isFull {
        try writeRun(bytes, runStart..<runEnd, origin: origin, into: &result)
        runStart = runEnd
        runSize = 0
        try roll(at: header.magic == 2 ? first : logEndOffset, nowMs: nowMs)
        result.wantsFlush = true
      }
      runEnd = batches.position
      runSize += header.sizeInBytes
    }
    try writeRun(bytes, runStart..<runEnd, origin: origin, into: &result)
    result.logEndOffset = logEndOffset
    result.mustFlush = logEndOffset - recoveryPoint >= config.flushMessages
    return result
  }

  /// Writes neighbouring batches in one call, then takes note of each. Readers see nothing of them
  /// before the log's end moves, and a crash in between leaves a tail that recovery reads again.
  private func writeRun(
    _ bytes: UnsafeRawBufferPointer, _ range: Range<Int>, origin: AppendOrigin,
    into result: inout AppendResult
  ) throws {
    guard !range.isEmpty else { return }
    let run = UnsafeRawBufferPointer(rebasing: bytes[range])
    let segment = active
    try segment.write(run)
    var batches = BatchIterator(run)
    while let batch = try batches.next() {
      let header = batch.header
      if header.magic == 2 {
        try epochs.assign(LeaderEpoch(header.partitionLeaderEpoch), at: header.baseOffset)
      } else {
        // Old formats carry no epoch, so what the cache would say of later offsets is a guess.
        try epochs.clear()
      }
      recent.append(header, at: segment.size)
      try segment.note(header)
      logEndOffset = header.nextOffset
      if header.hasProducerID { try applyProducer(of: batch, origin: origin, in: segment) }
      result.lastOffset = header.lastOffset
      result.maxTimestamp = max(result.maxTimestamp, header.maxTimestamp)
      result.recordCount += Int64(max(header.recordCount, 1))
      result.size += header.sizeInBytes
    }
    producers.mapEndOffset = logEndOffset
  }

  /// Takes over what a written batch changed, and indexes a transaction that it aborted.
  private func applyProducer(
    of batch: RecordBatch, origin: AppendOrigin, in segment: LogSegment
  ) throws {
    // Leaders have been checked before anything was written; what is on the disk has happened.
    let update = try update(
      for: batch, from: producers.state(of: batch.header.producerID), origin: .replication)
    producers.apply(update)
    guard let completed = update.completed else { return }
    if completed.isAborted {
      try segment.transactionIndex.append(
        AbortedTransaction(
          producerID: completed.producerID, firstOffset: completed.firstOffset,
          lastOffset: completed.lastOffset,
          lastStableOffset: producers.lastStableOffset(after: completed)))
    }
    producers.complete(completed)
    producers.highWatermarkMoved(to: highWatermark)
  }
}
