import Bytes
import Platform
import Records
import Values

/// Finding batches and records in a segment.
extension LogSegment {
  /// A scanner over the segment's batches from `position` on.
  func scanner(from position: Int = 0, piece: Int = 1 << 16) -> SegmentScanner {
    SegmentScanner(file, from: position, to: size, piece: piece)
  }

  /// The first batch whose last offset is at or above `offset`; nil if the segment has none.
  func locate(_ offset: Offset) throws -> (header: BatchHeader, position: Int)? {
    try Self.locate(
      offset, in: file, from: try offsetIndex.position(for: offset), to: size)
  }

  /// The same outside of the lock, from a position that the index gave.
  static func locate(
    _ offset: Offset, in file: File, from position: Int, to end: Int
  ) throws -> (header: BatchHeader, position: Int)? {
    var scanner = SegmentScanner(file, from: position, to: end, piece: 1 << 13)
    while let header = try scanner.peek() {
      if header.lastOffset >= offset { return (header, scanner.position) }
      scanner.skip(header)
    }
    return nil
  }

  /// The offset behind the last record.
  func nextOffset() throws -> Offset {
    var scanner = scanner(
      from: offsetIndex.file.count == 0
        ? 0 : try offsetIndex.entry(offsetIndex.file.count - 1).position)
    var next = baseOffset
    while let header = try scanner.peek() {
      next = max(next, header.nextOffset)
      scanner.skip(header)
    }
    return next
  }

  /// The first record with a timestamp at or above `timestamp` and an offset at or above `start`.
  func find(
    timestamp: Int64, from start: Offset
  ) throws -> (timestamp: Int64, offset: Offset, leaderEpoch: Int32)? {
    // Nothing before the index's entry is as late; from there on batches are looked at one by one.
    let entry = try timeIndex.entry(notAfter: timestamp)
    let position = try offsetIndex.position(for: max(entry.offset, start))
    var scanner = scanner(from: position)
    var records = RecordSearch()
    while let (batch, _) = try scanner.next() {
      guard batch.header.maxTimestamp >= timestamp, batch.header.lastOffset >= start else {
        continue
      }
      let found = try records.first(in: batch) { $0.timestamp >= timestamp && $0.offset >= start }
      if let found { return (found.timestamp, found.offset, batch.header.partitionLeaderEpoch) }
    }
    return nil
  }

  /// The segment's first record with its largest timestamp.
  func findLargestTimestamp() throws -> (timestamp: Int64, offset: Offset, leaderEpoch: Int32)? {
    guard largest.timestamp >= 0, let (_, position) = try locate(largest.offset) else { return nil }
    var scanner = scanner(from: position)
    guard let (batch, _) = try scanner.next() else { return nil }
    let wanted = largest.timestamp
    var records = RecordSearch()
    guard let found = try records.first(in: batch, where: { $0.timestamp >= wanted }) else {
      return nil
    }
    return (found.timestamp, found.offset, batch.header.partitionLeaderEpoch)
  }
}

/// Looks for a record within a batch, keeping memory between batches.
private struct RecordSearch: ~Copyable {
  private var scratch = ByteWriter()

  /// The first record of the batch that `matches`.
  mutating func first(
    in batch: RecordBatch, where matches: (RecordView) -> Bool
  ) throws(RecordError) -> (timestamp: Int64, offset: Offset)? {
    var records = try batch.records(scratch: &scratch)
    while let record = try records.next() {
      if matches(record) { return (record.timestamp, record.offset) }
    }
    return nil
  }
}
