import KafkaProtocol
import Synchronization
import Testing
import Values

@testable import KafkaClient

@Suite struct ProducerTests {
  private static func record(_ text: String, key: String? = nil, partition: Int32? = nil)
    -> ProducerRecord
  {
    ProducerRecord(
      topic: "quotes", partition: partition, key: key.map { Array($0.utf8) },
      value: Array(text.utf8))
  }

  @Test func recordsAreDeliveredInOrder() async throws {
    let fake = try FakeCluster()
    defer { fake.stop() }
    fake.createTopic("quotes", partitions: 1)
    let producer = try Producer(settings(fake, ["batch.size": "200"]))
    for number in 0..<500 { try producer.enqueue(Self.record("n\(number)")) }
    await producer.flush()
    #expect(fake.values("quotes", 0) == (0..<500).map { "n\($0)" })
    #expect(producer.unfinishedCount == 0)
    let metadata = try await producer.send(Self.record("last"))
    #expect(metadata.offset == 500)
    await producer.close()
  }

  @Test(arguments: [Fault.error(.notLeaderOrFollower), .dropped, .doneAndDropped])
  func failuresNeitherLoseNorRepeatNorReorder(fault: Fault) async throws {
    let fake = try FakeCluster()
    defer { fake.stop() }
    fake.createTopic("quotes", partitions: 1)
    let producer = try Producer(settings(fake, ["batch.size": "100"]))
    try await producer.send(Self.record("first"))
    for round in 0..<20 {
      if round % 3 == 0 { fake.fail(.produce, fault) }
      for number in 0..<10 { try producer.enqueue(Self.record("\(round)-\(number)")) }
      if round % 7 == 0 { await producer.flush() }
    }
    await producer.flush()
    var expected = ["first"]
    for round in 0..<20 { expected += (0..<10).map { "\(round)-\($0)" } }
    #expect(fake.values("quotes", 0) == expected)
    await producer.close()
  }

  /// A broker takes any sequence from a producer that it does not know. Were a second batch under
  /// way when the first fails, it would be taken, and the first never (KAFKA-14359).
  @Test(arguments: [Fault.error(.notLeaderOrFollower), .dropped])
  func theVeryFirstBatchMayFail(fault: Fault) async throws {
    let fake = try FakeCluster()
    defer { fake.stop() }
    fake.createTopic("quotes", partitions: 1)
    fake.fail(.produce, fault)
    let producer = try Producer(
      settings(fake, ["batch.size": "100", "delivery.timeout.ms": "5000"]))
    for number in 0..<100 { try producer.enqueue(Self.record("\(number)")) }
    await producer.flush()
    #expect(fake.values("quotes", 0) == (0..<100).map { "\($0)" })
    await producer.close()
  }

  @Test func aMovedLeaderIsFound() async throws {
    let fake = try FakeCluster(nodes: 2)
    defer { fake.stop() }
    fake.createTopic("quotes", partitions: 1)
    let producer = try Producer(settings(fake))
    try await producer.send(Self.record("before"))
    fake.on { $0.topics["quotes"]?[0].leader = 1 }
    try await producer.send(Self.record("after"))
    #expect(fake.values("quotes", 0) == ["before", "after"])
    await producer.close()
  }

  @Test func errorsThatCannotPassAreReported() async throws {
    let fake = try FakeCluster()
    defer { fake.stop() }
    fake.createTopic("quotes", partitions: 1)
    let producer = try Producer(settings(fake))
    fake.fail(.produce, .error(.invalidRecord))
    let failure = await #expect(throws: ClientError.self) {
      try await producer.send(Self.record("bad"))
    }
    #expect(failure?.code == .invalidRecord)
    // A fresh producer id takes the place of the sequence that was not used.
    #expect(try await producer.send(Self.record("good")).offset == 0)
    #expect(fake.count(.initProducerID) == 2)
    #expect(throws: ClientError.self) {
      try producer.enqueue(
        ProducerRecord(topic: "quotes", value: Array(repeating: 0, count: 2 << 20)))
    }
    await producer.close()
    #expect(throws: ClientError.closed) { try producer.enqueue(Self.record("late")) }
  }

  @Test(arguments: ["true", "false"])
  func batchesThatAreTooLargeAreSplit(idempotence: String) async throws {
    let fake = try FakeCluster()
    defer { fake.stop() }
    fake.createTopic("quotes", partitions: 1)
    fake.on { $0.maxBatchBytes = 300 }
    // Without idempotence order is kept only by one request at a time, as with Kafka.
    let producer = try Producer(
      settings(
        fake,
        [
          "enable.idempotence": idempotence,
          "max.in.flight.requests.per.connection": idempotence == "true" ? "5" : "1",
        ]))
    let offsets = Mutex<[Int64]>([])
    for number in 0..<200 {
      try producer.enqueue(Self.record("n\(number)")) { result in
        offsets.withLock { $0.append((try? result.get().offset) ?? -2) }
      }
    }
    await producer.flush()
    #expect(fake.values("quotes", 0) == (0..<200).map { "n\($0)" })
    #expect(offsets.withLock { $0 } == Array(0..<200))
    await producer.close()
    #expect(producer.unfinishedCount == 0)
  }

  @Test func unknownTopicsTimeOut() async throws {
    let fake = try FakeCluster()
    defer { fake.stop() }
    let producer = try Producer(settings(fake, ["max.block.ms": "100"]))
    let failure = await #expect(throws: ClientError.self) {
      try await producer.send(Self.record("lost"))
    }
    guard case .timedOut? = failure else {
      Issue.record("\(String(describing: failure))")
      return
    }
    await producer.close()
  }

  private static func isTaken(_ record: ProducerRecord, by producer: Producer) -> Bool {
    (try? producer.enqueue(record)) != nil
  }

  @Test func fullBuffersPushBack() async throws {
    let fake = try FakeCluster()
    defer { fake.stop() }
    fake.createTopic("quotes", partitions: 1)
    let producer = try Producer(
      settings(fake, ["buffer.memory": "1000", "linger.ms": "60000"]))
    #expect(throws: ClientError.bufferFull) {
      for _ in 0..<100 { try producer.enqueue(Self.record("some text")) }
    }
    // Whoever waits for space makes the batches go, linger or not.
    for _ in 0..<50 {
      while !Self.isTaken(Self.record("more"), by: producer) { await producer.waitForSpace() }
    }
    await producer.close()
    #expect(fake.values("quotes", 0).filter { $0 == "more" }.count == 50)
  }

  @Test func keysDecideThePartition() async throws {
    let fake = try FakeCluster()
    defer { fake.stop() }
    fake.createTopic("quotes", partitions: 4)
    let producer = try Producer(settings(fake))
    for key in ["a", "b", "c", "d", "e"] {
      let first = try await producer.send(Self.record("x", key: key))
      let second = try await producer.send(Self.record("y", key: key))
      #expect(first.partition == second.partition)
    }
    #expect(try await producer.send(Self.record("z", partition: 3)).partition == 3)
    await producer.close()
  }

  @Test func hashesAreThoseOfOtherClients() {
    // From the tests of Kafka's own clients.
    #expect(Int32(bitPattern: Partitioner.murmur2(Array("21".utf8))) == -973_932_308)
    #expect(Int32(bitPattern: Partitioner.murmur2(Array("foobar".utf8))) == -790_332_482)
    #expect(
      Int32(bitPattern: Partitioner.murmur2(Array("a-little-bit-long-string".utf8))) == -985_981_536
    )
    #expect(
      Int32(bitPattern: Partitioner.murmur2(Array("a-little-bit-longer-string".utf8)))
        == -1_486_304_829)
    #expect(
      Int32(
        bitPattern: Partitioner.murmur2(
          Array("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8".utf8)))
        == -58_897_971)
    #expect(Int32(bitPattern: Partitioner.murmur2(Array("abc".utf8))) == 479_470_107)
  }

  @Test func withoutAcknowledgementNothingIsWaitedFor() async throws {
    let fake = try FakeCluster()
    defer { fake.stop() }
    fake.createTopic("quotes", partitions: 1)
    let producer = try Producer(settings(fake, ["acks": "0"]))
    for number in 0..<10 {
      #expect(try await producer.send(Self.record("n\(number)")).offset == -1)
    }
    await producer.close()
    while fake.values("quotes", 0).count < 10 { await Task.yield() }
    #expect(fake.values("quotes", 0) == (0..<10).map { "n\($0)" })
  }

  @Test func transactionsTakePartitionsInAndEnd() async throws {
    let fake = try FakeCluster()
    defer { fake.stop() }
    fake.createTopic("quotes", partitions: 2)
    let producer = try Producer(settings(fake, ["transactional.id": "t"]))
    await #expect(throws: ClientError.self) { try await producer.beginTransaction() }
    try await producer.initTransactions()
    try await producer.beginTransaction()
    fake.fail(.addPartitionsToTxn, .error(.concurrentTransactions))
    try producer.enqueue(Self.record("a", partition: 0))
    try producer.enqueue(Self.record("b", partition: 1))
    try await producer.commitTransaction()
    try await producer.beginTransaction()
    try await producer.send(Self.record("c", partition: 0))
    try await producer.abortTransaction()
    // Nothing was sent: the coordinator is not told.
    try await producer.beginTransaction()
    try await producer.commitTransaction()
    #expect(fake.on { $0.transactionEnds } == [true, false])
    #expect(fake.values("quotes", 0) == ["a", "c"])
    await producer.close()
  }

  /// A batch is given up while the next, sent with it, may be in the log: that one must not be sent
  /// by another identity, to which brokers would find nothing like it.
  @Test func whatMayBeInTheLogKeepsItsIdentity() async throws {
    let fake = try FakeCluster()
    defer { fake.stop() }
    fake.createTopic("quotes", partitions: 1)
    let producer = try Producer(settings(fake, ["delivery.timeout.ms": "600"]))
    func send(_ text: String) async throws {
      try await producer.send(
        ProducerRecord(topic: "quotes", partition: 0, value: Array(text.utf8)))
    }
    try await send("first")
    fake.fail(.produce, .doneAndSilent, .doneAndDropped)
    fake.on { $0.faults[.produce]? += Array(repeating: Fault.dropped, count: 1_000) }
    let lost = Task { try await send("lost") }
    while fake.count(.produce) < 2 { try await Task.sleep(for: .milliseconds(2)) }
    try await Task.sleep(for: .milliseconds(250))
    let next = Task { try await send("next") }
    // Nobody knows what became of the first of the two, which is in the log.
    await #expect(throws: ClientError.self) { try await lost.value }
    fake.on { $0.faults[.produce] = [] }
    try await next.value
    // Goes by the new identity.
    try await send("last")
    #expect(fake.values("quotes", 0) == ["first", "lost", "next", "last"])
    #expect(fake.count(.initProducerID) == 2)
    await producer.close()
  }
}
