/// The leader's side: progress of the followers, the high watermark, and changes of the ISR.
import Values

extension PartitionReplica {
  mutating func lead(
    _ new: PartitionAssignment, wasLeader: Bool, previous: PartitionAssignment?, at now: Instant,
    into effects: inout [Effect]
  ) {
    role = .leader
    let isNewEpoch = !wasLeader || previous?.leaderEpoch != new.leaderEpoch
    rebuildRemotes(new.replicas)
    // Whatever was proposed before is decided now: the assignment is newer than the proposal.
    inSync.store(new.isr)
    if isNewEpoch {
      epochStartOffset = logEndOffset
      for index in remotes.indices {
        remotes[index].reset(
          leaderEndOffset: logEndOffset, isNewLeader: !wasLeader,
          isInSync: new.isr.contains(remotes[index].broker), at: now)
      }
      effects.append(.becameLeader(epoch: new.leaderEpoch, startOffset: epochStartOffset))
    }
    // The ISR may have shrunk to this replica alone.
    advanceHighWatermark(at: now, into: &effects)
  }

  /// Keeps what is known about replicas that stay.
  private mutating func rebuildRemotes(_ replicas: [BrokerID]) {
    remotes = replicas.filter { $0 != localID }.map { broker in
      var progress =
        remotes.first { $0.broker == broker } ?? ReplicaProgress(broker: broker)
      progress.isEligible = eligibleBrokers?.contains(broker) ?? true
      return progress
    }
  }

  // MARK: Events

  mutating func appended(_ end: Offset, at now: Instant, into effects: inout [Effect]) {
    logEndOffset = end
    // With followers in the ISR only their fetches can move the high watermark.
    if role == .leader { advanceHighWatermark(at: now, into: &effects) }
  }

  mutating func followerFetched(
    _ fetch: FollowerFetch, at now: Instant, into effects: inout [Effect]
  ) {
    guard role == .leader else {
      effects.append(.rejectedFetch(.notLeaderOrFollower))
      return
    }
    guard let index = remotes.firstIndex(where: { $0.broker == fetch.replica }) else {
      effects.append(.rejectedFetch(.notLeaderOrFollower))
      return
    }
    let before = remotes[index].logEndOffset
    guard remotes[index].note(fetch, at: now) else {
      effects.append(.rejectedFetch(.staleBrokerEpoch))
      return
    }
    expandISR(with: index, into: &effects)
    if before != fetch.offset { advanceHighWatermark(at: now, into: &effects) }
  }

  mutating func tick(at now: Instant, into effects: inout [Effect]) {
    guard role == .leader else { return }
    shrinkISR(at: now, into: &effects)
    // A replica that the high watermark waited for may have lost the right to be waited for.
    advanceHighWatermark(at: now, into: &effects)
  }

  mutating func isrAnswered(
    _ answer: ISRAnswer, to proposal: ISRProposal, at now: Instant, into effects: inout [Effect]
  ) {
    // An answer to a proposal that a newer assignment has overtaken says nothing any more.
    guard role == .leader, inSync.proposal == proposal, let current = assignment else { return }
    switch answer {
    case .failed: effects.append(.proposeISR(proposal))
    case .superseded: break
    case .refused: inSync.abandonProposal()
    case .stored(let leaderEpoch, let partitionEpoch, let isr):
      guard leaderEpoch == current.leaderEpoch, partitionEpoch >= current.partitionEpoch else {
        return
      }
      let before = inSync.stored.count
      inSync.store(isr)
      assignment?.isr = isr
      assignment?.partitionEpoch = partitionEpoch
      if isr.count != before { effects.append(.isrChanged(grew: isr.count > before)) }
      advanceHighWatermark(at: now, into: &effects)
    }
  }

  // MARK: ISR

  /// A follower may join once it has everything that was ever acknowledged: it has reached the high
  /// watermark, and it has read into the current leader's term, so that nothing it holds can be
  /// cut.
  private mutating func expandISR(with index: Int, into effects: inout [Effect]) {
    let remote = remotes[index]
    guard !inSync.isInFlight, remote.isEligible, !inSync.stored.contains(remote.broker),
      remote.logEndOffset >= highWatermark, remote.logEndOffset >= epochStartOffset
    else { return }
    propose(inSync.stored + [remote.broker], newcomer: remote.broker, into: &effects)
  }

  private mutating func shrinkISR(at now: Instant, into effects: inout [Effect]) {
    guard !inSync.isInFlight else { return }
    let kept = inSync.stored.filter { broker in
      guard broker != localID, let remote = remotes.first(where: { $0.broker == broker }) else {
        return broker == localID
      }
      return remote.isCaughtUp(
        leaderEndOffset: logEndOffset, at: now, maxLagMs: limits.maxLagMs)
    }
    if kept.count < inSync.stored.count { propose(kept, newcomer: nil, into: &effects) }
  }

  private mutating func propose(
    _ isr: [BrokerID], newcomer: BrokerID?, into effects: inout [Effect]
  ) {
    guard let assignment else { return }
    let members = isr.map { broker in
      ISRProposal.Member(
        broker: broker, epoch: remotes.first { $0.broker == broker }?.brokerEpoch ?? .none)
    }
    let proposal = ISRProposal(
      leaderEpoch: assignment.leaderEpoch, partitionEpoch: assignment.partitionEpoch, isr: members)
    inSync.propose(proposal, newcomer: newcomer)
    effects.append(.proposeISR(proposal))
  }

  // MARK: High watermark

  /// The smallest log end among the replicas that must be waited for.
  ///
  /// Those are the maximal ISR and, so that a follower that has caught up can join instead of being
  /// outrun for ever, every eligible replica within the lag limit. Below the minimum the high
  /// watermark stands still (KIP-966): what few replicas hold is not yet safe to show.
  mutating func advanceHighWatermark(at now: Instant, into effects: inout [Effect]) {
    guard role == .leader, inSync.stored.count >= effectiveMinInSync else { return }
    var lowest = logEndOffset
    for remote in remotes where remote.logEndOffset < lowest {
      let mustWait =
        inSync.mayContain(remote.broker)
        || (remote.isEligible
          && remote.isCaughtUp(
            leaderEndOffset: logEndOffset, at: now, maxLagMs: limits.maxLagMs))
      if mustWait { lowest = remote.logEndOffset }
    }
    raiseHighWatermark(to: lowest, into: &effects)
  }

  /// `min.insync.replicas` cannot ask for more replicas than there are.
  var effectiveMinInSync: Int { min(limits.minInSyncReplicas, remotes.count + 1) }
}
