import Foundation
import Platform
import Synchronization
import TestKit
import Testing
import Values

@testable import LogStorage

/// Log directories that real brokers wrote, read as they lie.
@Suite struct GoldenTests {
  struct Fixture: CustomTestStringConvertible, Sendable {
    let archive: String
    let consumed: String
    let folder: String
    var testDescription: String { archive }
  }

  static let fixtures = [
    Fixture(
      archive: "kafka-3.9.0-zookeeper-mode-logdir.tar.gz",
      consumed: "kafka-3.9.0-consumed.json.gz", folder: "zkb1"),
    Fixture(
      archive: "kafka-3.9.0-kraft-logdir.tar.gz", consumed: "kafka-3.9.0-consumed.json.gz",
      folder: "kr1"),
    Fixture(
      archive: "kafka-old-formats-logdir.tar.gz", consumed: "kafka-old-formats-consumed.json.gz",
      folder: "zkb1"),
  ]

  static func consumed(_ name: String) throws -> [String: [String: [Row]]] {
    let json = try JSONSerialization.jsonObject(with: Fixtures.data(name))
    let levels = try #require(json as? [String: [String: [[Any]]]])
    return levels.mapValues { partitions in
      partitions.mapValues { rows in
        rows.map { row in
          let headers = (row[5] as? [[Any]]) ?? []
          return Row(
            offset: (row[0] as? Int64) ?? -1, timestamp: (row[2] as? Int64) ?? -1,
            key: row[3] as? String, value: row[4] as? String,
            headers: headers.map { "\($0[0] as? String ?? "")=\($0[1] as? String ?? "null")" })
        }
      }
    }
  }

  /// Producers must not expire, so that nothing the fixtures say is forgotten.
  static let configure: @Sendable (String) -> LogConfig = { _ in
    var config = LogConfig()
    config.producerIDExpirationMs = .max
    return config
  }

  @Test(arguments: fixtures)
  func everyRecordIsReadAndNothingIsRewritten(_ fixture: Fixture) throws {
    let folder = try Folder(fixture: fixture.archive)
    let before = try folder.snapshot()
    let events = Mutex<[String]>([])
    let manager = LogManager(paths: ["\(folder.path)/\(fixture.folder)"], configure: Self.configure)
    {
      event in events.withLock { $0.append("\(event)") }
    }
    manager.load(threadsPerDirectory: 2, now: startTime)
    #expect(manager.unusable.isEmpty)
    for log in manager.logs { log.updateHighWatermark(log.logEndOffset) }
    for (level, partitions) in try Self.consumed(fixture.consumed) {
      let limit: ReadLimit = level == "read_committed" ? .lastStableOffset : .highWatermark
      for (name, wanted) in partitions {
        let partition = try #require(LogDirectoryName(name)).topicPartition
        let log = try #require(manager.log(partition), "\(name)")
        // What compaction has removed since was consumed before it.
        let found = try log.rows(upTo: limit)
        let kept = Set(found.map(\.offset))
        let isCompacted = partition.topic == "compacted"
        #expect(found == wanted.filter { !isCompacted || kept.contains($0.offset) }, "\(name)")
      }
    }
    let problems = events.withLock { $0 }.filter {
      $0.contains("Failed") || !$0.contains("rebuiltIndexes: 0")
        || !$0.contains("recoveredSegments: 0")
    }
    #expect(problems == [])
    let after = try folder.snapshot()
    for (name, bytes) in before where !name.hasSuffix(".deleted") {
      if name.hasSuffix(".kafka_cleanshutdown") { continue }
      #expect(after[name] == bytes, "\(name) was changed")
    }
    manager.shutdown(now: startTime)
    let closed = try folder.snapshot()
    for (name, bytes) in before where !name.hasSuffix(".deleted") && !name.contains("checkpoint") {
      if name.hasSuffix(".kafka_cleanshutdown") { continue }
      #expect(closed[name] == bytes, "\(name) was changed by the shutdown")
    }
  }
}
