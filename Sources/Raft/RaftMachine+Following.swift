import KafkaProtocol
import Values

// Following: fetching the leader's log, cutting off what it does not have, and finding a leader.
//
// There is one fetch at a time for one place in the log, and none while the disk is behind: the
// offset fetched from is a promise that everything below it is durable here.

extension RaftMachine {
  // MARK: What is due

  /// A voter's turn as follower.
  mutating func pollFollower(_ follower: Follower) -> Instant {
    guard !waitsForDisk else { return .distantFuture }
    if now >= follower.fetchDeadline { return campaign() }
    if now >= follower.updateDeadline { updateVoter(follower) }
    guard case .follower(let follower) = role else { return now }
    var next = follower.fetchDeadline
    // An update that is due goes out as soon as the fetch under way is answered.
    if now < follower.updateDeadline { next = min(next, follower.updateDeadline) }
    guard let leader = node(of: follower) else { return next }
    return min(next, send(to: leader, nextFetch(follower)))
  }

  /// An observer's turn. Its leader may be gone for good: it asks around whenever the leader does
  /// not answer, but never two nodes at once.
  mutating func pollObserver(_ follower: Follower) -> Instant {
    guard !waitsForDisk else { return .distantFuture }
    if now >= follower.fetchDeadline { return askAround() }
    guard let leader = node(of: follower) else { return askAround() }
    var next = min(follower.fetchDeadline, pollJoining())
    if connections.hasTimedOut(leader.id, at: now) {
      connections.reset(leader.id)
      next = min(next, askAround())
    } else if connections.isBackingOff(leader.id, at: now) {
      next = min(next, askAround())
    } else if let busy = connections.busyUntil(at: now) {
      next = min(next, busy)
    } else {
      next = min(next, send(to: leader, nextFetch(follower)))
    }
    return next
  }

  /// Asks some bootstrap server for the leader, by fetching from it.
  mutating func askAround() -> Instant {
    if waitsForDisk { return .distantFuture }
    if let busy = connections.busyUntil(at: now) { return busy }
    let nodes = nodesToAsk
    guard !nodes.isEmpty else { return .distantFuture }
    let first = Int(random.next() % UInt64(nodes.count))
    var next = Instant.distantFuture
    for step in nodes.indices {
      let node = nodes[(first + step) % nodes.count]
      switch connections.readiness(node.id, at: now) {
      case .ready:
        return send(to: node, .fetch(fetchRequest(maxWaitMs: options.fetchMaxWaitMs)))
      case .busy(let until): next = min(next, until)
      }
    }
    return next
  }

  /// The bootstrap servers, else the voters; never this node itself.
  private var nodesToAsk: [RaftNode] {
    var nodes = configuration.bootstrapNodes
    if nodes.isEmpty {
      nodes = voters.voters.compactMap { $0.node(listener: configuration.listener) }
    }
    return nodes.filter { node in
      node.id != own.id
        && !configuration.endpoints.contains { $0.host == node.host && $0.port == node.port }
    }
  }

  func node(of follower: Follower) -> RaftNode? {
    follower.endpoints.first { $0.listener == configuration.listener }
      .map { RaftNode(id: follower.leader, host: $0.host, port: $0.port) }
  }

  /// Whether what is written has to be synced before this replica may speak of it.
  var flushesFetches: Bool { isVoter || configuration.flushesAsObserver }

  private var waitsForDisk: Bool {
    installing != nil || (flushesFetches && log.durableEnd < log.endOffset)
  }

  private func nextFetch(_ follower: Follower) -> RaftRequest {
    guard let snapshot = follower.snapshot else {
      return .fetch(fetchRequest(maxWaitMs: options.fetchMaxWaitMs))
    }
    return .fetchSnapshot(
      FetchSnapshotRequest(
        clusterID: configuration.clusterID, replica: own, maxBytes: options.fetchMaxBytes,
        currentLeaderEpoch: epoch, snapshotID: snapshot.id, position: snapshot.position))
  }

  func fetchRequest(maxWaitMs: Int32) -> FetchRequest {
    FetchRequest(
      clusterID: configuration.clusterID, replica: own, currentLeaderEpoch: epoch,
      fetchOffset: log.endOffset, lastFetchedEpoch: log.lastEpoch, maxWaitMs: maxWaitMs,
      maxBytes: options.fetchMaxBytes)
  }

  // MARK: Answers

  mutating func take(_ response: FetchResponse, from inflight: Inflight) -> Bool {
    guard response.topLevelError == .none else {
      return unexpected(response.topLevelError, inflight)
    }
    switch common(response.error, response.leader, inflight) {
    case .done(let succeeded): return succeeded
    case .proceed: break
    }
    guard response.error == .none else { return unexpected(response.error, inflight) }
    guard case .follower(let follower) = role, case .fetch(let request) = inflight.request,
      response.leader.id == follower.leader
    else { return true }
    // Two answers for one place may be on their way when the leader was searched for; the second
    // one means nothing for the log as it is now.
    let isCurrent =
      installing == nil && request.fetchOffset == log.endOffset
      && request.lastFetchedEpoch == log.lastEpoch
    if isCurrent {
      let succeeded: Bool
      if let diverging = response.divergingEpoch {
        succeeded = truncate(to: diverging)
      } else if let id = response.snapshotID {
        succeeded = beginFetching(id)
      } else {
        succeeded = append(response)
      }
      guard succeeded else { return false }
    }
    heardLeader()
    return true
  }

  /// When the leader will be taken for dead, unless it answers before. Up to a tenth later than
  /// configured: a leader answers all its followers at once, and if they gave it up at once, too,
  /// they would vote for themselves all together.
  mutating func nextFetchDeadline() -> Instant {
    let spread = Int64(random.next() % UInt64(max(1, options.fetchTimeoutMs / 10)))
    return deadline(inMs: options.fetchTimeoutMs + spread)
  }

  /// The leader is alive, and of use to this replica.
  mutating func heardLeader() {
    guard case .follower(var follower) = role else { return }
    follower.fetchDeadline = nextFetchDeadline()
    follower.lastHeard = now
    role = .follower(follower)
  }

  /// Cuts off what the leader does not have.
  private mutating func truncate(to leaderEnd: OffsetAndEpoch) -> Bool {
    let end = log.truncationPoint(for: leaderEnd)
    let committed = max(announcedHighWatermark, log.startOffset)
    guard end >= committed, end < log.endOffset else {
      complain(
        "The leader of epoch \(epoch.rawValue) ends epoch \(leaderEnd.epoch.rawValue) at "
          + "\(leaderEnd.offset): truncation to \(end) is not possible here, where the log ends at "
          + "\(log.endOffset) and is committed up to \(committed)")
      return false
    }
    note(
      .info,
      "Truncating to \(end) as the leader's log ends epoch \(leaderEnd.epoch.rawValue) "
        + "at \(leaderEnd.offset)")
    let before = voters
    log.truncate(to: end)
    effects.append(.truncate(to: end))
    announceVoters(unless: before)
    return true
  }

  private mutating func append(_ response: FetchResponse) -> Bool {
    leaderHighWatermark = max(leaderHighWatermark, response.highWatermark)
    if case .batches(let batches) = response.records, !batches.isEmpty {
      guard areConsecutive(batches) else {
        complain("The leader of epoch \(epoch.rawValue) sent batches that do not follow the log")
        return false
      }
      let before = voters
      for batch in batches { log.append(batch) }
      effects.append(.append(batches))
      if flushesFetches { effects.append(.flush) }
      announceVoters(unless: before)
    }
    raiseFollowerHighWatermark()
    return true
  }

  /// Whether the batches continue this log, in epochs that do not fall or come from the future.
  private func areConsecutive(_ batches: [FetchedBatch]) -> Bool {
    var end = log.end
    for batch in batches {
      guard batch.baseOffset == end.offset, batch.lastOffset >= batch.baseOffset,
        batch.epoch >= end.epoch, batch.epoch <= epoch
      else { return false }
      end = OffsetAndEpoch(offset: batch.lastOffset + 1, epoch: batch.epoch)
    }
    return true
  }

  /// What is committed, as far as it is here; and on disk, lest a snapshot of it outlive its
  /// records.
  mutating func raiseFollowerHighWatermark() {
    guard !isLeader, leaderHighWatermark >= 0 else { return }
    let limit = min(leaderHighWatermark, flushesFetches ? log.durableEnd : log.endOffset)
    raiseHighWatermark(to: limit)
  }

  mutating func raiseHighWatermark(to offset: Offset) {
    guard offset > highWatermark ?? -1 else { return }
    highWatermark = offset
    guard offset > announcedHighWatermark else { return }
    announcedHighWatermark = offset
    effects.append(.committed(upTo: offset))
  }

  mutating func announceVoters(unless before: VoterSet) {
    guard voters != before else { return }
    effects.append(.votersChanged(voters, offset: log.lastVoters?.offset ?? -1))
    // Whoever finds itself a voter without a leader has an election to wait for.
    if case .unattached(var unattached) = role, isVoter,
      unattached.electionDeadline == .distantFuture
    {
      unattached.electionDeadline = electionDeadline()
      role = .unattached(unattached)
    }
  }

  // MARK: The disk

  mutating func flushed(upTo offset: Offset) {
    let before = log.durableEnd
    log.flushed(upTo: offset)
    guard log.durableEnd > before else { return }
    if isLeader {
      raiseLeaderHighWatermark()
    } else {
      raiseFollowerHighWatermark()
      resumeFetching()
    }
  }

  /// The time that this replica's own disk took is not the leader's fault.
  mutating func resumeFetching() {
    guard !waitsForDisk, case .follower(var follower) = role else { return }
    follower.fetchDeadline = max(follower.fetchDeadline, nextFetchDeadline())
    role = .follower(follower)
  }
}
