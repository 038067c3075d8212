/// All replicas of this broker: carries out what the partitions' machines ask for.
///
/// Split by role: assignments in `+Assignments`, periodic work in `+Maintenance`; followers'
/// fetching is `FetcherManager`, changes of ISRs are `ISRProposer`.
import LogStorage
import Metadata
import Platform
import Replication
import Synchronization
import Telemetry
import Values

final class ReplicaManager: Sendable {
  let services: BrokerServices
  let logs: LogManager
  let fetchers: FetcherManager
  let proposer: ISRProposer
  /// One thread applies assignments: creating and deleting logs blocks, and order matters.
  let stateChanges: IOPool
  /// The newest controller that has sent an assignment.
  let controllerEpoch = Mutex(ControllerEpoch(-1))
  /// Leaderships that began and were not told of yet.
  private let begun = Atomic<Int>(0)
  static let log = Log("replicas")

  init(
    services: BrokerServices, logs: LogManager, proposerLoop: EventLoop
  ) throws(SystemError) {
    self.services = services
    self.logs = logs
    fetchers = FetcherManager(services: services)
    proposer = ISRProposer(services: services, loop: proposerLoop)
    stateChanges = try IOPool(threads: 1, name: "state-change")
  }

  // MARK: Effects

  /// Carries out what a step asked for. `loop` is the caller's, nil on other threads.
  func perform(
    _ effects: [PartitionReplica.Effect], _ partition: Partition, on loop: BrokerLoop?
  ) {
    for effect in effects {
      switch effect {
      case .highWatermarkAdvanced: wake(partition, on: loop)
      case .proposeISR(let proposal): proposer.propose(proposal, for: partition)
      case .isrChanged(let grew):
        (grew ? services.metrics.isrExpands : services.metrics.isrShrinks).add()
        let replica = partition.replica
        Self.log.info(
          "ISR changed", ["partition": partition.id, "isr": "\(replica.isr.map(\.rawValue))"])
      case .becameLeader(let epoch, _):
        begun.add(1, ordering: .relaxed)
        fetchers.remove(partition)
        wake(partition, on: loop)
        notifyCoordinator(partition, leads: true, epoch)
      case .becameFollower(let leader, let epoch):
        wake(partition, on: loop)
        notifyCoordinator(partition, leads: false, epoch)
        fetchers.add(partition, leader: leader, epoch: epoch)
      case .lostLeader(let epoch):
        fetchers.remove(partition)
        wake(partition, on: loop)
        notifyCoordinator(partition, leads: false, epoch)
      case .ignoredAssignment, .rejectedFetch: break
      }
    }
  }

  /// One line for all that a batch of assignments has made this broker the leader of: what a person
  /// looks for who follows a failover through the logs.
  func tellOfLeaderships() {
    let count = begun.exchange(0, ordering: .relaxed)
    if count > 0 { Self.log.info("leading in new epochs", ["partitions": count]) }
  }

  /// Makes whoever waits for the partition look again.
  func wake(_ partition: Partition, on loop: BrokerLoop?) {
    if let loop, loop.eventLoop.isCurrent { return loop.noteChange(of: partition) }
    var interest = partition.interestedLoops()
    while interest != 0 {
      services.loop(interest.trailingZeroBitCount)?.post(partition.index)
      interest &= interest &- 1
    }
  }

  /// After an append as leader: followers wait for records, producers for followers.
  func appended(
    to partition: Partition, _ appended: Partition.Appended, _ effects: [PartitionReplica.Effect],
    on loop: BrokerLoop
  ) {
    if !effects.isEmpty { perform(effects, partition, on: loop) }
    if appended.result.size > 0 { loop.noteChange(of: partition) }
    if appended.result.wantsFlush { flushSoon(partition) }
  }

  func notifyCoordinator(_ partition: Partition, leads: Bool, _ epoch: LeaderEpoch) {
    let number = partition.id.partition
    switch partition.id.topic {
    case InternalTopics.offsets:
      if leads {
        services.groups?.becameLeader(partition: number, epoch: epoch)
      } else {
        services.groups?.resigned(partition: number, epoch: epoch)
      }
    case InternalTopics.transactions:
      if leads {
        services.transactions?.becameLeader(partition: number, epoch: epoch)
      } else {
        services.transactions?.resigned(partition: number, epoch: epoch)
      }
    default: break
    }
  }

  /// Takes note of an error that came from a failing disk: the whole directory goes offline.
  func note(_ failure: PartitionFailure, _ partition: Partition) {
    guard failure.code == .kafkaStorageError else { return }
    if let cause = failure.cause { logs.note(cause, of: partition.id) }
    markOffline(partition)
  }

  // MARK: Outside changes

  /// The brokers that are alive decide who may join an ISR; topics that are gone have no offsets.
  func metadataChanged(_ change: MetadataCache.Change, on loop: BrokerLoop?) {
    if change.brokersChanged {
      let alive = services.metadata.isrCandidates
      let now = Clock.now()
      for partition in services.partitions.all where partition.isLeader {
        perform(partition.step(.eligibleBrokers(alive), at: now), partition, on: loop)
      }
      fetchers.endpointsChanged()
    }
    if !change.deletedTopics.isEmpty { services.groups?.topicsDeleted(change.deletedTopics) }
  }

  /// New settings reach the logs and the machines.
  func configChanged(_ resource: ConfigResource) {
    switch resource.type {
    case .topic:
      for partition in services.partitions.partitions(of: resource.name) { reconfigure(partition) }
    case .broker:
      for partition in services.partitions.all { reconfigure(partition) }
    default: break
    }
  }

  private func reconfigure(_ partition: Partition) {
    let config = services.topicConfig(partition.id.topic)
    var effects: [PartitionReplica.Effect] = []
    let limits = limits(config)
    partition.state.withLock { state in
      state.log?.update(services.logConfig(config))
      state.replica.setLimits(limits, at: Clock.now(), into: &effects)
      state.log?.updateHighWatermark(state.replica.highWatermark)
    }
    perform(effects, partition, on: nil)
  }
}
