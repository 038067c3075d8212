/// Brings the markers of decided transactions to the leaders of their partitions, through every
/// change of leadership, until all of them have theirs or the coordinator's term is over.
///
/// All shards share it, on the first loop: what is decided in one turn goes to a broker in one
/// request.
import KafkaMessages
import KafkaProtocol
import KafkaTransport
import Platform
import Synchronization
import Telemetry
import Transactions
import Values

final class MarkerSender: Sendable {
  private struct Item: Sendable {
    let transaction: TransactionCommand
    let isCommit: Bool
    let at: TopicPartition
    let term: CoordinatorTerm
    let host: LoopConfined<TransactionShardHost>
    let loop: BrokerLoop
    /// Since when nobody knows the partition.
    var missingSince: Instant?
  }

  /// Confined to the first loop.
  private final class Outbox {
    var items: [Item] = []
    var isFlushing = false
    var peers: BrokerPeers?
  }

  private let services: BrokerServices
  private let outbox = LoopConfined(Outbox())
  private static let log = Log("transaction-markers")
  /// Between two tries.
  private static let backoffMs: Int64 = 100
  /// A partition that nobody has known for so long is gone, and needs no marker.
  private static let missingMs: Int64 = 5_000

  init(services: BrokerServices) { self.services = services }

  /// Takes markers from any loop.
  func send(
    _ markers: TransactionMarkers, term: CoordinatorTerm,
    from host: LoopConfined<TransactionShardHost>
  ) {
    guard let first = services.loop(0) else { return }
    let loop = host.value.loop
    let items = markers.partitions.map {
      Item(
        transaction: markers.transaction, isCommit: markers.isCommit, at: $0, term: term,
        host: host, loop: loop)
    }
    first.eventLoop.execute { [self] in add(items, on: first) }
  }

  private func add(_ items: [Item], on loop: BrokerLoop) {
    let outbox = outbox.value
    outbox.items += items
    if outbox.isFlushing { return }
    outbox.isFlushing = true
    loop.eventLoop.execute { [self] in flush(on: loop) }
  }

  private func again(_ items: [Item], on loop: BrokerLoop) {
    if items.isEmpty { return }
    loop.eventLoop.schedule(afterMs: Self.backoffMs) { [self] in add(items, on: loop) }
  }

  // MARK: Sending

  private func flush(on loop: BrokerLoop) {
    let outbox = outbox.value
    outbox.isFlushing = false
    let items = outbox.items.filter { !$0.term.hasEnded }
    outbox.items = []
    let image = services.metadata.image
    var byLeader: [BrokerID: [Item]] = [:]
    var later: [Item] = []
    var gone: [Item] = []
    for var item in items {
      guard let partition = image.topics.partition(item.at) else {
        let since = item.missingSince ?? loop.now
        item.missingSince = since
        if loop.now.milliseconds(since: since) >= Self.missingMs {
          gone.append(item)
        } else {
          later.append(item)
        }
        continue
      }
      item.missingSince = nil
      if partition.leader != .none, image.brokers.isAlive(partition.leader) {
        byLeader[partition.leader, default: []].append(item)
      } else {
        later.append(item)
      }
    }
    for item in gone {
      Self.log.info("a transaction's partition is gone", ["partition": item.at])
    }
    report(gone)
    again(later, on: loop)
    for (leader, items) in byLeader.sorted(by: { $0.key < $1.key }) {
      deliver(items, to: leader, on: loop)
    }
  }

  private func deliver(_ items: [Item], to leader: BrokerID, on loop: BrokerLoop) {
    let markers = Self.markers(items)
    if leader == services.brokerID {
      MarkerOperation.start(markers, on: loop) { [self] answers in
        took(answers, for: items, on: loop)
      }
      return
    }
    let outbox = outbox.value
    let peers =
      outbox.peers
      ?? BrokerPeers(
        services: services, loop: loop.eventLoop,
        clientID: "broker-\(services.brokerID.rawValue)-txn-marker-sender", policy: .agreed)
    outbox.peers = peers
    guard let channel = peers.channel(to: leader) else { return again(items, on: loop) }
    let isNew = services.config.identity.interBrokerProtocolVersion >= .v2_8
    channel.call(WriteTxnMarkersRequest { $0.markers = markers }, version: isNew ? 1 : 0) {
      [self] result in
      switch result {
      case .success(let response): took(response.markers, for: items, on: loop)
      case .failure(let error):
        Self.log.debug("markers not delivered: \(error)", ["to": leader.rawValue])
        again(items, on: loop)
      }
    }
  }

  /// One marker for each transaction, with its partitions by topic.
  private static func markers(_ items: [Item]) -> [MarkerOperation.Marker] {
    var markers: [MarkerOperation.Marker] = []
    var places: [TransactionCommand: Int] = [:]
    for item in items.sorted(by: { $0.at < $1.at }) {
      let place = places[item.transaction] ?? markers.count
      if place == markers.count {
        places[item.transaction] = place
        markers.append(
          MarkerOperation.Marker {
            $0.producerID = item.transaction.producer.id.rawValue
            $0.producerEpoch = item.transaction.producer.epoch
            $0.transactionResult = item.isCommit
            $0.coordinatorEpoch = item.term.epoch.rawValue
          })
      }
      if markers[place].topics.last?.name != item.at.topic {
        markers[place].topics.append(.init { $0.name = item.at.topic })
      }
      markers[place].topics[markers[place].topics.count - 1].partitionIndexes.append(
        item.at.partition)
    }
    return markers
  }

  // MARK: Answers

  private struct Place: Hashable {
    let producer: Int64
    let at: TopicPartition
  }

  private func took(
    _ answers: [MarkerOperation.Answer], for items: [Item], on loop: BrokerLoop
  ) {
    var errors: [Place: ErrorCode] = [:]
    for answer in answers {
      for topic in answer.topics {
        for partition in topic.partitions {
          let at = TopicPartition(topic.name, partition.partitionIndex)
          errors[Place(producer: answer.producerID, at: at)] = ErrorCode(partition.errorCode)
        }
      }
    }
    var written: [Item] = []
    var retried: [Item] = []
    for item in items {
      switch errors[Place(producer: item.transaction.producer.id.rawValue, at: item.at)] {
      case ErrorCode.none?, .unsupportedForMessageFormat?, .unsupportedVersion?:
        written.append(item)
      case .invalidProducerEpoch?, .transactionCoordinatorFenced?:
        Self.log.warn(
          "marker fenced", ["partition": item.at, "id": item.transaction.transactionalID])
        let (host, transaction) = (item.host, item.transaction)
        item.loop.eventLoop.execute { host.value.run(.markersRefused(transaction)) }
      default: retried.append(item)
      }
    }
    report(written)
    again(retried, on: loop)
  }

  private func report(_ items: [Item]) {
    var done: [TransactionCommand: [Item]] = [:]
    for item in items { done[item.transaction, default: []].append(item) }
    for (transaction, items) in done {
      let (host, partitions) = (items[0].host, items.map(\.at))
      items[0].loop.eventLoop.execute {
        host.value.run(.markersWritten(transaction, partitions))
      }
    }
  }
}
