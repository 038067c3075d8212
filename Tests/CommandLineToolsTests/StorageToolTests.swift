import Foundation
import KafkaRecords
import LogStorage
import Metadata
import MetadataLog
import TestKit
import Testing
import Values

@testable import CommandLineTools

/// Directories formatted here are those that Kafka's tool formats, but for ids and times.
@Suite struct StorageToolTests {
  private struct Formatted {
    let home: URL
    var meta: String
    var bootstrap: [MetadataBatch]
    var snapshot: [MetadataBatch]

    init(_ home: URL) throws {
      self.home = home
      meta = try String(contentsOf: home.appending(path: "meta.properties"), encoding: .utf8)
      bootstrap = try SnapshotFile.readWhole(home.appending(path: "bootstrap.checkpoint").path)
      snapshot = try SnapshotFile.readWhole(
        home.appending(
          path: "__cluster_metadata-0/00000000000000000000-0000000000.checkpoint"
        ).path)
    }
  }

  private static let clusterID = "3jhAqExSSaSXR06F4ZAL8w"

  private func config(_ folder: URL, _ more: String = "") throws -> String {
    let path = folder.appending(path: "server.properties").path
    let text = """
      process.roles=broker,controller
      node.id=1
      listeners=PLAINTEXT://127.0.0.1:55092,CONTROLLER://127.0.0.1:55192
      controller.listener.names=CONTROLLER
      log.dirs=\(folder.appending(path: "logs").path)
      \(more)
      """
    try text.write(toFile: path, atomically: true, encoding: .utf8)
    return path
  }

  private func run(_ arguments: [String]) async throws -> Int32 {
    let tool = StorageTool()
    return try await tool.run(try tool.syntax.parse(arguments), on: Console())
  }

  private static let dynamic = "controller.quorum.bootstrap.servers=127.0.0.1:55192"

  /// Everything but times: those are of the moment of writing.
  private func encoded(_ batches: [MetadataBatch]) -> [UInt8] {
    batches.flatMap { batch in
      let place = MetadataBatch.Place(
        baseOffset: batch.baseOffset, epoch: batch.epoch, timestamp: 0)
      switch batch.content {
      case .records(let records): return MetadataBatch.encode(records, at: place)
      case .control(let controls):
        let timeless = controls.map { control in
          guard case .snapshotHeader = control else { return control }
          return MetadataControl.snapshotHeader(SnapshotHeaderRecord())
        }
        return MetadataBatch.encode(control: timeless, at: place)
      }
    }
  }

  @Test func standaloneIsFormattedAsByKafka() async throws {
    let golden = try Fixtures.unpack("kafka-3.9.0-kraft-freshly-formatted.tar.gz")
    let folder = try Fixtures.temporaryFolder()
    defer {
      try? FileManager.default.removeItem(at: golden)
      try? FileManager.default.removeItem(at: folder)
    }
    let path = try config(folder, Self.dynamic)
    // The salt that Kafka drew, so that the keys are the same.
    let scram = #"SCRAM-SHA-256=[name=alice,salt="MTZ1YTgxaXZnOGY3ZnZ4dGZlYmxzeHM5NjA=","#
      + "password=alice-secret]"
    let status = try await run([
      "format", "--cluster-id", Self.clusterID, "--config", path, "--standalone", "--add-scram",
      scram,
    ])
    #expect(status == 0)
    let theirs = try Formatted(golden.appending(path: "kraft39-freshly-formatted"))
    let ours = try Formatted(folder.appending(path: "logs"))
    #expect(encoded(ours.bootstrap) == encoded(theirs.bootstrap))
    let files = { (home: URL) in
      try FileManager.default.subpathsOfDirectory(atPath: home.path)
        .filter { $0 != ".lock" }.sorted()
    }
    #expect(try files(ours.home) == (try files(theirs.home)))
    // The directory id is drawn anew; put theirs in place of ours.
    let ourID = try #require(try MetaProperties.read(ours.home.path)?.directoryID)
    let theirID = try #require(try MetaProperties.read(theirs.home.path)?.directoryID)
    var snapshot = ours.snapshot
    if case .control(var controls) = snapshot[0].content,
      case .voters(var voters)? = controls.last
    {
      #expect(voters.voters[0].voterDirectoryID == ourID)
      voters.voters[0].voterDirectoryID = theirID
      controls[controls.count - 1] = .voters(voters)
      snapshot[0].content = .control(controls)
    }
    #expect(encoded(snapshot) == encoded(theirs.snapshot))
    let lines = { (text: String) in
      text.split(separator: "\n").filter { !$0.hasPrefix("#") && !$0.hasPrefix("directory.id") }
    }
    #expect(lines(ours.meta) == lines(theirs.meta))
  }

  @Test func formattingTwiceIsRefusedOrIgnored() async throws {
    let folder = try Fixtures.temporaryFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = try config(folder, "controller.quorum.voters=1@127.0.0.1:55192")
    let format = ["format", "--cluster-id", Self.clusterID, "--config", path]
    #expect(try await run(format) == 0)
    let home = folder.appending(path: "logs").path
    let first = try MetaProperties.read(home)
    await #expect(throws: StartupError.self) { try await run(format) }
    #expect(try await run(format + ["--ignore-formatted"]) == 0)
    #expect(try MetaProperties.read(home) == first)
    // A static quorum has no voters in its log.
    #expect(!FileManager.default.fileExists(atPath: home + "/__cluster_metadata-0"))
    #expect(try await run(["info", "--config", path]) == 0)
  }

  @Test func unstableLevelsNeedTheNodesConsent() async throws {
    let folder = try Fixtures.temporaryFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    let voters = "controller.quorum.voters=1@127.0.0.1:55192\n"
    let format = ["format", "--cluster-id", Self.clusterID, "--config"]
    let stable = try config(folder, voters)
    for level in [["--release-version", "4.0-IV0"], ["--feature", "metadata.version=22"]] {
      let failure = await #expect(throws: ToolFailure.self) {
        try await run(format + [stable] + level)
      }
      #expect(failure?.description == "metadata.version 4.0-IV0 is not yet stable.")
    }
    #expect(!FileManager.default.fileExists(atPath: folder.appending(path: "logs").path))
    // Without a level the latest that the node takes, as Kafka's tool has it.
    let cases: [([String], Int16)] = [(["--release-version", "4.0-IV0"], 22), ([], 23)]
    for (flags, level) in cases {
      let path = try config(folder, voters + "unstable.feature.versions.enable=true")
      #expect(try await run(format + [path] + flags) == 0)
      let home = folder.appending(path: "logs")
      let records = try #require(try BootstrapFile.read(home.path)).map(\.record)
      guard case .featureLevel(let record)? = records.first else {
        Issue.record("no level")
        return
      }
      #expect(record.featureLevel == level)
      try FileManager.default.removeItem(at: home)
    }
  }

  @Test func initialControllersAreTheFirstVoters() async throws {
    let folder = try Fixtures.temporaryFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = try config(folder, Self.dynamic)
    let list =
      "1@127.0.0.1:55192:l3FMFTVjTV2ha3Fad9qGAA,2@[::1]:55193:WrSq9vosQ3uvzd3mxxCXdg"
    #expect(
      try await run([
        "format", "--cluster-id", Self.clusterID, "--config", path, "--initial-controllers", list,
      ]) == 0)
    let ours = try Formatted(folder.appending(path: "logs"))
    #expect(ours.meta.contains("directory.id=l3FMFTVjTV2ha3Fad9qGAA"))
    guard case .voters(let voters)? = ours.snapshot[0].controls.last else {
      Issue.record("no voters")
      return
    }
    #expect(voters.voters.map(\.voterID) == [1, 2])
    #expect(voters.voters[1].endpoints[0].host == "::1")
  }

  @Test(arguments: [
    ["--standalone", "--no-initial-controllers"],
    ["--initial-controllers", "1@127.0.0.1"],
    ["--standalone", "--feature", "kraft.version=0"],
    ["--standalone", "--release-version", "3.8-IV0"],
    ["--standalone", "--feature", "metadata.version=99"],
    ["--standalone", "--feature", "other=1"],
    ["--standalone", "--add-scram", "SCRAM-SHA-256=[name=a]"],
    ["--standalone", "--add-scram", "PLAIN=[name=a,password=b]"],
    [],
  ])
  func whatDoesNotFitIsRefused(_ flags: [String]) async throws {
    let folder = try Fixtures.temporaryFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = try config(folder, Self.dynamic)
    await #expect(throws: (any Error).self) {
      try await run(["format", "--cluster-id", Self.clusterID, "--config", path] + flags)
    }
    #expect(!FileManager.default.fileExists(atPath: folder.path + "/logs/meta.properties"))
  }

  @Test func infoTellsProblems() async throws {
    let folder = try Fixtures.temporaryFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = try config(folder, Self.dynamic)
    #expect(try await run(["info", "--config", path]) == 1)
    try FileManager.default.createDirectory(
      at: folder.appending(path: "logs"), withIntermediateDirectories: true)
    #expect(try await run(["info", "--config", path]) == 1)
  }

  /// The decoder prints what Kafka's prints, file by file.
  @Test(arguments: [
    "00000000000000000000-0000000000.checkpoint", "00000000000000000030-0000000001.checkpoint",
    "00000000000000000172-0000000001.checkpoint", "bootstrap.checkpoint", "log",
  ])
  func metadataIsDumpedAsByKafka(_ name: String) throws {
    let golden = try Fixtures.unpack("kafka-3.9.0-kraft-tool-output.tar.gz")
    let logs = try Fixtures.unpack("kafka-3.9.0-kraft-logdir.tar.gz")
    defer {
      try? FileManager.default.removeItem(at: golden)
      try? FileManager.default.removeItem(at: logs)
    }
    let isLog = name == "log"
    let text = try String(
      contentsOf: golden.appending(
        path: "txt39/" + (isLog ? "dump-metadata-log.txt" : "dump-\(name).txt")), encoding: .utf8)
    let expected = text.split(separator: "\n").map(String.init)
      .filter { !$0.hasPrefix("+ ") && !$0.hasPrefix("Dumping ") }
    let folder = logs.appending(path: "kr1")
    let file =
      name == "bootstrap.checkpoint"
      ? folder.appending(path: name)
      : folder.appending(
        path: "__cluster_metadata-0/" + (isLog ? "00000000000000000000.log" : name))
    var options = DumpLog.Options()
    options.printsData = true
    var dump = DumpLog(options)
    dump.decode = MetadataDecoder.decode
    dump.describeControl = MetadataDecoder.describe
    var lines: [String] = []
    try dump.dump(file.path) { lines.append($0) }
    lines.removeAll { $0.hasPrefix("Dumping ") }
    #expect(lines.count == expected.count)
    for (ours, theirs) in zip(lines, expected) where ours != theirs {
      Issue.record("\(ours)\n\(theirs)")
    }
  }
}
