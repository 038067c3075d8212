import Foundation
import Platform
import Synchronization
import Testing
import Values

@testable import LogStorage

/// A broker's logs over several directories.
@Suite struct ManagerTests {
  static let id = Uuid(high: 1, low: 2)

  func manager(_ folder: Folder, dirs: [String] = ["d1", "d2"]) -> LogManager {
    let manager = LogManager(paths: dirs.map { "\(folder.path)/\($0)" }) { _ in
      var config = LogConfig()
      config.segmentBytes = 500
      config.retentionMs = 1000
      config.fileDeleteDelayMs = 100
      return config
    }
    manager.load(threadsPerDirectory: 2, now: startTime)
    return manager
  }

  @Test func logsAreSpreadFoundAndLoadedAgain() throws {
    let folder = try Folder()
    do {
      let manager = manager(folder)
      for number in 0..<6 {
        let log = try manager.log(
          creating: TopicPartition("a.b-c", Int32(number)), topicID: Self.id, now: startTime)
        try log.append(batch([("k", "\(number)")]))
        log.updateHighWatermark(1)
      }
      #expect(manager.directories.map { manager.describe($0).count } == [3, 3])
      manager.shutdown(brokerEpoch: 42, now: startTime)
    }
    let again = manager(folder)
    #expect(again.directories.map(\.cleanShutdownEpoch) == [42, 42])
    #expect(again.logs.count == 6)
    #expect(try again.topicID(TopicPartition("a.b-c", 3)) == Self.id)
    #expect(again.checkpointedHighWatermarks()[TopicPartition("a.b-c", 3)] == 1)
    #expect(try again.log(TopicPartition("a.b-c", 5))?.rows().map(\.value) == ["5"])
    #expect(!FileSystem.exists("\(folder.path)/d1/.kafka_cleanshutdown"))
  }

  @Test func aSecondBrokerIsKeptOut() throws {
    let folder = try Folder()
    let first = manager(folder)
    let second = manager(folder, dirs: ["d2", "d3"])
    #expect(second.unusable.map(\.path) == ["\(folder.path)/d2"])
    #expect(second.directories.count == 1 && first.directories.count == 2)
  }

  @Test func deletedLogsGoAfterAWhile() throws {
    let folder = try Folder()
    let manager = manager(folder, dirs: ["d"])
    let partition = TopicPartition("t", 0)
    let log = try manager.log(creating: partition, topicID: nil, now: startTime)
    try log.append(batch([("k", "v")]))
    let slice = try log.read(from: 0, maxBytes: 1000, upTo: .logEndOffset)
    try manager.delete(partition, now: startTime)
    #expect(manager.log(partition) == nil)
    #expect(throws: LogError.closed) { try log.append(batch([("k", "v")])) }
    let names = try FileSystem.list("\(folder.path)/d").filter { $0.hasSuffix("-delete") }
    #expect(names.count == 1 && names[0].hasPrefix("t-0."))
    // What is being sent can still be read; a new log of the name is another one.
    #expect(try PartitionLog.bytes(of: slice).count == slice.count)
    let fresh = try manager.log(creating: partition, topicID: nil, now: startTime)
    #expect(fresh.logEndOffset == 0)
    var later = startTime
    later.milliseconds += 100
    manager.removeCondemned(now: later)
    #expect(try FileSystem.list("\(folder.path)/d").filter { $0.hasSuffix("-delete") } == [])
  }

  @Test func aFailingDiskTakesItsDirectoryOffline() throws {
    let folder = try Folder()
    let manager = manager(folder)
    for number in 0..<4 {
      let log = try manager.log(
        creating: TopicPartition("t", Int32(number)), topicID: nil, now: startTime)
      try log.append(batch([("k", "v")]))
    }
    let fault = FileFaults.inject(.sync, under: "\(folder.path)/d1", code: 5)
    defer { FileFaults.remove(fault) }
    for log in manager.logs {
      do { try log.flush(now: startTime) } catch { manager.note(error, of: log.topicPartition) }
    }
    #expect(manager.liveDirectories.map(\.path) == ["\(folder.path)/d2"])
    #expect(manager.logs.count == 2 && manager.offlinePartitions.count == 2)
    let fresh = try manager.log(creating: TopicPartition("u", 0), topicID: nil, now: startTime)
    #expect(manager.directory(of: fresh.topicPartition)?.path == "\(folder.path)/d2")
    manager.shutdown(now: startTime)
    #expect(FileSystem.exists("\(folder.path)/d2/.kafka_cleanshutdown"))
    #expect(!FileSystem.exists("\(folder.path)/d1/.kafka_cleanshutdown"))
  }

  @Test func retentionGoesByTimeAndSize() throws {
    let folder = try Folder()
    let manager = manager(folder, dirs: ["d"])
    let log = try manager.log(creating: TopicPartition("t", 0), topicID: nil, now: startTime)
    for number in 0..<20 {
      let time = startTime.milliseconds + Int64(number * 100)
      try log.append(batch([("k", "value \(number)")], timestamp: time))
    }
    var now = WallTime(milliseconds: startTime.milliseconds + 1900)
    // Nothing goes that is not replicated.
    manager.runRetention(now: now)
    #expect(log.logStartOffset == 0)
    log.updateHighWatermark(20)
    manager.runRetention(now: now)
    let start = log.logStartOffset
    #expect(start > 0 && start < 10)
    #expect(try log.rows().first?.offset == start)
    var config = log.config
    config.retentionMs = -1
    config.retentionBytes = 600
    log.update(config)
    manager.runRetention(now: now)
    #expect(log.size >= 600 && log.size < 1200 && log.logStartOffset > start)
    config.retentionMs = 10
    log.update(config)
    now.milliseconds += 1_000_000
    manager.runRetention(now: now)
    #expect(log.size == 0 && log.logStartOffset == 20 && log.logEndOffset == 20)
    manager.removeCondemned(now: WallTime(milliseconds: now.milliseconds + 200))
    let names = try FileSystem.list("\(folder.path)/d/t-0")
    #expect(names.filter { $0.contains(".log") } == ["00000000000000000020.log"])
  }

  @Test func checkpointsAreReadBack() throws {
    let folder = try Folder()
    let checkpoint = OffsetCheckpoint(path: "\(folder.path)/c")
    let offsets = [TopicPartition("b", 1): Offset(7), TopicPartition("a", 0): 9]
    try checkpoint.write(offsets)
    #expect(try checkpoint.read() == offsets)
    let text = String(
      decoding: try #require(try FileSystem.readFile(checkpoint.path)), as: UTF8.self)
    #expect(text == "0\n2\na 0 9\nb 1 7\n")
    try FileSystem.replaceFile(checkpoint.path, with: Array("0\n3\na 0 9\n".utf8))
    #expect(throws: LogError.self) { try checkpoint.read() }
  }

  @Test func metaPropertiesOfBothModes() throws {
    let folder = try Folder()
    for properties in [
      MetaProperties(version: 0, nodeID: 1, clusterID: "zsZqM1q5T2u-RT-ldpuJjw"),
      MetaProperties(version: 1, nodeID: 7, clusterID: "c", directoryID: Self.id),
    ] {
      try properties.write(directory: folder.path)
      #expect(try MetaProperties.read(directory: folder.path) == properties)
    }
    #expect(throws: LogError.self) { try MetaProperties(text: "version=9\n") }
  }

  @Test func directoryNames() {
    #expect(LogDirectoryName("a-b-12")?.topicPartition == TopicPartition("a-b", 12))
    let deleted = LogDirectoryName.name(
      for: TopicPartition(String(repeating: "x", count: 249), 3), role: .deleted,
      unique: "0123456789abcdef0123456789abcdef")
    #expect(deleted.utf8.count == 255 && LogDirectoryName(deleted)?.role == .deleted)
    #expect(LogDirectoryName("t.1-0.abc-future")?.topicPartition == TopicPartition("t.1", 0))
    for name in ["lost+found", "-1", "a-", "meta.properties"] {
      #expect(LogDirectoryName(name) == nil, "\(name)")
    }
  }
}
