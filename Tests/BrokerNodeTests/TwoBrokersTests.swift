import KafkaClient
import KafkaMessages
import KafkaProtocol
import KafkaTransport
import Synchronization
import Testing
import Values

@testable import BrokerNode

/// Brokers in one process have nothing in common.
@Suite struct TwoBrokersTests {
  /// A controller that takes requests and never answers.
  private final class Silence: ControllerChannel {
    let asked = Mutex<[String]>([])

    func call<R: KafkaRequest>(
      _ request: R, versions: ClosedRange<Int16>,
      _ completion: @escaping @Sendable (Result<R.Response, PeerError>) -> Void
    ) {
      guard let request = request as? CreateTopicsRequest else { return }
      asked.withLock { $0 += request.topics.map(\.name) }
    }

    func close() {}
  }

  @Test func aTopicThatOneAsksForIsAskedForByTheOtherToo() throws {
    let channels = [Silence(), Silence()]
    let brokers = try channels.map { try LoneBroker(channel: $0) }
    defer { for broker in brokers { broker.stop() } }
    for broker in brokers {
      let services = broker.node.services
      for _ in 0..<2 { services.autoTopicCreation.create(["wanted"], services: services) }
    }
    // Once each: a broker does not repeat what is under way, whatever others have under way.
    #expect(channels.map { $0.asked.withLock { $0 } } == [["wanted"], ["wanted"]])
  }

  @Test func oneStopsAndTheOtherServesOn() async throws {
    let first = try LoneBroker()
    let second = try LoneBroker()
    defer { second.stop() }
    for broker in [first, second] { broker.assign("quotes", 0..<1) }
    func produce(to broker: LoneBroker) async throws -> Int64 {
      let producer = try Producer([
        "bootstrap.servers": "127.0.0.1:\(broker.port)", "enable.idempotence": "false",
        "delivery.timeout.ms": "5000",
      ])
      let sent = try await producer.send(
        ProducerRecord(topic: "quotes", partition: 0, value: [1]))
      await producer.close()
      return sent.offset
    }
    #expect(try await produce(to: first) == 0)
    #expect(try await produce(to: second) == 0)
    first.stop()
    #expect(try await produce(to: second) == 1)
  }
}
