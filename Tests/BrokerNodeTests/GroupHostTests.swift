import Bytes
import Foundation
import KafkaMessages
import KafkaProtocol
import Testing
import Values

@testable import BrokerNode

/// Groups through a whole broker: sockets, handlers, shards, and the log under them.
@Suite(.serialized) struct GroupHostTests {
  let offsets = InternalTopics.offsets

  /// Asks until the coordinator has loaded.
  func ready(_ client: BlockingClient, _ groups: [String]) throws {
    for _ in 0..<200 {
      let answer = try client.ask(
        DescribeGroupsRequest { $0.groups = groups }, version: 5)
      if answer.groups.allSatisfy({ $0.errorCode == 0 }) { return }
      usleep(20_000)
    }
    Issue.record("coordinator not ready")
  }

  func commit(_ client: BlockingClient, _ group: String, _ offset: Int64) throws -> Int16 {
    let answer = try client.ask(commitRequest(group, offset), version: 8)
    return answer.topics.first?.partitions.first?.errorCode ?? -2
  }

  func commitRequest(_ group: String, _ offset: Int64) -> OffsetCommitRequest {
    OffsetCommitRequest {
      $0.groupID = group
      $0.topics = [
        .init {
          $0.name = "t"
          $0.partitions = [
            .init {
              $0.committedOffset = offset
              $0.committedMetadata = "m\(offset)"
            }
          ]
        }
      ]
    }
  }

  func fetch(_ client: BlockingClient, _ groups: [String]) throws -> [Int64] {
    let answer = try client.ask(
      OffsetFetchRequest {
        $0.groups = groups.map { id in
          OffsetFetchRequest.OffsetFetchRequestGroup {
            $0.groupID = id
            $0.topics = nil
          }
        }
      }, version: 8)
    return answer.groups.map {
      $0.errorCode != 0
        ? -Int64($0.errorCode) : $0.topics.first?.partitions.first?.committedOffset ?? -1
    }
  }

  @Test func offsetsSurviveARestart() throws {
    let broker = try LoneBroker()
    broker.assign("t", 0..<1)
    broker.assign(offsets, 0..<3)
    let groups = ["a", "b", "c", "d", "e"]
    do {
      let client = try BlockingClient(port: broker.port)
      try ready(client, groups)
      for (place, group) in groups.enumerated() {
        #expect(try commit(client, group, Int64(place + 10)) == 0)
        #expect(try commit(client, group, Int64(place + 20)) == 0)
      }
      #expect(try fetch(client, groups) == [20, 21, 22, 23, 24])
      let old = try client.ask(
        OffsetFetchRequest {
          $0.groupID = "a"
          $0.topics = [
            .init {
              $0.name = "t"
              $0.partitionIndexes = [0, 9]
            }
          ]
        }, version: 1)
      #expect(old.topics[0].partitions.map(\.committedOffset) == [20, -1])
      #expect(old.topics[0].partitions[0].metadata == "m20")
    }
    let again = try LoneBroker(folder: try broker.stopKeepingLogs())
    defer { again.stop() }
    again.assign("t", 0..<1)
    again.assign(offsets, 0..<3)
    let client = try BlockingClient(port: again.port)
    try ready(client, groups)
    #expect(try fetch(client, groups) == [20, 21, 22, 23, 24])
    let gone = try client.ask(DeleteGroupsRequest { $0.groupsNames = ["a", "x"] }, version: 2)
    #expect(gone.results.map(\.errorCode) == [0, 69])
    #expect(try fetch(client, ["a", "b"]) == [-1, 21])
    let listed = try client.ask(ListGroupsRequest(), version: 5)
    #expect(listed.groups.map(\.groupID) == ["b", "c", "d", "e"])
    #expect(listed.groups.allSatisfy { $0.groupState == "Empty" && $0.groupType == "classic" })
  }

  @Test func membersJoinSyncAndLeave() throws {
    let broker = try LoneBroker()
    defer { broker.stop() }
    broker.assign("t", 0..<1)
    broker.assign(offsets, 0..<3)
    let clients = try (0..<2).map { _ in try BlockingClient(port: broker.port) }
    try ready(clients[0], ["g"])
    let found = try clients[0].ask(
      FindCoordinatorRequest { $0.coordinatorKeys = ["g"] }, version: 4)
    #expect(found.coordinators.map(\.nodeID) == [1])
    #expect(found.coordinators.map(\.port) == [Int32(broker.port)])

    func join(_ id: String) -> JoinGroupRequest {
      JoinGroupRequest {
        $0.groupID = "g"
        $0.memberID = id
        $0.sessionTimeoutMs = 10_000
        $0.rebalanceTimeoutMs = 10_000
        $0.protocolType = "test"
        $0.protocols = [
          .init {
            $0.name = "range"
            $0.metadata = [1, 2]
          }
        ]
      }
    }
    let given = try clients[0].ask(join(""), version: 5)
    #expect(given.errorCode == ErrorCode.memberIDRequired.rawValue)
    let first = try clients[0].ask(join(given.memberID), version: 5)
    #expect(first.errorCode == 0 && first.generationID == 1 && first.members.count == 1)
    // A second member, in an old version without the two steps, makes the first join again.
    try clients[1].send(join(""), version: 2)
    #expect(!clients[1].hasAnswer(withinMs: 100))
    let beat = try clients[0].ask(
      HeartbeatRequest {
        $0.groupID = "g"
        $0.memberID = first.memberID
        $0.generationID = 1
      }, version: 4)
    #expect(beat.errorCode == ErrorCode.rebalanceInProgress.rawValue)
    let again = try clients[0].ask(join(first.memberID), version: 9)
    let second = try clients[1].receive(JoinGroupResponse.self)
    #expect(again.generationID == 2 && second.generationID == 2)
    #expect(again.members.count == 2 && second.members.isEmpty)
    #expect(again.leader == again.memberID && second.leader == again.memberID)

    func sync(_ id: String, _ shares: [(String, [UInt8])]) -> SyncGroupRequest {
      SyncGroupRequest {
        $0.groupID = "g"
        $0.generationID = 2
        $0.memberID = id
        $0.protocolType = "test"
        $0.protocolName = "range"
        $0.assignments = shares.map { share in
          .init {
            $0.memberID = share.0
            $0.assignment = share.1
          }
        }
      }
    }
    try clients[1].send(sync(second.memberID, []), version: 5)
    #expect(!clients[1].hasAnswer(withinMs: 50))
    let leader = try clients[0].ask(
      sync(again.memberID, [(again.memberID, [7]), (second.memberID, [8])]), version: 5)
    #expect(leader.errorCode == 0 && leader.assignment == [7] && leader.protocolName == "range")
    #expect(try clients[1].receive(SyncGroupResponse.self).assignment == [8])
    let described = try clients[0].ask(
      DescribeGroupsRequest { $0.groups = ["g", "nobody"] }, version: 5)
    #expect(described.groups.map(\.groupState) == ["Stable", "Dead"])
    #expect(described.groups[0].members.map(\.memberAssignment) == [[7], [8]])
    #expect(described.groups[0].members[0].clientHost == "/127.0.0.1")
    let left = try clients[0].ask(
      LeaveGroupRequest {
        $0.groupID = "g"
        $0.members = [
          .init { $0.memberID = again.memberID }, .init { $0.memberID = second.memberID },
        ]
      }, version: 5)
    #expect(left.members.map(\.errorCode) == [0, 0])
  }

  @Test func commitsWaitForTheInSyncReplicas() throws {
    let broker = try LoneBroker(settings: ["offsets.commit.timeout.ms": "10000"])
    defer { broker.stop() }
    broker.assign("t", 0..<1)
    broker.assign(offsets, 0..<3, replicas: [1, 2])
    let client = try BlockingClient(port: broker.port)
    try ready(client, ["g"])
    try client.send(commitRequest("g", 5), version: 8)
    try client.send(commitRequest("g", 6), version: 8)
    #expect(!client.hasAnswer(withinMs: 150))
    let other = try BlockingClient(port: broker.port)
    #expect(try fetch(other, ["g"]) == [-1])
    // The follower leaves the ISR: what waits is committed.
    broker.assign(offsets, 0..<3, replicas: [1, 2], isr: [1], newTerm: false)
    for _ in 0..<2 {
      let answer = try client.receive(OffsetCommitResponse.self)
      #expect(answer.topics[0].partitions[0].errorCode == 0)
    }
    #expect(try fetch(other, ["g"]) == [6])
  }

  @Test func aBrokerThatNoLongerLeadsSaysSo() throws {
    let broker = try LoneBroker()
    defer { broker.stop() }
    broker.assign("t", 0..<1)
    broker.assign(offsets, 0..<3, replicas: [1, 2], isr: [1])
    let client = try BlockingClient(port: broker.port)
    try ready(client, ["g"])
    #expect(try commit(client, "g", 5) == 0)
    broker.assign(offsets, 0..<3, leader: 2, replicas: [1, 2], isr: [1, 2])
    #expect(try commit(client, "g", 6) == ErrorCode.notCoordinator.rawValue)
    #expect(try fetch(client, ["g"]) == [-Int64(ErrorCode.notCoordinator.rawValue)])
    // It leads again, and knows what was committed.
    broker.assign(offsets, 0..<3, replicas: [1, 2], isr: [1])
    try ready(client, ["g"])
    #expect(try fetch(client, ["g"]) == [5])
  }
}
