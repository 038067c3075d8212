import KafkaProtocol
import Values

// Snapshots between replicas (KIP-630): a follower too far behind fetches one in pieces, then
// replaces its log by it.

extension RaftMachine {
  // MARK: The leader's side

  mutating func answer(_ request: FetchSnapshotRequest, _ id: RequestID) {
    func respond(_ error: ErrorCode) {
      let response = FetchSnapshotResponse(error: error, leader: currentLeader)
      effects.append(.respond(id, .fetchSnapshot(response)))
    }
    guard isOwnCluster(request.clusterID) else {
      return refuse(.fetchSnapshot(request), id, .inconsistentClusterID)
    }
    let error = leaderError(request.currentLeaderEpoch)
    guard error == .none, case .leader(var leader) = role else { return respond(error) }
    // What the bootstrap snapshot says, the first leader has written to the log.
    guard request.snapshotID != RaftLog.bootstrapSnapshot,
      let snapshot = log.snapshot(request.snapshotID)
    else { return respond(.snapshotNotFound) }
    guard request.position >= 0, request.position < snapshot.size else {
      return respond(.positionOutOfRange)
    }
    leader.heard(request.replica, at: now, checkQuorumMs: checkQuorumMs)
    role = .leader(leader)
    let rest = snapshot.size - request.position
    let count = Int32(min(Int64(max(0, request.maxBytes)), rest))
    let response = FetchSnapshotResponse(
      leader: currentLeader, snapshotID: snapshot.id, size: snapshot.size,
      position: request.position, chunk: .read(count: count))
    effects.append(.respond(id, .fetchSnapshot(response)))
  }

  // MARK: The follower's side

  /// The leader's log does not reach back to where this one ends.
  mutating func beginFetching(_ id: SnapshotID) -> Bool {
    guard case .follower(var follower) = role else { return true }
    // Committed records are in every leader's snapshots, or behind them.
    guard id.offset >= max(announcedHighWatermark, 1), id.epoch >= LeaderEpoch(0) else {
      complain(
        "The leader of epoch \(epoch.rawValue) has snapshot \(id) for a log that ends at "
          + "\(log.end) and is committed up to \(announcedHighWatermark)")
      return false
    }
    note(.info, "Fetching snapshot \(id) from node \(follower.leader.rawValue)")
    follower.snapshot = SnapshotFetch(id: id)
    role = .follower(follower)
    effects.append(.beginSnapshot(id))
    return true
  }

  mutating func take(_ response: FetchSnapshotResponse, from inflight: Inflight) -> Bool {
    guard response.topLevelError == .none else {
      return unexpected(response.topLevelError, inflight)
    }
    switch common(response.error, response.leader, inflight) {
    case .done(let succeeded): return succeeded
    case .proceed: break
    }
    guard case .follower(var follower) = role, var snapshot = follower.snapshot,
      case .fetchSnapshot(let request) = inflight.request, request.snapshotID == snapshot.id
    else { return true }
    if response.error == .snapshotNotFound
      || (response.error == .none && response.snapshotID == nil)
    {
      // Deleted meanwhile: the next fetch names a newer one.
      note(.info, "Snapshot \(snapshot.id) is not at the leader any more")
      abandonSnapshot(snapshot.id)
      heardLeader()
      return false
    }
    guard response.error == .none else { return unexpected(response.error, inflight) }
    guard response.snapshotID == snapshot.id, response.position == snapshot.position,
      case .bytes(let token, let count) = response.chunk, count > 0,
      count <= response.size - snapshot.position
    else {
      complain(
        "Node \(inflight.node.id.rawValue) sent a piece of snapshot \(snapshot.id) that was not "
          + "asked for; beginning anew")
      abandonSnapshot(snapshot.id)
      return false
    }
    effects.append(.writeSnapshotChunk(snapshot.id, position: snapshot.position, token))
    snapshot.position += count
    follower.snapshot = snapshot
    if snapshot.position == response.size {
      follower.snapshot = nil
      installing = snapshot.id
      effects.append(.installSnapshot(snapshot.id, size: response.size))
    }
    role = .follower(follower)
    heardLeader()
    return true
  }

  private mutating func abandonSnapshot(_ id: SnapshotID) {
    guard case .follower(var follower) = role else { return }
    follower.snapshot = nil
    role = .follower(follower)
    effects.append(.discardSnapshot(id))
  }

  // MARK: The disk

  mutating func installed(_ snapshot: Snapshot, voters newVoters: VoterSet?, kraftVersion: Int16) {
    guard installing == snapshot.id else { return }
    installing = nil
    let before = voters
    log.install(snapshot, voters: newVoters, kraftVersion: kraftVersion)
    leaderHighWatermark = max(leaderHighWatermark, snapshot.id.offset)
    announceVoters(unless: before)
    raiseFollowerHighWatermark()
    resumeFetching()
  }

  mutating func installationFailed(_ id: SnapshotID) {
    guard installing == id else { return }
    installing = nil
    note(.error, "Snapshot \(id) could not be installed")
    resumeFetching()
  }
}
