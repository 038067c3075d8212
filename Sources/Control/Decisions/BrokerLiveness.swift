// Brokers that come, go, and ask to be relieved.
import Decision
import KafkaProtocol
import KafkaRecords
import Metadata
import Values

/// A broker appeared: for the first time, or again after a restart with a new epoch.
public struct RegisterBroker: Sendable {
  public var broker: BrokerImage
  public init(_ broker: BrokerImage) { self.broker = broker }
}

/// A live broker changed its endpoints or features; its epoch is the same.
public struct UpdateBroker: Sendable {
  public var broker: BrokerImage
  public init(_ broker: BrokerImage) { self.broker = broker }
}

/// Brokers are gone: session expired, or unregistered.
public struct LoseBrokers: Sendable {
  public var brokers: [BrokerID]
  public init(_ brokers: [BrokerID]) { self.brokers = brokers }
}

/// Replicas went offline though their broker lives: a log directory failed.
public struct ElectAfterReplicaFailure: Sendable {
  public init() {}
}

/// A broker asks to be relieved before it stops (ControlledShutdown).
public struct BeginControlledShutdown: Sendable {
  public var broker: BrokerID
  /// `.none` from senders that do not know it.
  public var epoch: BrokerEpoch
  public init(_ broker: BrokerID, epoch: BrokerEpoch) {
    self.broker = broker
    self.epoch = epoch
  }

  public struct Reply: Equatable, Sendable {
    /// Partitions the broker follows: it is told to stop fetching them, keeping its data.
    public var followed: [TopicPartition]
    /// Partitions it still leads because nobody else can; not empty means: ask again.
    public var remaining: [TopicPartition]
  }
}

extension Controller {
  /// Registers the broker and elects leaders for the partitions that waited for it.
  public func decide(_ command: RegisterBroker) -> Decision<MetadataRecord, Void> {
    var next = self
    var records: [MetadataRecord] = []
    // A broker that bounced lost its leadership even if nobody saw it go.
    if image.brokers[command.broker.id] != nil {
      records = decide(LoseBrokers([command.broker.id])).records
      next.replay(records)
    }
    let registration = MetadataRecord.registerBroker(command.broker.record)
    records.append(registration)
    next.replay(registration)
    records += next.electionsForOfflinePartitions()
    return Decision(records, reply: (), isAtomic: false)
  }

  public func decide(_ command: UpdateBroker) throws(Refusal) -> Decision<MetadataRecord, Void> {
    guard let known = image.brokers[command.broker.id] else {
      throw Refusal(.brokerIDNotRegistered)
    }
    var broker = command.broker
    broker.isInControlledShutdown = known.isInControlledShutdown
    guard broker != known else { return Decision([], reply: ()) }
    return Decision([.registerBroker(broker.record)], reply: ())
  }

  /// Unregisters the brokers, moves the leadership they had, and takes them out of every ISR that
  /// keeps another member.
  public func decide(_ command: LoseBrokers) -> Decision<MetadataRecord, Void> {
    var next = self
    var records: [MetadataRecord] = []
    // All of them go before any leader is looked for: a partition must not move from one dead
    // broker to the next.
    for id in command.brokers {
      guard let broker = next.image.brokers[id] else { continue }
      var record = UnregisterBrokerRecord()
      record.brokerID = id.rawValue
      record.brokerEpoch = broker.epoch.rawValue
      records.append(.unregisterBroker(record))
      next.replay(.unregisterBroker(record))
    }
    records += next.changesForOfflineReplicas()
    return Decision(records, reply: (), isAtomic: false)
  }

  public func decide(_ command: ElectAfterReplicaFailure) -> Decision<MetadataRecord, Void> {
    Decision(changesForOfflineReplicas(), reply: (), isAtomic: false)
  }

  /// One change per partition that has an offline replica in its ISR or as its leader.
  private func changesForOfflineReplicas() -> [MetadataRecord] {
    var records: [MetadataRecord] = []
    forEachLivePartition { topic, at, partition in
      if let record = changeForOfflineReplicas(topic, at, partition) { records.append(record) }
    }
    return records
  }

  func changeForOfflineReplicas(
    _ topic: TopicImage, _ at: TopicPartition, _ partition: PartitionImage
  ) -> MetadataRecord? {
    if let elected = recordElectingIfOffline(topic, at, partition) { return elected }
    guard partition.isInitialized else { return nil }
    let online = partition.isr.filter {
      isOnline($0, at, partition, includingShuttingDown: true)
    }
    let leaderIsGone = partition.hasLeader && !online.contains(partition.leader)
    guard online.count < partition.isr.count || leaderIsGone else { return nil }
    var change = PartitionChangeRecord(topicID: topic.id, partition: at.partition)
    change.leader = leaderIsGone ? BrokerID.none.rawValue : partition.leader.rawValue
    if online.isEmpty {
      // Nobody in sync is left. The last members stay in the ISR: whoever of them returns first
      // has everything that was committed. Without a leader there is nothing more to change.
      guard partition.hasLeader else { return nil }
    } else if online.count < partition.isr.count {
      change.isr = online.rawIDs
    }
    return .partitionChange(change)
  }

  /// Elections for every partition that has no usable leader and can have one.
  func electionsForOfflinePartitions() -> [MetadataRecord] {
    var records: [MetadataRecord] = []
    forEachLivePartition { topic, at, partition in
      if let record = recordElectingIfOffline(topic, at, partition) { records.append(record) }
    }
    return records
  }

  /// Marks the broker as shutting down, and moves what it leads to brokers that stay. Where it only
  /// follows, it leaves the ISR. Partitions with one replica are left alone: they go down with it.
  public func decide(
    _ command: BeginControlledShutdown
  ) throws(Refusal) -> Decision<MetadataRecord, BeginControlledShutdown.Reply> {
    guard let broker = image.brokers[command.broker] else {
      throw Refusal(.brokerNotAvailable, "Broker id \(command.broker.rawValue) does not exist.")
    }
    if command.epoch != .none, command.epoch < broker.epoch {
      throw Refusal(
        .staleBrokerEpoch,
        "Received controlled shutdown request from an old broker epoch "
          + "\(command.epoch.rawValue) for broker \(command.broker.rawValue). "
          + "Current broker epoch is \(broker.epoch.rawValue).")
    }
    var next = self
    var records: [MetadataRecord] = []
    if !broker.isInControlledShutdown {
      // Marked first, so that no election of this very decision chooses it again.
      var mark = BrokerRegistrationChangeRecord()
      mark.brokerID = broker.id.rawValue
      mark.brokerEpoch = broker.epoch.rawValue
      mark.inControlledShutdown = 1
      records.append(.brokerRegistrationChange(mark))
      next.replay(records)
    }
    let (changes, followed) = next.departures(of: broker.id)
    next.replay(changes)
    var remaining: [TopicPartition] = []
    next.forEachLivePartition { _, at, partition in
      if partition.leader == broker.id, partition.replicas.count > 1 { remaining.append(at) }
    }
    return Decision(
      records + changes, reply: .init(followed: followed, remaining: remaining), isAtomic: false)
  }

  private func departures(
    of id: BrokerID
  ) -> (changes: [MetadataRecord], followed: [TopicPartition]) {
    var changes: [MetadataRecord] = []
    var followed: [TopicPartition] = []
    forEachLivePartition { topic, at, partition in
      guard partition.replicas.count > 1, partition.isInitialized,
        partition.replicas.contains(id)
      else { return }
      if partition.leader == id {
        guard let election = elect(at, partition, .controlledShutdown) else { return }
        changes.append(record(election, for: topic, at.partition, partition))
        return
      }
      followed.append(at)
      // The last member of an ISR stays in it, though it does not lead.
      guard partition.isr.contains(id), partition.isr.count > 1 else { return }
      var change = PartitionChangeRecord(topicID: topic.id, partition: at.partition)
      change.isr = partition.isr.filter { $0 != id }.rawIDs
      change.leader = partition.leader.rawValue
      changes.append(.partitionChange(change))
    }
    return (changes, followed)
  }
}
