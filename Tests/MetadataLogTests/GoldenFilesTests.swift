import Foundation
import KafkaRecords
import Metadata
import MetadataLog
import Raft
import TestKit
import Testing
import Values

/// What a real node wrote is read, and written again byte for byte.
@Suite struct GoldenFilesTests {
  /// Encodes batches as they were read, each with its own place.
  private func encode(_ batches: [MetadataBatch]) -> [UInt8] {
    batches.flatMap { batch in
      let place = MetadataBatch.Place(
        baseOffset: batch.baseOffset, epoch: batch.epoch, timestamp: batch.timestamp)
      return switch batch.content {
      case .records(let records): MetadataBatch.encode(records, at: place)
      case .control(let controls): MetadataBatch.encode(control: controls, at: place)
      }
    }
  }

  private func files(
    _ fixture: String, _ suffixes: [String]
  ) throws -> [(name: String, bytes: [UInt8])] {
    let folder = try Fixtures.unpack(fixture)
    defer { try? FileManager.default.removeItem(at: folder) }
    let all = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)
    var found: [(String, [UInt8])] = []
    while let url = all?.nextObject() as? URL {
      let name = url.lastPathComponent
      let isMetadata =
        url.path.contains("__cluster_metadata-0") || name == BootstrapFile.name
        || name == MetaProperties.fileName
      guard isMetadata, suffixes.contains(where: { name.hasSuffix($0) }) else { continue }
      found.append((name, Array(try Data(contentsOf: url))))
    }
    return found
  }

  private static let logDirectory = "kafka-3.9.0-kraft-logdir.tar.gz"
  private static let formatted = "kafka-3.9.0-kraft-freshly-formatted.tar.gz"

  @Test(arguments: [logDirectory, formatted])
  func logsAndSnapshotsAreWrittenAsTheyWere(_ fixture: String) throws {
    let found = try files(fixture, [".log", ".checkpoint"])
    #expect(found.count == (fixture == Self.formatted ? 2 : 9))
    for (name, bytes) in found {
      let batches = try bytes.withUnsafeBytes { try MetadataBatch.read($0) }
      #expect(!batches.isEmpty, "\(name)")
      #expect(encode(batches) == bytes, "\(name)")
    }
  }

  @Test(arguments: [logDirectory, formatted])
  func metaPropertiesAreWrittenAsTheyWere(_ fixture: String) throws {
    for (_, bytes) in try files(fixture, [MetaProperties.fileName]) {
      let folder = try Fixtures.temporaryFolder()
      defer { try? FileManager.default.removeItem(at: folder) }
      try Data(bytes).write(to: folder.appending(path: MetaProperties.fileName))
      let meta = try #require(try MetaProperties.read(folder.path))
      #expect(meta.version == 1)
      #expect(meta.nodeID == BrokerID(1))
      let text = String(decoding: bytes, as: UTF8.self)
      let date = try #require(text.split(separator: "\n").dropFirst().first?.dropFirst())
      #expect(meta.text(at: String(date)) == text)
    }
  }

  @Test func quorumStateIsWrittenAsItWas() throws {
    let found = try files(Self.logDirectory, [QuorumStateFile.name])
    let bytes = try #require(found.first?.bytes)
    let folder = try Fixtures.temporaryFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    try Data(bytes).write(to: folder.appending(path: QuorumStateFile.name))
    let file = QuorumStateFile(directory: folder.path)
    let state = try #require(try file.read())
    #expect(state.leaderID == 1)
    #expect(state.leaderEpoch == 1)
    #expect(state.votedID == -1)
    try file.write(state, version: 1)
    #expect(Array(try Data(contentsOf: URL(filePath: file.path))) == bytes)
  }

  @Test func quorumStateOfVersion0KeepsItsVoters() throws {
    let folder = try Fixtures.temporaryFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    let text =
      #"{"clusterId":"","leaderId":-1,"leaderEpoch":3,"votedId":2,"appliedOffset":0,"#
      + #""currentVoters":[{"voterId":1},{"voterId":2}],"data_version":0}"#
    try Data(text.utf8).write(to: folder.appending(path: QuorumStateFile.name))
    let file = QuorumStateFile(directory: folder.path)
    let state = try #require(try file.read())
    #expect(state.currentVoters?.map(\.voterID) == [1, 2])
    try file.write(state, version: 0)
    #expect(String(decoding: try Data(contentsOf: URL(filePath: file.path)), as: UTF8.self) == text)
    try Data("{\"data_version\":2}".utf8).write(to: folder.appending(path: QuorumStateFile.name))
    #expect(throws: StartupError.self) { try file.read() }
  }

  @Test func snapshotsAreNamedAsKafkaNamesThem() {
    let id = SnapshotID(offset: 172, epoch: LeaderEpoch(1))
    #expect(id.fileName == "00000000000000000172-0000000001.checkpoint")
    #expect(SnapshotID(fileName: id.fileName) == id)
    for name in ["172-1.checkpoint", "00000000000000000172-0000000001.checkpoint.part", "x"] {
      #expect(SnapshotID(fileName: name) == nil)
    }
  }

  /// Made from the same records, a snapshot is the same file but for the times in it.
  @Test func aSnapshotIsWrittenAsKafkaWritesIt() throws {
    let name = "00000000000000000030-0000000001.checkpoint"
    let bytes = try #require(try files(Self.logDirectory, [name]).first?.bytes)
    let batches = try bytes.withUnsafeBytes { try MetadataBatch.read($0) }
    var preamble: SnapshotPreamble?
    var records: [VersionedRecord] = []
    for batch in batches {
      if case .records(let some) = batch.content { records += some }
      guard case .snapshotHeader(let header)? = batch.controls.first,
        case .voters(let voters)? = batch.controls.last
      else { continue }
      preamble = SnapshotPreamble(
        lastContainedLogTimestamp: header.lastContainedLogTimestamp, kraftVersion: 1,
        voters: voters)
    }
    let folder = try Fixtures.temporaryFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appending(path: name).path
    let time = WallTime(milliseconds: batches[0].timestamp)
    var writer = try SnapshotWriter(
      path: path, epoch: 1, preamble: try #require(preamble), now: time)
    try writer.append(records)
    try writer.finish()
    var expected = batches
    for index in expected.indices { expected[index].timestamp = time.milliseconds }
    #expect(Array(try Data(contentsOf: URL(filePath: path))) == encode(expected))
    #expect(writer.size == bytes.count)
    #expect(try SnapshotFile.readWhole(path).count == 3)
    // A file without its end is no snapshot.
    try Data(bytes.prefix(1219)).write(to: URL(filePath: path))
    #expect(throws: StartupError.self) { try SnapshotFile.readWhole(path) }
  }

  @Test func aRealLogOpensWithItsSnapshotsAndVoters() throws {
    let folder = try Fixtures.unpack(Self.logDirectory)
    defer { try? FileManager.default.removeItem(at: folder) }
    let store = try MetadataLogStore(
      logDirectory: folder.appending(path: "kr1").path, options: MetadataLogOptions(),
      now: WallTime(milliseconds: 0))
    #expect(store.snapshots.map(\.id.offset) == [0, 30, 61, 89, 116, 144, 172])
    #expect(store.endOffset == 194)
    let log = try store.describe()
    #expect(log.kraftVersion == 1)
    #expect(log.lastEpoch == LeaderEpoch(1))
    let voters = try #require(log.lastVoters?.voters)
    #expect(voters.ids == [BrokerID(1)])
    #expect(voters.voters[0].key.directory == Uuid("l3FMFTVjTV2ha3Fad9qGAA"))
    #expect(voters.voters[0].endpoints.map(\.port) == [55192])
    // Reading stops where it is told to.
    let bytes = try store.read(from: 3, to: 8, maxBytes: 1 << 20)
    let batches = try bytes.withUnsafeBytes { try MetadataBatch.read($0) }
    #expect(batches.map(\.baseOffset) == [3])
    #expect(batches[0].records.count == 5)
  }
}
