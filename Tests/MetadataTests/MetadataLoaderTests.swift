import KafkaRecords
import Metadata
import Testing
import Values

@Suite struct MetadataLoaderTests {
  private let begin = MetadataRecord.beginTransaction(.init { $0.name = "test" })
  private let end = MetadataRecord.endTransaction(.init())
  private let abort = MetadataRecord.abortTransaction(.init { $0.reason = "test" })

  @Test func transactionsTakeEffectAtTheirEnd() {
    var loader = MetadataLoader()
    loader.apply([topicRecord("a", 2), begin, topicRecord("b", 3)], lastOffset: 2, epoch: 1)
    #expect(loader.image.topics.sortedNames == ["a"])
    #expect(loader.transactionStart == 1 && loader.stableOffset == 0 && loader.lastOffset == 2)
    let middle = loader.delta(
      applying: [partitionRecord(3, 0, replicas: [1])], lastOffset: 3, epoch: 1)
    #expect(middle.isEmpty)
    let last = loader.delta(applying: [end, topicRecord("c", 4)], lastOffset: 5, epoch: 1)
    #expect(last.addedTopics == ["b", "c"])
    #expect(last.touchedPartitions == [TopicPartition("b", 0)])
    #expect(loader.image.topics.sortedNames == ["a", "b", "c"])
    #expect(loader.stableOffset == 5 && loader.transactionStart == nil)
  }

  @Test func abortedTransactionsNeverWere() {
    var loader = MetadataLoader()
    loader.apply([begin, topicRecord("a", 2)], lastOffset: 1, epoch: 1)
    loader.apply([abort], lastOffset: 2, epoch: 2)
    #expect(loader.image == MetadataImage() && loader.isEmpty)
    // What comes next is the first transaction again.
    loader.apply([begin, topicRecord("a", 2), end], lastOffset: 5, epoch: 2)
    #expect(loader.image.topics.sortedNames == ["a"] && !loader.isEmpty)
  }

  @Test func controlBatchesMoveTheOffsetOnly() {
    var loader = MetadataLoader()
    loader.apply([], lastOffset: 4, epoch: 3)
    #expect(loader.isEmpty && loader.lastOffset == 4 && loader.lastEpoch == 3)
    loader.load(snapshot: MetadataImage(), lastOffset: 9, epoch: 3)
    #expect(loader.isEmpty && loader.stableOffset == 9)
  }

  @Test func partitionsAreCounted() {
    var image = MetadataImage()
    image.apply(topicRecord("t", 2))
    for number in 0..<4 as Range<Int32> {
      image.apply(partitionRecord(2, number, replicas: [1, 2]))
    }
    #expect(image.topics.leaderCount(of: BrokerID(1)) == 4)
    func change(_ number: Int32, leader: Int32, adding: [Int32]? = nil) {
      image.apply(
        .partitionChange(
          .init {
            $0.topicID = Uuid(high: 0, low: 2)
            $0.partitionID = number
            $0.leader = leader
            $0.addingReplicas = adding
          }))
    }
    change(0, leader: 2)
    change(1, leader: -1)
    change(2, leader: 1, adding: [2])
    #expect(image.topics.leaderCount(of: BrokerID(1)) == 2)
    #expect(image.topics.leaderCount(of: BrokerID(2)) == 1)
    #expect(image.topics.imbalancedCount == 1 && image.topics.leaderlessCount == 1)
    #expect(image.topics.reassigningCount == 1)
    image.apply(.removeTopic(.init { $0.topicID = Uuid(high: 0, low: 2) }))
    #expect(image.topics == TopicsImage())
  }

  @Test func partitionsOfLargeTopicsKeepTheirOrder() {
    var table = PartitionTable()
    func image(_ number: Int32) -> PartitionImage { PartitionImage(replicas: [BrokerID(number)]) }
    // Even numbers in order, then the odd ones in between, over several pages.
    for number in stride(from: 0, to: 400, by: 2) { table[Int32(number)] = image(Int32(number)) }
    for number in stride(from: 399, to: 0, by: -2) { table[Int32(number)] = image(Int32(number)) }
    var ordered = PartitionTable()
    for number in 0..<400 as Range<Int32> { ordered[number] = image(number) }
    #expect(table == ordered && table.numbers == Array(0..<400))
    #expect(table.entries.allSatisfy { $0.1 == image($0.0) })
    for number in 100..<400 as Range<Int32> { table[number] = nil }
    #expect(table.count == 100 && table[99] == image(99) && table[100] == nil)
    #expect(table.first == image(0) && table.images.count == 100)
  }

  @Test func namesThatCollideAreFound() {
    var image = MetadataImage()
    image.apply(topicRecord("a.b", 2))
    image.apply(topicRecord("plain", 3))
    #expect(image.topics.collidingName("a_b") == "a.b")
    #expect(image.topics.collidingName("plain") == nil)
    image.apply(.removeTopic(.init { $0.topicID = Uuid(high: 0, low: 2) }))
    #expect(image.topics.collidingName("a_b") == nil)
  }

  @Test func levelsHaveNames() {
    #expect(MetadataVersion(21).name == "3.9-IV0")
    #expect(MetadataVersion(name: "3.9") == MetadataVersion(21))
    #expect(MetadataVersion(name: "3.7-IV2")?.hasDirectoryAssignment == true)
    #expect(MetadataVersion(name: "2.8") == nil && !MetadataVersion(24).isKnown)
    #expect(MetadataVersion(21).losesMetadata(downTo: MetadataVersion(16)))
    #expect(!MetadataVersion(21).losesMetadata(downTo: MetadataVersion(17)))
    #expect(!MetadataVersion(17).losesMetadata(downTo: MetadataVersion(21)))
  }

  @Test func everyKindOfRecordIsTakenIn() {
    var image = MetadataImage()
    image.apply(
      .registerController(
        .init {
          $0.controllerID = 3
          $0.incarnationID = Uuid(high: 1, low: 1)
        }))
    image.apply(.zkMigrationState(.init { $0.zkMigrationState = 3 }))
    image.apply(.noOp(.init()))
    image.apply(.registerBroker(BrokerImage(id: BrokerID(1), epoch: BrokerEpoch(5)).record))
    func change(_ fill: (inout BrokerRegistrationChangeRecord) -> Void) {
      var record = BrokerRegistrationChangeRecord()
      record.brokerID = 1
      record.brokerEpoch = 5
      fill(&record)
      image.apply(.brokerRegistrationChange(record))
    }
    var broker: BrokerImage? { image.brokers[BrokerID(1)] }
    change { $0.fenced = 1 }
    #expect(broker?.isFenced == true)
    change { $0.inControlledShutdown = 1 }
    change { $0.logDirs = [Uuid(high: 9, low: 9)] }
    change { $0.fenced = -1 }
    #expect(broker?.isFenced == false && broker?.isInControlledShutdown == true)
    #expect(broker?.logDirs.count == 1)
    // A change of an earlier life says nothing.
    change {
      $0.brokerEpoch = 4
      $0.fenced = 1
    }
    #expect(broker?.isFenced == false)
    #expect(image.controllers.count == 1 && image.zkMigrationState == 3)
    var copy = MetadataImage()
    for record in image.records { copy.apply(record) }
    #expect(copy == image)
  }
}
