import Foundation
import KafkaMessages
import KafkaProtocol
import KafkaRecords
import KafkaTransport
import LogStorage
import Metadata
import Platform
import Settings
import Synchronization
import TestKit
import Transport
import Values

@testable import BrokerNode
@testable import MetadataLog

/// A KRaft-mode broker in this process. The test writes its metadata log, record by record, and
/// plays the controller that requests are passed on to.
final class KRaftBroker {
  let node: BrokerNode
  let folder: URL
  let controller: FakeController
  let cluster: WrittenCluster
  private let controlLoop: EventLoop

  static let directory = Uuid(high: 0x4000, low: 77)

  /// - Parameter log: the records that are there when the broker starts.
  init(folder: URL? = nil, log: [MetadataRecord] = [], settings: [String: String] = [:]) throws {
    let folder = try folder ?? Fixtures.temporaryFolder()
    var sources = SettingSources()
    let all = [
      "process.roles": "broker", "node.id": "1", "log.dirs": folder.path,
      "listeners": "PLAINTEXT://127.0.0.1:0", "num.network.threads": "2",
      "controller.listener.names": "CONTROLLER", "request.timeout.ms": "2000",
      "controller.quorum.voters": "100@127.0.0.1:1", "group.initial.rebalance.delay.ms": "0",
      "offsets.topic.num.partitions": "2",
    ].merging(settings) { $1 }
    for (key, value) in all.sorted(by: { $0.key < $1.key }) { sources.set(key, value, .override) }
    self.folder = folder
    controller = try FakeController()
    let loop = try EventLoop(name: "control")
    controlLoop = loop
    let cluster = WrittenCluster(folder: folder.path, controller: controller.port, log: log)
    if settings["jackdaw.client.telemetry.enable"] == "true" {
      cluster.apis = .kraftBrokerWithTelemetry
    }
    self.cluster = cluster
    node = try BrokerNode(try BrokerConfig(sources), controlLoop: loop) { _, _ in cluster }
  }

  var port: UInt16 { node.address?.port ?? 0 }

  /// Commits records, and returns when the broker has taken them over.
  func commit(_ records: [MetadataRecord]) { cluster.commit(records) }

  func stop() {
    node.shutdown()
    controlLoop.stop()
    controller.stop()
    try? FileManager.default.removeItem(at: folder)
  }

  /// This broker's registration, unfenced: others find it by that.
  static func registration(port: UInt16 = 9092, id: Int32 = 1) -> MetadataRecord {
    .registerBroker(
      RegisterBrokerRecord {
        $0.brokerID = id
        $0.brokerEpoch = 5
        $0.fenced = false
        $0.endPoints = [
          .init {
            $0.name = "PLAINTEXT"
            $0.host = "127.0.0.1"
            $0.port = port
          }
        ]
        $0.logDirs = [Self.directory]
      })
  }

  static func topic(_ name: String, _ id: Uuid) -> MetadataRecord {
    .topic(
      TopicRecord {
        $0.name = name
        $0.topicID = id
      })
  }

  static func partition(
    _ topic: Uuid, _ number: Int32, replicas: [Int32] = [1], leader: Int32 = 1,
    directory: Uuid = KRaftBroker.directory
  ) -> MetadataRecord {
    .partition(
      PartitionRecord {
        $0.topicID = topic
        $0.partitionID = number
        $0.replicas = replicas
        $0.isr = replicas
        $0.leader = leader
        $0.leaderEpoch = 0
        $0.partitionEpoch = 0
        $0.directories = replicas.map { _ in directory }
      })
  }
}

/// The membership of a broker whose log is written by a test.
final class WrittenCluster: ClusterMembership, @unchecked Sendable {  // used by one test thread
  private let folder: String
  private let controller: UInt16
  private let first: [MetadataRecord]
  private var follower: MetadataFollower?
  private var publisher: MetadataPublisher?
  private var offset: Int64 = -1
  /// A client that asked while the broker started, and whether it was answered too early.
  private(set) var early: BlockingClient?
  private(set) var heardEarly = true

  init(folder: String, controller: UInt16, log: [MetadataRecord]) {
    self.folder = folder
    self.controller = controller
    first = log
  }

  var apis = ApiTable.kraftBroker
  var epochOfCleanShutdown: BrokerEpoch { BrokerEpoch(5) }

  func identify(_ logs: LogManager) throws(StartupError) -> ClusterIdentity {
    ClusterIdentity(
      clusterID: "AAAAAAAAAAAAAAAAAAAAAA", brokerID: BrokerID(1),
      directories: LogDirectoryIDs([folder: KRaftBroker.directory]))
  }

  func controllerChannel(_ services: BrokerServices, on loop: EventLoop) -> any ControllerChannel {
    let port = controller
    services.holdClients()
    return QuorumControllerChannel(clientID: "1", timeoutMs: 2_000, on: loop) {
      ControllerEndpoint(id: BrokerID(100), host: "127.0.0.1", port: port)
    }
  }

  func join(_ services: BrokerServices, endpoints: [Metadata.Endpoint]) throws(StartupError) {
    services.brokerEpoch = BrokerEpoch(5)
    let loop = services.loops[0].eventLoop
    let publisher = MetadataPublisher(
      services: services, placements: DirectoryAssignments(services: services, loop: loop))
    self.publisher = publisher
    let follower = MetadataFollower(for: services.brokerID) { step, done in
      services.replicas.stateChanges.submit {
        publisher.publish(step)
        done()
      }
    }
    self.follower = follower
    follower.enable()
    // What comes while the broker starts is answered once it knows the cluster.
    early = try? BlockingClient(port: services.loops.isEmpty ? 0 : endpoints[0].port)
    try? early?.send(MetadataRequest { $0.topics = [] }, version: 9)
    heardEarly = early?.hasAnswer(withinMs: 100) ?? true
    commit(first)
    services.releaseClients()
  }

  func commit(_ records: [MetadataRecord]) {
    let base = offset + 1
    // A batch without records still moves the offset, as control batches do.
    offset += Int64(max(1, records.count))
    follower?.apply([
      CommittedBatch(
        baseOffset: base, lastOffset: offset, epoch: 1, timestamp: 0, records: records,
        sizeInBytes: 1)
    ])
    let end = Clock.now().advanced(milliseconds: 10_000)
    while let publisher, publisher.publishedOffset < offset, !records.isEmpty, Clock.now() < end {
      usleep(1_000)
    }
  }

  func readyLine(_ id: BrokerID) -> String { "started" }
  func loadTopicConfigs(_ topics: [String], _ completion: @escaping @Sendable () -> Void) {
    completion()
  }
  func reportFailedDirectory() {}
  func handOver() {}
  func leave() {}
}

/// A controller that says what the test wants, and keeps what it was asked.
final class FakeController: Sendable {
  private let group: EventLoopGroup
  private let server: Server
  let envelopes = Mutex<[EnvelopeRequest]>([])
  let assignments = Mutex<[AssignReplicasToDirsRequest]>([])
  /// The next answers to Envelopes; nothing left: INVALID_REQUEST.
  let answers = Mutex<[EnvelopeResponse]>([])
  /// What it says it serves besides.
  let served = Mutex<[ApiKey: ClosedRange<Int16>]>([
    .envelope: 0...0, .assignReplicasToDirs: 0...0, .createTopics: 2...6,
  ])

  init() throws {
    group = try EventLoopGroup(count: 1, name: "controller")
    let box = Box()
    server = try Server(on: group) { _ in
      .frames(RequestServer(box.apis, listener: "CONTROLLER"))
    }
    box.owner.withLock { $0 = self }
  }

  /// Handlers find the controller here, which is complete only after they were made.
  private final class Box: Sendable {
    let owner = Mutex<FakeController?>(nil)

    var apis: ServedApis {
      ServedApis([
        ServedApi(ApiVersionsRequest.self) { [self] _, request in
          let served = owner.withLock { $0 }?.served.withLock { $0 } ?? [:]
          request.answer(
            ApiVersionsResponse {
              $0.apiKeys = served.sorted { $0.key.rawValue < $1.key.rawValue }.map { api, range in
                .init {
                  $0.apiKey = api.rawValue
                  $0.minVersion = range.lowerBound
                  $0.maxVersion = range.upperBound
                }
              }
            })
        },
        ServedApi(EnvelopeRequest.self) { [self] envelope, request in
          let owner = owner.withLock { $0 }
          owner?.envelopes.withLock { $0.append(envelope) }
          let answer = owner?.answers.withLock { $0.isEmpty ? nil : $0.removeFirst() }
          request.answer(
            answer ?? EnvelopeResponse { $0.errorCode = ErrorCode.invalidRequest.rawValue })
        },
        ServedApi(AssignReplicasToDirsRequest.self) { [self] assignment, request in
          owner.withLock { $0 }?.assignments.withLock { $0.append(assignment) }
          request.answer(AssignReplicasToDirsResponse())
        },
      ])
    }
  }

  var port: UInt16 { server.address.port }

  func stop() {
    server.stop()
    group.stop()
  }
}
