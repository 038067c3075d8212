/// `__cluster_metadata-0` on the disk: the log in Kafka's format, its snapshots, and what the Raft
/// machine has to know of both.
///
/// Reads may come from any thread. Everything that writes comes from the driver's loop, but for
/// `flush` and for writing snapshots, which belong on I/O threads.
import KafkaRecords
import LogStorage
import Metadata
import Platform
import Raft
import Records
import Synchronization
import Telemetry
import Values

/// How the metadata log is kept. Names as in `server.properties`.
public struct MetadataLogOptions: Sendable {
  /// `metadata.log.segment.bytes`
  public var segmentBytes = 1 << 30
  /// `metadata.log.segment.ms`
  public var segmentMs: Int64 = 7 * 24 * 3_600_000
  /// `metadata.max.retention.bytes`, of log and snapshots together; negative: no limit.
  public var retentionBytes: Int64 = 100 << 20
  /// `metadata.max.retention.ms`; negative: no limit.
  public var retentionMs: Int64 = 7 * 24 * 3_600_000
  /// `metadata.log.max.record.bytes.between.snapshots`
  public var maxRecordBytesBetweenSnapshots: Int64 = 20 << 20
  /// `metadata.log.max.snapshot.interval.ms`; 0: never by time.
  public var maxSnapshotIntervalMs: Int64 = 3_600_000

  public init() {}
}

public final class MetadataLogStore: Sendable {
  public static let partition = TopicPartition("__cluster_metadata", 0)
  /// The topic id of the metadata log, which is the same in every cluster.
  public static let topicID = Uuid.one

  /// `<metadata.log.dir>/__cluster_metadata-0`
  public let directory: String
  public let log: PartitionLog
  private let known = Mutex<[Snapshot]>([])
  static let logger = Log("MetadataLog")

  /// Opens the log, creating it if need be. Everything is read and verified: batches behind the
  /// first that is damaged are cut off, as they never were promised to anybody.
  public init(
    logDirectory: String, options: MetadataLogOptions, now: WallTime
  ) throws(StartupError) {
    directory = "\(logDirectory)/\(Self.partition)"
    var config = LogConfig()
    config.segmentBytes = options.segmentBytes
    config.segmentMs = options.segmentMs
    // Nothing goes by age or size alone: only what a snapshot stands for may go.
    config.deletesOldSegments = false
    do {
      try FileSystem.createDirectory(directory)
      let opened = try PartitionLog.open(
        directory: directory, partition: Self.partition, config: config, wasClean: false, now: now)
      log = opened.log
      try Self.writePartitionMetadata(in: directory)
      try openSnapshots()
      try startBehindNewestSnapshot(now: now)
      try log.flush(now: now)
    } catch {
      throw StartupError("\(directory): \(error)")
    }
  }

  private static func writePartitionMetadata(in directory: String) throws {
    let path = "\(directory)/partition.metadata"
    guard !FileSystem.exists(path) else { return }
    try FileSystem.replaceFile(path, with: Array("version: 0\ntopic_id: \(topicID)".utf8))
  }

  /// Notes the snapshots that there are, and removes what was left half done.
  private func openSnapshots() throws {
    var found: [Snapshot] = []
    for name in try FileSystem.list(directory) {
      let path = "\(directory)/\(name)"
      if name.hasSuffix(SnapshotID.partSuffix) || name.hasSuffix(SnapshotID.deletedSuffix) {
        try FileSystem.removeFile(path)
      } else if let id = SnapshotID(fileName: name) {
        found.append(Snapshot(id, size: try FileSystem.status(path)?.size ?? 0))
      }
    }
    found.sort { $0.id < $1.id }
    known.withLock { [found] in $0 = found }
  }

  /// A crash may have come between receiving a snapshot and cutting the log: the log then ends
  /// before it, and goes on at its end.
  private func startBehindNewestSnapshot(now: WallTime) throws {
    guard let newest = snapshots.last?.id else { return }
    let (epoch, end) = (log.latestEpoch?.epoch ?? LeaderEpoch(0), log.logEndOffset)
    guard newest.epoch > epoch || (newest.epoch == epoch && newest.offset > end) else { return }
    Self.logger.info("log starts anew behind snapshot \(newest)", ["end": end])
    try log.truncateFullyAndStart(at: newest.offset, now: now)
  }

  // MARK: Questions

  public var startOffset: Offset { log.logStartOffset }
  public var endOffset: Offset { log.logEndOffset }
  /// Ascending.
  public var snapshots: [Snapshot] { known.withLock { $0 } }

  public func path(of id: SnapshotID) -> String { "\(directory)/\(id.fileName)" }
  func partPath(of id: SnapshotID) -> String { "\(directory)/\(id.stem)\(SnapshotID.partSuffix)" }

  /// Batches from `from` on, none beginning at or behind `to`: whole ones, about `maxBytes` but at
  /// least one.
  /// - Throws: `offsetOutOfRange` for what lies before the log's start or behind its end.
  public func read(from: Offset, to: Offset, maxBytes: Int) throws(LogError) -> [UInt8] {
    guard from < to else { return [] }
    let slice = try log.read(from: from, maxBytes: maxBytes, upTo: .logEndOffset)
    guard let region = slice.region else { return [] }
    var bytes: [UInt8]
    do throws(SystemError) {
      bytes = try region.file.read(at: region.position, count: region.count)
    } catch { throw .logDirectoryFailed(error) }
    bytes.removeLast(bytes.count - Self.wholeBatches(in: bytes, before: to))
    return bytes
  }

  /// How many bytes the whole batches take that begin before `end`.
  private static func wholeBatches(in bytes: [UInt8], before end: Offset) -> Int {
    bytes.withUnsafeBytes { raw in
      var iterator = BatchIterator(raw)
      var whole = 0
      while let batch = try? iterator.next(), batch.header.baseOffset < end {
        whole = iterator.position
      }
      return whole
    }
  }

  /// What the Raft machine has to know of the log, voters found in snapshots and log included.
  public func describe() throws(StartupError) -> RaftLog {
    let (voters, levels) = try controlEntries()
    let epochs = log.leaderEpochs.map { EpochStart(epoch: $0.epoch, startOffset: $0.startOffset) }
    return RaftLog(
      startOffset: startOffset, endOffset: endOffset, epochs: epochs, snapshots: snapshots,
      votersEntries: voters, kraftVersionEntries: levels)
  }

  /// Voters and levels: those of the newest snapshot, then those of the log behind it.
  private func controlEntries() throws(StartupError) -> ([VotersEntry], [KRaftVersionEntry]) {
    var entries = ControlEntries()
    var next = startOffset
    if let newest = snapshots.last?.id {
      try SnapshotFile.forEachBatchOfWhole(path(of: newest)) {
        entries.take($0, offset: newest.offset - 1)
      }
      next = max(next, newest.offset)
    }
    do {
      while next < endOffset {
        let bytes = try read(from: next, to: endOffset, maxBytes: 8 << 20)
        let batches = try bytes.withUnsafeBytes { try MetadataBatch.read($0) }
        guard let last = batches.last else { break }
        for batch in batches where batch.lastOffset >= next { entries.take(batch, offset: nil) }
        next = last.lastOffset + 1
      }
    } catch { throw StartupError("\(directory): \(error)") }
    return (entries.voters, entries.levels)
  }

  // MARK: Writing

  /// Appends whole batches whose offsets and epochs are given.
  public func append(_ bytes: [UInt8], now: WallTime) throws(LogError) {
    guard !bytes.isEmpty else { return }
    try bytes.withUnsafeBytes { raw in
      Result { () throws(LogError) in _ = try log.append(follower: raw, now: now) }
    }.get()
  }

  /// Cuts the log; durable when it returns.
  public func truncate(to offset: Offset, now: WallTime) throws(LogError) {
    try log.truncate(to: offset, now: now)
    try log.flush(now: now)
  }

  /// Waits for the disk.
  public func flush(now: WallTime) throws(LogError) { try log.flush(now: now) }

  func note(_ snapshot: Snapshot) {
    known.withLock { known in
      guard !known.contains(where: { $0.id == snapshot.id }) else { return }
      known.append(snapshot)
      known.sort { $0.id < $1.id }
    }
  }

  func forget(before offset: Offset) -> [Snapshot] {
    known.withLock { known in
      let gone = known.filter { $0.id.offset < offset }
      known.removeAll { $0.id.offset < offset }
      return gone
    }
  }

  public func close(now: WallTime) throws(LogError) { try log.close(now: now) }
}

/// Collects what control records say of voters and levels.
struct ControlEntries {
  var voters: [VotersEntry] = []
  var levels: [KRaftVersionEntry] = []

  /// - Parameter offset: counts for all records, if given: those of a snapshot.
  mutating func take(_ batch: MetadataBatch, offset: Offset?) {
    for (index, control) in batch.controls.enumerated() {
      let place = offset ?? batch.baseOffset + Offset(index)
      switch control {
      case .voters(let record):
        if let set = VoterSet(record) { voters.append(VotersEntry(offset: place, voters: set)) }
      case .kraftVersion(let record):
        levels.append(KRaftVersionEntry(offset: place, level: record.kRaftVersion))
      default: break
      }
    }
  }
}
