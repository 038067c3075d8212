import Bytes
import Compression
import Foundation
import Platform
import Records
import TestKit
import Testing
import Values

@testable import LogStorage

/// Compaction: what stays, what goes, and when.
@Suite struct CleanerTests {
  static func configure(_ config: inout LogConfig) {
    config.isCompacted = true
    config.deletesOldSegments = false
    config.segmentBytes = 700
    config.indexIntervalBytes = 100
    config.deleteRetentionMs = 1000
    config.fileDeleteDelayMs = 0
    config.producerIDExpirationMs = .max
  }

  func open(_ folder: Folder, wasClean: Bool = true) throws -> PartitionLog {
    try folder.open(wasClean: wasClean, recoveryPoint: 0, Self.configure)
  }

  /// Rolls and cleans everything there is.
  @discardableResult
  func clean(
    _ log: PartitionLog, from checkpoint: Offset? = nil, now: WallTime = startTime
  ) throws -> CleanerResult {
    log.updateHighWatermark(log.logEndOffset)
    try log.roll(now: now)
    let dirt = log.dirtiness(cleanedUpTo: checkpoint, now: now)
    let result = try log.clean(dirt, limits: CleanerConfig(), now: now)
    try log.removeCondemnedFiles(now: now)
    return result
  }

  @Test(arguments: CompressionType.allCases)
  func theLastRecordOfEachKeyStays(_ codec: CompressionType) throws {
    let folder = try Folder()
    let log = try open(folder)
    var random = SplitMix(seed: 3)
    for round in 0..<30 {
      let pairs: [(String?, String?)] = (0..<5).map { index in
        ("key \(Int.random(in: 0..<12, using: &random))", "round \(round) \(index)")
      }
      try log.append(batch(pairs) { $0.compressor = Compressor(codec) })
    }
    var last: [String: Row] = [:]
    for row in try log.rows() { last[row.key ?? ""] = row }
    let wanted = last.values.sorted { $0.offset < $1.offset }
    let before = log.size
    let result = try clean(log)
    #expect(try log.rows() == wanted)
    #expect(log.size < before && log.logEndOffset == 150 && log.logStartOffset == 0)
    #expect(result.cleanedUpTo == 150 && result.recordsKept == wanted.count)
    // Every offset can be asked for, also those that are gone.
    for offset in stride(from: Int64(0), to: 150, by: 7) {
      #expect(try log.rows(from: offset) == wanted.filter { $0.offset >= offset })
    }
    try log.close(now: startTime)
    for wasClean in [true, false] {
      let again = try open(folder, wasClean: wasClean)
      #expect(try again.rows() == wanted && again.logEndOffset == 150)
      again.closeWithoutWriting()
    }
  }

  @Test func tombstonesStayForTheirTime() throws {
    let folder = try Folder()
    let log = try open(folder)
    try log.append(batch([("a", "1"), ("b", "1")]))
    try log.append(batch([("a", nil)]))
    try clean(log)
    #expect(try log.rows().map(\.offset) == [1, 2])
    // The horizon is set by the first cleaning that sees the tombstone.
    try log.append(batch([("c", "1")]))
    var now = startTime
    now.milliseconds += 999
    try clean(log, from: 3, now: now)
    #expect(try log.rows().map(\.offset) == [1, 2, 3])
    try log.append(batch([("d", "1")]))
    now.milliseconds += 2
    try clean(log, from: 4, now: now)
    #expect(try log.rows().map(\.offset) == [1, 3, 4])
  }

  func transactional(_ key: String, sequence: Int32, producer: Int64 = 1) throws -> [UInt8] {
    try batch([(key, "\(sequence)")]) {
      $0.producerID = producer
      $0.producerEpoch = 0
      $0.baseSequence = sequence
      $0.isTransactional = true
    }
  }

  func end(_ log: PartitionLog, producer: Int64 = 1, commit: Bool) throws {
    let marker = EndTransactionMarker(isCommit: commit, coordinatorEpoch: 0)
    try log.append(
      marker.batch(producerID: producer, producerEpoch: 0, timestamp: startTime.milliseconds),
      origin: .coordinator)
  }

  @Test func abortedDataGoesAndMarkersFollow() throws {
    let folder = try Folder()
    let log = try open(folder)
    try log.append(transactional("a", sequence: 0))  // 0
    try end(log, commit: false)  // 1
    try log.append(transactional("b", sequence: 1))  // 2
    try end(log, commit: true)  // 3
    try log.append(transactional("c", sequence: 2, producer: 1))  // 4: still open
    log.updateHighWatermark(5)
    try log.roll(now: startTime)
    let dirt = log.dirtiness(cleanedUpTo: nil, now: startTime)
    #expect(dirt.firstUncleanableOffset == 4)
    try end(log, commit: true)  // 5
    try clean(log)
    log.updateHighWatermark(log.logEndOffset)
    #expect(try log.rows(upTo: .lastStableOffset).map(\.offset) == [2, 4])
    #expect(try batches(log).map(\.baseOffset) == [1, 2, 3, 4, 5])
    // The next cleaning finds nothing left of the aborted one, and gives its marker a horizon; the
    // first one after that takes it.
    var now = startTime
    for (round, left) in [[1, 2, 3, 4, 5, 6], [2, 3, 4, 5, 6, 7]].enumerated() {
      try log.append(batch([("z\(round)", "1")]))
      try clean(log, from: Offset(6 + round), now: now)
      #expect(try batches(log).map(\.baseOffset) == left.map { Offset($0) })
      now.milliseconds += 1001
    }
  }

  func batches(_ log: PartitionLog) throws -> [BatchHeader] {
    var found: [BatchHeader] = []
    var next = log.logStartOffset
    while next < log.logEndOffset {
      let bytes = try PartitionLog.bytes(of: log.read(from: next, maxBytes: 1, upTo: .logEndOffset))
      guard !bytes.isEmpty else { break }
      let header = try bytes.withUnsafeBytes { try BatchHeader($0) }
      found.append(header)
      next = header.nextOffset
    }
    return found
  }

  @Test func producersKeepTheirLastBatch() throws {
    let folder = try Folder()
    let log = try open(folder)
    for sequence in 0..<3 {
      try log.append(
        batch([("same", "\(sequence)")]) {
          $0.producerID = 5
          $0.producerEpoch = 1
          $0.baseSequence = Int32(sequence)
        })
    }
    try log.append(batch([("same", "by another")]))
    try clean(log)
    let headers = try batches(log)
    #expect(headers.map(\.baseOffset) == [2, 3])
    #expect(headers[0].recordCount == 0 && headers[0].baseSequence == 2)
    for name in try FileSystem.list("\(folder.path)/t-0") where name.hasSuffix(".snapshot") {
      try FileSystem.removeFile("\(folder.path)/t-0/\(name)")
    }
    log.closeWithoutWriting()
    let again = try open(folder, wasClean: false)
    #expect(again.activeProducers.map(\.lastSequence) == [2])
  }

  @Test func oldMessagesAreCompactedToo() throws {
    let folder = try Folder(fixture: "kafka-old-formats-logdir.tar.gz")
    let log = try PartitionLog.open(
      directory: "\(folder.path)/zkb1/old-v1-0", partition: TopicPartition("old-v1", 0),
      config: {
        var config = LogConfig(); Self.configure(&config); return config
      }(),
      wasClean: true, now: startTime
    ).log
    var last: [String: Row] = [:]
    for row in try log.rows() { if let key = row.key { last[key] = row } }
    try clean(log)
    #expect(try log.rows() == last.values.sorted { $0.offset < $1.offset })
  }

  @Test func aCrashWithinTheSwapIsFinished() throws {
    for failing in 0..<14 {
      let folder = try Folder()
      let log = try open(folder)
      for round in 0..<12 {
        try log.append(batch((0..<4).map { ("key \($0 % 3)", "round \(round)") }))
      }
      var last: [String: Row] = [:]
      for row in try log.rows() { last[row.key ?? ""] = row }
      let fault = FileFaults.inject(.rename, under: folder.path, code: 5, skip: failing)
      _ = try? clean(log)
      FileFaults.remove(fault)
      log.closeWithoutWriting()
      let again = try open(folder, wasClean: false)
      let rows = try again.rows()
      var found: [String: Row] = [:]
      for row in rows { found[row.key ?? ""] = row }
      #expect(found == last, "rename \(failing)")
      #expect(rows.map(\.offset) == rows.map(\.offset).sorted())
      #expect(again.logEndOffset == 48)
    }
  }

  @Test func aFullTableMeansMoreRounds() throws {
    let folder = try Folder()
    let log = try open(folder)
    for round in 0..<40 {
      try log.append(batch((0..<5).map { ("key \(round % 10) \($0)", "round \(round)") }))
    }
    var last: [String: Row] = [:]
    for row in try log.rows() { last[row.key ?? ""] = row }
    log.updateHighWatermark(200)
    try log.roll(now: startTime)
    var limits = CleanerConfig()
    limits.dedupeBufferSize = KeyOffsets.bytesPerKey * 20
    var cleaned: Offset = 0
    var rounds = 0
    while cleaned < 200, rounds < 50 {
      let dirt = log.dirtiness(cleanedUpTo: cleaned, now: startTime)
      cleaned = try log.clean(dirt, limits: limits, now: startTime).cleanedUpTo
      rounds += 1
    }
    #expect(rounds > 1 && cleaned == 200)
    #expect(try log.rows() == last.values.sorted { $0.offset < $1.offset })
  }
}
