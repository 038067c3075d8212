/// Carries the leaders' ISR proposals to the controller: one AlterPartition at a time, with all
/// that has gathered meanwhile (KIP-497).
///
/// A proposal is repeated until the controller has answered it, whoever the controller is: the
/// partition stands still without an answer.
import KafkaMessages
import KafkaProtocol
import KafkaTransport
import Platform
import Replication
import Telemetry
import Values

final class ISRProposer: @unchecked Sendable {  // confined to `loop`
  private struct Entry {
    var partition: Partition
    var proposal: ISRProposal
  }

  private let services: BrokerServices
  private let loop: EventLoop
  private var waiting: [Entry] = []
  private var inFlight: [Entry] = []
  private var isRetryScheduled = false
  private static let retryMs: Int64 = 50
  private static let log = Log("isr")

  init(services: BrokerServices, loop: EventLoop) {
    self.services = services
    self.loop = loop
  }

  /// From any thread.
  func propose(_ proposal: ISRProposal, for partition: Partition) {
    loop.execute { [self] in
      waiting.removeAll { $0.partition === partition }
      waiting.append(Entry(partition: partition, proposal: proposal))
      sendIfIdle()
    }
  }

  private func sendIfIdle() {
    guard inFlight.isEmpty, !waiting.isEmpty, !isRetryScheduled else { return }
    inFlight = waiting
    waiting = []
    services.controllerChannel.call(request(), versions: 2...3) { [self] result in
      loop.execute { [self] in answered(result) }
    }
  }

  private func request() -> AlterPartitionRequest {
    var request = AlterPartitionRequest()
    request.brokerID = services.brokerID.rawValue
    request.brokerEpoch = services.brokerEpoch.rawValue
    for entry in inFlight {
      let topicID = entry.partition.topicID
      let data = AlterPartitionRequest.PartitionData {
        $0.partitionIndex = entry.partition.id.partition
        $0.leaderEpoch = entry.proposal.leaderEpoch.rawValue
        $0.partitionEpoch = entry.proposal.partitionEpoch.rawValue
        $0.newIsr = entry.proposal.isr.map(\.broker.rawValue)
        $0.newIsrWithEpochs = entry.proposal.isr.map { member in
          AlterPartitionRequest.BrokerState {
            $0.brokerID = member.broker.rawValue
            $0.brokerEpoch = member.epoch.rawValue
          }
        }
      }
      if let index = request.topics.firstIndex(where: { $0.topicID == topicID }) {
        request.topics[index].partitions.append(data)
      } else {
        request.topics.append(
          AlterPartitionRequest.TopicData {
            $0.topicName = entry.partition.id.topic
            $0.topicID = topicID
            $0.partitions = [data]
          })
      }
    }
    return request
  }

  private func answered(_ result: Result<AlterPartitionResponse, PeerError>) {
    let entries = inFlight
    inFlight = []
    guard case .success(let response) = result, response.errorCode == 0 else {
      if case .success(let response) = result {
        Self.log.debug("AlterPartition refused: \(ErrorCode(response.errorCode))")
      }
      retry(entries)
      return
    }
    for entry in entries {
      let topicID = entry.partition.topicID
      let answer = response.topics.first { $0.topicID == topicID }?.partitions
        .first { $0.partitionIndex == entry.partition.id.partition }
      guard let answer else {
        retry([entry])
        continue
      }
      let effects = entry.partition.step(
        .isrAnswered(ISRAnswer(answer), to: entry.proposal), at: loop.now)
      if answer.errorCode != 0 { services.metrics.failedISRUpdates.add() }
      // A failed proposal comes back as an effect; it must not come back at once.
      if case .proposeISR(let again)? = effects.first {
        retry([Entry(partition: entry.partition, proposal: again)])
      } else {
        services.replicas.perform(effects, entry.partition, on: nil)
      }
    }
    sendIfIdle()
  }

  private func retry(_ entries: [Entry]) {
    for entry in entries where !waiting.contains(where: { $0.partition === entry.partition }) {
      waiting.append(entry)
    }
    guard !isRetryScheduled else { return }
    isRetryScheduled = true
    loop.schedule(afterMs: Self.retryMs) { [self] in
      isRetryScheduled = false
      sendIfIdle()
    }
  }
}

extension ISRAnswer {
  init(_ data: AlterPartitionResponse.PartitionData) {
    switch ErrorCode(data.errorCode) {
    case .none:
      self = .stored(
        leaderEpoch: LeaderEpoch(data.leaderEpoch),
        partitionEpoch: PartitionEpoch(data.partitionEpoch), isr: data.isr.map { BrokerID($0) })
    case .operationNotAttempted, .ineligibleReplica: self = .refused
    case .unknownTopicOrPartition, .unknownTopicID, .fencedLeaderEpoch, .invalidUpdateVersion,
      .invalidRequest, .newLeaderElected:
      self = .superseded
    default: self = .failed
    }
  }
}
