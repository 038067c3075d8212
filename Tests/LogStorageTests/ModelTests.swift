import Compression
import Foundation
import Platform
import Records
import Testing
import Values

@testable import LogStorage

/// A log against the simplest thing that could be one: an array of rows. Random work, from seeds.
@Suite struct ModelTests {
  struct Model {
    var rows: [Row] = []
    var start: Offset = 0
    var end: Offset = 0

    func visible(from offset: Offset? = nil) -> [Row] {
      rows.filter { $0.offset >= max(start, offset ?? start) }
    }
  }

  struct Run {
    let folder: Folder
    var random: SplitMix
    var log: PartitionLog
    var model = Model()
    var epoch: Int32 = 0
    var now = startTime

    init(seed: UInt64) throws {
      folder = try Folder()
      random = SplitMix(seed: seed)
      log = try folder.open(wasClean: true, Self.configure)
    }

    static func configure(_ config: inout LogConfig) {
      config.segmentBytes = 2000
      config.indexIntervalBytes = 200
      config.retentionMs = -1
      config.fileDeleteDelayMs = 0
    }

    mutating func number(_ range: Range<Int>) -> Int { Int.random(in: range, using: &random) }

    mutating func append() throws {
      let codec = CompressionType.allCases[number(0..<5)]
      let count = number(1..<8)
      now.milliseconds += Int64(number(0..<50))
      let pairs: [(String?, String?)] = (0..<count).map { index in
        let key = "key \(number(0..<20))"
        return (key, number(0..<9) == 0 ? nil : "value \(index) of \(model.end) ")
      }
      let bytes = try batch(pairs, timestamp: now.milliseconds) {
        $0.compressor = Compressor(codec)
      }
      let result = try log.append(bytes, epoch: epoch, now: now)
      #expect(result.baseOffset == model.end)
      for (index, pair) in pairs.enumerated() {
        model.rows.append(
          Row(
            offset: model.end + Offset(index), timestamp: now.milliseconds, key: pair.0,
            value: pair.1))
      }
      model.end += Offset(count)
      #expect(log.logEndOffset == model.end)
    }

    mutating func truncate() throws {
      guard model.end > model.start else { return }
      // Followers truncate to the beginnings of batches.
      let target = model.start + Offset(number(0..<Int(model.end - model.start)))
      let rows = try log.rows(from: target)
      guard let first = rows.first, first.offset == target || target == model.start else { return }
      let slice = try log.read(from: target, maxBytes: 1, upTo: .logEndOffset)
      let base = try PartitionLog.bytes(of: slice).withUnsafeBytes {
        try BatchHeader($0).baseOffset
      }
      try log.truncate(to: base, now: now)
      model.rows.removeAll { $0.offset >= base }
      model.end = base
      model.start = min(model.start, base)
      epoch += 1
    }

    mutating func deleteRecords() throws {
      log.updateHighWatermark(model.end)
      guard model.end > model.start else { return }
      model.start += Offset(number(0..<Int(model.end - model.start) + 1))
      try log.deleteRecords(before: model.start)
      _ = try log.applyRetention(now: now)
      try log.removeCondemnedFiles(now: now)
    }

    mutating func reopen() throws {
      let isClean = number(0..<2) == 0
      let recovery = log.recoveryPoint
      if isClean { try log.close(now: now) } else { log.closeWithoutWriting() }
      if !isClean, number(0..<3) == 0 { try damageIndexes() }
      log = try folder.open(
        wasClean: isClean, recoveryPoint: isClean ? model.end : recovery, logStart: model.start,
        now: now, Self.configure)
    }

    mutating func damageIndexes() throws {
      for name in try FileSystem.list("\(folder.path)/t-0") where name.hasSuffix("index") {
        if number(0..<2) == 0 { try FileSystem.removeFile("\(folder.path)/t-0/\(name)") }
      }
    }

    mutating func check() throws {
      #expect(log.logStartOffset == model.start && log.logEndOffset == model.end)
      #expect(try log.rows() == model.visible())
      guard model.end > model.start else { return }
      let from = model.start + Offset(number(0..<Int(model.end - model.start)))
      #expect(try log.rows(from: from, maxBytes: number(1..<3000)) == model.visible(from: from))
      let passed = Int(now.milliseconds - startTime.milliseconds)
      let time = startTime.milliseconds + Int64(number(0..<passed + 1))
      let found = try log.offset(forTimestamp: time)
      #expect(found?.offset == model.visible().first { $0.timestamp >= time }?.offset)
      let newest = try log.offsetOfMaxTimestamp()
      if let row = model.visible().max(by: { $0.timestamp < $1.timestamp }) {
        #expect(newest?.timestamp == row.timestamp)
      }
    }
  }

  @Test(arguments: UInt64(1)...8)
  func randomWork(_ seed: UInt64) throws {
    var run = try Run(seed: seed)
    for _ in 0..<80 {
      switch run.number(0..<20) {
      case 0: try run.truncate()
      case 1: try run.deleteRecords()
      case 2: try run.reopen()
      case 3: try run.log.roll(now: run.now)
      case 4: try run.log.flush(now: run.now)
      default: try run.append()
      }
      if run.number(0..<4) == 0 { try run.check() }
    }
    try run.check()
  }
}
