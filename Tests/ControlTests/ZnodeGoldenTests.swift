import Control
import Foundation
import KafkaRecords
import Metadata
import TestKit
import Testing
import Values

/// Every znode that a real Kafka 3.9 controller and its broker wrote is understood, and written
/// again exactly as it was.
@Suite struct ZnodeGoldenTests {
  struct Recorded {
    var data: [UInt8]
    var version: Int32
    var czxid: Int64
    var text: String { String(decoding: data, as: UTF8.self) }
  }

  static func recorded() throws -> [String: Recorded] {
    let json = try JSONSerialization.jsonObject(with: Fixtures.data("kafka-3.9.0-znodes.json.gz"))
    let nodes = try #require(json as? [String: [String: Any]])
    return try nodes.compactMapValues { node in
      guard let text = node["data"] as? String else { return nil }
      return Recorded(
        data: Array(text.utf8), version: try #require(node["version"] as? Int32),
        czxid: try #require(node["czxid"] as? Int64))
    }
  }

  @Test func brokerRegistration() throws {
    let node = try #require(try Self.recorded()["/brokers/ids/1"])
    let broker = try #require(
      BrokerZnode.decode(BrokerID(1), node.data, epoch: BrokerEpoch(node.czxid)))
    #expect(broker.epoch.rawValue == 25)
    #expect(broker.endpoints.map(\.connectionString) == ["PLAINTEXT://127.0.0.1:54092"])
    let again = BrokerZnode.encode(
      broker, version: 5, jmxPort: -1, at: WallTime(milliseconds: 1_795_341_005_604))
    #expect(String(decoding: again, as: UTF8.self) == node.text)
  }

  @Test func topicsAndStates() throws {
    let nodes = try Self.recorded()
    var topics = 0
    var states = 0
    for (path, node) in nodes.sorted(by: { $0.key < $1.key }) {
      let parts = path.split(separator: "/").map(String.init)
      guard parts.starts(with: ["brokers", "topics"]) else { continue }
      if parts.count == 3 {
        let content = try #require(TopicZnode.decode(node.data))
        var topic = TopicImage(name: parts[2], id: try #require(content.id))
        topic.partitions = content.partitions
        let again = TopicZnode.encode(topic, id: content.id)
        #expect(String(decoding: again, as: UTF8.self) == node.text)
        topics += 1
      } else if parts.last == "state" {
        let content = try #require(PartitionStateZnode.decode(node.data))
        var partition = PartitionImage(replicas: content.isr)
        content.apply(to: &partition, version: node.version)
        let again = PartitionStateZnode.encode(partition, by: content.controllerEpoch)
        #expect(String(decoding: again, as: UTF8.self) == node.text)
        states += 1
      }
    }
    #expect(topics == 9)
    #expect(states == 13)
  }

  @Test func configurationQuotasAndCredentials() throws {
    let nodes = try Self.recorded()
    var image = MetadataImage()
    var entities: [(ConfigEntity, String)] = []
    for (path, node) in nodes.sorted(by: { $0.key < $1.key }) {
      guard path.hasPrefix("/config/"), !path.hasPrefix("/config/changes") else { continue }
      let entity = try #require(ConfigEntity(path: String(path.dropFirst("/config/".count))))
      for record in entity.records(for: ConfigZnode.decode(node.data), in: image) {
        image.apply(record)
      }
      entities.append((entity, path))
    }
    for (entity, path) in entities {
      #expect("/config/\(entity.path ?? "")" == path)
      let again = ConfigZnode.encode(entity.config(in: image))
      #expect(String(decoding: again, as: UTF8.self) == nodes[path]?.text)
    }
    #expect(image.scram["alice", .sha256]?.iterations == 4096)
    #expect(image.scram["alice", .sha256]?.storedKey.count == 32)
    let alice = QuotaEntity([.init(type: "user", name: "alice")])
    #expect(image.clientQuotas[alice]["producer_byte_rate"] == 1_048_576)
    #expect(image.configs.value("segment.bytes", of: .topic("plain")) == "4096")
  }

  @Test func controllerClusterAndCounters() throws {
    let nodes = try Self.recorded()
    func text(_ path: String) -> String? { nodes[path]?.text }
    func same(_ bytes: [UInt8], _ path: String) {
      #expect(String(decoding: bytes, as: UTF8.self) == text(path))
    }
    let controller = try #require(nodes["/controller"])
    #expect(ControllerZnode.decode(controller.data) == BrokerID(1))
    same(
      ControllerZnode.encode(BrokerID(1), at: WallTime(milliseconds: 1_795_341_005_898)),
      "/controller")
    let epoch = try #require(nodes["/controller_epoch"])
    same(
      ControllerEpochZnode.encode(try #require(ControllerEpochZnode.decode(epoch.data))),
      "/controller_epoch")
    let cluster = try #require(nodes["/cluster/id"])
    same(ClusterIDZnode.encode(try #require(ClusterIDZnode.decode(cluster.data))), "/cluster/id")
    let blockNode = try #require(nodes["/latest_producer_id_block"])
    let block = try #require(ProducerIDZnode.decode(blockNode.data))
    #expect(block.start == 0)
    same(
      ProducerIDZnode.encode(block.broker, next: block.end + 1, blockSize: 1000),
      "/latest_producer_id_block")
    let featureNode = try #require(nodes["/feature"])
    let feature = try #require(FeatureZnode.decode(featureNode.data))
    same(
      FeatureZnode.encode(feature.features, version: feature.version, isEnabled: feature.isEnabled),
      "/feature")
    let change = try #require(nodes["/config/changes/config_change_0000000000"])
    #expect(ConfigChangeZnode.decode(change.data) == "users/alice")
    same(ConfigChangeZnode.encode("users/alice"), "/config/changes/config_change_0000000000")
  }

  @Test func accessControl() throws {
    let nodes = try Self.recorded()
    var count = 0
    for (path, node) in nodes.sorted(by: { $0.key < $1.key }) {
      guard let resource = AclZnode.Resource(path: path) else { continue }
      let entries = try #require(AclZnode.decode(node.data, of: resource))
      #expect(resource.path == path)
      #expect(String(decoding: AclZnode.encode(entries), as: UTF8.self) == node.text)
      count += 1
    }
    #expect(count == 3)
    for path in [
      "/kafka-acl-changes/acl_changes_0000000000",
      "/kafka-acl-extended-changes/acl_changes_0000000000",
    ] {
      let node = try #require(nodes[path])
      let resource = try #require(AclZnode.decodeChange(node.data))
      #expect(path.hasPrefix(resource.changePath))
      #expect(String(decoding: AclZnode.encodeChange(resource), as: UTF8.self) == node.text)
    }
  }

  @Test func ordersOfLargerMaps() {
    // As Kafka 3.9 wrote a topic of 14 partitions: buckets of a Scala map, not numbers.
    var topic = TopicImage(name: "t", id: .one)
    for number in 0..<14 as Range<Int32> {
      topic.partitions[number] = PartitionImage(replicas: [1].brokerIDs)
    }
    let text = String(decoding: TopicZnode.encode(topic, id: nil), as: UTF8.self)
    let content = TopicZnode.decode(Array(text.utf8))
    #expect(content?.partitions.numbers == Array(0..<14))
  }

  @Test func namesInPaths() {
    for name in ["alice", "a/b", "100%", "ü €", "", "~x*+ ", "CN=a,O=b"] {
      #expect(ZnodeName.plain(ZnodeName.sanitized(name)) == name)
    }
    #expect(ZnodeName.sanitized("a b*~") == "a%20b%2A~")
    let entity = QuotaEntity([
      .init(type: "user", name: "a/b"), .init(type: "client-id", name: nil),
    ])
    #expect(ConfigEntity.quota(entity).path == "users/a%2Fb/clients/<default>")
    #expect(ConfigEntity(path: "users/a%2Fb/clients/<default>") == .quota(entity))
    #expect(ConfigEntity(path: "brokers/<default>") == .resource(.brokerDefault))
    #expect(ConfigEntity(path: "nothing/x") == nil)
  }
}

@Suite struct JSONTests {
  @Test(arguments: [
    #"{"a":[1,-2,3.5,true,null],"b":{"c":"x\"\\\n"}}"#, "[]", "{}", #""ü""#, "-9223372036854775808",
  ])
  func roundTrips(_ text: String) throws {
    #expect(String(decoding: try JSON(parsing: Array(text.utf8)).bytes, as: UTF8.self) == text)
  }

  @Test func escapesAndSpaces() throws {
    let json = try JSON(parsing: Array(" { \"k\" : \"\\u00e9\\ud83d\\ude00\\/\" } ".utf8))
    #expect(json["k"]?.string == "é😀/")
  }

  @Test(arguments: [
    "", "{", "[1,", "{\"a\"}", "\"\\x\"", "\"\\ud800\"", "tru", "1 2", "nul", "01x", "{\"a\":}",
    String(repeating: "[", count: 1000),
  ])
  func refuses(_ text: String) {
    #expect(throws: JSONError.self) { try JSON(parsing: Array(text.utf8)) }
  }

  @Test func garbageIsNoZnode() {
    var random = SplitMix(seed: 5)
    let good = Array(#"{"version":3,"partitions":{"0":[1]},"topic_id":"x"}"#.utf8)
    for _ in 0..<2000 {
      var bytes = good
      for _ in 0..<3 {
        bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next())
      }
      _ = TopicZnode.decode(bytes)
      _ = PartitionStateZnode.decode(bytes)
      _ = BrokerZnode.decode(BrokerID(1), bytes, epoch: .none)
      _ = AclZnode.decodeChange(bytes)
    }
  }
}
