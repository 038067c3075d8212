import Foundation
import Groups
import KafkaMessages
import KafkaProtocol
import Settings
import Synchronization
import TestKit
import Testing
import Values

@testable import BrokerNode

/// What the group APIs' versions make of requests and replies.
@Suite struct GroupApiTests {
  let now = WallTime(milliseconds: 1_000)

  @Test func offsetCommitKeepsWhatItsVersionHas() {
    var request = OffsetCommitRequest()
    request.groupID = "g"
    request.memberID = "m"
    request.generationIDOrMemberEpoch = 3
    request.retentionTimeMs = 50
    request.topics = [
      .init {
        $0.name = "t"
        $0.partitions = [
          .init {
            $0.partitionIndex = 1
            $0.committedOffset = 9
            $0.committedMetadata = nil
            $0.commitTimestamp = 77
          },
          .init { $0.partitionIndex = 2 },
        ]
      }
    ]
    let command = OffsetCommitHandler.command(request, at: now)
    #expect(command.generation == 3 && command.memberID == "m")
    #expect(command.commits.map(\.partition.description) == ["t-1", "t-2"])
    #expect(command.commits[0].value.metadata == "")
    #expect(command.commits[0].value.commitTimestamp == WallTime(milliseconds: 77))
    #expect(command.commits[1].value.commitTimestamp == now)
    #expect(command.commits[1].value.expireTimestamp == WallTime(milliseconds: 1_050))
    let response = OffsetCommitHandler.response(
      request, [(partition: TopicPartition("t", 1), error: .none)])
    #expect(response.topics[0].partitions.map(\.errorCode) == [0, 3])
  }

  @Test func offsetFetchPutsErrorsWhereVersionsLookForThem() {
    var group = OffsetFetchRequest.OffsetFetchRequestGroup()
    group.groupID = "g"
    group.topics = [
      .init {
        $0.name = "t"
        $0.partitionIndexes = [0, 1]
      }
    ]
    let old = OffsetFetchHandler.response(
      [OffsetFetchHandler.refusal(group, .notCoordinator, version: 1)], version: 1)
    #expect(old.topics[0].partitions.map(\.errorCode) == [16, 16])
    let newer = OffsetFetchHandler.response(
      [OffsetFetchHandler.refusal(group, .notCoordinator, version: 5)], version: 5)
    #expect(newer.topics.isEmpty && newer.errorCode == 16)
    let batched = OffsetFetchHandler.response(
      [OffsetFetchHandler.refusal(group, .notCoordinator, version: 8)], version: 8)
    #expect(batched.groups.map(\.errorCode) == [16] && batched.errorCode == 0)
    let offset = FetchedOffset(
      partition: TopicPartition("t", 4), offset: 7, leaderEpoch: 2, metadata: "m", error: .none)
    let answer = OffsetFetchHandler.response(
      [OffsetFetchHandler.answer("g", [offset])], version: 3)
    #expect(answer.topics[0].partitions[0].committedOffset == 7)
  }

  @Test func joinGroupVersionZeroHasOneTimeout() {
    var request = JoinGroupRequest()
    request.sessionTimeoutMs = 6_000
    let old = JoinGroupHandler.command(request, version: 0, clientID: "c", clientHost: "/h")
    #expect(old.rebalanceTimeoutMs == 6_000 && !old.requiresKnownMemberID)
    let new = JoinGroupHandler.command(request, version: 9, clientID: "c", clientHost: "/h")
    #expect(new.rebalanceTimeoutMs == -1 && new.requiresKnownMemberID && new.canSkipAssignment)
  }

  @Test func leaveGroupBeforeThreeHasOneError() {
    let leave = LeaveReply(
      error: .none, members: [(member: .init(memberID: "m"), error: .unknownMemberID)])
    let old = LeaveGroupHandler.response(leave, 2)
    #expect(old.errorCode == ErrorCode.unknownMemberID.rawValue && old.members.isEmpty)
    let new = LeaveGroupHandler.response(leave, 3)
    #expect(new.errorCode == 0 && new.members.map(\.errorCode) == [25])
  }

  @Test func offsetDeleteNamesPartitionsThatDoNotExist() {
    var request = OffsetDeleteRequest()
    request.topics = [
      .init {
        $0.name = "t"
        $0.partitions = [.init { $0.partitionIndex = 0 }, .init { $0.partitionIndex = 1 }]
      }
    ]
    let response = OffsetDeleteHandler.response(
      request, .none, [(partition: TopicPartition("t", 0), error: .groupSubscribedToTopic)])
    #expect(response.topics[0].partitions.map(\.errorCode) == [86, 3])
    #expect(OffsetDeleteHandler.response(request, .nonEmptyGroup, []).topics.isEmpty)
  }

  @Test func recordVersionsFollowTheProtocolVersion() throws {
    let versions = try ["2.0", "2.1-IV0", "2.1", "2.2", "2.3", "3.9"].map { name in
      let version = try #require(MetadataVersion(name))
      let versions = GroupCoordinator.recordVersions(version)
      return "\(versions.group) \(versions.offset)"
    }
    #expect(versions == ["1 1", "2 2", "2 3", "2 3", "3 3", "3 3"])
  }

  @Test func gatheringWaitsForAll() {
    let result = Mutex<[String]>([])
    let gathering = Gathering<String>(3) { parts in result.withLock { $0 = parts } }
    gathering.fill(2, "c")
    gathering.fill(0, "a")
    #expect(result.withLock { $0 }.isEmpty)
    gathering.fill(1, "b")
    #expect(result.withLock { $0 } == ["a", "b", "c"])
  }

  @Test func everyGroupApiIsServed() {
    let keys = GroupApis.all.map(\.api.rawValue)
    #expect(keys == [8, 9, 10, 11, 12, 13, 14, 15, 16, 42, 47])
    for entry in GroupApis.all { #expect(entry.versions.lowerBound == 0) }
  }
}
