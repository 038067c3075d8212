import KafkaProtocol
import Values

// Serving: a leader's answers to fetches, at once or when there is something to say.

/// A fetch that found nothing yet.
struct ParkedFetch: Sendable {
  let id: RequestID
  let request: FetchRequest
  let deadline: Instant
}

extension RaftMachine {
  /// Fetches parked at most; more of them are answered without waiting.
  static var maxParkedFetches: Int { 4096 }

  // MARK: Fetch

  mutating func answer(_ request: FetchRequest, _ id: RequestID) {
    guard isOwnCluster(request.clusterID) else {
      return refuse(.fetch(request), id, .inconsistentClusterID)
    }
    guard request.maxWaitMs >= 0, request.fetchOffset >= 0,
      request.lastFetchedEpoch >= LeaderEpoch(0),
      request.lastFetchedEpoch <= request.currentLeaderEpoch,
      // Its own name under somebody else's fetch: two nodes with one id.
      !isLeader || request.replica.id != own.id
    else { return respond(to: id, error: .invalidRequest) }
    let error = leaderError(request.currentLeaderEpoch)
    guard error == .none, case .leader(let leader) = role else {
      return respond(to: id, error: error)
    }
    // A replica fetches one place at a time: what it asked before is of no interest to it any more.
    if request.replica.id >= BrokerID(0) { supersede(request.replica) }

    switch log.position(of: request.fetchOffset, epoch: request.lastFetchedEpoch) {
    case .diverging(let end): respond(to: id, diverging: end)
    case .snapshot(let snapshot): respond(to: id, snapshot: snapshot)
    case .valid:
      noteFetch(request)
      // The fetch itself may have raised the high watermark, or completed a resignation.
      guard isLeader else { return respond(to: id, error: .notLeaderOrFollower) }
      let told = leader.progress(of: request.replica)?.toldHighWatermark ?? -1
      let hasNews = request.replica.id >= BrokerID(0) && (highWatermark ?? -1) > told
      let hasRecords = request.fetchOffset < log.drainedEnd
      if hasRecords || hasNews || request.maxWaitMs == 0
        || parkedFetches.count >= Self.maxParkedFetches
      {
        return respond(to: id, records: request)
      }
      parkedFetches.append(
        ParkedFetch(
          id: id, request: request, deadline: deadline(inMs: Int64(request.maxWaitMs))))
    }
  }

  /// A replica's fetch says how much of the log it has on disk.
  private mutating func noteFetch(_ request: FetchRequest) {
    guard request.replica.id >= BrokerID(0), case .leader(var leader) = role else { return }
    leader.fetched(
      request.replica, from: request.fetchOffset, leaderEnd: log.drainedEnd, at: now,
      checkQuorumMs: checkQuorumMs)
    role = .leader(leader)
    if leader.isVoter(request.replica) { raiseLeaderHighWatermark() }
  }

  private mutating func respond(to id: RequestID, error: ErrorCode) {
    let response = FetchResponse(
      error: error, leader: currentLeader, highWatermark: -1, logStartOffset: log.startOffset)
    effects.append(.respond(id, .fetch(response)))
  }

  private mutating func respond(
    to id: RequestID, diverging: OffsetAndEpoch? = nil, snapshot: SnapshotID? = nil
  ) {
    let response = FetchResponse(
      leader: currentLeader, highWatermark: highWatermark ?? -1, logStartOffset: log.startOffset,
      divergingEpoch: diverging, snapshotID: snapshot)
    effects.append(.respond(id, .fetch(response)))
  }

  private mutating func respond(to id: RequestID, records request: FetchRequest) {
    var response = FetchResponse(
      leader: currentLeader, highWatermark: highWatermark ?? -1, logStartOffset: log.startOffset)
    if request.fetchOffset < log.drainedEnd {
      response.records = .read(
        from: request.fetchOffset, to: log.drainedEnd, maxBytes: request.maxBytes)
    }
    effects.append(.respond(id, .fetch(response)))
    guard request.replica.id >= BrokerID(0), case .leader(var leader) = role else { return }
    leader.told(request.replica, highWatermark: highWatermark ?? -1)
    role = .leader(leader)
  }

  // MARK: Parked fetches

  /// Answers all that wait: there are new records, or the high watermark is higher.
  mutating func wakeParkedFetches() {
    let woken = parkedFetches
    parkedFetches.removeAll()
    for fetch in woken { respond(to: fetch.id, records: fetch.request) }
  }

  mutating func pollParkedFetches() -> Instant {
    for fetch in parkedFetches where now >= fetch.deadline {
      respond(to: fetch.id, records: fetch.request)
    }
    parkedFetches.removeAll { now >= $0.deadline }
    return parkedFetches.map(\.deadline).min() ?? .distantFuture
  }

  /// They shall look for the new leader without waiting for the old one.
  mutating func rejectParkedFetches() {
    for fetch in parkedFetches { respond(to: fetch.id, error: .notLeaderOrFollower) }
    parkedFetches.removeAll()
  }

  private mutating func supersede(_ replica: ReplicaKey) {
    for fetch in parkedFetches where fetch.request.replica == replica {
      respond(to: fetch.id, records: fetch.request)
    }
    parkedFetches.removeAll { $0.request.replica == replica }
  }
}
