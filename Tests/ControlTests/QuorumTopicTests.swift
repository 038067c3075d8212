import Control
import KafkaMessages
import KafkaProtocol
import KafkaRecords
import Metadata
import Testing
import Values

@Suite struct QuorumTopicTests {
  private func makeHost(brokers: ClosedRange<Int32> = 1...3) throws -> QuorumHost {
    var host = QuorumHost()
    host.lead()
    try host.start(brokers: brokers)
    return host
  }

  private func request(
    _ name: String, partitions: Int32 = 1, factor: Int16 = 1,
    _ fill: (inout CreateTopicsRequest.CreatableTopic) -> Void = { _ in }
  ) -> CreateTopicsRequest {
    .init { request in
      var topic = CreateTopicsRequest.CreatableTopic()
      topic.name = name
      topic.numPartitions = partitions
      topic.replicationFactor = factor
      fill(&topic)
      request.topics = [topic]
    }
  }

  @Test func topicsHaveLeadersAtOnce() throws {
    var host = try makeHost()
    let result = try host.ask(
      request("t", partitions: 6, factor: 3) {
        $0.configs = [
          .init {
            $0.name = "retention.ms"
            $0.value = "5"
          }
        ]
      }
    ).topics[0]
    #expect(result.errorCode == 0 && result.numPartitions == 6 && result.replicationFactor == 3)
    let topic = try #require(host.image.topics["t"])
    #expect(topic.id == result.topicID && topic.partitions.count == 6)
    for (_, partition) in topic.partitions.entries {
      #expect(Set(partition.replicas).count == 3 && partition.isr == partition.replicas)
      #expect(partition.leader == partition.replicas[0])
      #expect(partition.leaderEpoch == LeaderEpoch(0))
      #expect(partition.directories.allSatisfy { $0.high == 0xd1 })
    }
    // Leaders go round: two for each broker.
    for broker in 1...3 as ClosedRange<Int32> {
      #expect(host.image.topics.leaderCount(of: BrokerID(broker)) == 2)
    }
    #expect(
      host.records.suffix(8).map(\.name) == ["TopicRecord", "ConfigRecord"]
        + [String](repeating: "PartitionRecord", count: 6))
    #expect(host.image.configs.value("retention.ms", of: .topic("t")) == "5")
  }

  @Test func creationIsChecked() throws {
    var host = try makeHost()
    try host.create("a.b", [[1]])
    func check(_ request: CreateTopicsRequest, _ code: ErrorCode, _ text: String) throws {
      let result = try host.ask(request).topics[0]
      #expect(ErrorCode(result.errorCode) == code)
      #expect(result.errorMessage?.contains(text) == true, "\(result.errorMessage ?? "nil")")
    }
    try check(request("a.b"), .topicAlreadyExists, "Topic 'a.b' already exists.")
    try check(request("a_b"), .invalidTopicException, "collides with existing topic: a.b")
    try check(request("a b"), .invalidTopicException, "a b")
    try check(request("__cluster_metadata"), .invalidRequest, "prohibited")
    try check(request("t", partitions: 0), .invalidPartitions, "non-positive")
    try check(request("t", factor: 0), .invalidReplicationFactor, "larger than 0, or -1")
    try check(
      request("t", factor: 4), .invalidReplicationFactor,
      "Unable to replicate the partition 4 time(s): The target replication factor of 4 cannot be "
        + "reached because only 3 broker(s) are registered.")
    try check(request("t", partitions: 10_001), .policyViolation, "excessively large")
    try check(
      request("t") { $0.configs = [.init { $0.value = nil }] }, .invalidConfig,
      "Null value not supported for topic configs")
    func assigned(_ replicas: [[Int32]], partitions: Int32 = -1) -> CreateTopicsRequest {
      request("t", partitions: partitions, factor: -1) {
        $0.assignments = replicas.enumerated().map { number, brokers in
          .init {
            $0.partitionIndex = Int32(number) * 2
            $0.brokerIDs = brokers
          }
        }
      }
    }
    try check(assigned([[1]], partitions: 1), .invalidRequest, "numPartitions was not set to -1")
    try check(assigned([[]]), .invalidReplicaAssignment, "an empty replica list")
    try check(assigned([[1, 1]]), .invalidReplicaAssignment, "the broker 1 more than once")
    try check(assigned([[1, 9]]), .invalidReplicaAssignment, "broker 9, but no such broker")
    try check(assigned([[1], [1, 2]]), .invalidReplicaAssignment, "not consistent with previous")
    try check(assigned([[1], [2]]), .invalidReplicaAssignment, "consecutive 0-based")
    var twice = request("t")
    twice.topics += twice.topics
    let results = try host.ask(twice).topics
    #expect(results.count == 1 && results[0].errorMessage == "Duplicate topic name.")
    #expect(host.image.topics.count == 1)
  }

  @Test func validationCreatesNothing() throws {
    var host = try makeHost()
    var request = request("t", partitions: 2)
    request.validateOnly = true
    let count = host.log.count
    #expect(try host.ask(request).topics[0].errorCode == 0)
    #expect(host.log.count == count && host.image.topics.count == 0)
  }

  @Test func fencedBrokersFollowButDoNotLead() throws {
    var host = try makeHost()
    _ = try host.heartbeat(1) { $0.wantFence = true }
    _ = try host.ask(request("t", partitions: 30, factor: 3))
    for (_, partition) in try #require(host.image.topics["t"]).partitions.entries {
      #expect(partition.leader != BrokerID(1) && !partition.isr.contains(BrokerID(1)))
      #expect(partition.replicas.contains(BrokerID(1)))
    }
    for broker in 2...3 as ClosedRange<Int32> {
      _ = try host.heartbeat(broker) { $0.wantFence = true }
    }
    let result = try host.ask(request("u")).topics[0]
    #expect(ErrorCode(result.errorCode) == .invalidReplicationFactor)
    #expect(result.errorMessage?.contains("All brokers are currently fenced.") == true)
  }

  @Test func racksGetReplicasEvenly() throws {
    var host = QuorumHost()
    host.lead()
    for broker in 0..<9 as Range<Int32> {
      _ = try host.ask(
        BrokerRegistrationRequest(broker: broker, rack: "r\(broker % 3)"))
      _ = try host.heartbeat(broker)
    }
    _ = try host.ask(request("t", partitions: 90, factor: 3))
    var leaders: [BrokerID: Int] = [:]
    for (_, partition) in try #require(host.image.topics["t"]).partitions.entries {
      #expect(Set(partition.replicas.map { $0.rawValue % 3 }).count == 3)
      leaders[partition.leader, default: 0] += 1
    }
    #expect(leaders.count == 9)
    for rack in 0..<3 as Range<Int32> {
      #expect(leaders.filter { $0.key.rawValue % 3 == rack }.values.reduce(0, +) == 30)
    }
  }

  @Test func topicsAreDeletedByNameAndByID() throws {
    var host = try makeHost()
    let id = try host.create("a", [[1]])
    try host.create("b", [[1]])
    let response = try host.ask(
      DeleteTopicsRequest {
        $0.topics = [
          .init { $0.topicID = id }, .init { $0.name = "b" }, .init { $0.name = "c" },
          .init { $0.topicID = Uuid(high: 5, low: 5) }, .init(),
          .init {
            $0.name = "d"
            $0.topicID = id
          },
        ]
      })
    #expect(
      response.responses.map { ErrorCode($0.errorCode) } == [
        .none, .none, .unknownTopicOrPartition, .unknownTopicID, .invalidRequest, .invalidRequest,
      ])
    #expect(response.responses[0].name == "a" && host.image.topics.count == 0)
    #expect(host.image.topics.partitionCount == 0)

    host.step(.options({
      var options = QuorumControllerOptions.test
      options.base.isTopicDeletionEnabled = false
      return options
    }()))
    let old = DeleteTopicsRequest { $0.topicNames = ["a"] }
    #expect(
      try host.ask(old, version: 2).responses[0].errorCode == ErrorCode.invalidRequest.rawValue)
    #expect(
      try host.ask(old, version: 5).responses[0].errorCode
        == ErrorCode.topicDeletionDisabled.rawValue)
  }

  @Test func nameAndIDOfOneTopicAreNotBothTaken() throws {
    var host = try makeHost()
    let id = try host.create("a", [[1]])
    let response = try host.ask(
      DeleteTopicsRequest {
        $0.topics = [.init { $0.topicID = id }, .init { $0.name = "a" }]
      })
    #expect(
      response.responses.map { ErrorCode($0.errorCode) } == [.none, .invalidRequest])
    #expect(host.records.filter { $0.name == "RemoveTopicRecord" }.count == 1)
  }

  @Test func partitionsAreAdded() throws {
    var host = try makeHost()
    try host.create("t", [[1, 2], [2, 3]])
    func add(
      _ count: Int32, _ assignments: [[Int32]]? = nil
    ) throws -> CreatePartitionsResponse.CreatePartitionsTopicResult {
      try host.ask(
        CreatePartitionsRequest {
          $0.topics = [
            .init {
              $0.name = "t"
              $0.count = count
              $0.assignments = assignments?.map { brokers in .init { $0.brokerIDs = brokers } }
            }
          ]
        }
      ).results[0]
    }
    #expect(try add(2).errorMessage == "Topic already has 2 partition(s).")
    #expect(
      try add(1).errorMessage
        == "The topic t currently has 2 partition(s); 1 would not be an increase.")
    #expect(try ErrorCode(add(4, [[1, 2]]).errorCode) == .invalidReplicaAssignment)
    #expect(try ErrorCode(add(3, [[1]]).errorCode) == .invalidReplicaAssignment)
    #expect(try ErrorCode(add(20_000).errorCode) == .policyViolation)
    #expect(try add(3, [[3, 1]]).errorCode == 0)
    #expect(try add(6).errorCode == 0)
    let topic = try #require(host.image.topics["t"])
    #expect(topic.partitions.count == 6)
    #expect(try host.partition("t", 2).replicas.rawIDs == [3, 1])
    #expect(topic.partitions.images.allSatisfy { $0.hasLeader && $0.replicas.count == 2 })
  }

  @Test func producerIDsAreGivenOnce() throws {
    var host = try makeHost(brokers: 1...2)
    func allocate(_ broker: Int32) throws -> AllocateProducerIdsResponse {
      try host.ask(
        AllocateProducerIdsRequest {
          $0.brokerID = broker
          $0.brokerEpoch = host.image.brokers[BrokerID(broker)]?.epoch.rawValue ?? 0
        })
    }
    #expect(try allocate(1).producerIDStart == 0)
    #expect(try allocate(2).producerIDStart == 1000)
    #expect(try allocate(1).producerIDLen == 1000)
    #expect(try ErrorCode(allocate(5).errorCode) == .staleBrokerEpoch)
    host.step(.resigned)
    host.lead()
    #expect(try allocate(1).producerIDStart == 3000)
  }
}
