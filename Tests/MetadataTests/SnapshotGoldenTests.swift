import Bytes
import Foundation
import KafkaRecords
import Metadata
import Records
import TestKit
import Testing
import Values

/// The metadata log and the snapshots of a real 3.9.0 node: read, built into images, and written
/// again.
@Suite struct SnapshotGoldenTests {
  struct Batch {
    var records: [(record: MetadataRecord, version: Int16, bytes: [UInt8])]
    var lastOffset: Int64
    var epoch: Int32
  }

  /// The batches of a segment or snapshot; control batches have no records.
  private func batches(of url: URL) throws -> [Batch] {
    let data = try Data(contentsOf: url)
    return try data.withUnsafeBytes { (bytes: UnsafeRawBufferPointer) -> [Batch] in
      var result: [Batch] = []
      var iterator = BatchIterator(bytes)
      var scratch = ByteWriter()
      while let batch = try iterator.next() {
        try batch.validate()
        var parsed = Batch(
          records: [], lastOffset: batch.header.lastOffset,
          epoch: batch.header.partitionLeaderEpoch)
        if !batch.header.isControl {
          var records = try batch.records(scratch: &scratch)
          while let record = try records.next() {
            let value = Array(try #require(record.value))
            var reader = ByteReader(value.span.bytes)
            let (decoded, version) = try MetadataRecord.read(from: &reader)
            parsed.records.append((decoded, version, value))
          }
        }
        result.append(parsed)
      }
      return result
    }
  }

  private func bytes(_ record: VersionedRecord) -> [UInt8] {
    var writer = ByteWriter()
    record.record.write(to: &writer, version: record.version)
    return writer.array()
  }

  private func unpack() throws -> (folder: URL, log: URL) {
    let folder = try Fixtures.unpack("kafka-3.9.0-kraft-logdir.tar.gz")
    return (folder, folder.appending(path: "kr1/__cluster_metadata-0"))
  }

  private func snapshots(_ log: URL) throws -> [(offset: Int64, url: URL)] {
    try FileManager.default.contentsOfDirectory(at: log, includingPropertiesForKeys: nil)
      .filter { $0.pathExtension == "checkpoint" }
      .compactMap { url in
        Int64(url.lastPathComponent.prefix(20)).map { ($0, url) }
      }
      .sorted { $0.0 < $1.0 }
  }

  @Test func snapshotsAreWhatTheLogSaysAtTheirOffset() throws {
    let (folder, log) = try unpack()
    defer { try? FileManager.default.removeItem(at: folder) }
    let entries = try batches(of: log.appending(path: "00000000000000000000.log"))
    var found = 0
    for (offset, url) in try snapshots(log) where offset > 0 {
      var image = MetadataImage()
      for batch in try batches(of: url) {
        for entry in batch.records { image.apply(entry.record) }
      }
      // A snapshot's name is the offset behind the last one that it covers.
      var loader = MetadataLoader()
      for batch in entries where batch.lastOffset < offset {
        loader.apply(
          batch.records.map(\.record), lastOffset: batch.lastOffset, epoch: batch.epoch)
      }
      #expect(loader.lastOffset == offset - 1 && loader.stableOffset == loader.lastOffset)
      #expect(loader.image == image, "snapshot \(offset)")
      found += 1
    }
    #expect(found == 6)
  }

  @Test func imagesAreWrittenAsKafkaWritesThem() throws {
    let (folder, log) = try unpack()
    defer { try? FileManager.default.removeItem(at: folder) }
    for (offset, url) in try snapshots(log) where offset > 0 {
      let records = try batches(of: url).flatMap(\.records)
      var image = MetadataImage()
      for entry in records { image.apply(entry.record) }
      let written = image.versionedRecords
      // Kafka walks hash maps: topics, settings and entries come in an order of its own.
      #expect(Set(written.map(bytes)) == Set(records.map(\.bytes)), "snapshot \(offset)")
      #expect(written.count == records.count)
      #expect(kinds(written.map(\.record)) == kinds(records.map(\.record)))
      var again = MetadataImage()
      for record in written { again.apply(record.record) }
      #expect(again == image)
    }
  }

  /// The kinds of records in the order of their first appearance; partitions follow their topics.
  private func kinds(_ records: [MetadataRecord]) -> [String] {
    var kinds: [String] = []
    for record in records where !kinds.contains(record.name) { kinds.append(record.name) }
    return kinds
  }

  @Test func theLogsRecordsAreWrittenInTheVersionsOfTheirLevel() throws {
    let (folder, log) = try unpack()
    defer { try? FileManager.default.removeItem(at: folder) }
    var count = 0
    for batch in try batches(of: log.appending(path: "00000000000000000000.log")) {
      for entry in batch.records {
        let written = VersionedRecord(entry.record, at: .latestProduction)
        #expect(written.version == entry.version, "\(entry.record.name)")
        #expect(bytes(written) == entry.bytes, "\(entry.record.name)")
        count += 1
      }
    }
    #expect(count > 180)
  }

  @Test func theImageHoldsWhatWasSetUp() throws {
    let (folder, log) = try unpack()
    defer { try? FileManager.default.removeItem(at: folder) }
    var loader = MetadataLoader()
    for batch in try batches(of: log.appending(path: "00000000000000000000.log")) {
      loader.apply(
        batch.records.map(\.record), lastOffset: batch.lastOffset, epoch: batch.epoch)
    }
    let image = loader.image
    #expect(image.metadataVersion == .latestProduction && !loader.isEmpty)
    #expect(image.topics.sortedNames.contains("plain"))
    #expect(image.topics["plain"]?.partitions.count == 2)
    #expect(image.configs.value("segment.bytes", of: .topic("plain")) == "4096")
    #expect(image.scram.users == ["alice"] && image.accessControl.ids.count == 3)
    #expect(image.controllers.map(\.id.rawValue) == [1] && image.nextProducerID == 1000)
    let alice = QuotaEntity([.init(type: "user", name: "alice")])
    #expect(image.clientQuotas[alice] == ["producer_byte_rate": 1_048_576])
  }
}
