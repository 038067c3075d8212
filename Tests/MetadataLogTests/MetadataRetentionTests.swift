import Foundation
import MetadataLog
import Platform
import Raft
import TestKit
import Testing
import Values

/// What of the log and of its snapshots stays: `metadata.max.retention.*`, on real files.
@Suite(.serialized) struct MetadataRetentionTests {
  private let folder: URL
  private let ports: [UInt16]

  init() throws {
    folder = try Fixtures.temporaryFolder()
    ports = try freePorts(3)
  }

  private func node(_ id: Int32, of count: Int, _ options: MetadataLogOptions) throws -> TestNode {
    let voters = VoterSet(
      ports.prefix(count).enumerated().map { index, port in
        Voter(
          ReplicaKey(BrokerID(Int32(index + 1))),
          endpoints: [Raft.Endpoint(listener: "CONTROLLER", host: "127.0.0.1", port: port)])
      })
    // Patient: these tests are not about elections, and a busy machine may stand still for long.
    return try TestNode(
      id, directory: folder.appending(path: "\(id)").path, port: ports[Int(id) - 1],
      voters: voters, options: options, cleaningIntervalMs: 40,
      fetchTimeoutMs: 4000)
  }

  /// Small segments, and a snapshot for every few records.
  private var options: MetadataLogOptions {
    var options = MetadataLogOptions()
    options.segmentBytes = 600
    options.maxRecordBytesBetweenSnapshots = 400
    return options
  }

  private func leader(of nodes: [TestNode]) async throws -> TestNode {
    var found: TestNode?
    try await eventually("a leader") {
      found = nodes.first { node in node.recorder.state.withLock { $0.leads != nil } }
      return found != nil
    }
    return try #require(found)
  }

  private func topics(_ node: TestNode) -> Int { node.recorder.state.withLock { $0.topics.count } }

  private func write(_ range: Range<Int>, to leader: TestNode) async throws {
    // In pieces, so that there are several snapshots: each is of what is committed at its time.
    for first in stride(from: range.lowerBound, to: range.upperBound, by: 8) {
      let end = min(first + 8, range.upperBound)
      for number in first..<end { _ = try await leader.propose(["topic-\(number)"]).get() }
      try await eventually("commit") { topics(leader) == end }
    }
  }

  /// Files in service, by what they end in, in order.
  private func files(_ node: TestNode, _ suffix: String) throws -> [String] {
    try FileSystem.list(node.driver.store.directory).filter { $0.hasSuffix(suffix) }.sorted()
  }

  /// What a replica needs of a prefix that is gone comes as a snapshot.
  @Test func bySizeAndTheFollowerThatMissedIt() async throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    var options = options
    options.retentionBytes = 8_000
    let third = try node(3, of: 3, options)
    var nodes = [try node(1, of: 3, options), try node(2, of: 3, options)]
    let first = try await leader(of: nodes + [third])
    try await write(0..<5, to: first)
    try await eventually("the third has them") { topics(third) == 5 }
    third.stop()
    let leader = try await leader(of: nodes)
    let known = third.driver.store.endOffset
    try await write(5..<90, to: leader)
    let store = leader.driver.store
    try await eventually("the prefix is gone") { store.startOffset > known }
    try await eventually("no more than may be") {
      Int64(store.log.size) + store.snapshots.reduce(0) { $0 + $1.size } <= options.retentionBytes
    }
    // The log begins where a snapshot ends, and that is the oldest there is.
    #expect(store.snapshots.first?.id.offset == store.startOffset)
    try await eventually("files of snapshots") {
      (try? files(leader, ".checkpoint")) == store.snapshots.map(\.id.fileName)
    }
    // The segment with the start stays, those before it do not.
    let bases = try files(leader, ".log").compactMap { Offset($0.dropLast(4)) }
    #expect((bases.first ?? .max) <= store.startOffset)
    #expect(bases.dropFirst().allSatisfy { $0 > store.startOffset })
    nodes.append(try node(3, of: 3, options))
    try await eventually("the third has everything") { topics(nodes[2]) == 90 }
    #expect(nodes[2].recorder.state.withLock { $0.snapshots } >= 1)
    #expect(nodes[2].driver.store.startOffset > known)
    for node in nodes { node.stop() }
  }

  /// However old it is and however large, the newest snapshot stays, and with it everything.
  @Test func byAgeButNeverTheNewest() async throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    var options = options
    options.retentionMs = 1
    options.retentionBytes = 1
    let alone = try node(1, of: 1, options)
    try await write(0..<40, to: try await leader(of: [alone]))
    let store = alone.driver.store
    try await eventually("one snapshot is left") {
      store.snapshots.count == 1 && store.startOffset == store.snapshots.last?.id.offset
    }
    // A few more rounds: the last one made may have been on its way, and stays.
    try await Task.sleep(for: .milliseconds(300))
    #expect(store.snapshots.count == 1)
    #expect(store.startOffset == store.snapshots.last?.id.offset)
    alone.stop()
    let again = try node(1, of: 1, options)
    _ = try await leader(of: [again])
    #expect(topics(again) == 40)
    #expect(again.recorder.state.withLock { $0.snapshots } == 1)
    again.stop()
  }

  /// Without limits nothing goes; a snapshot is also made when time has passed, not only bytes.
  @Test func withoutLimitsAndByTime() async throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    var options = options
    options.retentionMs = -1
    options.retentionBytes = -1
    options.maxRecordBytesBetweenSnapshots = 1 << 30
    options.maxSnapshotIntervalMs = 100
    let alone = try node(1, of: 1, options)
    let leader = try await leader(of: [alone])
    for number in 0..<6 {
      _ = try await leader.propose(["topic-\(number)"]).get()
      try await Task.sleep(for: .milliseconds(120))
    }
    try await eventually("snapshots by time") { alone.driver.store.snapshots.count >= 3 }
    #expect(alone.driver.store.startOffset == 0)
    #expect(try files(alone, ".checkpoint").count == alone.driver.store.snapshots.count)
    alone.stop()
  }
}
