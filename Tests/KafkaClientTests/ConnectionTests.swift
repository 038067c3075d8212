import KafkaMessages
import KafkaProtocol
import Testing
import Values

@testable import KafkaClient

func settings(_ cluster: FakeCluster, _ more: [String: String] = [:]) -> [String: String] {
  var properties = [
    "bootstrap.servers": cluster.bootstrap, "retry.backoff.ms": "10", "reconnect.backoff.ms": "5",
  ]
  properties.merge(more) { _, new in new }
  return properties
}

@Suite struct ConnectionTests {
  @Test func metadataNamesNodesAndLeaders() async throws {
    let fake = try FakeCluster(nodes: 3)
    defer { fake.stop() }
    fake.createTopic("quotes", partitions: 6)
    let admin = try AdminClient(settings(fake))
    let cluster = try await admin.describeCluster()
    #expect(cluster.sortedNodes.map(\.id) == [0, 1, 2])
    #expect(cluster.clusterID == "fake")
    let topics = try await admin.listTopics()
    #expect(topics.map(\.name) == ["quotes"])
    #expect(topics.first?.partitions.map(\.leader) == [0, 1, 2, 0, 1, 2])
    let missing = try await admin.describeTopics(["nothing"])
    #expect(throws: ClientError.self) { try missing["nothing"]?.get() }
    await admin.close()
  }

  @Test func anOldServerIsAskedInVersionZero() async throws {
    let fake = try FakeCluster()
    defer { fake.stop() }
    fake.on { $0.newestApiVersions = 0 }
    let admin = try AdminClient(settings(fake))
    #expect(try await admin.describeCluster().nodes.count == 1)
    #expect(fake.count(.apiVersions) == 2)
    await admin.close()
  }

  @Test func droppedConnectionsAreMadeAgain() async throws {
    let fake = try FakeCluster()
    defer { fake.stop() }
    fake.fail(.metadata, .dropped, .dropped)
    let admin = try AdminClient(settings(fake))
    #expect(try await admin.describeCluster().nodes.count == 1)
    #expect(fake.count(.metadata) >= 3)
    await admin.close()
  }

  @Test func theControllerIsFollowed() async throws {
    let fake = try FakeCluster(nodes: 2)
    defer { fake.stop() }
    let admin = try AdminClient(settings(fake))
    _ = try await admin.describeCluster()
    fake.on { $0.controller = 1 }
    let results = try await admin.createTopics([NewTopic("moved", partitions: 2)])
    #expect(try results["moved"]?.get().numPartitions == 2)
    let again = try await admin.createTopics([NewTopic("moved", partitions: 2)])
    let failure = #expect(throws: ClientError.self) { try again["moved"]?.get() }
    #expect(failure?.code == .topicAlreadyExists)
    await admin.close()
  }

  @Test func nobodyListening() async throws {
    let admin = try AdminClient([
      "bootstrap.servers": "127.0.0.1:1", "default.api.timeout.ms": "200",
      "reconnect.backoff.ms": "10", "retry.backoff.ms": "20",
    ])
    let failure = await #expect(throws: ClientError.self) { _ = try await admin.describeCluster() }
    guard case .disconnected? = failure else {
      Issue.record("\(String(describing: failure))")
      return
    }
    await admin.close()
    await #expect(throws: ClientError.closed) { _ = try await admin.cluster.apiVersions() }
  }

  @Test func configurationsAreChecked() throws {
    let config = try ClientConfig(
      ["bootstrap.servers": "a:1,b:2", "acks": "1", "no.such.key": "x"], for: .producer)
    #expect(config.list("bootstrap.servers") == ["a:1", "b:2"])
    #expect(config.integer("batch.size") == 16384)
    #expect(config.ignoredKeys == ["no.such.key"])
    #expect(throws: ClientError.configuration("batch.size=many: not a 32-bit integer value")) {
      try ClientConfig(["batch.size": "many"], for: .producer)
    }
    #expect(throws: ClientError.self) { try ClientConfig(["acks": "2"], for: .producer) }
    #expect(throws: ClientError.self) { try AdminClient([:]) }
    #expect(throws: ClientError.self) { try AdminClient(["bootstrap.servers": "nonsense"]) }
  }
}
