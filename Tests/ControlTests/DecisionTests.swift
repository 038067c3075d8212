import Control
import KafkaProtocol
import KafkaRecords
import Metadata
import Testing
import Values

/// A controller of three brokers in two racks, without topics.
func makeController(
  brokers: ClosedRange<Int32> = 1...3, racks: [String]? = nil
) -> Controller {
  var controller = Controller(options: ControllerOptions())
  for id in brokers {
    var broker = BrokerImage(id: BrokerID(id), epoch: BrokerEpoch(Int64(id) * 10))
    if let racks { broker.rack = racks[Int(id) % racks.count] }
    controller.replay(.registerBroker(broker.record))
  }
  return controller
}

extension Controller {
  mutating func create(_ name: String, _ replicas: [[Int32]]) throws {
    // Another seed for each topic: equal ones would give equal ids.
    var random = SplitMix(seed: UInt64(image.topics.count))
    let decision = try decide(
      CreateTopic(
        TopicToCreate(
          name: name,
          assignments: replicas.enumerated().map { (Int32($0.offset), $0.element.brokerIDs) })),
      using: &random)
    replay(decision.records)
  }

  func refusal(creating topic: TopicToCreate) -> Refusal? {
    var random = SplitMix(seed: 1)
    do throws(Refusal) {
      _ = try decide(CreateTopic(topic), using: &random)
      return nil
    } catch {
      return error
    }
  }
}

@Suite struct TopicDecisionTests {
  @Test func namesAreChecked() {
    let controller = makeController()
    for name in ["", ".", "..", "a b", "ü", String(repeating: "x", count: 250)] {
      #expect(
        controller.refusal(creating: TopicToCreate(name: name))?.code == .invalidTopicException)
    }
    #expect(
      controller.refusal(creating: TopicToCreate(name: String(repeating: "x", count: 249))) == nil)
  }

  @Test func countsAndAssignmentsAreChecked() throws {
    var controller = makeController()
    func code(_ topic: TopicToCreate) -> ErrorCode? { controller.refusal(creating: topic)?.code }
    #expect(code(TopicToCreate(name: "t", partitions: 0)) == .invalidPartitions)
    #expect(
      code(TopicToCreate(name: "t", partitions: 1, replicationFactor: 0))
        == .invalidReplicationFactor)
    let wide = controller.refusal(
      creating: TopicToCreate(name: "t", partitions: 1, replicationFactor: 4))
    #expect(wide?.code == .invalidReplicationFactor)
    #expect(wide?.message == "Replication factor: 4 larger than available brokers: 3.")
    #expect(code(TopicToCreate(name: "t", partitions: .max)) == .invalidPartitions)
    #expect(
      code(TopicToCreate(name: "t", assignments: [(0, [1, 1].brokerIDs)]))
        == .invalidReplicaAssignment)
    #expect(
      code(TopicToCreate(name: "t", assignments: [(1, [1].brokerIDs)])) == .invalidReplicaAssignment
    )
    #expect(
      code(TopicToCreate(name: "t", assignments: [(0, [1].brokerIDs), (1, [1, 2].brokerIDs)]))
        == .invalidReplicaAssignment)
    #expect(
      code(TopicToCreate(name: "t", partitions: 1, assignments: [(0, [1].brokerIDs)]))
        == .invalidRequest)
    #expect(code(TopicToCreate(name: "t", configs: [("x", nil)])) == .invalidConfig)
    try controller.create("a.b", [[1]])
    #expect(code(TopicToCreate(name: "a.b")) == .topicAlreadyExists)
    #expect(code(TopicToCreate(name: "a_b")) == .invalidTopicException)
  }

  @Test func racksGetTheirShare() throws {
    let controller = makeController(brokers: 1...6, racks: ["x", "y", "z"])
    for seed in 0..<20 as Range<UInt64> {
      var random = SplitMix(seed: seed)
      let decision = try controller.decide(
        CreateTopic(TopicToCreate(name: "t", partitions: 12, replicationFactor: 3)), using: &random)
      var leaders: [Int32: Int] = [:]
      for case .partition(let partition) in decision.records {
        leaders[partition.leader, default: 0] += 1
        let racks = Set(partition.replicas.map { $0 % 3 })
        #expect(racks.count == 3)
      }
      #expect(leaders.values.allSatisfy { $0 == 2 })
    }
  }

  @Test func partitionsWithoutABrokerWait() throws {
    var controller = makeController()
    try controller.create("t", [[1, 2], [7, 8]])
    let waiting = try #require(controller.image.topics.partition("t", 1))
    #expect(!waiting.isInitialized)
    #expect(waiting.isr.isEmpty)
    let broker = BrokerImage(id: BrokerID(8), epoch: BrokerEpoch(80))
    controller.replay(controller.decide(RegisterBroker(broker)).records)
    let led = try #require(controller.image.topics.partition("t", 1))
    #expect(led.leader == BrokerID(8))
    #expect(led.isr == [BrokerID(8)])
    #expect(led.leaderEpoch.rawValue == 0)
  }

  @Test func partitionsAreAdded() throws {
    var controller = makeController()
    try controller.create("t", [[1, 2], [2, 3]])
    var random = SplitMix(seed: 1)
    func code(_ command: AddPartitions) -> ErrorCode? {
      do throws(Refusal) {
        _ = try controller.decide(command, using: &random)
        return nil
      } catch {
        return error.code
      }
    }
    #expect(code(AddPartitions(topic: "t", count: 2)) == .invalidPartitions)
    #expect(code(AddPartitions(topic: "t", count: 1)) == .invalidPartitions)
    #expect(code(AddPartitions(topic: "u", count: 1)) == .unknownTopicOrPartition)
    #expect(
      code(AddPartitions(topic: "t", count: 3, assignments: [[1].brokerIDs]))
        == .invalidReplicaAssignment)
    #expect(
      code(AddPartitions(topic: "t", count: 3, assignments: [[1, 9].brokerIDs]))
        == .invalidReplicaAssignment)
    let decision = try controller.decide(AddPartitions(topic: "t", count: 5), using: &random)
    controller.replay(decision.records)
    #expect(controller.image.topics["t"]?.partitions.count == 5)
    // The third of three brokers after the first leader, and on from there.
    #expect(controller.image.topics.partition("t", 2)?.leader == BrokerID(3))
    #expect(controller.image.topics.partition("t", 3)?.leader == BrokerID(1))
  }
}

@Suite struct LeaderDecisionTests {
  @Test func leadersMoveWhenBrokersGo() throws {
    var controller = makeController()
    try controller.create("t", [[1, 2, 3]])
    controller.replay(controller.decide(LoseBrokers([BrokerID(1)])).records)
    var partition = try #require(controller.image.topics.partition("t", 0))
    #expect(partition.leader == BrokerID(2))
    #expect(partition.isr == [2, 3].brokerIDs)
    #expect(partition.leaderEpoch.rawValue == 1)
    controller.replay(controller.decide(LoseBrokers([BrokerID(2), BrokerID(3)])).records)
    partition = try #require(controller.image.topics.partition("t", 0))
    #expect(partition.leader == .none)
    // Both were in sync when they went: either may come back first.
    #expect(partition.isr == [2, 3].brokerIDs)
    let stranger = BrokerImage(id: BrokerID(1), epoch: BrokerEpoch(100))
    controller.replay(controller.decide(RegisterBroker(stranger)).records)
    #expect(controller.image.topics.partition("t", 0)?.leader == BrokerID.none)
    let member = BrokerImage(id: BrokerID(3), epoch: BrokerEpoch(300))
    controller.replay(controller.decide(RegisterBroker(member)).records)
    #expect(controller.image.topics.partition("t", 0)?.leader == BrokerID(3))
    #expect(controller.image.topics.partition("t", 0)?.isr == [BrokerID(3)])
  }

  @Test func uncleanElectionsAskForPermission() throws {
    var controller = makeController()
    try controller.create("t", [[1, 2]])
    var change = PartitionChangeRecord()
    change.topicID = try #require(controller.image.topics["t"]).id
    change.partitionID = 0
    change.isr = [1]
    controller.replay(.partitionChange(change))
    controller.replay(controller.decide(LoseBrokers([BrokerID(1)])).records)
    #expect(controller.image.topics.partition("t", 0)?.leader == BrokerID.none)
    let offline = controller
    // Asked for by name.
    let asked = try offline.decide(ElectLeader(TopicPartition("t", 0), .unclean))
    #expect(asked.reply == BrokerID(2))
    controller.replay(asked.records)
    #expect(controller.image.topics.partition("t", 0)?.isr == [BrokerID(2)])
    #expect(controller.image.topics.partition("t", 0)?.leaderRecoveryState == .recovering)
    // Allowed for the topic.
    var allowed = offline
    allowed.replay(.config(ConfigRecord(.topic("t"), "unclean.leader.election.enable", "true")))
    let records = allowed.decide(ElectOfflineLeaders()).records
    allowed.replay(records)
    #expect(allowed.image.topics.partition("t", 0)?.leader == BrokerID(2))
    #expect(offline.decide(ElectOfflineLeaders()).records.isEmpty)
  }

  @Test func preferredLeadersComeBack() throws {
    var controller = makeController()
    try controller.create("t", [[1, 2], [1, 3], [2, 1]])
    controller.replay(controller.decide(LoseBrokers([BrokerID(1)])).records)
    controller.replay(
      controller.decide(
        RegisterBroker(BrokerImage(id: BrokerID(1), epoch: BrokerEpoch(99)))
      ).records)
    #expect(throws: Refusal.self) {
      try controller.decide(ElectLeader(TopicPartition("t", 0), .preferred))
    }
    #expect(controller.decide(RebalanceLeaders()).records.isEmpty)
    let topic = try #require(controller.image.topics["t"])
    for partition in 0..<2 as Range<Int32> {
      var change = PartitionChangeRecord()
      change.topicID = topic.id
      change.partitionID = partition
      change.isr = topic.partitions[partition]?.replicas.rawIDs
      controller.replay(.partitionChange(change))
    }
    controller.replay(controller.decide(RebalanceLeaders()).records)
    #expect(controller.image.topics.partition("t", 0)?.leader == BrokerID(1))
    #expect(controller.image.topics.partition("t", 1)?.leader == BrokerID(1))
  }

  @Test func controlledShutdownMovesWhatCanMove() throws {
    var controller = makeController()
    try controller.create("t", [[1, 2], [2, 1], [1, 3]])
    try controller.create("single", [[1]])
    let decision = try controller.decide(
      BeginControlledShutdown(BrokerID(1), epoch: BrokerEpoch(10)))
    controller.replay(decision.records)
    #expect(decision.reply.remaining.isEmpty)
    #expect(decision.reply.followed == [TopicPartition("t", 1)])
    #expect(controller.image.topics.partition("t", 0)?.leader == BrokerID(2))
    #expect(controller.image.topics.partition("t", 1)?.isr == [BrokerID(2)])
    #expect(controller.image.topics.partition("single", 0)?.leader == BrokerID(1))
    // The next one finds nobody to hand over to.
    let next = try controller.decide(
      BeginControlledShutdown(BrokerID(2), epoch: BrokerEpoch(20)))
    #expect(next.reply.remaining == [TopicPartition("t", 0), TopicPartition("t", 1)])
    #expect(throws: Refusal.self) {
      try controller.decide(BeginControlledShutdown(BrokerID(3), epoch: BrokerEpoch(1)))
    }
  }
}

@Suite struct AlterPartitionTests {
  func change(
    isr: [Int32], leaderEpoch: Int32 = 0, partitionEpoch: Int32 = 0, broker: Int32 = 1,
    brokerEpoch: Int64 = 10, version: Int16 = 3, epochs: [Int64]? = nil,
    recovery: LeaderRecoveryState = .recovered
  ) -> AlterPartition {
    AlterPartition(
      topic: .name("t"), partition: 0,
      isr: isr.enumerated().map { index, id in
        .init(BrokerID(id), epoch: epochs.map { BrokerEpoch($0[index]) } ?? .none)
      },
      leaderEpoch: LeaderEpoch(leaderEpoch), partitionEpoch: PartitionEpoch(partitionEpoch),
      leaderRecoveryState: recovery, broker: BrokerID(broker),
      brokerEpoch: BrokerEpoch(brokerEpoch), version: version)
  }

  @Test func everyRefusalHasItsCode() throws {
    var controller = makeController()
    try controller.create("t", [[1, 2, 3]])
    func code(_ change: AlterPartition) -> ErrorCode? {
      do throws(Refusal) {
        _ = try controller.decide(change)
        return nil
      } catch {
        return error.code
      }
    }
    #expect(code(change(isr: [1, 2])) == nil)
    #expect(code(change(isr: [1, 2], brokerEpoch: 9)) == .staleBrokerEpoch)
    #expect(code(change(isr: [1, 2], leaderEpoch: 1)) == .notController)
    #expect(code(change(isr: [1, 2], partitionEpoch: 1)) == .notController)
    #expect(code(change(isr: [2, 3], broker: 2, brokerEpoch: 20)) == .invalidRequest)
    #expect(code(change(isr: [1, 4])) == .invalidRequest)
    #expect(code(change(isr: [2])) == .invalidRequest)
    #expect(code(change(isr: [1, 2], recovery: .recovering)) == .invalidRequest)
    #expect(code(change(isr: [1, 2], epochs: [10, 19])) == .ineligibleReplica)
    #expect(code(change(isr: [1, 2], epochs: [10, 20])) == nil)
    let decision = try controller.decide(change(isr: [1, 2]))
    controller.replay(decision.records)
    #expect(decision.reply.partitionEpoch.rawValue == 1)
    // The same again, as if the answer was lost, and another with an old epoch.
    #expect(try controller.decide(change(isr: [1, 2])).records.isEmpty)
    #expect(code(change(isr: [1])) == .invalidUpdateVersion)
    controller.replay(controller.decide(LoseBrokers([BrokerID(2)])).records)
    #expect(code(change(isr: [1], partitionEpoch: 1)) == .fencedLeaderEpoch)
    #expect(
      code(change(isr: [1, 2], leaderEpoch: 1, partitionEpoch: 2)) == .ineligibleReplica)
    #expect(
      code(change(isr: [1, 2], leaderEpoch: 1, partitionEpoch: 2, version: 1))
        == .operationNotAttempted)
  }
}

@Suite struct ReassignmentTests {
  @Test func aMoveHasTwoSteps() throws {
    var controller = makeController(brokers: 1...4)
    try controller.create("t", [[1, 2]])
    let at = TopicPartition("t", 0)
    controller.replay(
      try controller.decide(ReassignPartition(at, target: [3, 2].brokerIDs)).records)
    var partition = try #require(controller.image.topics.partition(at))
    #expect(partition.replicas == [3, 2, 1].brokerIDs)
    #expect(partition.addingReplicas == [BrokerID(3)])
    #expect(partition.removingReplicas == [BrokerID(1)])
    #expect(partition.leader == BrokerID(1))
    #expect(partition.leaderEpoch.rawValue == 1)
    #expect(controller.decide(CompleteReassignment(at)).records.isEmpty)
    var change = PartitionChangeRecord()
    change.topicID = try #require(controller.image.topics["t"]).id
    change.partitionID = 0
    change.isr = [1, 2, 3]
    controller.replay(.partitionChange(change))
    controller.replay(controller.decide(CompleteReassignment(at)).records)
    partition = try #require(controller.image.topics.partition(at))
    #expect(partition.replicas == [3, 2].brokerIDs)
    #expect(!partition.isReassigning)
    #expect(partition.leader == BrokerID(3))
    #expect(partition.isr == [2, 3].brokerIDs)
  }

  @Test func aMoveCanBeCalledOff() throws {
    var controller = makeController(brokers: 1...4)
    try controller.create("t", [[1, 2]])
    let at = TopicPartition("t", 0)
    func code(_ target: [Int32]?) -> ErrorCode? {
      do throws(Refusal) {
        _ = try controller.decide(ReassignPartition(at, target: target?.brokerIDs))
        return nil
      } catch {
        return error.code
      }
    }
    #expect(code(nil) == .noReassignmentInProgress)
    #expect(code([]) == .invalidReplicaAssignment)
    #expect(code([3, 3]) == .invalidReplicaAssignment)
    #expect(code([-1]) == .invalidReplicaAssignment)
    #expect(code([9]) == .invalidReplicaAssignment)
    controller.replay(
      try controller.decide(ReassignPartition(at, target: [3, 4].brokerIDs)).records)
    controller.replay(try controller.decide(ReassignPartition(at, target: nil)).records)
    let partition = try #require(controller.image.topics.partition(at))
    #expect(partition.replicas == [1, 2].brokerIDs)
    #expect(!partition.isReassigning)
    #expect(partition.isr == [1, 2].brokerIDs)
    #expect(partition.leader == BrokerID(1))
  }
}

@Suite struct SmallDecisionTests {
  @Test func producerIDsAreNeverGivenTwice() throws {
    var controller = makeController()
    var starts: [Int64] = []
    for id in 1...3 as ClosedRange<Int32> {
      let decision = try controller.decide(
        AllocateProducerIDs(BrokerID(id), epoch: BrokerEpoch(Int64(id) * 10)))
      controller.replay(decision.records)
      starts.append(decision.reply)
    }
    #expect(starts == [0, 1000, 2000])
    #expect(throws: Refusal.self) {
      try controller.decide(AllocateProducerIDs(BrokerID(1), epoch: BrokerEpoch(1)))
    }
  }

  @Test func configurationChangesAreMerged() throws {
    var controller = makeController()
    controller.options.hooks.isList = { _, key in key == "cleanup.policy" }
    controller.options.hooks.defaultValue = { _, _ in "delete" }
    controller.options.hooks.validateConfig = { _, config in
      config["bad"] == nil ? nil : Refusal(.invalidConfig, "bad is unknown")
    }
    try controller.create("t", [[1]])
    func alter(_ change: AlterConfig.Change) throws -> [String: String] {
      let decision = try controller.decide(AlterConfig(.topic("t"), change))
      controller.replay(decision.records)
      return decision.reply
    }
    #expect(
      try alter(.incremental([("a", .set, "1"), ("cleanup.policy", .append, "compact")]))
        == ["a": "1", "cleanup.policy": "delete,compact"])
    #expect(
      try alter(.incremental([("a", .delete, nil), ("cleanup.policy", .subtract, "delete")]))
        == ["cleanup.policy": "compact"])
    #expect(try alter(.replace([("b", "2")])) == ["b": "2"])
    #expect(controller.image.configs[.topic("t")] == ["b": "2"])
    #expect(throws: Refusal.self) { try alter(.incremental([("b", .append, "3")])) }
    #expect(throws: Refusal.self) { try alter(.incremental([("bad", .set, "3")])) }
    #expect(throws: Refusal.self) {
      try controller.decide(AlterConfig(.topic("none"), .replace([])))
    }
    #expect(throws: Refusal.self) { try controller.decide(AlterConfig(.topic(""), .replace([]))) }
    #expect(throws: Refusal.self) { try controller.decide(AlterConfig(.broker("x"), .replace([]))) }
  }
}
