import Bytes
import Foundation
import Groups
import KafkaProtocol
import Records
import TestKit
import Testing
import Values

/// What Kafka 3.9 wrote is understood, and written again byte for byte.
@Suite struct GoldenTests {
  /// Each group record of a log directory's `__consumer_offsets`, with its bytes.
  func records(
    of fixture: String, _ body: (_ key: [UInt8], _ value: [UInt8]?, _ offset: Int64) throws -> Void
  ) throws {
    let segments = try Fixtures.segments(of: "__consumer_offsets", in: fixture)
    #expect(!segments.isEmpty)
    for data in segments {
      try data.withUnsafeBytes { bytes in
        var batches = BatchIterator(bytes)
        var scratch = ByteWriter()
        while let batch = try batches.next() {
          try batch.validate()
          var iterator = try batch.records(scratch: &scratch)
          while let record = try iterator.next() {
            guard let key = record.key else { continue }
            try body(Array(key), record.value.map(Array.init), record.offset)
          }
        }
      }
    }
  }

  @Test(arguments: [
    "kafka-3.9.0-zookeeper-mode-logdir.tar.gz", "kafka-3.9.0-kraft-logdir.tar.gz",
  ])
  func groupOne(fixture: String) throws {
    var loader = GroupLoader()
    try records(of: fixture) { key, value, offset in
      loader.load(key: key.span.bytes, value: value?.span.bytes, offset: offset)
    }
    #expect(loader.skippedCount == 0 && loader.recordCount >= 2)
    var effects: [GroupEffect] = []
    let now = Moment(instant: .zero, wall: WallTime(milliseconds: 1_800_000_000_000))
    let shard = loader.finish(config: GroupConfig(), at: now, into: &effects)
    let offsets = shard.fetchOffsets("group-one", nil, requireStable: true)
    #expect(
      offsets.map { "\($0.partition) \($0.offset) \($0.metadata)" } == [
        // The client that wrote it sends the zero byte that ends a C string.
        "plain-0 100 halfway\0", "plain-1 150 ",
      ])
  }

  @Test(arguments: [
    "kafka-3.9.0-zookeeper-mode-logdir.tar.gz", "kafka-3.9.0-kraft-logdir.tar.gz",
  ])
  func recordsAreWrittenAsKafkaWritesThem(fixture: String) throws {
    try records(of: fixture) { key, value, _ in
      let record = try GroupRecord.decode(key: key.span.bytes, value: value?.span.bytes)
      let written = try #require(record).encoded()
      #expect(written.key == key)
      #expect(written.value == value)
    }
  }

  @Test func partitionsAreThoseOfJavasHash() {
    #expect(GroupPartitioner.partition(for: "", count: 50) == 0)
    #expect(GroupPartitioner.partition(for: "abc", count: 50) == 96354 % 50)
    // "polygenelubricants" has the one hash that has no positive counterpart.
    #expect(GroupPartitioner.partition(for: "polygenelubricants", count: 50) == 0)
    #expect(GroupPartitioner.partition(for: "é", count: 50) == 233 % 50)
    #expect((0..<50).contains(GroupPartitioner.partition(for: "group-one-long-name", count: 50)))
  }

  @Test func damagedRecordsAreSkipped() {
    var loader = GroupLoader()
    let key: [UInt8] = [0, 2, 0, 1, 0x67]
    for value: [UInt8] in [[], [0], [0, 3], [0, 99], [0, 3, 0, 200, 1]] {
      loader.load(key: key.span.bytes, value: value.span.bytes, offset: 0)
    }
    loader.load(key: [UInt8]([0]).span.bytes, value: nil, offset: 0)
    // Keys of the newer consumer protocol.
    loader.load(key: [UInt8]([0, 3, 0, 1, 0x67]).span.bytes, value: nil, offset: 0)
    #expect(loader.skippedCount == 7 && loader.recordCount == 0)
  }

  @Test func expiryOfItsOwnNeedsVersionOne() throws {
    let value = OffsetAndMetadata(
      offset: 5, metadata: "m", commitTimestamp: WallTime(milliseconds: 7),
      expireTimestamp: WallTime(milliseconds: 9))
    let bytes = GroupRecord.offset(group: "g", TopicPartition("t", 3), value).encoded()
    #expect(bytes.value?.prefix(2) == [0, 1])
    let read = try GroupRecord.decode(key: bytes.key.span.bytes, value: bytes.value?.span.bytes)
    guard case .offset("g", TopicPartition("t", 3), let back?) = read else {
      Issue.record("read as \(String(describing: read))")
      return
    }
    #expect(back == value)
  }
}
