import KafkaRecords
import Metadata
import Testing
import Values

func topicRecord(_ name: String, _ id: UInt64) -> MetadataRecord {
  var record = TopicRecord()
  record.name = name
  record.topicID = Uuid(high: 0, low: id)
  return .topic(record)
}

func partitionRecord(
  _ id: UInt64, _ partition: Int32, replicas: [Int32], isr: [Int32]? = nil
) -> MetadataRecord {
  var record = PartitionRecord()
  record.topicID = Uuid(high: 0, low: id)
  record.partitionID = partition
  record.replicas = replicas
  record.isr = isr ?? replicas
  record.leader = replicas[0]
  record.leaderEpoch = 0
  record.partitionEpoch = 0
  return .partition(record)
}

@Suite struct MetadataImageTests {
  @Test func recordsOfAnImageRebuildIt() {
    var image = MetadataImage()
    image.apply(
      .registerBroker(
        BrokerImage(
          id: BrokerID(2), epoch: BrokerEpoch(7),
          endpoints: [Endpoint(listener: "L", host: "h", port: 9092, securityProtocol: .saslSSL)],
          rack: "r"
        ).record))
    image.apply(.registerBroker(BrokerImage(id: BrokerID(1), epoch: BrokerEpoch(9)).record))
    for topic in 0..<300 as Range<UInt64> {
      image.apply(topicRecord("t-\(topic)", topic + 2))
      for partition in 0..<3 as Range<Int32> {
        image.apply(partitionRecord(topic + 2, partition, replicas: [1, 2]))
      }
    }
    var config = ConfigRecord()
    config.resourceType = 2
    config.resourceName = "t-1"
    config.name = "retention.ms"
    config.value = "5"
    image.apply(.config(config))
    image.apply(
      .clientQuota(
        ClientQuotaRecord(
          entity: QuotaEntity([.init(type: "user", name: nil)]), key: "producer_byte_rate", value: 5
        )))
    var copy = MetadataImage()
    for record in image.records { copy.apply(record) }
    #expect(copy == image)
    #expect(copy.topics.partitionCount == 900)
    #expect(copy.topics.sortedNames == (0..<300).map { "t-\($0)" }.sorted())
    #expect(copy.brokers.all.map(\.id.rawValue) == [1, 2])
  }

  @Test func aChangeRaisesPartitionEpochAndWithALeaderTheLeaderEpoch() {
    var image = MetadataImage()
    image.apply(topicRecord("t", 5))
    image.apply(partitionRecord(5, 0, replicas: [1, 2, 3]))
    var change = PartitionChangeRecord()
    change.topicID = Uuid(high: 0, low: 5)
    change.partitionID = 0
    change.isr = [1, 2]
    #expect(image.apply(.partitionChange(change)) == .partition("t", 0))
    #expect(image.topics.partition("t", 0)?.partitionEpoch.rawValue == 1)
    #expect(image.topics.partition("t", 0)?.leaderEpoch.rawValue == 0)
    change.leader = 2
    image.apply(.partitionChange(change))
    #expect(image.topics.partition("t", 0)?.partitionEpoch.rawValue == 2)
    #expect(image.topics.partition("t", 0)?.leaderEpoch.rawValue == 1)
    #expect(image.topics.partition("t", 0)?.isr.map(\.rawValue) == [1, 2])
    change.partitionID = 7
    #expect(image.apply(.partitionChange(change)) == .nothing)
  }

  @Test func imagesShareAndStayApart() {
    var old = MetadataImage()
    old.apply(topicRecord("a", 5))
    old.apply(partitionRecord(5, 0, replicas: [1]))
    var delta = MetadataDelta(old)
    delta.apply(topicRecord("b", 6))
    delta.apply(partitionRecord(6, 0, replicas: [1]))
    delta.apply(partitionRecord(5, 1, replicas: [1]))
    #expect(old.topics["b"] == nil)
    #expect(old.topics["a"]?.partitions.count == 1)
    #expect(delta.image.topics["a"]?.partitions.count == 2)
    #expect(delta.addedTopics == ["b"])
    #expect(delta.touchedPartitions == [TopicPartition("b", 0), TopicPartition("a", 1)])
    var remove = RemoveTopicRecord()
    remove.topicID = Uuid(high: 0, low: 6)
    delta.apply(.removeTopic(remove))
    #expect(delta.image.topics["b"] == nil)
    #expect(delta.image.topics[Uuid(high: 0, low: 6)] == nil)
    #expect(delta.addedTopics.isEmpty)
    #expect(delta.removedTopics.map(\.name) == ["b"])
    #expect(delta.touchedPartitions == [TopicPartition("a", 1)])
  }

  @Test func partitionsMayArriveInAnyOrder() {
    var image = MetadataImage()
    image.apply(topicRecord("t", 5))
    for partition in [4, 0, 2, 1, 3] as [Int32] {
      image.apply(partitionRecord(5, partition, replicas: [partition + 1]))
    }
    #expect(image.topics["t"]?.partitions.numbers == [0, 1, 2, 3, 4])
    for partition in 0..<5 as Range<Int32> {
      #expect(image.topics.partition("t", partition)?.leader.rawValue == partition + 1)
    }
    #expect(image.topics.partition("t", -1) == nil)
    #expect(image.topics.partition("t", 5) == nil)
  }

  @Test func aReplicaIsOfflineWithItsBrokerOrItsDirectory() {
    var image = MetadataImage()
    image.apply(.registerBroker(BrokerImage(id: BrokerID(1), epoch: BrokerEpoch(1)).record))
    image.apply(.registerBroker(BrokerImage(id: BrokerID(2), epoch: BrokerEpoch(2)).record))
    var partition = PartitionImage(replicas: [1, 2, 3].brokerIDs)
    #expect(image.offlineReplicas(partition).map(\.rawValue) == [3])
    partition.directories = [DirectoryID.lost, .one, .one]
    #expect(image.offlineReplicas(partition).map(\.rawValue) == [1, 3])
  }

  @Test func anotherEpochsFencingIsIgnored() {
    var image = MetadataImage()
    image.apply(.registerBroker(BrokerImage(id: BrokerID(1), epoch: BrokerEpoch(5)).record))
    var fence = FenceBrokerRecord()
    fence.id = 1
    fence.epoch = 4
    #expect(image.apply(.fenceBroker(fence)) == .nothing)
    #expect(image.brokers.isAlive(BrokerID(1)))
    fence.epoch = 5
    #expect(image.apply(.fenceBroker(fence)) == .broker(BrokerID(1)))
    #expect(!image.brokers.isAlive(BrokerID(1)))
  }
}
