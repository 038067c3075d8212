/// The group coordinator of a broker: one shard for each partition of `__consumer_offsets` that it
/// leads, each on one event loop.
///
/// A group belongs to the partition its id hashes to. Requests arrive on any loop and are carried
/// to the shard's; a partition that is not led here has no shard, and its groups are refused with
/// NOT_COORDINATOR.
import Bytes
import Groups
import KafkaProtocol
import Platform
import Settings
import Synchronization
import Telemetry
import Values

final class GroupCoordinator: GroupService {
  let services: BrokerServices
  let metrics: GroupMetrics
  private let hosts = Mutex<[Int32: GroupShardHost]>([:])
  static let log = Log("groups")

  init(services: BrokerServices) {
    self.services = services
    metrics = GroupMetrics(services.metrics.registry)
    metrics.read = { [weak self] in self?.hosts.withLock { $0.values.map(\.counts) } ?? [] }
  }

  /// The coordinator of the broker that serves a request; nil before it is started.
  static func of(_ context: RequestContext) -> GroupCoordinator? {
    context.services.groups as? GroupCoordinator
  }

  // MARK: Leadership

  func becameLeader(partition: Int32, epoch: LeaderEpoch) {
    guard let loop = loop(for: partition) else { return }
    let at = TopicPartition(InternalTopics.offsets, partition)
    guard let replica = services.partitions[at] else { return }
    let host = GroupShardHost(
      partition: replica, epoch: epoch, loop: loop, coordinator: self)
    let (isNewer, old) = hosts.withLock { hosts -> (Bool, GroupShardHost?) in
      let old = hosts[partition]
      if let old, old.epoch >= epoch { return (false, nil) }
      hosts[partition] = host
      return (true, old)
    }
    guard isNewer else { return }
    if let old { loop.eventLoop.execute { old.resign() } }
    host.load()
  }

  func resigned(partition: Int32, epoch: LeaderEpoch) {
    let gone = hosts.withLock { hosts -> GroupShardHost? in
      guard let host = hosts[partition], host.epoch <= epoch || epoch == .none else { return nil }
      return hosts.removeValue(forKey: partition)
    }
    guard let gone else { return }
    gone.loop.eventLoop.execute { gone.resign() }
  }

  func transactionEnded(_ producer: ProducerID, isCommitted: Bool, partition: Int32) {
    guard let host = hosts.withLock({ $0[partition] }) else { return }
    host.onLoop { host.transactionEnded(producer, isCommitted: isCommitted) }
  }

  func topicsDeleted(_ topics: [String]) {
    let topics = Set(topics)
    if topics.isEmpty { return }
    for host in all {
      host.loop.eventLoop.execute { host.run(.topicsDeleted(topics)) }
    }
  }

  private func loop(for partition: Int32) -> BrokerLoop? {
    let loops = services.loops
    return loops.isEmpty ? nil : loops[Int(partition) % loops.count]
  }

  /// Every shard, in the order of partitions.
  var all: [GroupShardHost] {
    hosts.withLock { $0.sorted { $0.key < $1.key }.map(\.value) }
  }

  // MARK: Requests

  /// How many partitions `__consumer_offsets` has, or is to have.
  static func partitionCount(_ services: BrokerServices) -> Int32 {
    let known = services.metadata.topic(InternalTopics.offsets)?.partitions.count
    return known.map { Int32($0) } ?? services.config.groups.offsetsTopicPartitions
  }

  /// Runs `body` with the shard of a group, on the shard's loop, or `refuse` with the error that
  /// says why not: NOT_COORDINATOR or COORDINATOR_LOAD_IN_PROGRESS.
  func withShard(
    of groupID: String, _ body: @escaping @Sendable (GroupShardHost) -> Void,
    else refuse: @escaping @Sendable (ErrorCode) -> Void
  ) {
    let partition = GroupPartitioner.partition(
      for: groupID, count: Self.partitionCount(services))
    guard let host = hosts.withLock({ $0[partition] }) else { return refuse(.notCoordinator) }
    host.onLoop {
      if let error = host.refusal { refuse(error) } else { body(host) }
    }
  }

  /// The same for a request: answers COORDINATOR_NOT_AVAILABLE while there is no coordinator.
  static func withShard(
    of groupID: String, _ context: RequestContext,
    _ body: @escaping @Sendable (GroupShardHost) -> Void,
    else refuse: @escaping @Sendable (ErrorCode) -> Void
  ) {
    guard let coordinator = of(context) else { return refuse(.coordinatorNotAvailable) }
    coordinator.withShard(of: groupID, body, else: refuse)
  }

  /// Before 2.3 a coordinator would forget the instance ids that another one has stored.
  static func knowsStaticMembers(_ context: RequestContext) -> Bool {
    context.services.config.identity.interBrokerProtocolVersion >= .v2_3
  }

  var groupConfig: GroupConfig {
    let settings = services.currentConfig.groups
    var config = GroupConfig()
    config.minSessionTimeoutMs = settings.minSessionTimeoutMs
    config.maxSessionTimeoutMs = settings.maxSessionTimeoutMs
    config.maxSize = settings.maxSize
    config.initialRebalanceDelayMs = settings.initialRebalanceDelayMs
    config.offsetMetadataMaxSize = settings.offsetMetadataMaxBytes
    config.offsetsRetentionMs = settings.offsetsRetentionMs
    return config
  }

  /// The versions in which records are stored.
  static func recordVersions(_ version: MetadataVersion) -> GroupRecord.Versions {
    var versions = GroupRecord.Versions()
    if version < .v2_1 {
      versions.group = 1
      versions.offset = 1
    } else {
      versions.group = version < .v2_3 ? 2 : 3
      versions.offset = version < .v2_1_IV1 ? 2 : 3
    }
    return versions
  }
}

/// Collects the answers of several shards, and hands them over when all are there.
final class Gathering<Part: Sendable>: Sendable {
  private let state: Mutex<(missing: Int, parts: [Int: Part])>
  private let completion: @Sendable ([Part]) -> Void

  /// - Parameter completion: gets the parts in the order of their places.
  init(_ count: Int, completion: @escaping @Sendable ([Part]) -> Void) {
    state = Mutex((count, [:]))
    self.completion = completion
    if count == 0 { completion([]) }
  }

  /// Each place is filled once, from any thread.
  func fill(_ place: Int, _ part: Part) {
    let done = state.withLock { state -> [Part]? in
      if state.parts.updateValue(part, forKey: place) == nil { state.missing -= 1 }
      guard state.missing == 0 else { return nil }
      return state.parts.sorted { $0.key < $1.key }.map(\.value)
    }
    if let done { completion(done) }
  }
}
