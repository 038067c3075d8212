import Foundation
import KafkaMessages
import KafkaRecords
import KafkaTransport
import Metadata
import MetadataLog
import Platform
import Raft
import Synchronization
import TestKit
import Testing
import Transport
import Values

/// Remembers what it was told; a stand-in for a controller or a broker.
final class Recorder: MetadataListener, Sendable {
  struct State {
    var topics: [String] = []
    var lastOffset: Offset = -1
    var leads: Int32?
    var leader = QuorumLeader()
    var snapshots = 0
    var image = MetadataImage()
    var lastEpoch: Int32 = 0
    var lastTimestamp: Int64 = 0
  }
  let state = Mutex(State())

  func committed(_ batches: [CommittedBatch]) {
    state.withLock { state in
      for batch in batches {
        // Offsets have no gaps, or something was left out.
        if batch.baseOffset != state.lastOffset + 1 {
          Issue.record("batch at \(batch.baseOffset) behind \(state.lastOffset)")
        }
        state.lastOffset = batch.lastOffset
        state.lastEpoch = batch.epoch
        state.lastTimestamp = batch.timestamp
        for record in batch.records {
          state.image.apply(record)
          if case .topic(let topic) = record { state.topics.append(topic.name) }
        }
      }
    }
  }

  func loaded(_ snapshot: LoadedSnapshot) {
    state.withLock { state in
      state.snapshots += 1
      state.image = snapshot.image
      state.topics = []
      snapshot.image.topics.forEach { state.topics.append($0.name) }
      state.lastOffset = snapshot.lastOffset
      state.lastEpoch = snapshot.epoch
      state.lastTimestamp = snapshot.timestamp
    }
  }

  func leaderChanged(_ leader: QuorumLeader) { state.withLock { $0.leader = leader } }
  func becameLeader(epoch: Int32, nextOffset: Offset) { state.withLock { $0.leads = epoch } }
  func resigned(epoch: Int32) { state.withLock { $0.leads = nil } }

  func makeSnapshot() -> SnapshotContent? {
    state.withLock { state in
      let image = state.image
      return SnapshotContent(
        lastOffset: state.lastOffset, epoch: state.lastEpoch, timestamp: state.lastTimestamp
      ) { body in
        try image.forEachRecord { try body(VersionedRecord($0, at: .latestProduction)) }
      }
    }
  }
}

/// One replica with its frame server, on a directory that outlives it.
final class TestNode {
  let id: Int32
  let driver: RaftDriver
  let recorder = Recorder()
  let group: EventLoopGroup
  let server: Server?
  private let loop: EventLoop

  init(
    _ id: Int32, directory: String, port: UInt16, voters: VoterSet, isVoter: Bool = true,
    options: MetadataLogOptions = MetadataLogOptions(), cleaningIntervalMs: Int64 = 60_000,
    fetchTimeoutMs: Int64 = 400
  ) throws {
    self.id = id
    try FileSystem.createDirectory(directory)
    let own = ReplicaKey(BrokerID(id), directory: Uuid(high: 7, low: UInt64(id)))
    let endpoint = Raft.Endpoint(listener: "CONTROLLER", host: "127.0.0.1", port: port)
    var configuration = RaftConfiguration(
      own: own, clusterID: "test-cluster", endpoints: isVoter ? [endpoint] : [],
      staticVoters: voters)
    configuration.options.electionTimeoutMs = 200
    configuration.options.fetchTimeoutMs = fetchTimeoutMs
    configuration.options.electionBackoffMaxMs = 100
    var driverOptions = RaftDriverOptions(configuration: configuration, logDirectory: directory)
    driverOptions.log = options
    driverOptions.cleaningIntervalMs = cleaningIntervalMs
    let made = try RaftDriver(driverOptions)
    driver = made
    group = try EventLoopGroup(count: 1, name: "node\(id)")
    loop = try EventLoop(name: "listener\(id)")
    let versions = ServedApi(ApiVersionsRequest.self) { _, request in
      request.answer(
        ApiVersionsResponse {
          $0.apiKeys = made.servedApis.map { api in
            ApiVersionsResponse.ApiVersion {
              $0.apiKey = api.api.rawValue
              $0.minVersion = api.versions.lowerBound
              $0.maxVersion = api.versions.upperBound
            }
          }
        })
    }
    let apis = ServedApis(made.servedApis + [versions])
    server =
      isVoter
      ? try Server(at: .loopback(port: port), on: group) { _ in
        .frames(RequestServer(apis, listener: "CONTROLLER"))
      } : nil
    driver.register(recorder, on: loop)
    driver.start()
  }

  /// - Parameter cleanly: else as if the process had died: nothing is handed over.
  func stop(cleanly: Bool = true) {
    if !cleanly { server?.stop() }
    driver.shutdown(timeoutMs: cleanly ? 500 : 0)
    server?.stop()
    loop.stop()
    loop.join()
    group.stop()
  }

  func propose(_ names: [String]) async -> Result<Offset, ProposeError> {
    let epoch = recorder.state.withLock { $0.leads } ?? -1
    let records = names.map { name in
      VersionedRecord(
        .topic(
          TopicRecord {
            $0.name = name
            $0.topicID = Uuid(high: 1, low: UInt64(bitPattern: Int64(name.hashValue)))
          }), version: 0)
    }
    return await withCheckedContinuation { continuation in
      driver.propose(records, isAtomic: true, epoch: epoch) { continuation.resume(returning: $0) }
    }
  }
}

/// Looks again and again until something is so.
func eventually(
  within seconds: Double = 10, _ what: String, _ check: () -> Bool
) async throws {
  let deadline = Clock.now().advanced(milliseconds: Int64(seconds * 1000))
  while !check() {
    guard Clock.now() < deadline else {
      Issue.record("not within \(seconds) s: \(what)")
      throw CancellationError()
    }
    try await Task.sleep(for: .milliseconds(10))
  }
}

/// Ports that nobody listens on at the moment.
func freePorts(_ count: Int) throws -> [UInt16] {
  var ports: Set<UInt16> = []
  while ports.count < count {
    let socket = try Socket.listening(at: .loopback(), backlog: 1)
    ports.insert(try socket.localAddress().port)
  }
  return ports.sorted()
}
