import Foundation
import Platform
import Records
import Testing
import Values

@testable import LogStorage

/// Logs as crashes and damaged disks leave them.
@Suite struct RecoveryTests {
  /// A log of several segments, closed without writing anything more.
  func crashed(_ folder: Folder, batches: Int = 20) throws -> [Row] {
    let log = try folder.open {
      $0.segmentBytes = 600; $0.indexIntervalBytes = 100
    }
    for index in 0..<batches {
      try log.append(
        batch(
          [("a\(index)", "x"), ("b\(index)", "y")], timestamp: startTime.milliseconds + Int64(index)
        ),
        epoch: Int32(index / 7))
    }
    let rows = try log.rows()
    log.closeWithoutWriting()
    return rows
  }

  func segments(_ folder: Folder) throws -> [String] {
    try FileSystem.list("\(folder.path)/t-0").filter { $0.hasSuffix(".log") }
      .map { "\(folder.path)/t-0/\($0)" }
  }

  @Test func aCutOffTailIsRemoved() throws {
    let whole = try Folder()
    let size = try crashed(whole).count
    let last = try #require(try segments(whole).last)
    let length = try #require(try FileSystem.status(last)).size
    for cut in stride(from: Int64(1), to: length, by: 29) {
      let folder = try Folder()
      let rows = try crashed(folder)
      let path = try #require(try segments(folder).last)
      try File(path, [.read, .write]).truncate(to: length - cut)
      let (log, report) = try folder.openReporting(wasClean: false)
      let found = try log.rows()
      #expect(found.count < size && found == Array(rows.prefix(found.count)))
      #expect(log.logEndOffset == Offset(found.count) && report.recoveredSegments > 1)
      try log.append(batch([("new", "1")]))
      #expect(try log.rows().last?.key == "new")
    }
  }

  /// Of the second segment only its first batch is left, those behind it are whole.
  func crashedWithAHole(_ folder: Folder) throws -> (rows: [Row], first: BatchHeader) {
    let rows = try crashed(folder)
    let path = try segments(folder)[1]
    let bytes = try #require(try FileSystem.readFile(path))
    let first = try bytes.withUnsafeBytes { try BatchHeader($0) }
    try File(path, [.read, .write]).truncate(to: Int64(first.sizeInBytes))
    return (rows, first)
  }

  /// Power failed before a full segment was flushed, and the kernel had written the next one:
  /// whole batches are missing in the middle. Seed 1 of lost-page-cache in ZooKeeper mode.
  @Test func aHoleBetweenSegmentsEndsTheLog() throws {
    let folder = try Folder()
    let (rows, first) = try crashedWithAHole(folder)
    let (log, report) = try folder.openReporting(wasClean: false)
    let found = try log.rows()
    #expect(log.logEndOffset == first.nextOffset)
    #expect(found == Array(rows.prefix(found.count)) && Offset(found.count) == first.nextOffset)
    #expect(report.truncatedBytes > 0)
  }

  /// In a compacted log a segment may end early because its last records were cleaned away.
  @Test func aHoleInACompactedLogIsItsCleaners() throws {
    let folder = try Folder()
    let (rows, _) = try crashedWithAHole(folder)
    let (log, _) = try folder.openReporting(wasClean: false) { $0.isCompacted = true }
    #expect(try log.rows().last == rows.last)
  }

  @Test func aFlippedBitEndsTheLog() throws {
    var random = SplitMix(seed: 5)
    for _ in 0..<20 {
      let folder = try Folder()
      let rows = try crashed(folder)
      let paths = try segments(folder)
      let path = paths[Int.random(in: 0..<paths.count, using: &random)]
      var bytes = try #require(try FileSystem.readFile(path))
      let sizes = try bytes.withUnsafeBytes { try BatchHeader($0).sizeInBytes }
      // Offset, leader epoch lie outside of the checksum: what is wrong there cannot be told.
      let field = [8...11, 16...60, 61...(sizes - 1)][Int.random(in: 0..<3, using: &random)]
      let place = Int.random(in: field, using: &random)
      bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
      try FileSystem.replaceFile(path, with: bytes)
      let (log, report) = try folder.openReporting(wasClean: false)
      let found = try log.rows()
      #expect(found == Array(rows.prefix(found.count)), "byte \(place) of \(path)")
      #expect(report.truncatedBytes > 0)
      try log.append(batch([("new", "1")]))
    }
  }

  @Test(arguments: [".index", ".timeindex"])
  func missingAndWrongIndexesAreRebuilt(_ ending: String) throws {
    let folder = try Folder()
    let rows = try crashed(folder)
    try folder.open(wasClean: false).close(now: startTime)
    let before = try folder.snapshot()
    for (number, name) in before.keys.filter({ $0.hasSuffix(ending) }).sorted().enumerated() {
      let path = "\(folder.path)/\(name)"
      switch number % 3 {
      case 0: try FileSystem.removeFile(path)
      // What a preallocated index is after a crash.
      case 1: try FileSystem.replaceFile(path, with: [UInt8](repeating: 0, count: 1200))
      default: try FileSystem.replaceFile(path, with: [UInt8](repeating: 0x7f, count: 24))
      }
    }
    let (log, report) = try folder.openReporting(wasClean: true)
    #expect(report.rebuiltIndexes > 0)
    #expect(try log.rows() == rows)
    try log.close(now: startTime)
    let after = try folder.snapshot()
    for (name, bytes) in before where name.hasSuffix(ending) {
      #expect(after[name] == bytes, "\(name)")
    }
  }

  @Test func epochsAreFoundAgain() throws {
    let folder = try Folder()
    _ = try crashed(folder)
    try FileSystem.removeFile("\(folder.path)/t-0/leader-epoch-checkpoint")
    let log = try folder.open(wasClean: false)
    #expect(log.leaderEpochs.map(\.epoch.rawValue) == [0, 1, 2])
    #expect(log.leaderEpochs.map(\.startOffset) == [0, 14, 28])
  }

  @Test func whatIsBelowTheRecoveryPointIsNotRead() throws {
    let folder = try Folder()
    let rows = try crashed(folder)
    let (log, report) = try folder.openReporting(wasClean: false, recoveryPoint: 30)
    #expect(report.recoveredSegments < 4)
    #expect(try log.rows() == rows)
  }

  @Test func aDamagedSnapshotIsWorkedOutFromTheLog() throws {
    let folder = try Folder()
    let log = try folder.open()
    for sequence in 0..<4 {
      try log.append(
        batch([("k", "v")]) {
          $0.producerID = 9
          $0.producerEpoch = 0
          $0.baseSequence = Int32(sequence)
        })
      try log.roll(now: startTime)
    }
    try log.close(now: startTime)
    for name in try FileSystem.list("\(folder.path)/t-0") where name.hasSuffix(".snapshot") {
      try FileSystem.replaceFile("\(folder.path)/t-0/\(name)", with: [0, 1, 2, 3])
    }
    let again = try folder.open()
    #expect(again.activeProducers.map(\.lastSequence) == [3])
  }

  @Test func aFullDiskMakesTheLogUnusable() throws {
    let folder = try Folder()
    let log = try folder.open()
    try log.append(batch([("a", "1")]))
    let fault = FileFaults.inject(.write, under: folder.path, code: 28, times: 1)
    defer { FileFaults.remove(fault) }
    #expect(throws: LogError.self) { try log.append(batch([("b", "2")])) }
    guard
      case .logDirectoryFailed(let error)? = try? failure({ try log.append(batch([("c", "3")])) })
    else {
      Issue.record("the log went on")
      return
    }
    #expect(error.isNoSpace)
    let recovered = try folder.open(wasClean: false)
    #expect(try recovered.rows().map(\.key) == ["a"])
  }

  func failure(_ body: () throws -> Void) throws -> LogError? {
    do { try body() } catch { return error as? LogError }
    return nil
  }
}
