import KafkaClient
import KafkaProtocol
import Testing
import Values

@testable import BrokerNode

/// The project's own client library against a whole broker.
@Suite struct ClientLibraryTests {
  private func properties(
    _ broker: LoneBroker, _ more: [String: String] = [:]
  ) -> [String: String] {
    // Producer ids come from the controller, which a lone broker does not have.
    [
      "bootstrap.servers": "127.0.0.1:\(broker.port)", "retry.backoff.ms": "20",
      "enable.idempotence": "false",
    ]
    .merging(more) { $1 }
  }

  private func read(_ consumer: Consumer, _ count: Int) async throws -> [ConsumerRecord] {
    var records: [ConsumerRecord] = []
    for _ in 0..<100 where records.count < count {
      records += try await consumer.poll(timeoutMs: 200)
    }
    return records
  }

  @Test(arguments: ["none", "gzip", "lz4", "zstd", "snappy"])
  func whatIsProducedIsConsumed(compression: String) async throws {
    let broker = try LoneBroker()
    defer { broker.stop() }
    broker.assign("quotes", 0..<3)
    let producer = try Producer(
      properties(broker, ["compression.type": compression, "linger.ms": "5"]))
    for number in 0..<1000 {
      try producer.enqueue(
        ProducerRecord(
          topic: "quotes", key: Array("k\(number % 10)".utf8), value: Array("v\(number)".utf8),
          headers: [RecordHeader("n", [UInt8(number & 255)])]))
    }
    await producer.flush()
    let consumer = try Consumer(properties(broker, ["auto.offset.reset": "earliest"]))
    let partitions = (0..<3).map { TopicPartition("quotes", $0) }
    try await consumer.assign(partitions)
    let records = try await read(consumer, 1000)
    #expect(records.count == 1000)
    #expect(Set(records.map { String(decoding: $0.value ?? [], as: UTF8.self) }).count == 1000)
    let ends = try await consumer.endOffsets(partitions)
    #expect(ends.values.reduce(0, +) == 1000)
    await consumer.close()
    await producer.close()
  }

  @Test func groupsCommitAndGoOn() async throws {
    let broker = try LoneBroker()
    defer { broker.stop() }
    broker.assign("__consumer_offsets", 0..<3)
    broker.assign("quotes", 0..<2)
    let producer = try Producer(properties(broker))
    for number in 0..<20 {
      try await producer.send(
        ProducerRecord(topic: "quotes", partition: Int32(number % 2), value: [UInt8(number)]))
    }
    let more = ["group.id": "readers", "auto.offset.reset": "earliest"]
    let first = try Consumer(properties(broker, more))
    try await first.subscribe(["quotes"])
    #expect(try await read(first, 20).count == 20)
    await first.close()
    try await producer.send(ProducerRecord(topic: "quotes", partition: 0, value: [99]))
    let second = try Consumer(properties(broker, more))
    try await second.subscribe(["quotes"])
    #expect(try await read(second, 1).map(\.value) == [[99]])
    let admin = try AdminClient(properties(broker))
    #expect(try await admin.listGroups().map(\.groupID) == ["readers"])
    let described = try await admin.describeGroups(["readers"])
    #expect(try described["readers"]?.get().groupState == "Stable")
    let offsets = try await admin.groupOffsets("readers")
    #expect(offsets[TopicPartition("quotes", 1)]?.offset == 10)
    await second.close()
    await admin.close()
    await producer.close()
  }
}
