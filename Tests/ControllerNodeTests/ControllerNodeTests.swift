import Authorization
import Bytes
import Foundation
import KafkaMessages
import KafkaProtocol
import KafkaTransport
import Metadata
import MetadataLog
import Platform
import Raft
import Settings
import Synchronization
import TestKit
import Testing
import Transport
import Values

@testable import ControllerNode

/// A controller of its own on a free port, formatted like a standalone one.
private final class LoneController {
  let folder: URL
  let port: UInt16
  let node: ControllerNode
  let loop: EventLoop
  static let clusterID = "zolKzKFkTtOkW-oTNW5zvg"

  init() throws {
    folder = try Fixtures.temporaryFolder()
    port = try Self.freePort()
    let logs = folder.appending(path: "logs").path
    var formatter = StorageFormatter(
      clusterID: Self.clusterID, nodeID: BrokerID(100), directories: [logs],
      metadataDirectory: logs)
    let directory = Uuid(high: 1, low: 2)
    formatter.directoryIDs[logs] = directory
    formatter.quorum = .voters(
      VoterSet([
        Voter(
          ReplicaKey(BrokerID(100), directory: directory),
          endpoints: [Raft.Endpoint(listener: "CONTROLLER", host: "127.0.0.1", port: port)])
      ]))
    try formatter.run { _ in }
    let text = """
      process.roles=controller
      node.id=100
      listeners=CONTROLLER://127.0.0.1:\(port)
      controller.listener.names=CONTROLLER
      controller.quorum.bootstrap.servers=127.0.0.1:\(port)
      log.dirs=\(logs)
      num.network.threads=1
      """
    let properties = try Properties(parsing: text, file: "test.properties")
    node = try ControllerNode(try BrokerConfig(SettingSources(properties))) { why in
      Issue.record("failed: \(why)")
    }
    loop = try EventLoop(name: "client")
  }

  private static func freePort() throws -> UInt16 {
    let socket = try Socket.listening(at: .loopback(), backlog: 1)
    return try socket.localAddress().port
  }

  func stop() {
    node.shutdown()
    loop.stop()
    loop.join()
    try? FileManager.default.removeItem(at: folder)
  }

  func ask<R: KafkaRequest>(_ request: R, version: Int16) async -> Result<R.Response, PeerError> {
    await withCheckedContinuation { continuation in
      let (loop, port) = (loop, port)
      loop.execute {
        let channel = PeerChannel(
          to: "127.0.0.1", port: port, on: loop, clientID: "test", name: "test",
          timeoutMs: 10_000)
        loop.attachments[ObjectIdentifier(channel)] = channel
        channel.call(request, version: version) { continuation.resume(returning: $0) }
      }
    }
  }

  /// Sends a recorded request as it was, and returns the response behind its header.
  func send(_ frame: [UInt8], _ api: ApiKey, _ version: Int16) throws -> [UInt8] {
    let client = try BlockingClient(port: port)
    let answer = try client.exchange(frame)
    let start = try answer.decoded { (reader) throws(ByteError) in
      _ = try ResponseHeader(from: &reader, version: api.responseHeaderVersion(version))
      return reader.position
    }
    return Array(answer[start...])
  }

  func waitUntilActive() async throws {
    let deadline = Clock.now().advanced(milliseconds: 10_000)
    let line = "\nkafka_controller_kafkacontroller_activecontrollercount 1\n"
    while !node.metrics.exposition().contains(line) {
      guard Clock.now() < deadline else { throw CancellationError() }
      try await Task.sleep(for: .milliseconds(20))
    }
  }
}

/// One request at a time over a plain socket.
private final class BlockingClient {
  private let input: FileHandle

  init(port: UInt16) throws {
    let process = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    let size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let done = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(process, $0, size) }
    }
    guard done == 0 else { throw CocoaError(.fileReadUnknown) }
    var limit = timeval(tv_sec: 10, tv_usec: 0)
    setsockopt(process, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    input = FileHandle(fileDescriptor: process, closeOnDealloc: true)
  }

  func exchange(_ frame: [UInt8]) throws -> [UInt8] {
    var writer = ByteWriter()
    writer.writeInt32(Int32(frame.count))
    try input.write(contentsOf: Data(writer.array() + frame))
    let size = try read(4).reduce(0) { $0 << 8 | Int($1) }
    return try read(size)
  }

  private func read(_ count: Int) throws -> [UInt8] {
    var bytes: [UInt8] = []
    while bytes.count < count {
      guard let more = try input.read(upToCount: count - bytes.count), !more.isEmpty else {
        throw CocoaError(.fileReadCorruptFile)
      }
      bytes += more
    }
    return bytes
  }
}

@Suite(.serialized) struct ControllerNodeTests {
  private struct Frame: Decodable {
    let dir: String
    let api_key: Int16
    let api_version: Int16
    let hex: String

    var bytes: [UInt8] {
      stride(from: 0, to: hex.utf8.count, by: 2).compactMap { place in
        let start = hex.utf8.index(hex.startIndex, offsetBy: place)
        return UInt8(hex[start..<hex.utf8.index(start, offsetBy: 2)], radix: 16)
      }
    }
  }

  private func frames(_ file: String) throws -> [Frame] {
    let text = String(decoding: try Fixtures.data(file), as: UTF8.self)
    return try text.split(separator: "\n").map {
      try JSONDecoder().decode(Frame.self, from: Data($0.utf8))
    }
  }

  /// What a real controller lists, and we do not: reads that brokers answer from their image, and
  /// what needs SASL.
  private static let unserved: Set<Int16> = [7, 17, 36, 41, 50]

  @Test func theSameApisInTheSameVersionsAreListed() async throws {
    let lone = try LoneController()
    defer { lone.stop() }
    let recorded = try #require(
      try frames("frames-kraft.jsonl.gz").first { $0.api_key == 18 && $0.dir == "res" })
    let theirs = try recorded.bytes.decoded { (reader) throws(ByteError) in
      _ = try ResponseHeader(from: &reader, version: 0)
      return try KafkaMessages.ApiVersionsResponse(from: &reader, version: 4)
    }
    let ours = try await lone.ask(ApiVersionsRequest {
      $0.clientSoftwareName = "test"
      $0.clientSoftwareVersion = "1"
    }, version: 4).get()
    let rows = { (response: KafkaMessages.ApiVersionsResponse) in
      response.apiKeys.map { "\($0.apiKey): \($0.minVersion)-\($0.maxVersion)" }
    }
    let expected = theirs.apiKeys.filter { !Self.unserved.contains($0.apiKey) }
    #expect(
      rows(ours) == expected.map { "\($0.apiKey): \($0.minVersion)-\($0.maxVersion)" })
    #expect(ours.supportedFeatures.map(\.name) == theirs.supportedFeatures.map(\.name))
    #expect(ours.supportedFeatures.map(\.maxVersion) == theirs.supportedFeatures.map(\.maxVersion))
    // Below version 4 a feature whose lowest level is 0 cannot be said.
    let older = try await lone.ask(ApiVersionsRequest {
      $0.clientSoftwareName = "test"
      $0.clientSoftwareVersion = "1"
    }, version: 3).get()
    #expect(older.supportedFeatures.map(\.name) == ["metadata.version"])
  }

  /// Every recorded request is understood and answered by a response that its sender can read.
  @Test func recordedRequestsAreAnswered() async throws {
    let lone = try LoneController()
    defer { lone.stop() }
    try await lone.waitUntilActive()
    var seen: Set<Int16> = []
    for file in ["frames-kraft.jsonl.gz", "frames-kraft-envelope-all.jsonl.gz"] {
      for frame in try frames(file) where frame.dir == "req" {
        let api = try #require(ApiKey(rawValue: frame.api_key))
        // Votes and epochs of another quorum would unseat this one.
        guard ![.vote, .beginQuorumEpoch, .endQuorumEpoch].contains(api) else { continue }
        let body = try lone.send(frame.bytes, api, frame.api_version)
        let type = try #require(KafkaMessagesCatalogue.byName["\(api.name)Response"])
        let isWhole = try body.decoded { (reader) throws(ByteError) in
          _ = try type.init(from: &reader, version: frame.api_version)
          return reader.isAtEnd
        }
        #expect(isWhole, "\(api.name) v\(frame.api_version)")
        seen.insert(frame.api_key)
      }
    }
    #expect(seen.isSuperset(of: [1, 18, 19, 55, 56, 58, 59, 60, 62, 63, 67, 70, 73, 80, 81]))
  }

  /// No API of a controller slips by an authorizer.
  @Test func everyApiIsJudged() throws {
    let lone = try LoneController()
    defer { lone.stop() }
    let guarded: [any GuardedRequest.Type] = [
      FetchRequest.self, CreateTopicsRequest.self, DeleteTopicsRequest.self,
      DescribeAclsRequest.self, CreateAclsRequest.self, DeleteAclsRequest.self,
      DescribeConfigsRequest.self, AlterConfigsRequest.self, CreatePartitionsRequest.self,
      CreateDelegationTokenRequest.self, ElectLeadersRequest.self,
      IncrementalAlterConfigsRequest.self, AlterPartitionReassignmentsRequest.self,
      ListPartitionReassignmentsRequest.self, AlterClientQuotasRequest.self,
      AlterUserScramCredentialsRequest.self, VoteRequest.self, BeginQuorumEpochRequest.self,
      EndQuorumEpochRequest.self, DescribeQuorumRequest.self, AlterPartitionRequest.self,
      UpdateFeaturesRequest.self, EnvelopeRequest.self, FetchSnapshotRequest.self,
      DescribeClusterRequest.self, BrokerRegistrationRequest.self, BrokerHeartbeatRequest.self,
      UnregisterBrokerRequest.self, AllocateProducerIdsRequest.self,
      ControllerRegistrationRequest.self, AssignReplicasToDirsRequest.self,
      AddRaftVoterRequest.self, RemoveRaftVoterRequest.self, UpdateRaftVoterRequest.self,
    ]
    let judged = Set(guarded.map { Self.api(of: $0) }).union(AccessGate.open)
    let served = Set(lone.node.apis.listed.map(\.api))
    #expect(served.subtracting(judged).isEmpty)
    #expect(served.count > 35)
  }

  private static func api(of type: any GuardedRequest.Type) -> ApiKey { type.apiKey }

  /// DescribeConfigs as Kafka's controllers answer it: of themselves, and of what is stored.
  @Test func aControllerDescribesItself() async throws {
    let lone = try LoneController()
    defer { lone.stop() }
    try await lone.waitUntilActive()
    let change = IncrementalAlterConfigsRequest {
      $0.resources = [("100", "max.connections", "77"), ("", "log.retention.ms", "5000")].map {
        name, key, value in
        .init {
          $0.resourceType = ConfigResourceType.broker.rawValue
          $0.resourceName = name
          $0.configs = [
            .init {
              $0.name = key
              $0.value = value
            }
          ]
        }
      }
    }
    let changed = try await lone.ask(change, version: 1).get()
    #expect(changed.responses.map(\.errorCode) == [0, 0])
    let names: [(ConfigResourceType, String)] = [
      (.broker, "100"), (.broker, ""), (.broker, "7"), (.brokerLogger, "100"),
      (.topic, "unknown"), (.clientMetrics, "s"),
    ]
    let response = try await lone.ask(
      DescribeConfigsRequest {
        $0.resources = names.map { type, name in
          .init {
            $0.resourceType = type.rawValue
            $0.resourceName = name
            $0.configurationKeys = nil
          }
        }
      }, version: 4
    ).get()
    #expect(
      response.results.map { ErrorCode($0.errorCode) }
        == [.none, .none, .invalidRequest, .none, .unknownTopicOrPartition, .none])
    func value(_ index: Int, _ key: String) -> String? {
      response.results[index].configs.first { $0.name == key }?.value
    }
    #expect(value(0, "max.connections") == "77" && value(0, "process.roles") == "controller")
    #expect(value(0, "log.retention.ms") == "5000" && value(1, "log.retention.ms") == "5000")
    #expect(value(5, "interval.ms") == "300000")
  }

  @Test func itRegistersItselfAndIsDescribed() async throws {
    let lone = try LoneController()
    defer { lone.stop() }
    try await lone.waitUntilActive()
    var found: DescribeClusterResponse?
    for _ in 0..<200 where found?.brokers.isEmpty != false {
      found = try await lone.ask(
        DescribeClusterRequest { $0.endpointType = 2 }, version: 1
      ).get()
      try await Task.sleep(for: .milliseconds(20))
    }
    let response = try #require(found)
    #expect(response.clusterID == LoneController.clusterID)
    #expect(response.controllerID == 100)
    #expect(response.brokers.map(\.brokerID) == [100])
    #expect(response.brokers.map(\.port) == [Int32(lone.port)])
    let brokers = try await lone.ask(
      DescribeClusterRequest { $0.endpointType = 1 }, version: 1
    ).get()
    #expect(brokers.errorCode == ErrorCode.mismatchedEndpointType.rawValue)
  }

  @Test func registrationOfAnotherClusterIsRefused() async throws {
    let lone = try LoneController()
    defer { lone.stop() }
    try await lone.waitUntilActive()
    let response = try await lone.ask(
      BrokerRegistrationRequest {
        $0.brokerID = 7
        $0.clusterID = "AAAAAAAAAAAAAAAAAAAAAA"
        $0.incarnationID = Uuid(high: 4, low: 4)
      }, version: 4
    ).get()
    #expect(response.errorCode == ErrorCode.inconsistentClusterID.rawValue)
  }
}
