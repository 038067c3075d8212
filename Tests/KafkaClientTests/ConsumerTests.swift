import Bytes
import KafkaMessages
import KafkaProtocol
import Records
import Testing
import Values

@testable import KafkaClient

@Suite struct ConsumerTests {
  private static func fill(_ fake: FakeCluster, _ texts: [String], compression: String = "none")
    async throws
  {
    let producer = try Producer(settings(fake, ["compression.type": compression]))
    for text in texts {
      try producer.enqueue(
        ProducerRecord(
          topic: "quotes", value: Array(text.utf8), headers: [RecordHeader("h", [1, 2])]))
    }
    await producer.close()
  }

  private static func read(_ consumer: Consumer, _ count: Int) async throws -> [ConsumerRecord] {
    var records: [ConsumerRecord] = []
    for _ in 0..<200 where records.count < count {
      records += try await consumer.poll(timeoutMs: 100)
    }
    return records
  }

  private static func text(_ record: ConsumerRecord) -> String {
    String(decoding: record.value ?? [], as: UTF8.self)
  }

  @Test func assignedPartitionsAreReadFromTheBeginning() async throws {
    let fake = try FakeCluster(nodes: 2)
    defer { fake.stop() }
    fake.createTopic("quotes", partitions: 3)
    try await Self.fill(fake, (0..<300).map { "n\($0)" })
    let consumer = try Consumer(
      settings(fake, ["auto.offset.reset": "earliest", "max.poll.records": "7"]))
    let partitions = (0..<3).map { TopicPartition("quotes", $0) }
    try await consumer.assign(partitions)
    let records = try await Self.read(consumer, 300)
    #expect(records.count == 300)
    for partition in 0..<3 {
      let offsets = records.filter { $0.partition == Int32(partition) }.map(\.offset)
      #expect(offsets == Array(0..<Int64(offsets.count)))
    }
    #expect(records.allSatisfy { $0.headers == [RecordHeader("h", [1, 2])] })
    let ends = try await consumer.endOffsets(partitions)
    #expect(ends.values.reduce(0, +) == 300)
    await consumer.close()
  }

  @Test func seekingMovesThePosition() async throws {
    let fake = try FakeCluster()
    defer { fake.stop() }
    fake.createTopic("quotes", partitions: 1)
    try await Self.fill(fake, (0..<100).map { "n\($0)" })
    let partition = TopicPartition("quotes", 0)
    let consumer = try Consumer(settings(fake))
    try await consumer.assign([partition])
    // The default is to begin at the end.
    #expect(try await consumer.position(of: partition) == 100)
    try await consumer.seek(partition, to: 42)
    let records = try await Self.read(consumer, 58)
    #expect(records.map(\.offset) == Array(42..<100))
    try await consumer.seek([partition], to: .earliest)
    #expect(try await Self.read(consumer, 100).first?.offset == 0)
    // Outside of the log: reset to the end, as configured.
    try await consumer.seek(partition, to: 5000)
    #expect(try await consumer.poll(timeoutMs: 100).isEmpty)
    for _ in 0..<50 {
      _ = try await consumer.poll(timeoutMs: 20)
      if try await consumer.position(of: partition) == 100 { break }
    }
    #expect(try await consumer.position(of: partition) == 100)
    await consumer.close()
  }

  @Test func pausedPartitionsRest() async throws {
    let fake = try FakeCluster()
    defer { fake.stop() }
    fake.createTopic("quotes", partitions: 1)
    try await Self.fill(fake, ["a"])
    let partition = TopicPartition("quotes", 0)
    let consumer = try Consumer(settings(fake, ["auto.offset.reset": "earliest"]))
    try await consumer.assign([partition])
    await consumer.pause([partition])
    #expect(try await consumer.poll(timeoutMs: 100).isEmpty)
    await consumer.resume([partition])
    #expect(try await Self.read(consumer, 1).count == 1)
    await consumer.close()
  }

  @Test func failedFetchesAreTriedAgain() async throws {
    let fake = try FakeCluster()
    defer { fake.stop() }
    fake.createTopic("quotes", partitions: 1)
    try await Self.fill(fake, (0..<20).map { "n\($0)" })
    fake.fail(.fetch, .dropped, .error(.notLeaderOrFollower), .dropped)
    fake.fail(.listOffsets, .error(.leaderNotAvailable))
    let consumer = try Consumer(settings(fake, ["auto.offset.reset": "earliest"]))
    try await consumer.assign([TopicPartition("quotes", 0)])
    #expect(try await Self.read(consumer, 20).map(Self.text) == (0..<20).map { "n\($0)" })
    await consumer.close()
  }

  @Test func abortedDataIsNotSeen() async throws {
    let fake = try FakeCluster()
    defer { fake.stop() }
    fake.createTopic("quotes", partitions: 1)
    let batches = try Self.transactions()
    fake.on { me in
      for batch in batches { _ = me.append("quotes", 0, batch) }
      me.topics["quotes"]?[0].aborted = [
        FetchResponse.AbortedTransaction {
          $0.producerID = 7
          $0.firstOffset = 0
        }
      ]
    }
    for (level, expected) in [
      ("read_committed", ["kept", "later"]), ("read_uncommitted", ["dropped", "kept", "later"]),
    ] {
      let consumer = try Consumer(
        settings(fake, ["auto.offset.reset": "earliest", "isolation.level": level]))
      try await consumer.assign([TopicPartition("quotes", 0)])
      #expect(try await Self.read(consumer, expected.count).map(Self.text) == expected)
      #expect(try await consumer.poll(timeoutMs: 50).isEmpty)
      #expect(try await consumer.position(of: TopicPartition("quotes", 0)) == 5)
      await consumer.close()
    }
  }

  /// Producer 7 aborts "dropped", then sends "later"; producer 8 sends "kept"; both commit.
  private static func transactions() throws -> [[UInt8]] {
    func data(_ text: String, producer: Int64, transactional: Bool = true) throws -> [UInt8] {
      var options = BatchOptions()
      options.isTransactional = transactional
      // No sequence: the fake log would insist on it.
      options.producerID = producer
      options.producerEpoch = 0
      options.baseSequence = 0
      var builder = BatchBuilder(options)
      builder.append(timestamp: 1, key: nil, value: Array(text.utf8))
      var output = Bytes.ByteWriter()
      try builder.finish(into: &output)
      return output.array()
    }
    return [
      try data("dropped", producer: 7), try data("kept", producer: 8),
      try marker(isCommit: false, producer: 7), try marker(isCommit: true, producer: 8),
      try data("later", producer: -1, transactional: false),
    ]
  }

  private static func marker(isCommit: Bool, producer: Int64) throws -> [UInt8] {
    try EndTransactionMarker(isCommit: isCommit, coordinatorEpoch: 1)
      .batch(producerID: producer, producerEpoch: 0, timestamp: 1)
  }

  @Test func membersShareAndTakeOver() async throws {
    let fake = try FakeCluster()
    defer { fake.stop() }
    fake.createTopic("quotes", partitions: 4)
    try await Self.fill(fake, (0..<40).map { "n\($0)" })
    let more = [
      "group.id": "g", "auto.offset.reset": "earliest", "heartbeat.interval.ms": "20",
      "auto.commit.interval.ms": "20",
    ]
    let first = try Consumer(settings(fake, more))
    try await first.subscribe(["quotes"])
    #expect(try await Self.read(first, 40).count == 40)
    #expect(await first.assignment.count == 4)
    let second = try Consumer(settings(fake, more))
    try await second.subscribe(["quotes"])
    for _ in 0..<100 {
      _ = try await first.poll(timeoutMs: 10)
      _ = try await second.poll(timeoutMs: 10)
      let counts = (await first.assignment.count, await second.assignment.count)
      if counts == (2, 2) { break }
    }
    #expect(await first.assignment.count == 2)
    #expect(await second.assignment.count == 2)
    // What was read has been committed before it was given up: nothing comes twice.
    #expect(try await second.poll(timeoutMs: 50).isEmpty)
    await first.close()
    for _ in 0..<100 {
      _ = try await second.poll(timeoutMs: 10)
      if await second.assignment.count == 4 { break }
    }
    #expect(await second.assignment.count == 4)
    try await Self.fill(fake, ["new"])
    #expect(try await Self.read(second, 1).map(Self.text) == ["new"])
    await second.close()
    #expect(fake.on { $0.committed.values.reduce(0, +) } == 41)
  }

  /// The group's first round is often overtaken by a second one; a third would be for nothing.
  @Test func aRoundThatIsOvertakenIsRepeatedOnce() async throws {
    let fake = try FakeCluster()
    defer { fake.stop() }
    fake.createTopic("quotes", partitions: 2)
    fake.fail(.syncGroup, .error(.rebalanceInProgress))
    let consumer = try Consumer(
      settings(fake, ["group.id": "g", "heartbeat.interval.ms": "20", "retry.backoff.ms": "100"]))
    try await consumer.subscribe(["quotes"])
    for _ in 0..<60 { _ = try await consumer.poll(timeoutMs: 10) }
    #expect(await consumer.assignment.count == 2)
    #expect(fake.on { $0.coordinator.generation } == 2)
    // The first only asks for an id.
    #expect(fake.count(.joinGroup) == 3)
    await consumer.close()
  }

  @Test func offsetsAreCommittedAndFound() async throws {
    let fake = try FakeCluster()
    defer { fake.stop() }
    fake.createTopic("quotes", partitions: 1)
    try await Self.fill(fake, ["a", "b", "c"])
    let partition = TopicPartition("quotes", 0)
    let more = ["group.id": "g", "enable.auto.commit": "false", "auto.offset.reset": "none"]
    let consumer = try Consumer(settings(fake, more))
    try await consumer.assign([partition])
    await #expect(throws: ClientError.noOffset(partition)) {
      for _ in 0..<20 { _ = try await consumer.poll(timeoutMs: 50) }
    }
    fake.fail(.offsetCommit, .error(.coordinatorLoadInProgress), .dropped)
    try await consumer.commit([partition: CommittedOffset(2)])
    #expect(try await consumer.committed([partition])[partition]?.offset == 2)
    await consumer.close()
    let next = try Consumer(settings(fake, more))
    try await next.assign([partition])
    #expect(try await Self.read(next, 1).map(Self.text) == ["c"])
    await next.close()
  }
}
