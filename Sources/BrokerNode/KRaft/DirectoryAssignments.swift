/// Tells the controller in which log directory each replica is, where it does not know (KIP-858).
///
/// One AssignReplicasToDirs at a time, with all that has gathered meanwhile; it is repeated until
/// the controller has taken it. A replica that moves again before that is told in its last place.
import KafkaMessages
import KafkaProtocol
import KafkaTransport
import Platform
import Synchronization
import Telemetry
import Values

final class DirectoryAssignments: Sendable {
  private struct Replica: Hashable {
    var topicID: Uuid
    var partition: Int32
  }

  private struct State {
    var waiting: [Replica: Uuid] = [:]
    var inFlight: [Replica: Uuid] = [:]
    var isScheduled = false

    /// What goes into the next request, in order.
    mutating func takeNext(_ limit: Int) -> [(replica: Replica, directory: Uuid)] {
      let keys = waiting.keys.sorted { a, b in
        a.topicID == b.topicID ? a.partition < b.partition : a.topicID < b.topicID
      }.prefix(limit)
      return keys.compactMap { key in
        let directory = waiting.removeValue(forKey: key)
        inFlight[key] = directory
        return directory.map { (key, $0) }
      }
    }
  }

  private let services: BrokerServices
  private let loop: EventLoop
  private let state = Mutex(State())
  /// As many as Kafka puts into one request.
  private static let maxPerRequest = 2_250
  private static let retryMs: Int64 = 500
  private static let log = Log("directories")

  init(services: BrokerServices, loop: EventLoop) {
    self.services = services
    self.loop = loop
  }

  func note(_ partition: Int32, of topicID: Uuid, in directory: Uuid) {
    state.withLock { $0.waiting[Replica(topicID: topicID, partition: partition)] = directory }
    schedule(afterMs: 5)
  }

  /// A little later, so that the replicas of one image go together.
  private func schedule(afterMs delay: Int64) {
    let isDue = state.withLock { state in
      guard !state.isScheduled, state.inFlight.isEmpty, !state.waiting.isEmpty else { return false }
      state.isScheduled = true
      return true
    }
    guard isDue else { return }
    loop.execute { [self] in
      loop.schedule(afterMs: delay) { [self] in send() }
    }
  }

  private func send() {
    let next = state.withLock { state in
      state.isScheduled = false
      return services.isShuttingDown ? [] : state.takeNext(Self.maxPerRequest)
    }
    if next.isEmpty { return }
    services.controllerChannel.call(request(next), versions: 0...0) { [self] result in
      answered(result)
    }
  }

  private func request(
    _ replicas: [(replica: Replica, directory: Uuid)]
  ) -> AssignReplicasToDirsRequest {
    var request = AssignReplicasToDirsRequest()
    request.brokerID = services.brokerID.rawValue
    request.brokerEpoch = services.brokerEpoch.rawValue
    for (replica, directory) in replicas {
      let at = request.directories.firstIndex { $0.id == directory } ?? request.directories.count
      if at == request.directories.count { request.directories.append(.init { $0.id = directory }) }
      let partition = AssignReplicasToDirsRequest.PartitionData {
        $0.partitionIndex = replica.partition
      }
      // Sorted by topic: the last one is the one.
      if request.directories[at].topics.last?.topicID == replica.topicID {
        let last = request.directories[at].topics.count - 1
        request.directories[at].topics[last].partitions.append(partition)
      } else {
        request.directories[at].topics.append(
          .init {
            $0.topicID = replica.topicID
            $0.partitions = [partition]
          })
      }
    }
    return request
  }

  private func answered(_ result: Result<AssignReplicasToDirsResponse, PeerError>) {
    var again = state.withLock { $0.inFlight }
    if case .success(let response) = result, response.errorCode == 0 {
      for topic in response.directories.flatMap(\.topics) {
        for partition in topic.partitions where Self.isSettled(ErrorCode(partition.errorCode)) {
          again[Replica(topicID: topic.topicID, partition: partition.partitionIndex)] = nil
        }
      }
    } else {
      Self.log.debug("AssignReplicasToDirs failed", ["why": "\(result)"])
    }
    state.withLock { state in
      state.inFlight = [:]
      state.waiting.merge(again) { newer, _ in newer }
    }
    schedule(afterMs: again.isEmpty ? 0 : Self.retryMs)
  }

  /// What is stored, and what is about a replica that is gone.
  private static func isSettled(_ error: ErrorCode) -> Bool {
    switch error {
    case .none, .unknownTopicID, .unknownTopicOrPartition, .notLeaderOrFollower: true
    default: false
    }
  }
}
