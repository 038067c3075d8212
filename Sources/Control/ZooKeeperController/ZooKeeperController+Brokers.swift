import KafkaProtocol
import Metadata
import Values

/// Brokers that come, go, change, and answer.
extension ZooKeeperController {
  /// `/brokers/ids` changed: what registrations are there now, and in which life is each?
  mutating func brokersChanged() {
    read([.children(ZnodePath.brokerIDs, watch: true)]) { machine, results in
      let ids = results[0].children.compactMap { Int32($0) }.sorted().map { BrokerID($0) }
      let reads = ids.map {
        ZnodeRead.data(ZnodePath.broker($0), watch: !machine.watchedBrokers.contains($0))
      }
      machine.read(reads) { machine, results in
        var registered: [BrokerImage] = []
        for (id, result) in zip(ids, results) {
          guard let broker = machine.decodeBroker(id, result) else { continue }
          machine.watchedBrokers.insert(id)
          registered.append(broker)
        }
        machine.registrations(registered)
      }
    }
  }

  private mutating func registrations(_ all: [BrokerImage]) {
    let known = control.image.brokers
    forgetDeparted(all)
    let registered = all.filter { departed[$0.id] != $0.epoch }
    let arrived = registered.filter { broker in
      known[broker.id].map { $0.epoch < broker.epoch } ?? true
    }
    let lost = known.all.map(\.id).filter { id in !registered.contains { $0.id == id } }
    // A restart quicker than its session's end: both lives are seen at once.
    let bounced = arrived.map(\.id).filter { known[$0] != nil }
    guard !arrived.isEmpty || !lost.isEmpty else { return }
    for id in lost + bounced { out.append(.closeChannel(id)) }
    watchedBrokers.subtract(lost)
    for broker in arrived { out.append(.openChannel(broker)) }
    log(
      "Brokers: \(Self.list(arrived.map(\.id))) arrived, \(Self.list(bounced)) of them restarted; "
        + "\(Self.list(lost)) lost")

    // Departures first: a partition whose leader bounced is led by another before the new life is
    // counted on.
    var next = control
    var records = next.decide(LoseBrokers(lost + bounced)).records
    next.replay(records)
    for broker in arrived {
      let more = next.decide(RegisterBroker(broker)).records
      next.replay(more)
      records += more
    }
    commit(records) { machine, report in
      machine.brokersSettled(arrived: arrived.map(\.id), lost: lost + bounced, report, tries: 3)
    }
  }

  /// Partitions that had been written by someone else in the meantime are decided again.
  private mutating func brokersSettled(
    arrived: [BrokerID], lost: [BrokerID], _ report: CommitReport, tries: Int
  ) {
    if !report.refreshed.isEmpty, tries > 0 {
      let again = control.decide(ElectAfterReplicaFailure()).records
      return commit(again) { machine, report in
        machine.brokersSettled(arrived: arrived, lost: lost, report, tries: tries - 1)
      }
    }
    deletions.brokersLost(lost)
    deletions.brokersArrived(arrived)
    enqueue(.deletionProgress)
    completeReassignments(control.reassignments.map(\.at))
  }

  static func list(_ brokers: [BrokerID]) -> String {
    brokers.isEmpty ? "none" : brokers.map { String($0.rawValue) }.joined(separator: ",")
  }

  /// A registration's data changed: listeners moved, perhaps.
  mutating func brokerChanged(_ id: BrokerID) {
    guard control.image.brokers[id] != nil else { return }
    read([.data(ZnodePath.broker(id), watch: true)]) { machine, results in
      guard let broker = machine.decodeBroker(id, results[0]) else { return }
      machine.watchedBrokers.insert(id)
      // Another epoch is a new life, which the children of `/brokers/ids` tell.
      guard let known = machine.control.image.brokers[id], known.epoch == broker.epoch,
        let records = try? machine.control.decide(UpdateBroker(broker)).records, !records.isEmpty
      else { return }
      machine.out.append(.openChannel(broker))
      machine.commit(records) { _, _ in }
    }
  }

  // MARK: Answers

  mutating func brokerAnswered(_ id: BrokerID, _ epoch: BrokerEpoch, _ answer: BrokerAnswer) {
    // An answer from an earlier life says nothing about this one.
    guard control.image.brokers[id]?.epoch == epoch else { return }
    switch answer {
    case .leaderAndIsr(let error, let partitions):
      guard error == .none else { return failedRequest("LeaderAndIsr", id, error) }
      let failed = partitions.filter { $0.error == .kafkaStorageError }.map(\.at)
      let healthy = partitions.filter { $0.error == .none }.map(\.at)
      if control.noteReplicas(of: id, failed: failed, healthy: healthy) { electOffline() }
    case .updateMetadata(let error):
      if error != .none { failedRequest("UpdateMetadata", id, error) }
    case .stopReplica(let error, let deleted):
      if error != .none { failedRequest("StopReplica", id, error) }
      for (at, partitionError) in deleted {
        deletions.answered(at, id, isDeleted: error == .none && partitionError == .none)
      }
      if !deleted.isEmpty { enqueueOnce(.deletionProgress, Self.isDeletionProgress) }
    }
  }

  static func isDeletionProgress(_ job: Job) -> Bool {
    if case .deletionProgress = job { true } else { false }
  }

  private mutating func failedRequest(_ name: String, _ id: BrokerID, _ error: ErrorCode) {
    log("Broker \(id.rawValue) answered \(name) with error \(error.rawValue)")
    // A broker that knows a newer controller: perhaps we have been replaced.
    if error == .staleControllerEpoch { enqueue(.checkController) }
  }

  /// Repairs whatever partition has an offline replica in its ISR or no usable leader.
  mutating func electOffline() {
    commit(control.decide(ElectAfterReplicaFailure()).records) { _, _ in }
  }

  // MARK: Log directories

  /// Brokers lost log directories. Which replicas were there they tell in their answers to
  /// LeaderAndIsr, so they are sent one for everything they hold.
  mutating func logDirEventsNotified() {
    read([.children(ZnodePath.logDirEvents, watch: true)]) { machine, results in
      let paths = results[0].children.map { "\(ZnodePath.logDirEvents)/\($0)" }
      machine.read(paths.map { .data($0, watch: false) }) { machine, results in
        let brokers = Set(
          results.compactMap { $0.content.flatMap { LogDirEventZnode.decode($0.data) } })
        var batch = BrokerRequestBatch()
        machine.control.forEachLivePartition { _, at, partition in
          batch.addLeaderAndIsr(at, to: partition.replicas.filter(brokers.contains))
        }
        machine.send(batch)
        machine.writeFenced(paths.map { machine.fencedDelete($0) }) { _ in }
      }
    }
  }
}
