/// Asks the coordinator whether partitions are in a producer's open transaction (KIP-890): with
/// AddPartitionsToTxn that adds nothing.
import KafkaMessages
import KafkaProtocol
import KafkaTransport
import Platform
import Synchronization
import Telemetry
import Transactions
import Values

final class PartitionVerifier: Sendable {
  /// The errors of those that may not be appended to; the others are in the transaction.
  typealias Verdict = [TopicPartition: ErrorCode]
  typealias Completion = @Sendable (Verdict) -> Void

  /// Confined to the first loop.
  private final class Lines { var peers: BrokerPeers? }

  private let services: BrokerServices
  private let lines = LoopConfined(Lines())
  private static let log = Log("transaction-verification")

  init(services: BrokerServices) { self.services = services }

  /// Asks from any loop; `completion` is called once, on any loop.
  func verify(
    _ command: TransactionCommand, _ partitions: [TopicPartition],
    _ completion: @escaping Completion
  ) {
    let number = TransactionCoordinator.partition(for: command.transactionalID, services)
    let image = services.metadata.image
    let at = TopicPartition(InternalTopics.transactions, number)
    guard let leader = image.topics.partition(at)?.leader, leader != .none else {
      return completion(Self.all(partitions, .coordinatorNotAvailable))
    }
    if leader == services.brokerID, let coordinator = services.transactions {
      coordinator.withShard(of: command.transactionalID) { host in
        host.submit({ .verifyPartitions(command, partitions, $0) }) { reply in
          guard case .verifyPartitions(let results) = reply else { return }
          completion(Self.verdict(results))
        }
      } else: { error in
        completion(Self.all(partitions, error))
      }
      return
    }
    guard let first = services.loop(0) else { return }
    first.eventLoop.execute { [self] in
      ask(leader, command, partitions, on: first.eventLoop, completion)
    }
  }

  private func ask(
    _ leader: BrokerID, _ command: TransactionCommand, _ partitions: [TopicPartition],
    on loop: EventLoop, _ completion: @escaping Completion
  ) {
    let lines = lines.value
    let peers =
      lines.peers
      ?? BrokerPeers(
        services: services, loop: loop,
        clientID: "broker-\(services.brokerID.rawValue)-add-partitions-to-txn-manager",
        policy: .negotiated)
    lines.peers = peers
    guard let channel = peers.channel(to: leader) else {
      return completion(Self.all(partitions, .coordinatorNotAvailable))
    }
    channel.call(Self.request(command, partitions), versions: 4...5) { result in
      switch result {
      case .success(let response): completion(Self.verdict(response, partitions))
      case .failure(.unsupported):
        // A broker before 3.5 cannot be asked; so it was for all before KIP-890.
        completion([:])
      case .failure(let error):
        Self.log.debug("not answered: \(error)", ["by": leader.rawValue])
        completion(Self.all(partitions, .networkException))
      }
    }
  }

  private static func request(
    _ command: TransactionCommand, _ partitions: [TopicPartition]
  ) -> AddPartitionsToTxnRequest {
    AddPartitionsToTxnRequest {
      $0.transactions = [
        .init {
          $0.transactionalID = command.transactionalID
          $0.producerID = command.producer.id.rawValue
          $0.producerEpoch = command.producer.epoch
          $0.verifyOnly = true
          for at in partitions.sorted() {
            if $0.topics.last?.name != at.topic { $0.topics.append(.init { $0.name = at.topic }) }
            $0.topics[$0.topics.count - 1].partitions.append(at.partition)
          }
        }
      ]
    }
  }

  // MARK: Answers

  private static func all(_ partitions: [TopicPartition], _ error: ErrorCode) -> Verdict {
    Dictionary(partitions.map { ($0, error) }) { $1 }
  }

  private static func verdict(
    _ results: [(partition: TopicPartition, error: ErrorCode)]
  ) -> Verdict {
    var verdict: Verdict = [:]
    for result in results where result.error != .none {
      verdict[result.partition] = translated(result.error)
    }
    return verdict
  }

  private static func verdict(
    _ response: AddPartitionsToTxnResponse, _ partitions: [TopicPartition]
  ) -> Verdict {
    let error = ErrorCode(response.errorCode)
    if error != .none {
      // Not being allowed to ask is no fault of the producer's.
      log.error("refused by the coordinator: \(error)")
      return all(partitions, error == .clusterAuthorizationFailed ? .invalidTxnState : error)
    }
    var results: [(partition: TopicPartition, error: ErrorCode)] = []
    for topic in response.resultsByTransaction.flatMap(\.topicResults) {
      for partition in topic.resultsByPartition {
        results.append(
          (
            TopicPartition(topic.name, partition.partitionIndex),
            ErrorCode(partition.partitionErrorCode)
          ))
      }
    }
    return verdict(results)
  }

  /// Producers know a fenced epoch by this name when they produce.
  private static func translated(_ error: ErrorCode) -> ErrorCode {
    error == .producerFenced ? .invalidProducerEpoch : error
  }
}
