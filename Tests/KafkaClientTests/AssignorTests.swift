import Testing
import Values

@testable import KafkaClient

@Suite struct AssignorTests {
  private static func member(
    _ id: String, _ topics: [String] = ["t"], owned: [Int32] = [], generation: Int32 = 1
  ) -> GroupMember {
    GroupMember(
      id: id, instanceID: nil, topics: topics, owned: owned.map { TopicPartition("t", $0) },
      generationID: generation)
  }

  private static func indexes(_ partitions: [TopicPartition]?) -> [Int32] {
    (partitions ?? []).map(\.partition)
  }

  @Test func rangesAreNeighbours() {
    let members = ["c", "a", "b"].map { Self.member($0) }
    let assignment = RangeAssignor().assign(members, ["t": 7])
    #expect(Self.indexes(assignment["a"]) == [0, 1, 2])
    #expect(Self.indexes(assignment["b"]) == [3, 4])
    #expect(Self.indexes(assignment["c"]) == [5, 6])
  }

  @Test func roundsSkipThoseWhoDoNotWantTheTopic() {
    let members = [Self.member("a", ["t", "u"]), Self.member("b", ["u"])]
    let assignment = RoundRobinAssignor().assign(members, ["t": 2, "u": 3])
    #expect(assignment["a"]?.filter { $0.topic == "t" }.count == 2)
    #expect(assignment["b"]?.contains { $0.topic == "t" } == false)
    #expect((assignment["a"]?.count ?? 0) + (assignment["b"]?.count ?? 0) == 5)
  }

  @Test func stickyMovesNoMoreThanItMust() {
    let before = [
      Self.member("a", owned: [0, 1, 2, 3, 4, 5]), Self.member("b"), Self.member("c"),
    ]
    let assignment = StickyAssignor(isCooperative: false).assign(before, ["t": 6])
    #expect(assignment.values.map(\.count).sorted() == [2, 2, 2])
    #expect(Self.indexes(assignment["a"]).allSatisfy { $0 <= 5 })
  }

  @Test func cooperativeWithholdsWhatIsStillOwned() {
    let members = [Self.member("a", owned: [0, 1, 2, 3]), Self.member("b")]
    let first = StickyAssignor(isCooperative: true).assign(members, ["t": 4])
    #expect(first["a"]?.count == 2)
    #expect(first["b"]?.isEmpty == true)
    let kept = Self.indexes(first["a"])
    let second = StickyAssignor(isCooperative: true).assign(
      [Self.member("a", owned: kept, generation: 2), Self.member("b", generation: 2)], ["t": 4])
    #expect(Self.indexes(second["a"]) == kept)
    #expect(second["b"]?.count == 2)
  }

  @Test func claimsOfOldGenerationsDoNotCount() {
    let members = [
      Self.member("a", owned: [0], generation: 1), Self.member("b", owned: [0, 1], generation: 2),
    ]
    let assignment = StickyAssignor(isCooperative: true).assign(members, ["t": 2])
    #expect(Self.indexes(assignment["b"]).count == 1)
  }

  @Test func assignmentsSurviveTheirCoding() throws {
    let partitions = [TopicPartition("a", 0), TopicPartition("a", 3), TopicPartition("b", 1)]
    let bytes = SubscriptionCoding.encodeAssignment(partitions.reversed())
    #expect(try SubscriptionCoding.decodeAssignment(bytes) == partitions)
    #expect(try SubscriptionCoding.decodeAssignment([]) == [])
    #expect(throws: ClientError.self) { try SubscriptionCoding.decodeAssignment([0, 0, 127]) }
  }
}
