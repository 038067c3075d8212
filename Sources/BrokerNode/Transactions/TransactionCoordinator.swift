/// The transaction coordinator of a broker: one shard for each partition of `__transaction_state`
/// that it leads, each on one event loop.
///
/// A transactional id belongs to the partition it hashes to. Requests arrive on any loop and are
/// carried to the shard's; a partition that is not led here has no shard, and its ids are refused
/// with NOT_COORDINATOR.
import Groups
import KafkaProtocol
import Platform
import Synchronization
import Telemetry
import Transactions
import Values

final class TransactionCoordinator: Sendable {
  let services: BrokerServices
  let markers: MarkerSender
  let verifier: PartitionVerifier
  private let hosts = Mutex<[Int32: Hosted]>([:])
  static let log = Log("transactions")

  /// A shard with what may be looked at from other loops.
  struct Hosted: Sendable {
    let host: LoopConfined<TransactionShardHost>
    let loop: BrokerLoop
    let epoch: LeaderEpoch
  }

  init(services: BrokerServices) {
    self.services = services
    markers = MarkerSender(services: services)
    verifier = PartitionVerifier(services: services)
  }

  // MARK: Leadership

  func becameLeader(partition: Int32, epoch: LeaderEpoch) {
    let loops = services.loops
    let at = TopicPartition(InternalTopics.transactions, partition)
    guard !loops.isEmpty, let replica = services.partitions[at] else { return }
    let loop = loops[Int(partition) % loops.count]
    let host = LoopConfined(
      TransactionShardHost(partition: replica, epoch: epoch, loop: loop, coordinator: self))
    let (isNewer, old) = hosts.withLock { hosts -> (Bool, Hosted?) in
      let old = hosts[partition]
      if let old, old.epoch >= epoch { return (false, nil) }
      hosts[partition] = Hosted(host: host, loop: loop, epoch: epoch)
      return (true, old)
    }
    guard isNewer else { return }
    if let old { loop.eventLoop.execute { old.host.value.resign() } }
    loop.eventLoop.execute { host.value.load() }
  }

  func resigned(partition: Int32, epoch: LeaderEpoch) {
    let gone = hosts.withLock { hosts -> Hosted? in
      guard let host = hosts[partition], host.epoch <= epoch || epoch == .none else { return nil }
      return hosts.removeValue(forKey: partition)
    }
    guard let gone else { return }
    gone.loop.eventLoop.execute { gone.host.value.resign() }
  }

  /// Every shard, in the order of partitions.
  var all: [Hosted] { hosts.withLock { $0.sorted { $0.key < $1.key }.map(\.value) } }

  // MARK: Requests

  /// How many partitions `__transaction_state` has, or is to have.
  static func partitionCount(_ services: BrokerServices) -> Int32 {
    let known = services.metadata.topic(InternalTopics.transactions)?.partitions.count
    return known.map { Int32($0) } ?? services.config.producers.transactionTopicPartitions
  }

  /// The partition of `__transaction_state` that keeps an id.
  static func partition(for transactionalID: String, _ services: BrokerServices) -> Int32 {
    GroupPartitioner.partition(for: transactionalID, count: partitionCount(services))
  }

  /// Runs `body` with the shard of an id, on the shard's loop, or `refuse` with the error that says
  /// why not: NOT_COORDINATOR or COORDINATOR_LOAD_IN_PROGRESS.
  func withShard(
    of transactionalID: String, _ body: @escaping @Sendable (TransactionShardHost) -> Void,
    else refuse: @escaping @Sendable (ErrorCode) -> Void
  ) {
    let partition = Self.partition(for: transactionalID, services)
    guard let hosted = hosts.withLock({ $0[partition] }) else { return refuse(.notCoordinator) }
    hosted.onLoop { host in
      if let error = host.refusal { refuse(error) } else { body(host) }
    }
  }

  /// The same for a request: answers COORDINATOR_NOT_AVAILABLE while there is no coordinator.
  static func withShard(
    of transactionalID: String, _ context: RequestContext,
    _ body: @escaping @Sendable (TransactionShardHost) -> Void,
    else refuse: @escaping @Sendable (ErrorCode) -> Void
  ) {
    guard let coordinator = context.services.transactions else {
      return refuse(.coordinatorNotAvailable)
    }
    coordinator.withShard(of: transactionalID, body, else: refuse)
  }

  var transactionConfig: TransactionConfig {
    var config = TransactionConfig()
    config.maxTimeoutMs = services.config.producers.transactionMaxTimeoutMs
    config.idExpirationMs = services.config.producers.transactionalIDExpirationMs
    return config
  }
}

extension TransactionCoordinator.Hosted {
  /// Runs `body` on the shard's loop: at once if that is where the caller is.
  func onLoop(_ body: @escaping @Sendable (TransactionShardHost) -> Void) {
    let host = host
    if loop.eventLoop.isCurrent {
      body(host.value)
    } else {
      loop.eventLoop.execute { body(host.value) }
    }
  }
}
