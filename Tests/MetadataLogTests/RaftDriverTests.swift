import Foundation
import Metadata
import MetadataLog
import Platform
import Raft
import TestKit
import Testing
import Values

/// Drivers on real sockets and real files.
@Suite(.serialized) struct RaftDriverTests {
  private struct Quorum {
    let folder: URL
    let ports: [UInt16]
    let voters: VoterSet

    init(_ count: Int) throws {
      folder = try Fixtures.temporaryFolder()
      ports = try freePorts(count)
      voters = VoterSet(
        ports.enumerated().map { index, port in
          Voter(
            ReplicaKey(BrokerID(Int32(index + 1))),
            endpoints: [Raft.Endpoint(listener: "CONTROLLER", host: "127.0.0.1", port: port)])
        })
    }

    func node(
      _ id: Int32, _ options: MetadataLogOptions = MetadataLogOptions()
    ) throws -> TestNode {
      try TestNode(
        id, directory: folder.appending(path: "\(id)").path, port: ports[Int(id) - 1],
        voters: voters, options: options)
    }

    func observer(_ id: Int32) throws -> TestNode {
      try TestNode(
        id, directory: folder.appending(path: "\(id)").path, port: 0, voters: voters,
        isVoter: false)
    }

    func remove() { try? FileManager.default.removeItem(at: folder) }
  }

  private func leader(of nodes: [TestNode]) async throws -> TestNode {
    var found: TestNode?
    try await eventually("a leader that its listener knows of") {
      found = nodes.first { node in node.recorder.state.withLock { $0.leads != nil } }
      return found != nil
    }
    return try #require(found)
  }

  private func topics(_ node: TestNode) -> [String] { node.recorder.state.withLock { $0.topics } }

  @Test func aLoneVoterLeadsAndKeepsItsLog() async throws {
    let quorum = try Quorum(1)
    defer { quorum.remove() }
    let first = try quorum.node(1)
    let leader = try await leader(of: [first])
    let offset = try await leader.propose(["a", "b"]).get()
    #expect(offset == 2)  // behind the leader's own control record
    try await eventually("commit") { topics(first) == ["a", "b"] }
    first.stop()
    let again = try quorum.node(1)
    _ = try await self.leader(of: [again])
    #expect(topics(again) == ["a", "b"])
    #expect(again.driver.status.leader.epoch > first.driver.status.leader.epoch)
    again.stop()
  }

  @Test func threeVotersAgreeAndSurviveTheirLeader() async throws {
    let quorum = try Quorum(3)
    defer { quorum.remove() }
    var nodes = try (1...3).map { try quorum.node($0) }
    let observer = try quorum.observer(9)
    let first = try await leader(of: nodes)
    _ = try await first.propose(["a"]).get()
    try await eventually("everybody has it") {
      (nodes + [observer]).allSatisfy { topics($0) == ["a"] }
    }
    let expected = QuorumLeader(
      id: BrokerID(first.id), epoch: first.driver.leader.epoch, host: "127.0.0.1",
      port: quorum.ports[Int(first.id) - 1])
    #expect(observer.driver.leader == expected)
    // A node that does not lead appends nothing.
    let follower = try #require(nodes.first { $0.id != first.id })
    #expect(await follower.propose(["x"]) == .failure(.notLeader))

    first.stop(cleanly: false)
    nodes.removeAll { $0.id == first.id }
    let second = try await leader(of: nodes)
    #expect(second.driver.leader.epoch > first.driver.leader.epoch)
    _ = try await second.propose(["b"]).get()
    try await eventually("the rest goes on") {
      (nodes + [observer]).allSatisfy { topics($0) == ["a", "b"] }
    }
    nodes.append(try quorum.node(first.id))
    try await eventually("the lost one catches up") { nodes.allSatisfy { topics($0).count == 2 } }
    observer.stop()
    for node in nodes { node.stop() }
  }

  @Test func aLeaderThatStopsHandsOverAtOnce() async throws {
    let quorum = try Quorum(3)
    defer { quorum.remove() }
    let nodes = try (1...3).map { try quorum.node($0) }
    let first = try await leader(of: nodes)
    let began = Clock.now()
    first.stop()
    let rest = nodes.filter { $0.id != first.id }
    _ = try await leader(of: rest)
    // Well before a fetch timeout and an election timeout are over one after the other.
    #expect(Clock.now().milliseconds(since: began) < 3_000)
    for node in rest { node.stop() }
  }

  @Test func aNewReplicaIsGivenASnapshot() async throws {
    let quorum = try Quorum(3)
    defer { quorum.remove() }
    var options = MetadataLogOptions()
    options.maxRecordBytesBetweenSnapshots = 400
    var nodes = try [1, 2].map { try quorum.node($0, options) }
    let first = try await leader(of: nodes)
    for number in 0..<40 { _ = try await first.propose(["topic-\(number)"]).get() }
    try await eventually("snapshots") {
      first.driver.store.snapshots.contains { $0.id.offset > 20 }
    }
    nodes.append(try quorum.node(3, options))
    try await eventually("the new one has everything") { topics(nodes[2]).count == 40 }
    #expect(nodes[2].recorder.state.withLock { $0.snapshots } >= 1)
    #expect(nodes[2].driver.store.snapshots.last != nil)
    for node in nodes { node.stop() }
  }
}
