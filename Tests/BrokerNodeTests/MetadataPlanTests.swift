import KafkaRecords
import Metadata
import Replication
import Testing
import Values

@testable import BrokerNode

/// What one broker has to do between two images, told without any broker.
@Suite struct MetadataPlanTests {
  static let me = BrokerID(1)
  static let red = Uuid(high: 0x1000, low: 1)
  static let blue = Uuid(high: 0x1000, low: 2)

  func topic(_ name: String, _ id: Uuid) -> MetadataRecord {
    .topic(
      TopicRecord {
        $0.name = name
        $0.topicID = id
      })
  }

  func partition(
    _ id: Uuid, _ number: Int32, _ replicas: [Int32], leader: Int32, directories: [Uuid] = []
  ) -> MetadataRecord {
    .partition(
      PartitionRecord {
        $0.topicID = id
        $0.partitionID = number
        $0.replicas = replicas
        $0.isr = replicas
        $0.leader = leader
        $0.directories = directories
      })
  }

  func change(
    _ id: Uuid, _ number: Int32, leader: Int32 = PartitionImage.noLeaderChange,
    replicas: [Int32]? = nil
  ) -> MetadataRecord {
    .partitionChange(
      PartitionChangeRecord {
        $0.topicID = id
        $0.partitionID = number
        $0.leader = leader
        $0.replicas = replicas
      })
  }

  func image(_ records: [MetadataRecord]) -> MetadataImage {
    MetadataDelta(MetadataImage(), applying: records).image
  }

  /// Both ways to make a plan must agree, whatever happened.
  func plan(_ before: MetadataImage, _ records: [MetadataRecord]) -> MetadataPlan {
    let delta = MetadataDelta(before, applying: records)
    let byDelta = MetadataPlan(delta, for: Self.me)
    let byImages = MetadataPlan(from: before, to: delta.image, for: Self.me)
    #expect(byDelta.removals == byImages.removals)
    #expect(byDelta.leaders == byImages.leaders)
    #expect(byDelta.followers == byImages.followers)
    #expect(byDelta.deletedTopics == byImages.deletedTopics)
    #expect(byDelta.brokersChanged == byImages.brokersChanged)
    return byDelta
  }

  @Test func newReplicasLeadOrFollow() {
    let plan = plan(
      MetadataImage(),
      [
        topic("red", Self.red), partition(Self.red, 0, [1, 2], leader: 1),
        partition(Self.red, 1, [2, 1], leader: 2), partition(Self.red, 2, [2, 3], leader: 2),
      ])
    #expect(plan.leaders.map(\.at) == [TopicPartition("red", 0)])
    #expect(plan.followers.map(\.at) == [TopicPartition("red", 1)])
    #expect(plan.leaders[0].topicID == Self.red)
    #expect(plan.leaders[0].state.isr == [BrokerID(1), BrokerID(2)])
    #expect(plan.removals.isEmpty)
  }

  @Test func anElectionMakesAFollowerLead() {
    let before = image([topic("red", Self.red), partition(Self.red, 0, [2, 1], leader: 2)])
    let plan = plan(before, [change(Self.red, 0, leader: 1)])
    #expect(plan.leaders.map(\.state.leaderEpoch) == [LeaderEpoch(0)])
    #expect(plan.leaders.map(\.state.partitionEpoch) == [PartitionEpoch(0)])
    #expect(plan.followers.isEmpty)
  }

  @Test func aPartitionWithoutLeaderIsStillOurs() {
    let before = image([topic("red", Self.red), partition(Self.red, 0, [2, 1], leader: 2)])
    let plan = plan(before, [change(Self.red, 0, leader: -1)])
    #expect(plan.followers.map(\.state.leader) == [BrokerID.none])
  }

  @Test func reassignmentAwayRemoves() {
    let before = image([topic("red", Self.red), partition(Self.red, 0, [1, 2], leader: 2)])
    let plan = plan(before, [change(Self.red, 0, replicas: [2, 3])])
    #expect(plan.removals == [.init(at: TopicPartition("red", 0), topicID: Self.red)])
    #expect(plan.leaders.isEmpty && plan.followers.isEmpty && plan.deletedTopics.isEmpty)
  }

  @Test func deletionRemovesOnlyOurReplicas() {
    let before = image([
      topic("red", Self.red), partition(Self.red, 0, [1, 2], leader: 1),
      partition(Self.red, 1, [2, 3], leader: 2),
    ])
    let plan = plan(before, [.removeTopic(RemoveTopicRecord { $0.topicID = Self.red })])
    #expect(plan.removals.map(\.at) == [TopicPartition("red", 0)])
    #expect(plan.deletedTopics == ["red"])
  }

  @Test func aTopicMadeAgainIsAnother() {
    let before = image([topic("red", Self.red), partition(Self.red, 0, [1], leader: 1)])
    let plan = plan(
      before,
      [
        .removeTopic(RemoveTopicRecord { $0.topicID = Self.red }), topic("red", Self.blue),
        partition(Self.blue, 0, [1], leader: 1),
      ])
    #expect(plan.removals.map(\.topicID) == [Self.red])
    #expect(plan.leaders.map(\.topicID) == [Self.blue])
    #expect(plan.deletedTopics == ["red"])
  }

  @Test func whatDidNotChangeIsNotTold() {
    let before = image([
      topic("red", Self.red), partition(Self.red, 0, [1], leader: 1),
      topic("blue", Self.blue), partition(Self.blue, 0, [1], leader: 1),
    ])
    let plan = plan(before, [change(Self.blue, 0, leader: 1)])
    #expect(plan.leaders.map(\.at.topic) == ["blue"])
    let same = MetadataPlan(from: before, to: before, for: Self.me)
    #expect(same.leaders.isEmpty && same.configs.isEmpty && !same.brokersChanged)
  }

  @Test func directoriesAreNamedWhenAssigned() {
    let home = Uuid(high: 9, low: 9)
    let plan = plan(
      MetadataImage(),
      [
        topic("red", Self.red),
        partition(Self.red, 0, [2, 1], leader: 1, directories: [DirectoryID.unassigned, home]),
        partition(Self.red, 1, [1, 2], leader: 1, directories: [DirectoryID.unassigned, home]),
      ])
    #expect(plan.leaders.map(\.directory) == [home, nil])
  }

  @Test func configsAndBrokers() {
    func config(_ value: String?) -> MetadataRecord {
      .config(
        ConfigRecord {
          $0.resourceType = ConfigResourceType.topic.rawValue
          $0.resourceName = "red"
          $0.name = "retention.ms"
          $0.value = value
        })
    }
    let before = image([topic("red", Self.red), config("5")])
    #expect(plan(before, [config("6")]).configs == [.topic("red")])
    #expect(plan(before, [config(nil)]).configs == [.topic("red")])
    let broker = MetadataRecord.registerBroker(RegisterBrokerRecord { $0.brokerID = 7 })
    #expect(plan(before, [broker]).brokersChanged)
  }

  @Test func straysAreToldByTopicID() {
    let now = image([topic("red", Self.red), partition(Self.red, 0, [1, 2], leader: 1)])
    func isStray(_ name: String, _ number: Int32, _ id: Uuid?, _ broker: Int32 = 1) -> Bool {
      MetadataPublisher.isStray(
        TopicPartition(name, number), topicID: id, in: now, broker: BrokerID(broker))
    }
    #expect(!isStray("red", 0, Self.red))
    #expect(isStray("red", 0, Self.blue))
    #expect(isStray("red", 0, nil))
    #expect(isStray("red", 1, Self.red))
    #expect(isStray("red", 0, Self.red, 3))
    #expect(isStray("green", 0, Self.red))
  }
}
