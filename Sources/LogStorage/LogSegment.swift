import Platform
import Records
import Values

/// One segment: a `.log` file with the batches from `baseOffset` on, and its indexes.
///
/// Guarded by its log's lock; only the log file itself is shared with readers.
final class LogSegment {
  let baseOffset: Offset
  private(set) var file: File
  /// Bytes of whole batches; the file has no more.
  var size: Int
  let offsetIndex: OffsetIndex
  let timeIndex: TimeIndex
  let transactionIndex: TransactionIndex
  private let indexIntervalBytes: Int
  private(set) var directory: String
  /// Follows the offset in the names of all files of the segment; empty for one in service.
  private(set) var suffix: String

  var bytesSinceIndexEntry = 0
  /// The largest timestamp and the last offset of the first batch that has it.
  var largest: (timestamp: Int64, offset: Offset)
  /// The first batch's timestamp, which time-based rolling goes by.
  var firstTimestamp: Int64?
  /// When the segment was begun here, for batches without timestamps.
  let createdMs: Int64

  /// Opens the segment's files, creating those that are not there.
  init(
    directory: String, baseOffset: Offset, config: LogConfig, nowMs: Int64, suffix: String = ""
  ) throws {
    self.baseOffset = baseOffset
    self.directory = directory
    self.suffix = suffix
    createdMs = nowMs
    indexIntervalBytes = config.indexIntervalBytes
    let stem = "\(directory)/\(FileNames.offset(baseOffset))"
    file = try File(stem + FileNames.log + suffix, [.read, .write, .create])
    size = Int(try file.size())
    let maxBytes = config.segmentIndexBytes
    offsetIndex = try OffsetIndex(
      path: stem + FileNames.index + suffix, baseOffset: baseOffset, maxBytes: maxBytes)
    timeIndex = try TimeIndex(
      path: stem + FileNames.timeIndex + suffix, baseOffset: baseOffset, maxBytes: maxBytes)
    transactionIndex = try TransactionIndex(path: stem + FileNames.transactionIndex + suffix)
    largest = timeIndex.last
  }

  var indexesAreFull: Bool { offsetIndex.isFull || timeIndex.isFull }

  /// Whether `offset` can be written relative to the base.
  func canHold(_ offset: Offset) -> Bool {
    offset >= baseOffset && offset - baseOffset <= Offset(Int32.max)
  }

  /// Creates the index files of a segment that has just begun.
  func createIndexes() throws(SystemError) {
    try offsetIndex.file.create()
    try timeIndex.file.create()
  }

  // MARK: Writing

  /// Writes the bytes of whole batches at the end.
  func write(_ bytes: UnsafeRawBufferPointer) throws(SystemError) {
    try file.write(bytes, at: Int64(size))
  }

  /// Takes note of a batch that has been written at the end.
  func note(_ header: BatchHeader) throws(SystemError) {
    if firstTimestamp == nil, header.maxTimestamp >= 0 { firstTimestamp = header.maxTimestamp }
    if header.maxTimestamp > largest.timestamp {
      largest = (header.maxTimestamp, header.lastOffset)
    }
    if bytesSinceIndexEntry > indexIntervalBytes {
      try offsetIndex.append(header.lastOffset, position: size)
      try timeIndex.append(largest.timestamp, offset: largest.offset)
      bytesSinceIndexEntry = 0
    }
    bytesSinceIndexEntry += header.sizeInBytes
    size += header.sizeInBytes
  }

  /// A segment that gets no more batches ends its time index with its largest timestamp.
  func finish() throws(SystemError) {
    try timeIndex.append(largest.timestamp, offset: largest.offset, evenIfFull: true)
    offsetIndex.file.close()
    timeIndex.file.close()
  }

  /// Makes everything durable.
  func sync() throws(SystemError) {
    try file.syncData()
    try offsetIndex.file.sync()
    try timeIndex.file.sync()
    try transactionIndex.sync()
  }

  /// Forgets batches with offsets from `offset` on.
  /// - Parameter position: where the first of them begins.
  func truncate(to offset: Offset, position: Int) throws {
    try offsetIndex.truncate(to: offset)
    try timeIndex.truncate(to: offset)
    try transactionIndex.truncate(to: offset)
    try file.truncate(to: Int64(position))
    size = position
    if position == 0 { firstTimestamp = nil }
    try reloadLargest()
  }

  /// Works out the largest timestamp: that of the time index, and of the batches that were written
  /// since its last entry.
  func reloadLargest() throws {
    largest = timeIndex.last
    let indexed = offsetIndex.file.count
    let start = indexed == 0 ? 0 : try offsetIndex.entry(indexed - 1).position
    bytesSinceIndexEntry = size - start
    var scanner = scanner(from: start, piece: 1 << 13)
    while let header = try scanner.peek() {
      if header.maxTimestamp > largest.timestamp {
        largest = (header.maxTimestamp, header.lastOffset)
      }
      scanner.skip(header)
    }
  }

  // MARK: Files

  /// Renames all files of the segment from its suffix to another.
  func changeSuffix(to new: String) throws(SystemError) {
    let stem = "\(directory)/\(FileNames.offset(baseOffset))"
    if FileSystem.exists(file.path) { try file.rename(to: stem + FileNames.log + new) }
    try offsetIndex.file.rename(to: stem + FileNames.index + new)
    try timeIndex.file.rename(to: stem + FileNames.timeIndex + new)
    try transactionIndex.rename(to: stem + FileNames.transactionIndex + new)
    suffix = new
  }

  /// The directory was renamed around the files.
  func directoryMoved(to new: String) throws(SystemError) {
    directory = new
    let stem = "\(new)/\(FileNames.offset(baseOffset))"
    offsetIndex.file.moved(to: stem + FileNames.index + suffix)
    timeIndex.file.moved(to: stem + FileNames.timeIndex + suffix)
    transactionIndex.moved(to: stem + FileNames.transactionIndex + suffix)
  }

  /// The paths of the segment's files, whether there or not.
  var paths: [String] {
    Self.paths(directory: directory, baseOffset: baseOffset, suffix: suffix)
  }

  static func paths(directory: String, baseOffset: Offset, suffix: String) -> [String] {
    let stem = "\(directory)/\(FileNames.offset(baseOffset))"
    return [FileNames.log, FileNames.index, FileNames.timeIndex, FileNames.transactionIndex]
      .map { stem + $0 + suffix }
  }

  func remove() throws(SystemError) {
    offsetIndex.file.close()
    timeIndex.file.close()
    for path in paths { try FileSystem.removeFile(path) }
  }

  /// The newest timestamp of the segment's records, or when the file was last written if they have
  /// none: what retention by time goes by.
  func newestMs() throws(SystemError) -> Int64 {
    if largest.timestamp >= 0 { return largest.timestamp }
    return try FileSystem.status(file.path)?.modifiedMs ?? createdMs
  }
}
