import Foundation
import Metadata
import Platform
import Synchronization
import TestKit
import Testing
import Values

@testable import CommandLineTools

/// The shell on the directory that Kafka 3.9.0 wrote: what it shows is what dump-log printed of the
/// same records (`kafka-3.9.0-kraft-tool-output`).
@Suite struct MetadataShellTests {
  private static let snapshot = "__cluster_metadata-0/00000000000000000172-0000000001.checkpoint"

  private func withDirectory(_ body: (URL) throws -> Void) throws {
    let folder = try Fixtures.unpack("kafka-3.9.0-kraft-logdir.tar.gz")
    defer { try? FileManager.default.removeItem(at: folder) }
    try body(folder.appending(path: "kr1"))
  }

  /// What a command prints, and how it ended.
  private func run(
    _ content: ShellImage, _ command: String...
  ) -> (lines: [String], outcome: MetadataShell.Outcome) {
    var lines: [String] = []
    var shell = MetadataShell(content, isInteractive: false) { lines.append($0) }
    let outcome = shell.perform(command)
    return (lines, outcome)
  }

  @Test func showsWhatKafkaWrote() throws {
    try withDirectory { directory in
      let content = try MetadataShellSource(file: directory.appending(path: Self.snapshot).path)
        .content
      func cat(_ path: String) -> String { run(content, "cat", path).lines.joined(separator: "\n") }
      #expect(
        run(content, "ls", "/image").lines == [
          "acls", "clientQuotas", "cluster", "configs", "delegationToken", "features",
          "producerIds", "provenance", "scram", "topics",
        ])
      #expect(cat("/image/provenance").hasPrefix("offset 171, epoch 1, time 2026-11-2"))
      #expect(cat("/image/features/metadataVersion") == "3.9-IV0")
      #expect(cat("/image/features/zkMigrationState") == "NONE")
      #expect(cat("/image/producerIds/nextProducerId") == "1000")
      #expect(cat("/image/topics/byName/plain/id") == "GvrlRPW2Rb2n-e84UtFipA")
      #expect(cat("/image/topics/byId/GvrlRPW2Rb2n-e84UtFipA/name") == "plain")
      #expect(
        cat("/image/topics/byName/plain/1")
          == "PartitionRegistration(replicas=[1], directories=[l3FMFTVjTV2ha3Fad9qGAA], isr=[1], "
          + "removingReplicas=[], addingReplicas=[], elr=[], lastKnownElr=[], leader=1, "
          + "leaderRecoveryState=RECOVERED, leaderEpoch=0, partitionEpoch=0)")
      #expect(cat("/image/configs/TOPIC:plain/segment.bytes") == "4096")
      #expect(cat("/image/clientQuotas/user(alice)/producer_byte_rate") == "1048576.0")
      #expect(
        cat("/image/acls/jIUhcm5JT62oW59uVW7WHA")
          == "StandardAcl(resourceType=TOPIC, resourceName=plain, patternType=LITERAL, "
          + "principal=User:alice, host=*, operation=READ, permissionType=ALLOW)")
      let user = cat("/image/scram/SCRAM-SHA-256/alice")
      #expect(user.hasPrefix("ScramCredentialData(salt=313675613831697667386637"))
      #expect(user.hasSuffix(", iterations=4096)"))
      let broker = cat("/image/cluster/brokers/1")
      #expect(
        broker.hasPrefix(
          "BrokerRegistration(id=1, epoch=10, incarnationId=c9X9r_UPTBejZktv8nAnrw, "
            + "listeners=[Endpoint(listenerName='PLAINTEXT', securityProtocol=PLAINTEXT, "
            + "host='127.0.0.1', port="))
      #expect(broker.contains("metadata.version: 1-21"))
      #expect(broker.hasSuffix("directories=[l3FMFTVjTV2ha3Fad9qGAA])"))
      #expect(
        cat("/image/cluster/controllers/1").hasPrefix(
          "ControllerRegistration(id=1, incarnationId=P1Mqf4TnSoSlfHYExXfOUQ"))
    }
  }

  /// The newest snapshot and the log behind it; the end of the log is where Kafka's run ended.
  @Test func directoryIsSnapshotAndLog() throws {
    try withDirectory { directory in
      let whole = try MetadataShellSource(directory: directory.path)
      #expect(whole.content.lastOffset == 193)
      #expect(whole.warnings.isEmpty)
      let log = directory.appending(path: "__cluster_metadata-0/00000000000000000000.log")
      let segment = try MetadataShellSource(file: log.path)
      #expect(segment.content.image == whole.content.image)
      // A crash may leave half a batch: what precedes it is shown, and a warning.
      let torn = try FileHandle(forWritingTo: log)
      try torn.truncate(atOffset: try torn.seekToEnd() - 10)
      try torn.close()
      let rest = try MetadataShellSource(directory: directory.path)
      #expect(rest.content.lastOffset == 192)
      #expect(rest.warnings.count == 1)
    }
  }

  /// A snapshot is whole or nothing.
  @Test func damagedSnapshotIsRefused() throws {
    try withDirectory { directory in
      let file = directory.appending(path: Self.snapshot)
      var bytes = try Data(contentsOf: file)
      bytes.removeLast(75)
      try bytes.write(to: file)
      #expect(throws: (any Error).self) { try MetadataShellSource(file: file.path) }
      #expect(throws: (any Error).self) { try MetadataShellSource(directory: "/nowhere") }
    }
  }

  @Test func lockedDirectoryIsRefused() throws {
    try withDirectory { directory in
      let lock = try File("\(directory.path)/.lock", [.read, .write, .create])
      #expect(try lock.tryLock())
      let failure = #expect(throws: ToolFailure.self) {
        try MetadataShellSource(directory: directory.path)
      }
      #expect(failure?.description.hasPrefix("Unable to lock \(directory.path).") == true)
    }
  }

  @Test func pathsAndPatterns() throws {
    try withDirectory { directory in
      let content = try MetadataShellSource(directory: directory.path).content
      #expect(
        run(content, "find", "/local").lines == ["/local", "/local/commitId", "/local/version"])
      #expect(
        run(content, "cat", "/image/topics/byName/{plain,txn}/name").lines == ["plain", "txn"])
      #expect(run(content, "ls", "/image/topics/byName/codec-*").lines.filter { $0.hasSuffix(":") }
        == ["codec-gzip:", "codec-lz4:", "codec-snappy:", "codec-zstd:"])
      #expect(run(content, "tree", "/image/producerIds").lines == ["nextProducerId:", "  1000"])
      let missing = run(content, "ls", "/image/none")
      #expect(missing.lines == ["ls: /image/none: no such file or directory."])
      #expect(missing.outcome == .failed)
      #expect(run(content, "cat", "/image").lines == ["cat: /image: Is a directory"])
      // What needs a prompt is not known on the command line.
      #expect(run(content, "cd", "/image").outcome == .failed)
    }
  }

  @Test func prompt() throws {
    var content = ShellImage()
    content.image.apply(.topic(.init { $0.name = "a"; $0.topicID = .one }))
    var lines: [String] = []
    var shell = MetadataShell(content, isInteractive: true, width: 40) { lines.append($0) }
    for line in ["cd image/topics", "pwd", "ls", "cat byName/a/../a/name", "cd byName/a/name"] {
      _ = shell.perform(line: line)
    }
    #expect(
      lines == ["/image/topics", "byId  byName", "a", "cd: byName/a/name: not a directory."])
    lines = []
    _ = shell.perform(line: "history 2")
    #expect(lines == ["    4  cd byName/a/name", "    5  history 2"])
    lines = []
    _ = shell.perform(line: "man cat")
    #expect(lines.first == "cat: Show the contents of metadata files.")
    #expect(shell.perform(line: "cd ../..") == .done)
    #expect(shell.tree.workingDirectory == "/")
    #expect(shell.perform(line: "ls a b") == .failed)
    #expect(shell.perform(line: "exit") == .ended)
  }

  @Test func numbersAndTimesAsInJava() {
    let numbers: [(Double, String)] = [
      (0, "0.0"), (1, "1.0"), (1_048_576, "1048576.0"), (12_345_678.5, "1.23456785E7"),
      (1e7, "1.0E7"), (0.001, "0.001"), (0.00012, "1.2E-4"), (-2.5, "-2.5"), (1e21, "1.0E21"),
    ]
    for (number, text) in numbers { #expect(JavaText.text(number) == text) }
    #expect(JavaText.zonedDateTime(milliseconds: 0) == "1970-01-01T00:00:00Z[UTC]")
    #expect(
      JavaText.zonedDateTime(milliseconds: 1_795_341_139_120) == "2026-11-22T09:52:19.12Z[UTC]")
  }

  @Test func quotaEntitiesAreSpelled() {
    let entity = QuotaEntity([
      .init(type: "user", name: "a(b)"), .init(type: "client-id", name: nil),
    ])
    #expect(JavaText.text(entity) == #"clientId(<default>)_user(a\(b\))"#)
  }
}
