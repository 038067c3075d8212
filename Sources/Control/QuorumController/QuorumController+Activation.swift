// Becoming the active controller, and what it does unasked.
import KafkaRecords
import Metadata
import Values

extension QuorumController {
  /// The state of a migration from ZooKeeper (KIP-866), as ZkMigrationStateRecord has it.
  private enum Migration {
    static let none: Int8 = 0
    static let preMigration: Int8 = 1
    static let migration: Int8 = 2
    static let postMigration: Int8 = 3
  }

  /// Takes over. What the predecessor left half done is put right first: a transaction that it did
  /// not end is aborted, and a log without records gets the bootstrap records.
  mutating func activate(_ epoch: Int32, _ nextOffset: Offset) {
    if isActive { resign() }
    let records: [MetadataRecord]
    do {
      records = try activationRecords()
    } catch {
      out.append(.resign(error.message ?? error.code.name))
      return
    }
    self.epoch = epoch
    pending = Controller(image: committed.image, options: options.base)
    self.nextOffset = max(nextOffset, committed.lastOffset + 1)
    // A new leader has heard nobody yet. It gives everyone a whole session before it suspects them.
    for broker in pending.image.brokers.all {
      sessions.register(broker.id, isFenced: broker.isFenced, at: now)
    }
    append(records, isAtomic: false)
  }

  private mutating func activationRecords() throws(Refusal) -> [MetadataRecord] {
    var text = "Performing controller activation. "
    var records: [MetadataRecord] = []
    if let start = committed.transactionStart {
      text += "Aborting in-progress metadata transaction at offset \(start). "
      records.append(.abortTransaction(.init { $0.reason = "Controller failover" }))
    }
    if committed.isEmpty {
      let level = try bootstrapLevel()
      text +=
        "The metadata log appears to be empty. Appending \(options.bootstrap.count) bootstrap "
        + "record(s) at metadata.version \(level.name) from bootstrap source "
        + "'\(options.bootstrapSource)'."
      records += bootstrapRecords(level)
    } else {
      let image = committed.image
      try check(image.metadataVersion)
      switch image.zkMigrationState {
      case Migration.preMigration:
        throw Refusal(
          .unsupportedVersion,
          "The metadata log awaits a migration from ZooKeeper, which this controller does not do.")
      case Migration.migration:
        // Brokers of ZooKeeper mode are not served any more, so the migration ends here.
        text += "Completing the ZK migration. "
        records.append(
          .zkMigrationState(.init { $0.zkMigrationState = Migration.postMigration }))
      default: break
      }
      text += "metadata.version is \(image.metadataVersion.name)."
    }
    log(text)
    return records
  }

  private func bootstrapLevel() throws(Refusal) -> MetadataVersion {
    for case .featureLevel(let record) in options.bootstrap
    where record.name == MetadataVersion.featureName {
      let level = MetadataVersion(record.featureLevel)
      guard level >= .minimumBootstrap else {
        throw Refusal(
          .unsupportedVersion,
          "Bootstrap metadata.version before \(MetadataVersion.minimumBootstrap.name) are not "
            + "supported. Can't load metadata from \(options.bootstrapSource).")
      }
      try check(level)
      return level
    }
    throw Refusal(
      .unsupportedVersion,
      "No metadata.version is in the bootstrap records from \(options.bootstrapSource).")
  }

  private func check(_ level: MetadataVersion) throws(Refusal) {
    let highest = options.latestMetadataVersion
    guard level.isKnown, level <= highest else {
      throw Refusal(
        .unsupportedVersion,
        "metadata.version \(level.name) is not supported: this controller only supports versions "
          + "up to \(highest.name).")
    }
  }

  /// In a transaction, because a new cluster's credentials may need more than one batch.
  private func bootstrapRecords(_ level: MetadataVersion) -> [MetadataRecord] {
    guard level.hasTransactions else { return options.bootstrap }
    return [.beginTransaction(.init { $0.name = "Bootstrap records" })] + options.bootstrap
      + [
        .zkMigrationState(.init { $0.zkMigrationState = Migration.none }),
        .endTransaction(.init()),
      ]
  }

  // MARK: Periodic work

  /// Elections that one round of rebalancing makes at most; more of them follow shortly.
  private static let electionsPerRound = 1000

  mutating func runDueWork() {
    if sessions.nextExpiry(timeoutMs: options.brokerSessionTimeoutMs) <= now {
      fenceStaleBrokers()
    }
    if noOpAt <= now {
      noOpAt = now.advanced(milliseconds: options.maxIdleIntervalMs)
      if pending.image.metadataVersion.hasNoOpRecord { append([.noOp(.init())], isAtomic: true) }
    }
    if rebalanceAt <= now {
      rebalanceAt = .distantFuture
      if rebalance() { rebalanceAt = now.advanced(milliseconds: 10) }
    }
    if uncleanElectionAt <= now {
      uncleanElectionAt = .distantFuture
      if electUncleanLeaders() { uncleanElectionAt = now.advanced(milliseconds: 10) }
    }
    if tokenExpiryAt <= now {
      tokenExpiryAt = now.advanced(milliseconds: options.tokenExpiryCheckIntervalMs)
      removeExpiredTokens()
    }
    schedule()
  }

  /// What needs a later look gets one; what needs none costs nothing. Looked at after every step,
  /// because a new metadata.version may bring records that the old one did not have.
  private mutating func schedule() {
    let level = pending.image.metadataVersion
    if noOpAt == .distantFuture, level.hasNoOpRecord, options.maxIdleIntervalMs > 0 {
      noOpAt = now.advanced(milliseconds: options.maxIdleIntervalMs)
    }
    if tokenExpiryAt == .distantFuture, level.hasDelegationTokens, options.hooks.tokenHMAC != nil {
      tokenExpiryAt = now.advanced(milliseconds: options.tokenExpiryCheckIntervalMs)
    }
    if pending.image.topics.imbalancedCount == 0 || !options.base.isLeaderRebalanceEnabled {
      rebalanceAt = .distantFuture
    } else if rebalanceAt == .distantFuture {
      rebalanceAt = now.advanced(
        milliseconds: options.base.leaderImbalanceCheckIntervalSeconds * 1000)
    }
    if pending.image.topics.leaderlessCount == 0 {
      uncleanElectionAt = .distantFuture
    } else if uncleanElectionAt == .distantFuture {
      uncleanElectionAt = now.advanced(milliseconds: options.uncleanElectionIntervalMs)
    }
  }

  /// Gives leadership back to preferred replicas; whether there may be more to do. Unlike in
  /// ZooKeeper mode the percentage of imbalance is not looked at: a move costs a broker little.
  private mutating func rebalance() -> Bool {
    electAll(.preferred) { _, partition in
      partition.hasLeader && !partition.hasPreferredLeader
    }
  }

  /// Out-of-sync leaders for partitions that have none, where the topic allows it.
  private mutating func electUncleanLeaders() -> Bool {
    let draft = PartitionDraft(self)
    return electAll(.unclean) { topic, partition in
      !partition.hasLeader && draft.allowsUncleanElection(topic.name)
    }
  }

  private mutating func electAll(
    _ election: PartitionChangeBuilder.Election,
    where isConcerned: (TopicImage, PartitionImage) -> Bool
  ) -> Bool {
    var draft = PartitionDraft(self)
    draft.image.topics.forEachByID { topic in
      for (number, partition) in topic.partitions.entries
      where draft.records.count < Self.electionsPerRound && isConcerned(topic, partition) {
        var builder = draft.builder(topic, number, partition)
        builder.election = election
        draft.apply(builder)
      }
    }
    let count = draft.records.count
    guard count > 0 else { return false }
    let kind = election == .preferred ? "preferred" : "unclean"
    log("Elected \(count) \(kind) leader(s).")
    append(draft.records, isAtomic: false)
    return count >= Self.electionsPerRound
  }

  private mutating func removeExpiredTokens() {
    let now = wallTime.milliseconds
    var records: [MetadataRecord] = []
    for id in pending.image.delegationTokens.ids {
      guard let token = pending.image.delegationTokens[id],
        token.maxTimestamp < now || token.expirationTimestamp < now
      else { continue }
      log("Delegation token expired for token: \(id) for owner: \(token.owner)")
      records.append(.removeDelegationToken(.init { $0.tokenID = id }))
    }
    append(records, isAtomic: false)
  }
}
