import Bytes
import Platform
import Records
import Values

/// Working out from the batches alone what the other files of a segment said.
extension LogSegment {
  /// Whether all index files are there and what they say can be true.
  func hasSaneIndexes() throws -> Bool {
    guard FileSystem.exists(offsetIndex.file.path), FileSystem.exists(timeIndex.file.path) else {
      return false
    }
    guard try offsetIndex.isSane(logSize: size), try timeIndex.isSane() else { return false }
    // The time index must not point behind the log's records.
    return timeIndex.file.count == 0 || timeIndex.last.offset >= baseOffset
  }

  /// Reads the whole segment, writes its indexes anew, and cuts the log file at the first batch
  /// that is incomplete or damaged.
  ///
  /// - Parameters:
  ///   - producers: what is known of producers up to the base offset; brought up to the end.
  ///   - each: called with each batch's header.
  /// - Returns: bytes that were cut off.
  func recover(
    producers: inout ProducerTable, each: (BatchHeader) throws -> Void
  ) throws -> Int {
    try offsetIndex.file.truncate(to: 0)
    try timeIndex.file.truncate(to: 0)
    try offsetIndex.truncate(to: baseOffset)
    try timeIndex.truncate(to: baseOffset)
    try transactionIndex.reset()
    let fileSize = Int(try file.size())
    size = 0
    bytesSinceIndexEntry = 0
    firstTimestamp = nil
    largest = (BatchHeader.noTimestamp, baseOffset)
    var scanner = SegmentScanner(file, from: 0, to: fileSize, piece: 1 << 20)
    var lastOffset = baseOffset - 1
    var scratch = ByteWriter()
    while let (batch, _) = try? scanner.next() {
      let header = batch.header
      guard (try? batch.validate()) != nil, header.lastOffset > lastOffset,
        canHold(header.lastOffset)
      else { break }
      try each(header)
      try note(header)
      try replay(batch, into: &producers, scratch: &scratch, indexing: true)
      lastOffset = header.lastOffset
    }
    try finish()
    try createIndexes()
    let cut = fileSize - size
    if cut > 0 { try file.truncate(to: Int64(size)) }
    return cut
  }

  /// Brings `producers` up to the segment's end, or to `end`, without changing any file.
  func replayProducers(
    into producers: inout ProducerTable, from start: Offset, to end: Offset
  ) throws {
    var scanner = scanner(from: try offsetIndex.position(for: start), piece: 1 << 20)
    var scratch = ByteWriter()
    while let header = try scanner.peek() {
      guard header.baseOffset < end else { return }
      guard header.hasProducerID, header.lastOffset >= start else {
        scanner.skip(header)
        continue
      }
      guard let (batch, _) = try scanner.next() else { return }
      try replay(batch, into: &producers, scratch: &scratch, indexing: false)
    }
  }

  /// Takes a batch's producer over, as a follower would: what is on the disk has been accepted.
  private func replay(
    _ batch: RecordBatch, into producers: inout ProducerTable, scratch: inout ByteWriter,
    indexing: Bool
  ) throws {
    let header = batch.header
    guard header.hasProducerID else { return }
    var update = ProducerUpdate(producers.state(of: header.producerID), origin: .replication)
    if header.isControl {
      var records = try batch.records(scratch: &scratch)
      if let record = try records.next(), let marker = try EndTransactionMarker(record) {
        try update.take(marker, in: header)
      }
    } else {
      try update.take(header)
    }
    producers.apply(update)
    guard let completed = update.completed else { return }
    if indexing, completed.isAborted {
      try transactionIndex.append(
        AbortedTransaction(
          producerID: completed.producerID, firstOffset: completed.firstOffset,
          lastOffset: completed.lastOffset,
          lastStableOffset: producers.lastStableOffset(after: completed)))
    }
    producers.complete(completed)
  }
}
