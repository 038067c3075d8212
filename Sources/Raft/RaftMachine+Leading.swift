import KafkaProtocol
import Values

// Leading: appending, counting who has what, and noticing that nobody listens any more.

extension RaftMachine {
  // MARK: What is due

  mutating func pollLeader() -> Instant {
    guard case .leader(let leader) = role else { return .distantFuture }
    let isAlone = voters.isOnlyVoter(own)
    let isUnheard = !isAlone && now >= leader.checkQuorumDeadline
    if isUnheard {
      note(
        .warn,
        "No fetches of a majority of the voters \(voters.ids.map(\.rawValue)) for "
          + "\(checkQuorumMs) ms; resigning from epoch \(epoch.rawValue)")
    }
    if shutdownDeadline != nil || leader.isResigning || isUnheard {
      becomeResigned()
      return now
    }
    var next = expireVoterChange()
    next = min(next, pollLinger())
    next = min(next, announceEpoch())
    return isAlone ? next : min(next, leader.checkQuorumDeadline)
  }

  private mutating func pollLinger() -> Instant {
    guard case .leader(let leader) = role, let deadline = leader.lingerDeadline else {
      return .distantFuture
    }
    guard now >= deadline || leader.lingeringBytes >= options.maxUndrainedBytes else {
      return deadline
    }
    drain()
    return .distantFuture
  }

  /// Tells the other voters who leads, again and again: those that missed it have no other way to
  /// know.
  private mutating func announceEpoch() -> Instant {
    guard case .leader(var leader) = role else { return .distantFuture }
    guard now >= leader.beginDeadline else { return leader.beginDeadline }
    for voter in voters.voters where voter.key.id != own.id {
      guard let node = node(of: voter.key.id) else { continue }
      let request = BeginQuorumEpochRequest(
        clusterID: configuration.clusterID, voter: voter.key, leader: own.id, epoch: epoch,
        leaderEndpoints: configuration.endpoints)
      _ = send(to: node, .beginQuorumEpoch(request))
    }
    leader.beginDeadline = deadline(inMs: max(1, options.fetchTimeoutMs / 2))
    role = .leader(leader)
    return leader.beginDeadline
  }

  // MARK: Appending

  mutating func append(_ token: Token, count: Int, bytes: Int, epoch: LeaderEpoch) {
    guard case .leader(var leader) = role, epoch == self.epoch, count > 0, !leader.isResigning
    else {
      effects.append(.refuse(token, .notLeaderOrFollower))
      return
    }
    effects.append(.write(token, baseOffset: log.endOffset, epoch: epoch))
    log.append(count, epoch: epoch)
    leader.lingeringBytes += bytes
    if leader.lingerDeadline == nil {
      leader.lingerDeadline = deadline(inMs: options.appendLingerMs)
    }
    role = .leader(leader)
  }

  /// Shows what was appended to the followers, and has it synced.
  mutating func drain() {
    guard case .leader(var leader) = role else { return }
    leader.lingerDeadline = nil
    leader.lingeringBytes = 0
    role = .leader(leader)
    guard log.drainedEnd < log.endOffset else { return }
    log.drain()
    effects.append(.flush)
    wakeParkedFetches()
  }

  /// Writes control records in one batch; they do not linger.
  mutating func writeControl(_ records: [ControlRecord]) {
    let base = log.endOffset
    let before = voters
    effects.append(.writeControl(records, baseOffset: base, epoch: epoch))
    log.append(records.count, epoch: epoch)
    for (index, record) in records.enumerated() {
      switch record {
      case .leaderChange: break
      case .kraftVersion(let level): log.noteKRaftVersion(level, at: base + Offset(index))
      case .voters(let set): log.noteVoters(set, at: base + Offset(index))
      }
    }
    if voters != before, case .leader(var leader) = role {
      leader.apply(voters)
      role = .leader(leader)
    }
    announceVoters(unless: before)
    drain()
  }

  /// The first records of an epoch: who leads it, and the voters if no record has them yet or this
  /// replica listens elsewhere than they say.
  mutating func writeStartOfEpoch(grantedBy granting: [BrokerID]) {
    var records: [ControlRecord] = [
      .leaderChange(leader: own.id, voters: voters.ids, grantingVoters: granting)
    ]
    if log.kraftVersion > 0, let entry = log.lastVoters,
      entry.offset < 0 || voters.needsUpdate(configuration.ownVoter),
      let updated = voters.updating(configuration.ownVoter)
    {
      records.append(.kraftVersion(log.kraftVersion))
      records.append(.voters(updated))
    }
    writeControl(records)
  }

  // MARK: High watermark

  mutating func raiseLeaderHighWatermark() {
    guard case .leader(var leader) = role,
      let offset = leader.nextHighWatermark(ownDurableEnd: log.durableEnd)
    else { return }
    leader.highWatermark = offset
    role = .leader(leader)
    raiseHighWatermark(to: offset)
    completeVoterChange()
    // Followers and observers learn of it at once, not with the next records.
    wakeParkedFetches()
  }

  // MARK: Orders

  mutating func resign(from epoch: LeaderEpoch) {
    guard epoch == self.epoch, case .leader(var leader) = role else { return }
    note(.info, "Asked to resign from epoch \(epoch.rawValue)")
    leader.isResigning = true
    role = .leader(leader)
  }

  // MARK: DescribeQuorum

  mutating func describeQuorum(_ id: RequestID) {
    guard case .leader(var leader) = role else {
      let response = DescribeQuorumResponse(error: .notLeaderOrFollower, leader: currentLeader)
      effects.append(.respond(id, .describeQuorum(response)))
      return
    }
    leader.forgetObservers(silentForMs: options.observerSessionMs, at: now)
    role = .leader(leader)
    func figures(_ progress: Progress) -> DescribeQuorumResponse.Replica {
      if progress.key.means(own) {
        return DescribeQuorumResponse.Replica(
          key: own, logEndOffset: log.drainedEnd, lastFetch: now, lastCaughtUp: now)
      }
      return DescribeQuorumResponse.Replica(
        key: progress.key, logEndOffset: progress.endOffset ?? -1, lastFetch: progress.lastFetch,
        lastCaughtUp: progress.lastCaughtUp)
    }
    var observers = leader.observers.filter { $0.key != own }.map(figures)
    // A leader that is being removed still has the log.
    if !leader.isVoter { observers.append(figures(Progress(key: own))) }
    let response = DescribeQuorumResponse(
      leader: currentLeader, highWatermark: leader.highWatermark ?? -1,
      voters: leader.voters.map(figures), observers: observers.sorted { $0.key < $1.key },
      nodes: voters.voters)
    effects.append(.respond(id, .describeQuorum(response)))
  }
}
