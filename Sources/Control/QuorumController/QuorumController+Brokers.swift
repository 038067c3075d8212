// Brokers that come, go, and ask to be relieved, as records.
import KafkaRecords
import Metadata
import Values

extension PartitionDraft {
  /// The broker leaves every ISR, what it led goes to others, and it is fenced.
  mutating func fence(_ broker: BrokerImage) {
    settleAll(.removed(broker.id)) { $0.isr.contains(broker.id) }
    guard !broker.isFenced else { return }
    guard level.hasBrokerRegistrationChange else {
      return add(
        .fenceBroker(
          .init {
            $0.id = broker.id.rawValue
            $0.epoch = broker.epoch.rawValue
          }))
    }
    add(registrationChange(broker) { $0.fenced = 1 })
  }

  /// The broker may be used: partitions that nobody leads may have waited for it.
  mutating func unfence(_ broker: BrokerImage) {
    if level.hasBrokerRegistrationChange {
      add(registrationChange(broker) { $0.fenced = -1 })
    } else {
      add(
        .unfenceBroker(
          .init {
            $0.id = broker.id.rawValue
            $0.epoch = broker.epoch.rawValue
          }))
    }
    guard image.topics.leaderlessCount > 0 else { return }
    settleAll(.added(broker.id)) { !$0.hasLeader }
  }

  /// The broker leads no longer where anybody else can, and is in no ISR that has another member.
  mutating func beginControlledShutdown(_ broker: BrokerImage) {
    if level.hasControlledShutdownState, !broker.isInControlledShutdown {
      add(registrationChange(broker) { $0.inControlledShutdown = 1 })
    }
    settleAll(.removed(broker.id)) { $0.isr.contains(broker.id) }
  }

  mutating func unregister(_ broker: BrokerImage) {
    settleAll(.removed(broker.id)) {
      $0.isr.contains(broker.id) || $0.eligibleLeaderReplicas.contains(broker.id)
    }
    add(
      .unregisterBroker(
        .init {
          $0.brokerID = broker.id.rawValue
          $0.brokerEpoch = broker.epoch.rawValue
        }))
  }

  /// Directories that the broker reports as failed, of those it had: replicas in them are gone.
  mutating func failDirectories(_ broker: BrokerImage, _ reported: [Uuid]) {
    let failed = broker.logDirs.filter(reported.contains)
    guard !failed.isEmpty else { return }
    settleAll(.removed(broker.id)) { partition in
      partition.directory(of: broker.id).map(failed.contains) ?? false
    }
    add(
      registrationChange(broker) {
        $0.logDirs = broker.logDirs.filter { !failed.contains($0) }
      })
  }

  private func registrationChange(
    _ broker: BrokerImage, _ fill: (inout BrokerRegistrationChangeRecord) -> Void
  ) -> MetadataRecord {
    var record = BrokerRegistrationChangeRecord()
    record.brokerID = broker.id.rawValue
    record.brokerEpoch = broker.epoch.rawValue
    fill(&record)
    return .brokerRegistrationChange(record)
  }
}

extension QuorumController {
  /// Fences what was silent for too long, one broker after the other: the second decision sees the
  /// outcome of the first.
  mutating func fenceStaleBrokers() {
    while let id = sessions.stale(at: now, timeoutMs: options.brokerSessionTimeoutMs).first {
      sessions[id]?.isFenced = true
      sessions[id]?.shutdownOffset = nil
      guard let broker = pending.image.brokers[id], !broker.isFenced else { continue }
      log("Fencing broker \(id.rawValue) because its session has timed out.")
      var draft = PartitionDraft(self)
      draft.fence(broker)
      append(draft.records, isAtomic: false)
    }
  }

  /// Fences a broker whose process is gone, as the end of its session would. Were it alive, its
  /// next heartbeat would ask to be unfenced, and be heard.
  mutating func fenceGone(_ id: BrokerID, _ epoch: BrokerEpoch) {
    guard let broker = pending.image.brokers[id], broker.epoch == epoch, !broker.isFenced else {
      return
    }
    sessions[id]?.isFenced = true
    sessions[id]?.shutdownOffset = nil
    log("Fencing broker \(id.rawValue) because its process is gone.")
    var draft = PartitionDraft(self)
    draft.fence(broker)
    append(draft.records, isAtomic: false)
  }

  /// Whether a broker may speak: it must be registered, in this very life.
  func checkSender(_ id: Int32, _ epoch: Int64) throws(Refusal) -> BrokerImage {
    guard let broker = pending.image.brokers[BrokerID(id)] else {
      throw Refusal(.staleBrokerEpoch, "No broker registration found for broker id \(id)")
    }
    guard broker.epoch.rawValue == epoch else {
      throw Refusal(
        .staleBrokerEpoch,
        "Expected broker epoch \(broker.epoch.rawValue), but got broker epoch \(epoch)")
    }
    return broker
  }

  mutating func log(_ text: String) { out.append(.log(text)) }
}
