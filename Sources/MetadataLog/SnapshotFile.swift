/// Snapshot files (KIP-630): `<end offset, 20 digits>-<epoch, 10 digits>.checkpoint`.
///
/// A snapshot holds everything below its end offset. It is a file of batches in the log's format
/// whose offsets count from 0: a control batch with the header (and, from kraft.version 1 on, the
/// version and the voters), the records, and a control batch with the footer. It is written under
/// `.part`, flushed and renamed, so that a file with the final name is always complete.
import KafkaRecords
import LogStorage
import Metadata
import Platform
import Raft
import Records
import Values

extension SnapshotID {
  public static let suffix = ".checkpoint"
  /// Being written or received; removed at the next start.
  public static let partSuffix = ".checkpoint.part"
  /// Out of service; removed later.
  public static let deletedSuffix = ".checkpoint.deleted"

  /// The file's name without suffix.
  public var stem: String { "\(Self.pad(offset, 20))-\(Self.pad(Int64(epoch.rawValue), 10))" }
  public var fileName: String { stem + Self.suffix }

  /// Reads a file's name; nil for any other file.
  public init?(fileName: String, suffix: String = Self.suffix) {
    guard fileName.hasSuffix(suffix) else { return nil }
    let parts = fileName.dropLast(suffix.utf8.count).split(separator: "-")
    guard parts.count == 2, parts[0].utf8.count == 20, parts[1].utf8.count == 10,
      let offset = Offset(parts[0]), let epoch = Int32(parts[1])
    else { return nil }
    self.init(offset: offset, epoch: LeaderEpoch(epoch))
  }

  private static func pad(_ value: Int64, _ digits: Int) -> String {
    let text = String(max(0, value))
    return String(repeating: "0", count: max(0, digits - text.utf8.count)) + text
  }
}

/// What precedes the records of a snapshot.
public struct SnapshotPreamble: Sendable {
  /// Of the last record that the snapshot covers, in milliseconds since 1970.
  public var lastContainedLogTimestamp: Int64
  /// 0: neither the version nor the voters are written.
  public var kraftVersion: Int16
  public var voters: VotersRecord?

  public init(
    lastContainedLogTimestamp: Int64, kraftVersion: Int16 = 0, voters: VotersRecord? = nil
  ) {
    self.lastContainedLogTimestamp = lastContainedLogTimestamp
    self.kraftVersion = kraftVersion
    self.voters = voters
  }

  var controls: [MetadataControl] {
    var controls: [MetadataControl] = [
      .snapshotHeader(
        SnapshotHeaderRecord { $0.lastContainedLogTimestamp = lastContainedLogTimestamp })
    ]
    guard kraftVersion > 0 else { return controls }
    controls.append(.kraftVersion(KRaftVersionRecord { $0.kRaftVersion = kraftVersion }))
    if let voters { controls.append(.voters(voters)) }
    return controls
  }
}

/// Writes one snapshot; records may come in pieces.
public struct SnapshotWriter {
  /// A batch is ended when the next record would make it larger, as in Kafka's accumulator.
  static let maxBatchBytes = 8 << 20

  private let file: File
  private let part: String
  private let path: String
  private let epoch: Int32
  private let now: WallTime
  private var nextOffset: Offset = 0
  private var pending: [VersionedRecord] = []
  private var pendingBytes = 0
  public private(set) var size = 0

  /// - Parameter path: the final one; `.part` is appended while writing.
  public init(
    path: String, epoch: Int32, preamble: SnapshotPreamble, now: WallTime
  ) throws(SystemError) {
    self.path = path
    part = path + ".part"
    self.epoch = epoch
    self.now = now
    file = try File(part, [.write, .create, .truncate])
    let controls = preamble.controls
    try write(MetadataBatch.encode(control: controls, at: place))
    nextOffset += Offset(controls.count)
  }

  private var place: MetadataBatch.Place {
    MetadataBatch.Place(baseOffset: nextOffset, epoch: epoch, timestamp: now.milliseconds)
  }

  public mutating func append(_ records: some Sequence<VersionedRecord>) throws(SystemError) {
    for record in records { try append(record) }
  }

  public mutating func append(_ record: VersionedRecord) throws(SystemError) {
    let bytes = MetadataBatch.sizeBound(record)
    if pendingBytes + bytes > Self.maxBatchBytes { try flush() }
    pending.append(record)
    pendingBytes += bytes
  }

  private mutating func flush() throws(SystemError) {
    guard !pending.isEmpty else { return }
    try write(MetadataBatch.encode(pending, at: place))
    nextOffset += Offset(pending.count)
    pending.removeAll(keepingCapacity: true)
    pendingBytes = 0
  }

  private mutating func write(_ bytes: [UInt8]) throws(SystemError) {
    try file.write(bytes, at: Int64(size))
    size += bytes.count
  }

  /// Writes the footer, flushes, and gives the file its name.
  public mutating func finish() throws(SystemError) {
    try flush()
    try write(MetadataBatch.encode(control: [.snapshotFooter(.init())], at: place))
    try file.sync()
    try FileSystem.rename(part, to: path)
    if let parent = FileSystem.parent(of: path) { try FileSystem.syncDirectory(parent) }
  }
}

/// Reads a snapshot or any other file of batches.
public enum SnapshotFile {
  /// Gives every batch in order, checksums verified, with only one of them in memory at a time: a
  /// snapshot may be larger than what a node wants to spare.
  /// - Throws: `StartupError` that names the file, when it cannot be read or is damaged. What was
  ///   given before is then to be forgotten.
  public static func forEachBatch(
    _ path: String, _ body: (MetadataBatch) -> Void
  ) throws(StartupError) {
    do {
      let file = try File(path)
      let size = Int(try file.size())
      var scanner = SegmentScanner(file, from: 0, to: size, piece: 1 << 20)
      while let (batch, _) = try scanner.next() {
        try batch.validate()
        body(try MetadataBatch(batch))
      }
      guard scanner.position == size else {
        throw RecordError.corrupt("an incomplete batch at the end")
      }
    } catch { throw StartupError("\(path): \(error)") }
  }

  /// The same for a snapshot: refuses a file without header in front and footer at its end.
  public static func forEachBatchOfWhole(
    _ path: String, _ body: (MetadataBatch) -> Void
  ) throws(StartupError) {
    var first: MetadataControl?
    var last: MetadataControl?
    var count = 0
    try forEachBatch(path) { batch in
      if count == 0 { first = batch.controls.first }
      last = batch.controls.last
      count += 1
      body(batch)
    }
    guard case .snapshotHeader? = first, case .snapshotFooter? = last else {
      throw StartupError("\(path): a snapshot must begin with a header and end in a footer")
    }
  }

  /// All batches of a whole snapshot at once, for small ones.
  public static func readWhole(_ path: String) throws(StartupError) -> [MetadataBatch] {
    var batches: [MetadataBatch] = []
    try forEachBatchOfWhole(path) { batches.append($0) }
    return batches
  }
}

extension SnapshotFile {
  /// When the last record that a snapshot stands for was appended; its header says.
  static func lastTimestamp(_ path: String) throws -> Int64? {
    // The first batch has at most a header, a version and the voters.
    let bytes = try File(path).read(at: 0, count: 1 << 16)
    return try bytes.withUnsafeBytes { raw in
      var iterator = BatchIterator(raw)
      guard let batch = try iterator.next(),
        case .snapshotHeader(let header)? = try MetadataBatch(batch).controls.first
      else { return nil }
      return header.lastContainedLogTimestamp
    }
  }
}
