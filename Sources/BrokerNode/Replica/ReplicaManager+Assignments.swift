/// Taking over what the controller assigns, on the state-change thread.
import KafkaMessages
import KafkaProtocol
import LogStorage
import Metadata
import Platform
import Replication
import Settings
import Telemetry
import Values

extension ReplicaManager {
  /// Whether a controller of this epoch may still decide; remembers the newest.
  func accepts(_ epoch: ControllerEpoch) -> Bool {
    controllerEpoch.withLock { known in
      if epoch < known { return false }
      known = epoch
      return true
    }
  }

  /// Makes this broker the leader or a follower of a partition, creating the log if there is none.
  func assign(_ wanted: ReplicaAssignment) -> ErrorCode {
    guard wanted.state.replicas.contains(services.brokerID) else {
      return .unknownTopicOrPartition
    }
    let topic = wanted.at.topic
    let partition = services.partitions.findOrMake(wanted.at) { index in
      Partition(
        wanted.at, index: index,
        replica: PartitionReplica(
          localID: services.brokerID, limits: limits(services.topicConfig(topic))))
    }
    services.partitions.note(wanted.topicID, of: topic)
    do throws(PartitionFailure) {
      try open(partition, wanted)
      let effects = try partition.assign(
        wanted.state, eligible: services.metadata.isrCandidates, at: Clock.now())
      if effects == [.ignoredAssignment] { return .staleControllerEpoch }
      perform(effects, partition, on: nil)
      return .none
    } catch {
      note(error, partition)
      return error.code
    }
  }

  private func open(
    _ partition: Partition, _ wanted: ReplicaAssignment
  ) throws(PartitionFailure) {
    let topicID = wanted.topicID
    let known = partition.state.withLock { ($0.log, $0.topicID, $0.isOffline) }
    if known.2 { throw PartitionFailure(.kafkaStorageError) }
    if !topicID.isZero, !known.1.isZero, known.1 != topicID {
      throw PartitionFailure(.inconsistentTopicID)
    }
    if known.0 != nil {
      partition.state.withLock { if $0.topicID.isZero { $0.topicID = topicID } }
      return
    }
    let log: PartitionLog
    do throws(LogError) {
      log = try openLog(wanted)
    } catch {
      Self.log.error("log not opened: \(error)", ["partition": partition.id])
      throw PartitionFailure(error)
    }
    let offsets = log.offsets
    let limits = limits(services.topicConfig(partition.id.topic))
    partition.state.withLock { state in
      state.log = log
      state.topicID = topicID
      state.replica = PartitionReplica(
        localID: services.brokerID, highWatermark: offsets.highWatermark,
        logEndOffset: offsets.logEndOffset,
        limits: limits)
    }
  }

  /// The log as it was loaded, or a new one. A log of another topic of the same name is told by its
  /// id; one without id, from before topics had them, gets it now.
  private func openLog(_ wanted: ReplicaAssignment) throws(LogError) -> PartitionLog {
    let (at, topicID) = (wanted.at, wanted.topicID)
    let home = wanted.directory.flatMap { services.directories.directory($0, of: logs) }
    if logs.offlinePartitions.contains(at) {
      throw .logDirectoryFailed(SystemError("open", code: 5, on: "\(at)"))
    }
    guard let log = logs.log(at) else {
      return try logs.log(
        creating: at, topicID: topicID.isZero ? nil : topicID, in: home, now: Clock.wallNow())
    }
    // It was loaded before the topic's settings were known.
    log.update(services.logConfig(services.topicConfig(at.topic)))
    if topicID.isZero { return log }
    guard let known = try logs.topicID(at), !known.isZero else {
      try logs.setTopicID(topicID, of: at)
      return log
    }
    if known == topicID { return log }
    // The topic was deleted and made again while this broker was away: what is here is of the old
    // one.
    try logs.delete(at, now: Clock.wallNow())
    return try logs.log(creating: at, topicID: topicID, in: home, now: Clock.wallNow())
  }

  /// Stops a replica, and deletes its log if the controller says so.
  func stop(
    _ at: TopicPartition, leaderEpoch: LeaderEpoch?, deletes: Bool
  ) -> ErrorCode {
    guard let partition = services.partitions[at] else {
      // Nothing runs, but a log may have been left from before.
      return deletes ? deleteLog(at) : .none
    }
    if partition.isOffline { return .kafkaStorageError }
    if let leaderEpoch, leaderEpoch < partition.leaderEpoch { return .fencedLeaderEpoch }
    fetchers.remove(partition)
    guard deletes else {
      notifyStopped(partition)
      return .none
    }
    _ = services.partitions.remove(at)
    partition.state.withLock { state in
      state.log = nil
      state.replica = PartitionReplica(localID: services.brokerID)
    }
    notifyStopped(partition)
    return deleteLog(at)
  }

  private func notifyStopped(_ partition: Partition) {
    wake(partition, on: nil)
    notifyCoordinator(partition, leads: false, partition.leaderEpoch)
  }

  private func deleteLog(_ at: TopicPartition) -> ErrorCode {
    do throws(LogError) {
      try logs.delete(at, now: Clock.wallNow())
      return .none
    } catch {
      Self.log.error("log not deleted: \(error)", ["partition": at])
      return PartitionFailure(error).code
    }
  }

  /// A log directory went offline: so did everything in it.
  func markLostReplicas() {
    for at in logs.offlinePartitions {
      if let partition = services.partitions[at] { markOffline(partition) }
    }
  }

  /// The disk under a replica failed: it serves nothing any more, and the others take over.
  func markOffline(_ partition: Partition) {
    let isNew = partition.state.withLock { state in
      defer { state.isOffline = true }
      return !state.isOffline
    }
    guard isNew else { return }
    Self.log.error("replica offline", ["partition": partition.id])
    fetchers.remove(partition)
    wake(partition, on: nil)
  }

  func limits(_ config: TopicConfig) -> PartitionReplica.Limits {
    PartitionReplica.Limits(
      maxLagMs: services.config.replication.lagTimeMaxMs,
      minInSyncReplicas: Int(config.minInSyncReplicas))
  }
}

extension Partition {
  /// Steps into a new assignment. A new leader notes its epoch in the log before anybody can
  /// append in it.
  func assign(
    _ assignment: PartitionAssignment, eligible: [BrokerID], at now: Instant
  ) throws(PartitionFailure) -> [PartitionReplica.Effect] {
    let outcome: Result<[PartitionReplica.Effect], PartitionFailure> = state.withLock { state in
      do throws(PartitionFailure) {
        let log = try state.usableLog()
        var effects: [PartitionReplica.Effect] = []
        // Before anything is known of the cluster everybody counts as alive.
        if !eligible.isEmpty {
          Self.step(&state, .eligibleBrokers(eligible), at: now, into: &effects)
        }
        Self.step(
          &state, .assigned(assignment, logEndOffset: log.logEndOffset), at: now, into: &effects)
        for case .becameLeader(let epoch, let start) in effects {
          do throws(LogError) { try log.assign(epoch, startOffset: start) } catch {
            throw PartitionFailure(error)
          }
        }
        return .success(effects)
      } catch {
        return .failure(error)
      }
    }
    return try outcome.get()
  }
}
