import Bytes
import Foundation
import Glibc
import KafkaMessages
import KafkaProtocol
import LogStorage
import MetadataLog
import Metadata
import Platform
import Settings
import Synchronization
import TestKit
import Values

@testable import BrokerNode

/// A broker in this process whose cluster is made up by the test: it says who leads what.
final class LoneBroker {
  let node: BrokerNode
  let folder: URL
  private let controlLoop: EventLoop
  private var epochs: [TopicPartition: (leader: Int32, partition: Int32)] = [:]

  /// Starts broker 1 on a free port of the loopback, with logs in `folder`.
  /// - Parameters:
  ///   - channel: what stands for the controller; nil: there is none.
  ///   - whileJoining: gets the port while the broker registers.
  init(
    folder: URL? = nil, settings: [String: String] = [:],
    channel: (any ControllerChannel)? = nil, whileJoining: (@Sendable (UInt16) -> Void)? = nil
  ) throws {
    let folder = try folder ?? Fixtures.temporaryFolder()
    var sources = SettingSources()
    let all = [
      "broker.id": "1", "zookeeper.connect": "nowhere:1", "log.dirs": folder.path,
      "listeners": "PLAINTEXT://127.0.0.1:0", "num.network.threads": "2",
      "group.initial.rebalance.delay.ms": "0", "offsets.topic.num.partitions": "3",
      "controlled.shutdown.enable": "false",
    ].merging(settings) { $1 }
    for (key, value) in all.sorted(by: { $0.key < $1.key }) { sources.set(key, value, .override) }
    self.folder = folder
    let loop = try EventLoop(name: "control")
    controlLoop = loop
    node = try BrokerNode(try BrokerConfig(sources), controlLoop: loop) { _, _ in
      MadeUpCluster(channel: channel, whileJoining: whileJoining)
    }
  }

  var port: UInt16 { node.address?.port ?? 0 }

  /// Stops the broker cleanly and removes its logs.
  func stop() {
    node.shutdown()
    controlLoop.stop()
    try? FileManager.default.removeItem(at: folder)
  }

  /// Stops the broker cleanly and returns a copy of its logs: this process holds the lock on the
  /// original for as long as it lives.
  func stopKeepingLogs() throws -> URL {
    node.shutdown()
    controlLoop.stop()
    let copy = try Fixtures.temporaryFolder()
    try FileManager.default.removeItem(at: copy)
    try FileManager.default.moveItem(at: folder, to: copy)
    try FileManager.default.removeItem(at: copy.appending(path: ".lock"))
    return copy
  }

  /// Tells the broker who leads the partitions of a topic, as a controller would.
  func assign(
    _ topic: String, _ partitions: Range<Int32>, leader: Int32 = 1, replicas: [Int32] = [1],
    isr: [Int32]? = nil, newTerm: Bool = true
  ) {
    var update = UpdateMetadataRequest()
    update.controllerID = 1
    update.controllerEpoch = 1
    update.liveBrokers = [
      .init {
        $0.id = 1
        $0.endpoints = [
          .init {
            $0.listener = "PLAINTEXT"
            $0.host = "127.0.0.1"
            $0.port = Int32(port)
          }
        ]
      }
    ]
    var known = UpdateMetadataRequest.UpdateMetadataTopicState()
    known.topicName = topic
    known.topicID = Uuid(high: 7, low: UInt64(topic.utf8.count))
    for index in partitions {
      let at = TopicPartition(topic, index)
      var epoch = epochs[at] ?? (0, 0)
      if newTerm { epoch.leader += 1 }
      epoch.partition += 1
      epochs[at] = epoch
      var state = LeaderAndIsrRequest.LeaderAndIsrPartitionState()
      state.partitionIndex = index
      state.controllerEpoch = 1
      state.leader = leader
      state.leaderEpoch = epoch.leader
      state.isr = isr ?? replicas
      state.partitionEpoch = epoch.partition
      state.replicas = replicas
      state.isNew = epoch.leader == 1
      _ = node.services.replicas.assign(
        ReplicaAssignment(state, topic: topic, topicID: known.topicID))
      known.partitionStates.append(
        .init {
          $0.partitionIndex = index
          $0.leader = leader
          $0.leaderEpoch = epoch.leader
          $0.isr = state.isr
          $0.replicas = replicas
          $0.zkVersion = epoch.partition
        })
    }
    update.topicStates = [known]
    if let change = node.services.metadata.update(update) {
      node.services.replicas.metadataChanged(change, on: nil)
    }
  }
}

private final class MadeUpCluster: ClusterMembership {
  private let channel: (any ControllerChannel)?
  private let whileJoining: (@Sendable (UInt16) -> Void)?

  init(channel: (any ControllerChannel)?, whileJoining: (@Sendable (UInt16) -> Void)?) {
    self.channel = channel
    self.whileJoining = whileJoining
  }

  var apis: ApiTable { .zooKeeperBroker }
  var epochOfCleanShutdown: BrokerEpoch { .none }
  func identify(_ logs: LogManager) throws(StartupError) -> ClusterIdentity {
    ClusterIdentity(clusterID: "AAAAAAAAAAAAAAAAAAAAAA", brokerID: BrokerID(1))
  }
  func controllerChannel(_ services: BrokerServices, on loop: EventLoop) -> any ControllerChannel {
    channel ?? BrokerControllerChannel(services: services, loop: loop)
  }
  func readyLine(_ id: BrokerID) -> String { "started" }
  func handOver() {}
  func join(_ services: BrokerServices, endpoints: [Endpoint]) throws(StartupError) {
    whileJoining?(endpoints[0].port)
    services.brokerEpoch = BrokerEpoch(1)
  }
  /// The cluster has had one controller, or a few.
  func confirmController(
    _ epoch: ControllerEpoch, _ completion: @escaping @Sendable (Bool) -> Void
  ) { completion(epoch.rawValue <= 3) }
  func loadTopicConfigs(_ topics: [String], _ completion: @escaping @Sendable () -> Void) {
    completion()
  }
  func reportFailedDirectory() {}
  func leave() {}
}

/// A client that blocks: one connection, requests answered in order.
final class BlockingClient {
  private let socket: Int32
  private var correlationID: Int32 = 0
  private var sent: [(api: ApiKey, version: Int16)] = []

  init(port: UInt16) throws {
    socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    let result = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        Glibc.connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    var limit = timeval(tv_sec: 20, tv_usec: 0)
    setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    if result != 0 { throw Failed(what: "connect") }
  }

  deinit { close(socket) }

  struct Failed: Error { let what: String }

  /// Sends a request and returns its answer.
  func ask<R: KafkaRequest>(_ request: R, version: Int16) throws -> R.Response {
    try send(request, version: version)
    return try receive(R.Response.self)
  }

  func send<R: KafkaRequest>(_ request: R, version: Int16) throws {
    correlationID += 1
    sent.append((R.apiKey, version))
    var writer = ByteWriter()
    let mark = writer.beginFrame()
    RequestHeader(
      apiKey: R.apiKey, apiVersion: version, correlationID: correlationID, clientID: "test"
    ).write(to: &writer)
    request.write(to: &writer, version: version)
    writer.endFrame(mark)
    try write(writer.array())
  }

  func write(_ bytes: [UInt8]) throws {
    if Glibc.send(socket, bytes, bytes.count, Int32(MSG_NOSIGNAL)) != bytes.count {
      throw Failed(what: "send")
    }
  }

  /// The next frame, its length included.
  func readFrame() throws -> [UInt8] {
    let length = try read(4)
    return length + (try read(length.reduce(0) { $0 << 8 | Int($1) }))
  }

  /// The answer to the oldest request that has none yet.
  func receive<A: KafkaResponse>(_ type: A.Type) throws -> A {
    let size = try read(4).reduce(0) { $0 << 8 | Int($1) }
    let frame = try read(size)
    let (api, version) = sent.removeFirst()
    var reader = ByteReader(frame.span.bytes)
    _ = try ResponseHeader(from: &reader, version: api.responseHeaderVersion(version))
    return try A(from: &reader, version: version)
  }

  /// Whether an answer comes within so many milliseconds.
  func hasAnswer(withinMs limit: Int32) -> Bool {
    var poller = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
    return poll(&poller, 1, limit) > 0
  }

  private func read(_ count: Int) throws -> [UInt8] {
    var bytes: [UInt8] = []
    while bytes.count < count {
      var part = [UInt8](repeating: 0, count: count - bytes.count)
      let received = recv(socket, &part, part.count, 0)
      if received <= 0 { throw Failed(what: "receive") }
      bytes += part[..<received]
    }
    return bytes
  }
}
