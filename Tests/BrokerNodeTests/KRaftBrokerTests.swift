import Bytes
import Foundation
import KafkaMessages
import KafkaProtocol
import KafkaRecords
import KafkaTransport
import Metadata
import TestKit
import Testing
import Values

@testable import BrokerNode

/// A broker driven by a metadata log, asked over the wire.
@Suite(.serialized) struct KRaftBrokerTests {
  static let red = Uuid(high: 0x4000_0000, low: 1)
  static let blue = Uuid(high: 0x4000_0000, low: 2)

  static let level = MetadataRecord.featureLevel(
    FeatureLevelRecord {
      $0.name = "metadata.version"
      $0.featureLevel = 21
    })

  func broker(
    _ more: [MetadataRecord] = [], folder: URL? = nil, settings: [String: String] = [:]
  ) throws -> KRaftBroker {
    try KRaftBroker(
      folder: folder, log: [Self.level, KRaftBroker.registration()] + more, settings: settings)
  }

  /// The directories of logs, those that wait to be removed left out.
  func logs(_ broker: KRaftBroker) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: broker.folder.path)
      .filter { $0.contains("-") && !$0.hasSuffix("checkpoint") && !$0.hasSuffix("-delete") }
      .sorted()
  }

  // MARK: Replicas

  @Test func replicasComeAndGoWithTheLog() throws {
    let broker = try broker()
    defer { broker.stop() }
    #expect(try logs(broker) == [])
    broker.commit([
      KRaftBroker.topic("red", Self.red), KRaftBroker.partition(Self.red, 0),
      KRaftBroker.partition(Self.red, 1, replicas: [2, 1], leader: 2),
      KRaftBroker.partition(Self.red, 2, replicas: [2], leader: 2),
    ])
    #expect(try logs(broker) == ["red-0", "red-1"])
    #expect(broker.node.services.partitions["red", 0]?.isLeader == true)
    #expect(broker.node.services.partitions["red", 1]?.isLeader == false)
    broker.commit([
      .partitionChange(
        PartitionChangeRecord {
          $0.topicID = Self.red
          $0.partitionID = 1
          $0.leader = 1
          $0.isr = [1]
        })
    ])
    #expect(broker.node.services.partitions["red", 1]?.isLeader == true)
    broker.commit([.removeTopic(RemoveTopicRecord { $0.topicID = Self.red })])
    #expect(try logs(broker) == [])
    #expect(broker.node.services.partitions.count == 0)
  }

  @Test func aTopicMadeAgainBeginsEmpty() throws {
    let broker = try broker([
      KRaftBroker.topic("red", Self.red), KRaftBroker.partition(Self.red, 0),
    ])
    defer { broker.stop() }
    broker.commit([
      .removeTopic(RemoveTopicRecord { $0.topicID = Self.red }),
      KRaftBroker.topic("red", Self.blue), KRaftBroker.partition(Self.blue, 0),
    ])
    #expect(broker.node.services.partitions["red", 0]?.topicID == Self.blue)
    let path = broker.folder.appending(path: "red-0/partition.metadata").path
    #expect(try String(contentsOfFile: path, encoding: .utf8).contains("\(Self.blue)"))
  }

  @Test func straysAreSetAsideAtTheStart() throws {
    let folder = try Fixtures.temporaryFolder()
    for (name, id) in [("red-0", Self.red), ("red-7", Self.red), ("gone-0", Self.blue)] {
      let log = folder.appending(path: name)
      try FileManager.default.createDirectory(at: log, withIntermediateDirectories: true)
      try "version: 0\ntopic_id: \(id)".write(
        to: log.appending(path: "partition.metadata"), atomically: true, encoding: .utf8)
    }
    let broker = try broker(
      [KRaftBroker.topic("red", Self.red), KRaftBroker.partition(Self.red, 0)], folder: folder)
    defer { broker.stop() }
    let found = try logs(broker)
    #expect(found.count == 3 && found.contains("red-0"))
    #expect(found.filter { $0.hasSuffix("-stray") }.count == 2)
  }

  @Test func topicSettingsFollowTheLog() throws {
    let broker = try broker([
      KRaftBroker.topic("red", Self.red), KRaftBroker.partition(Self.red, 0),
    ])
    defer { broker.stop() }
    func set(_ value: String?) -> MetadataRecord {
      .config(
        ConfigRecord {
          $0.resourceType = ConfigResourceType.topic.rawValue
          $0.resourceName = "red"
          $0.name = "segment.bytes"
          $0.value = value
        })
    }
    broker.commit([set("2048")])
    #expect(broker.node.services.partitions["red", 0]?.log?.config.segmentBytes == 2048)
    broker.commit([set(nil)])
    #expect(broker.node.services.partitions["red", 0]?.log?.config.segmentBytes == 1 << 30)
  }

  @Test func dynamicBrokerSettingsFollowTheLog() throws {
    let broker = try broker()
    defer { broker.stop() }
    broker.commit([
      .config(
        ConfigRecord {
          $0.resourceType = ConfigResourceType.broker.rawValue
          $0.resourceName = ""
          $0.name = "log.cleaner.threads"
          $0.value = "3"
        })
    ])
    #expect(broker.node.services.currentConfig.log.cleanerThreads == 3)
  }

  @Test func theControllerHearsWhereReplicasAre() throws {
    let broker = try broker([
      KRaftBroker.topic("red", Self.red),
      KRaftBroker.partition(Self.red, 0, directory: DirectoryID.unassigned),
      KRaftBroker.partition(Self.red, 1),
    ])
    defer { broker.stop() }
    let end = Date(timeIntervalSinceNow: 10)
    while broker.controller.assignments.withLock({ $0.isEmpty }), Date() < end { usleep(5_000) }
    let told = try #require(broker.controller.assignments.withLock { $0.first })
    #expect(told.brokerID == 1 && told.brokerEpoch == 5)
    #expect(told.directories.map(\.id) == [KRaftBroker.directory])
    #expect(told.directories[0].topics.map(\.topicID) == [Self.red])
    #expect(told.directories[0].topics[0].partitions.map(\.partitionIndex) == [0])
  }

  // MARK: Forwarding

  @Test func requestsTravelInEnvelopes() throws {
    let broker = try broker()
    defer { broker.stop() }
    let client = try BlockingClient(port: broker.port)
    var request = CreateTopicsRequest()
    request.topics = [.init { $0.name = "red" }]
    var answer = ByteWriter()
    ResponseHeader(correlationID: 1).write(to: &answer, version: 1)
    CreateTopicsResponse { $0.topics = [.init { $0.name = "from the controller" }] }
      .write(to: &answer, version: 6)
    let bytes = answer.array()
    // An inactive controller says so in the Envelope: the broker asks again.
    broker.controller.answers.withLock {
      $0 = [
        EnvelopeResponse { $0.errorCode = ErrorCode.notController.rawValue },
        EnvelopeResponse { $0.responseData = bytes },
      ]
    }
    let response = try client.ask(request, version: 6)
    #expect(response.topics.map(\.name) == ["from the controller"])
    let sent = try #require(broker.controller.envelopes.withLock { $0.count == 2 ? $0[1] : nil })
    #expect(sent.clientHostAddress == [127, 0, 0, 1])
    // int16 version, compact "User" and "ANONYMOUS", no token, no tags: as a real broker sends it.
    let principal = [0, 0, 5] + Array("User".utf8) + [10] + Array("ANONYMOUS".utf8) + [0, 0]
    #expect(sent.requestPrincipal == principal)
    var reader = ByteReader(sent.requestData.span.bytes)
    let header = try RequestHeader(from: &reader)
    #expect(header.apiKey == 19 && header.apiVersion == 6 && header.correlationID == 1)
    #expect(header.clientID == "test")
    #expect(try CreateTopicsRequest(from: &reader, version: 6).topics.map(\.name) == ["red"])
  }

  @Test func withoutAnAnswerTheConnectionEnds() throws {
    let broker = try broker()
    defer { broker.stop() }
    let client = try BlockingClient(port: broker.port)
    #expect(throws: BlockingClient.Failed.self) {
      _ = try client.ask(CreateTopicsRequest(), version: 5)
    }
  }

  @Test func aForeignBrokersSettingsAreRefusedHere() throws {
    let broker = try broker()
    defer { broker.stop() }
    let client = try BlockingClient(port: broker.port)
    func alter(_ type: ConfigResourceType, _ name: String, _ key: String, _ value: String) throws
      -> IncrementalAlterConfigsResponse
    {
      try client.ask(
        IncrementalAlterConfigsRequest {
          $0.resources = [
            .init {
              $0.resourceType = type.rawValue
              $0.resourceName = name
              $0.configs = [
                .init {
                  $0.name = key
                  $0.value = value
                }
              ]
            }
          ]
        }, version: 1)
    }
    let foreign = try alter(.broker, "2", "log.cleaner.threads", "2")
    #expect(foreign.responses.map(\.errorCode) == [ErrorCode.invalidRequest.rawValue])
    let wrong = try alter(.broker, "1", "log.cleaner.threads", "many")
    #expect(wrong.responses.map(\.errorCode) == [ErrorCode.invalidConfig.rawValue])
    #expect(broker.controller.envelopes.withLock { $0.isEmpty })
  }

  // MARK: What clients see

  @Test func versionsAndFeatures() throws {
    let broker = try broker()
    defer { broker.stop() }
    let client = try BlockingClient(port: broker.port)
    let before = try client.ask(versionsRequest, version: 4)
    #expect(before.apiKeys.first { $0.apiKey == 19 }?.maxVersion == 7)
    // The controller has not been asked yet; the first forwarded request finds out.
    _ = try? BlockingClient(port: broker.port).ask(CreateTopicsRequest(), version: 5)
    let after = try client.ask(versionsRequest, version: 4)
    let createTopics = try #require(after.apiKeys.first { $0.apiKey == 19 })
    #expect(createTopics.minVersion == 2 && createTopics.maxVersion == 6)
    // What the controller does not serve is not listed, nor what only ZooKeeper mode has.
    let keys = Set(after.apiKeys.map(\.apiKey))
    #expect(!keys.contains(20) && keys.contains(0) && keys.contains(75))
    #expect(keys.isDisjoint(with: [4, 5, 6, 7, 56, 58, 67]))
    #expect(after.finalizedFeatures.map(\.name) == ["metadata.version"])
    #expect(after.finalizedFeatures[0].maxVersionLevel == 21)
    #expect(after.finalizedFeaturesEpoch == 1)
    #expect(after.supportedFeatures.map(\.name) == ["kraft.version", "metadata.version"])
    let old = try client.ask(versionsRequest, version: 3)
    #expect(old.supportedFeatures.map(\.name) == ["metadata.version"])
  }

  private var versionsRequest: ApiVersionsRequest {
    ApiVersionsRequest {
      $0.clientSoftwareName = "test"
      $0.clientSoftwareVersion = "1"
    }
  }

  @Test func nobodyIsAnsweredFromAnEmptyImage() throws {
    let broker = try broker()
    defer { broker.stop() }
    #expect(!broker.cluster.heardEarly)
    let answer = try broker.cluster.early?.receive(MetadataResponse.self)
    #expect(answer?.brokers.map(\.nodeID) == [1])
  }

  @Test func someLiveBrokerIsCalledController() throws {
    let broker = try broker([
      .registerBroker(
        RegisterBrokerRecord {
          $0.brokerID = 2
          $0.fenced = true
        })
    ])
    defer { broker.stop() }
    let client = try BlockingClient(port: broker.port)
    let response = try client.ask(MetadataRequest { $0.topics = [] }, version: 9)
    #expect(response.brokers.map(\.nodeID) == [1] && response.controllerID == 1)
  }

  @Test func topicPartitionsComeInPages() throws {
    let broker = try broker([
      KRaftBroker.topic("blue", Self.blue), KRaftBroker.topic("red", Self.red),
      KRaftBroker.partition(Self.blue, 0), KRaftBroker.partition(Self.blue, 1),
      KRaftBroker.partition(Self.red, 0), KRaftBroker.partition(Self.red, 1),
      KRaftBroker.partition(Self.red, 2),
    ])
    defer { broker.stop() }
    let client = try BlockingClient(port: broker.port)
    func page(_ topic: String?, _ partition: Int32, limit: Int32, _ names: [String] = [])
      throws -> DescribeTopicPartitionsResponse
    {
      try client.ask(
        DescribeTopicPartitionsRequest {
          $0.topics = names.map { name in .init { $0.name = name } }
          $0.responsePartitionLimit = limit
          if let topic {
            $0.cursor = .init {
              $0.topicName = topic
              $0.partitionIndex = partition
            }
          }
        }, version: 0)
    }
    let first = try page(nil, 0, limit: 3)
    #expect(first.topics.map(\.name) == ["blue", "red"])
    #expect(first.topics.map { $0.partitions.map(\.partitionIndex) } == [[0, 1], [0]])
    #expect(first.nextCursor?.topicName == "red" && first.nextCursor?.partitionIndex == 1)
    let second = try page("red", 1, limit: 3)
    #expect(second.topics.map(\.name) == ["red"])
    #expect(second.topics[0].partitions.map(\.partitionIndex) == [1, 2])
    #expect(second.nextCursor == nil)
    let exact = try page(nil, 0, limit: 2)
    #expect(exact.topics.map(\.name) == ["blue"])
    #expect(exact.nextCursor?.topicName == "red" && exact.nextCursor?.partitionIndex == 0)
    let missing = try page(nil, 0, limit: 9, ["green"])
    #expect(
      missing.topics.map(\.errorCode) == [ErrorCode.unknownTopicOrPartition.rawValue])
  }

  @Test func quotasAndCredentialsAreDescribed() throws {
    let broker = try broker([
      .clientQuota(
        ClientQuotaRecord(
          entity: QuotaEntity([.init(type: "user", name: "alice")]), key: "producer_byte_rate",
          value: 1024)),
      .userScramCredential(
        UserScramCredentialRecord {
          $0.name = "alice"
          $0.mechanism = 1
          $0.iterations = 8192
        }),
    ])
    defer { broker.stop() }
    let client = try BlockingClient(port: broker.port)
    func quotas(_ match: Int8, _ name: String?, strict: Bool = false) throws -> Int? {
      try client.ask(
        DescribeClientQuotasRequest {
          $0.components = [
            .init {
              $0.entityType = "user"
              $0.matchType = match
              $0.match = name
            }
          ]
          $0.strict = strict
        }, version: 1
      ).entries?.count
    }
    #expect(try quotas(0, "alice") == 1)
    #expect(try quotas(0, "bob") == 0)
    #expect(try quotas(1, nil) == 0)
    #expect(try quotas(2, nil, strict: true) == 1)
    let users = try client.ask(
      DescribeUserScramCredentialsRequest {
        $0.users = [.init { $0.name = "alice" }, .init { $0.name = "bob" }]
      }, version: 0)
    #expect(users.results.map(\.user) == ["alice", "bob"])
    #expect(users.results[0].credentialInfos.map(\.iterations) == [8192])
    #expect(users.results[1].errorCode == ErrorCode.resourceNotFound.rawValue)
  }
}
