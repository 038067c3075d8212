/// Tells the controller in which log directory each replica is, where it does not know (KIP-858).
///
/// One AssignReplicasToDirs at a time, with all that has gathered meanwhile; it is repeated until
/// the controller has taken it. A replica that moves again before that is told in its last place.
import KafkaMessages
import KafkaProtocol
import KafkaTransport
import Platform
import Telemetry
import Values

final class DirectoryAssignments: @unchecked Sendable {  // confined to `loop`
  private struct Replica: Hashable {
    var topicID: Uuid
    var partition: Int32
  }

  private let services: BrokerServices
  private let loop: EventLoop
  private var waiting: [Replica: Uuid] = [:]
  private var inFlight: [Replica: Uuid] = [:]
  private var isScheduled = false
  /// As many as Kafka puts into one request.
  private static let maxPerRequest = 2_250
  private static let retryMs: Int64 = 500
  private static let log = Log("directories")

  init(services: BrokerServices, loop: EventLoop) {
    self.services = services
    self.loop = loop
  }

  /// From any thread.
  func note(_ partition: Int32, of topicID: Uuid, in directory: Uuid) {
    loop.execute { [self] in
      waiting[Replica(topicID: topicID, partition: partition)] = directory
      schedule(afterMs: 5)
    }
  }

  /// A little later, so that the replicas of one image go together.
  private func schedule(afterMs delay: Int64) {
    guard !isScheduled, inFlight.isEmpty, !waiting.isEmpty else { return }
    isScheduled = true
    loop.schedule(afterMs: delay) { [self] in
      isScheduled = false
      send()
    }
  }

  private func send() {
    if services.isShuttingDown { return }
    let keys = waiting.keys.sorted { a, b in
      a.topicID == b.topicID ? a.partition < b.partition : a.topicID < b.topicID
    }.prefix(Self.maxPerRequest)
    for key in keys { inFlight[key] = waiting.removeValue(forKey: key) }
    let request = request(Array(keys))
    services.controllerChannel.call(request, versions: 0...0) { [self] result in
      loop.execute { [self] in answered(result) }
    }
  }

  private func request(_ replicas: [Replica]) -> AssignReplicasToDirsRequest {
    var request = AssignReplicasToDirsRequest()
    request.brokerID = services.brokerID.rawValue
    request.brokerEpoch = services.brokerEpoch.rawValue
    for replica in replicas {
      guard let directory = inFlight[replica] else { continue }
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
    var again = inFlight
    inFlight = [:]
    if case .success(let response) = result, response.errorCode == 0 {
      for topic in response.directories.flatMap(\.topics) {
        for partition in topic.partitions where Self.isSettled(ErrorCode(partition.errorCode)) {
          again[Replica(topicID: topic.topicID, partition: partition.partitionIndex)] = nil
        }
      }
    } else {
      Self.log.debug("AssignReplicasToDirs failed", ["why": "\(result)"])
    }
    waiting.merge(again) { newer, _ in newer }
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
