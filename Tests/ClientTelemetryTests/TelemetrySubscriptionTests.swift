import KafkaProtocol
import Testing

@testable import ClientTelemetry

@Suite struct TelemetrySubscriptionTests {
  private func refusal(_ settings: [String: String], name: String = "s") -> ErrorCode? {
    do throws(TelemetrySubscription.Refusal) {
      _ = try TelemetrySubscription(name: name, settings)
      return nil
    } catch { return error.code }
  }

  @Test func settingsAreReadAndHaveDefaults() throws {
    let empty = try TelemetrySubscription(name: "s", [:])
    #expect(empty.metrics.isEmpty && empty.intervalMs == 300_000 && empty.patterns.isEmpty)
    let full = try TelemetrySubscription(
      name: "s",
      [
        "metrics": "org.apache.kafka.producer., org.apache.kafka.consumer.",
        "interval.ms": "100", "match": "client_id=app-.*, client_software_name = lib",
      ])
    #expect(full.metrics == ["org.apache.kafka.producer.", "org.apache.kafka.consumer."])
    #expect(full.intervalMs == 100)
    #expect(full.patterns == [.clientID: "app-.*", .softwareName: "lib"])
  }

  /// The errors of Kafka's ClientMetricsConfigs: InvalidRequest and InvalidConfiguration.
  @Test func whatCannotBeIsRefused() {
    #expect(refusal([:], name: "") == .invalidRequest)
    #expect(refusal(["interval": "100"]) == .invalidRequest)
    for interval in ["99", "0", "-1", "3600001"] {
      #expect(refusal(["interval.ms": interval]) == .invalidRequest, "\(interval)")
    }
    #expect(refusal(["interval.ms": "soon"]) == .invalidConfig)
    #expect(refusal(["interval.ms": "3600000"]) == nil)
    for pattern in ["client_id", "client_id=", "=x", "color=red", "client_id=a=b", "client_id=("] {
      #expect(refusal(["match": pattern]) == .invalidConfig, "\(pattern)")
    }
  }

  private let client = TelemetryClient(
    clientID: "app-7", softwareName: "apache-kafka-java", softwareVersion: "3.9.0",
    address: "10.0.0.7", port: 4711)

  @Test(
    arguments: [
      ("", true), ("client_id=app-.*", true), ("client_id=app", false),
      ("client_id=app-7,client_software_version=3.*", true),
      ("client_id=app-7,client_software_version=4.*", false),
      ("client_instance_id=abc", true), ("client_source_address=10\\.0\\.0\\..*", true),
      ("client_source_port=47[0-9]+", true), ("client_source_port=47", false),
      ("client_software_name=(apache-kafka-java|librdkafka)", true),
    ])
  func allPatternsMatchWholeValues(match: String, isMeant: Bool) throws {
    let subscription = try TelemetrySubscription(name: "s", ["match": match])
    #expect(subscription.matches(client, instance: "abc") == isMeant)
  }
}
