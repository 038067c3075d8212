import Bytes
import Drills
import Foundation
import Histories
import LocalCluster
import Records
import TestKit
import Testing
import Values

@testable import ClusterSimulation

/// Logs that are wrong on purpose, each found to be.
@Suite struct ReplicaLogsTests {
  private let folder: URL
  private let logs: ReplicaLogs
  private let partition = TopicPartition("t", 0)

  init() throws {
    folder = try Fixtures.temporaryFolder()
    let plan = ClusterPlan(brokers: 2)
    logs = ReplicaLogs(
      target: LoadTarget(topic: "t", partitions: 1),
      brokers: plan.members.filter { $0.role == .broker }, folder: ClusterFolder(folder.path))
  }

  /// Writes a log of these values, from offset 0 on, for a broker.
  private func write(_ values: [Int64], broker: Int, cutting: Int = 0) throws {
    var output = ByteWriter()
    for (offset, value) in values.enumerated() {
      var builder = BatchBuilder(BatchOptions(), reserving: 128)
      builder.append(timestamp: 1, key: nil, value: Array("\(value)".utf8), headers: [])
      var batch = ByteWriter()
      try builder.finish(into: &batch)
      var bytes = batch.array()
      withUnsafeBytes(of: Int64(offset).bigEndian) { bytes.replaceSubrange(0..<8, with: $0) }
      output.writeBytes(bytes)
    }
    let home = folder.appending(path: "broker-\(broker)/data/t-0")
    try FileManager.default.createDirectory(at: home, withIntermediateDirectories: true)
    try Data(output.array().dropLast(cutting)).write(
      to: home.appending(path: "00000000000000000000.log"))
  }

  private func sends(_ values: [Int64], _ outcome: Outcome = .ok) -> History {
    History(
      values.enumerated().map { offset, value in
        Operation(
          process: 1,
          [.sent(partition, value: value, offset: outcome == .ok ? Int64(offset) : nil)],
          invoked: .zero, completed: .zero, outcome: outcome)
      }, hasFinalRead: true)
  }

  @Test func whatWasSentAndIsThereIsGood() throws {
    try write([7, 8, 9], broker: 1)
    try write([7, 8, 9], broker: 2)
    #expect(logs.differences.isEmpty)
    #expect(logs.violations(of: sends([7, 8, 9]), mayLose: false).isEmpty)
    #expect(logs.violations(of: sends([7, 8, 9], .unknown), mayLose: false).isEmpty)
  }

  @Test func replicasThatDifferAreFound() throws {
    try write([7, 8], broker: 1)
    try write([7, 9], broker: 2)
    #expect(logs.differences.count == 1)
  }

  @Test func lossesAreFoundUnlessTheyAreAllowed() throws {
    try write([7], broker: 1)
    #expect(logs.violations(of: sends([7, 8]), mayLose: false).count == 1)
    #expect(logs.violations(of: sends([7, 8]), mayLose: true).isEmpty)
    // There, but elsewhere.
    try write([8, 7], broker: 1)
    #expect(logs.violations(of: sends([7, 8]), mayLose: false).count == 2)
  }

  @Test func inventionsAndRepetitionsAreFound() throws {
    try write([7, 8], broker: 1)
    #expect(logs.violations(of: sends([7]), mayLose: true).count == 1)
    #expect(logs.violations(of: sends([7, 8], .failed), mayLose: true).count == 2)
    try write([7, 7], broker: 1)
    #expect(logs.violations(of: sends([7]), mayLose: true).count == 1)
  }

  @Test func aLogThatIsCutOffIsFound() throws {
    try write([7, 8], broker: 1, cutting: 3)
    #expect(logs.violations(of: sends([7]), mayLose: true).count == 1)
  }
}
