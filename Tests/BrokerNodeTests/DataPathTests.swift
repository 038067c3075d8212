import Bytes
import Foundation
import KafkaMessages
import KafkaProtocol
import Records
import Replication
import Testing
import Values

@testable import BrokerNode

/// One batch of records `first`, `first + 1`, … as text.
func batch(
  _ count: Int, from first: Int = 0, magic: Int8 = 2, producer: Int64 = -1, sequence: Int32 = -1
) -> [UInt8] {
  var options = BatchOptions()
  options.magic = magic
  options.producerID = producer
  options.producerEpoch = producer >= 0 ? 0 : -1
  options.baseSequence = sequence
  var builder = BatchBuilder(options)
  for number in first..<(first + count) {
    builder.append(
      timestamp: 1_000 + Int64(number), key: Array("k\(number)".utf8),
      value: Array("value \(number)".utf8))
  }
  var output = ByteWriter()
  try? builder.finish(into: &output)
  return output.array()
}

func produce(_ bytes: [UInt8], to topic: String, _ partition: Int32 = 0, acks: Int16 = -1)
  -> ProduceRequest
{
  ProduceRequest {
    $0.acks = acks
    $0.timeoutMs = 300
    $0.topicData = [
      .init {
        $0.name = topic
        $0.partitionData = [
          .init {
            $0.index = partition
            $0.records = .owned(bytes)
          }
        ]
      }
    ]
  }
}

func fetch(_ topic: String, offset: Int64, maxBytes: Int32 = 1 << 20, waitMs: Int32 = 0)
  -> FetchRequest
{
  FetchRequest {
    $0.maxWaitMs = waitMs
    $0.minBytes = 1
    $0.topics = [
      .init {
        $0.topic = topic
        $0.partitions = [
          .init {
            $0.fetchOffset = offset
            $0.partitionMaxBytes = maxBytes
          }
        ]
      }
    ]
  }
}

@Suite struct DataPathTests {
  @Test func `records come back as they were stored, in every version that matters`() throws {
    let broker = try LoneBroker()
    defer { broker.stop() }
    broker.assign("t", 0..<1)
    let client = try BlockingClient(port: broker.port)
    for version in [3, 7, 8, 9, 11] as [Int16] {
      let answer = try client.ask(produce(batch(10), to: "t"), version: version)
      #expect(answer.responses[0].partitionResponses[0].errorCode == 0)
    }
    let old = try client.ask(produce(batch(1, magic: 1), to: "t"), version: 2)
    #expect(old.responses[0].partitionResponses[0].baseOffset == 50)
    for version in [4, 6, 7, 11, 12] as [Int16] {
      let data = try client.ask(fetch("t", offset: 5), version: version).responses[0].partitions[0]
      #expect(data.errorCode == 0 && data.highWatermark == 51)
      // From the batch with the offset on: a fetch may begin in the middle of a batch.
      #expect(data.records.count > 51 * 10)
    }
    let converted = try client.ask(fetch("t", offset: 0), version: 1).responses[0].partitions[0]
    #expect(converted.records.count > 51 * 26)
    let outside = try client.ask(fetch("t", offset: 99), version: 12)
    #expect(outside.responses[0].partitions[0].errorCode == ErrorCode.offsetOutOfRange.rawValue)
  }

  @Test func `an idempotent producer's repetition is recognised, a gap refused`() throws {
    let broker = try LoneBroker()
    defer { broker.stop() }
    broker.assign("t", 0..<1)
    let client = try BlockingClient(port: broker.port)
    func send(_ sequence: Int32) throws -> ProduceResponse.PartitionProduceResponse {
      let bytes = batch(2, producer: 9, sequence: sequence)
      return try client.ask(produce(bytes, to: "t"), version: 9).responses[0].partitionResponses[0]
    }
    #expect(try send(0).baseOffset == 0)
    #expect(try send(2).baseOffset == 2)
    #expect(try send(0).baseOffset == 0)
    #expect(try send(7).errorCode == ErrorCode.outOfOrderSequenceNumber.rawValue)
  }

  @Test func `acks all waits for the in-sync replicas and min insync replicas is kept`() throws {
    let broker = try LoneBroker(settings: ["min.insync.replicas": "2"])
    defer { broker.stop() }
    broker.assign("alone", 0..<1, replicas: [1, 2], isr: [1])
    broker.assign("pair", 0..<1, replicas: [1, 2])
    let client = try BlockingClient(port: broker.port)
    func code(_ topic: String, acks: Int16) throws -> ErrorCode {
      let answer = try client.ask(produce(batch(1), to: topic, acks: acks), version: 9)
      return ErrorCode(answer.responses[0].partitionResponses[0].errorCode)
    }
    #expect(try code("alone", acks: -1) == .notEnoughReplicas)
    #expect(try code("alone", acks: 1) == .none)
    #expect(try code("pair", acks: -1) == .requestTimedOut)
    // The follower fetches behind the record: now every in-sync replica has it.
    try client.send(produce(batch(1), to: "pair"), version: 9)
    let follower = try BlockingClient(port: broker.port)
    var request = fetch("pair", offset: 2)
    request.replicaID = 2
    let data = try follower.ask(request, version: 12).responses[0].partitions[0]
    #expect(data.highWatermark == 2)
    let answer = try client.receive(ProduceResponse.self)
    #expect(answer.responses[0].partitionResponses[0].errorCode == 0)
    #expect(try code("nowhere", acks: -1) == .unknownTopicOrPartition)
  }

  @Test func `a parked fetch wakes when records come, from another loop's connection`() throws {
    let broker = try LoneBroker()
    defer { broker.stop() }
    broker.assign("t", 0..<1)
    let reader = try BlockingClient(port: broker.port)
    let writer = try BlockingClient(port: broker.port)
    try reader.send(fetch("t", offset: 0, waitMs: 10_000), version: 11)
    #expect(!reader.hasAnswer(withinMs: 50))
    _ = try writer.ask(produce(batch(1), to: "t"), version: 9)
    #expect(reader.hasAnswer(withinMs: 5_000))
    #expect(try reader.receive(FetchResponse.self).responses[0].partitions[0].records.count > 0)
  }

  @Test func `an incremental session tells only what has changed`() throws {
    let broker = try LoneBroker()
    defer { broker.stop() }
    broker.assign("t", 0..<2)
    let client = try BlockingClient(port: broker.port)
    var request = fetch("t", offset: 0)
    request.topics[0].partitions.append(
      .init {
        $0.partition = 1
        $0.partitionMaxBytes = 1_000
      })
    request.sessionEpoch = 0
    let full = try client.ask(request, version: 11)
    #expect(full.sessionID != 0 && full.responses[0].partitions.count == 2)
    _ = try client.ask(produce(batch(3), to: "t", 1), version: 9)
    request.topics = []
    request.sessionID = full.sessionID
    request.sessionEpoch = 1
    let part = try client.ask(request, version: 11)
    #expect(part.responses.flatMap(\.partitions).map(\.partitionIndex) == [1])
    let wrong = try client.ask(request, version: 11)
    #expect(wrong.errorCode == ErrorCode.invalidFetchSessionEpoch.rawValue)
  }

  @Test func `offsets are found by place and by time, and records deleted`() throws {
    let broker = try LoneBroker()
    defer { broker.stop() }
    broker.assign("t", 0..<1)
    let client = try BlockingClient(port: broker.port)
    for first in [0, 5, 10] {
      _ = try client.ask(produce(batch(5, from: first), to: "t"), version: 9)
    }
    func offset(_ timestamp: Int64) throws -> Int64 {
      let request = ListOffsetsRequest {
        $0.replicaID = -1
        $0.topics = [
          .init {
            $0.name = "t"
            $0.partitions = [.init { $0.timestamp = timestamp }]
          }
        ]
      }
      return try client.ask(request, version: 7).topics[0].partitions[0].offset
    }
    #expect(try offset(-1) == 15)
    #expect(try offset(-2) == 0)
    #expect(try offset(-3) == 14)
    #expect(try offset(1_007) == 7)
    let deletion = DeleteRecordsRequest {
      $0.timeoutMs = 1_000
      $0.topics = [
        .init {
          $0.name = "t"
          $0.partitions = [.init { $0.offset = 6 }]
        }
      ]
    }
    #expect(try client.ask(deletion, version: 2).topics[0].partitions[0].lowWatermark == 6)
    #expect(try offset(-2) == 6)
  }

  @Test func `versions nobody knows are refused as the protocol says`() throws {
    let broker = try LoneBroker()
    defer { broker.stop() }
    let client = try BlockingClient(port: broker.port)
    let listed = try client.ask(ApiVersionsRequest(), version: 0)
    #expect(listed.apiKeys.contains { $0.apiKey == 1 && $0.maxVersion == 17 })
    // The answer to an unknown version comes in version 0, with error 35 and what is supported.
    let bytes: [UInt8] = [0, 0, 0, 11, 0, 18, 0, 99, 0, 0, 0, 7, 0xff, 0xff, 0]
    let refusal = try client.raw(bytes)
    #expect(Array(refusal[4..<10]) == [0, 0, 0, 7, 0, 35])
    // An unknown API ends the connection.
    let other = try BlockingClient(port: broker.port)
    #expect(throws: BlockingClient.Failed.self) {
      try other.raw([0, 0, 0, 10, 0x7f, 0x00, 0, 0, 0, 0, 0, 1, 0xff, 0xff])
    }
  }

  @Test func `a follower's stale epoch is fenced and divergence told`() throws {
    let broker = try LoneBroker()
    defer { broker.stop() }
    broker.assign("t", 0..<1, replicas: [1, 2])
    let client = try BlockingClient(port: broker.port)
    _ = try client.ask(produce(batch(4), to: "t", acks: 1), version: 9)
    broker.assign("t", 0..<1, replicas: [1, 2])
    var request = fetch("t", offset: 9)
    request.replicaID = 2
    request.topics[0].partitions[0].currentLeaderEpoch = 1
    let fenced = try client.ask(request, version: 12).responses[0].partitions[0]
    #expect(fenced.errorCode == ErrorCode.fencedLeaderEpoch.rawValue)
    request.topics[0].partitions[0].currentLeaderEpoch = 2
    request.topics[0].partitions[0].lastFetchedEpoch = 1
    let diverging = try client.ask(request, version: 12).responses[0].partitions[0]
    #expect(diverging.divergingEpoch.epoch == 1 && diverging.divergingEpoch.endOffset == 4)
  }
}

extension BlockingClient {
  /// Sends bytes as they are and returns what comes first, with its length.
  func raw(_ bytes: [UInt8]) throws -> [UInt8] {
    try write(bytes)
    return try readFrame()
  }
}
