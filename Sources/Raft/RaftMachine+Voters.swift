import KafkaProtocol
import Values

// Changes of the voter set (KIP-853): one voter at a time, and none before the last change and a
// record of the leader's own epoch are committed. Only then do the majorities before and after it
// always meet.

extension RaftMachine {
  // MARK: What stands against a change

  /// Why the voters cannot be changed now; nil if they can.
  private mutating func objection() -> VoterChangeResponse? {
    guard case .leader(let leader) = role else { return VoterChangeResponse(.notLeaderOrFollower) }
    if leader.add != nil || leader.remove != nil {
      return VoterChangeResponse(
        .requestTimedOut, "The leader is still busy with another change of the voters")
    }
    guard let highWatermark = leader.highWatermark else {
      return VoterChangeResponse(
        .requestTimedOut, "The leader has not committed a record of its epoch yet")
    }
    guard log.kraftVersion > 0 else {
      return VoterChangeResponse(
        .unsupportedVersion, "kraft.version is 0: the voters of this cluster are static")
    }
    guard let entry = log.lastVoters, entry.offset < highWatermark else {
      return VoterChangeResponse(
        .requestTimedOut, "The last change of the voters is not committed yet")
    }
    return nil
  }

  private func hasOwnListener(_ id: BrokerID, _ endpoints: [Endpoint]) -> Bool {
    id >= BrokerID(0) && hasOwnListener(endpoints)
  }

  // MARK: AddRaftVoter

  mutating func answer(_ request: AddVoterRequest, _ id: RequestID) {
    func respond(_ response: VoterChangeResponse) {
      effects.append(.respond(id, .addVoter(response)))
    }
    if let problem = problem(clusterID: request.clusterID, voter: request.voter) {
      return respond(problem)
    }
    guard hasOwnListener(request.endpoints) else {
      return respond(
        VoterChangeResponse(
          .invalidRequest, "The new voter has no endpoint for listener \(configuration.listener)"))
    }
    if let objection = objection() { return respond(objection) }
    guard voters[request.voter.id] == nil else {
      return respond(
        VoterChangeResponse(
          .duplicateVoter, "Node \(request.voter.id.rawValue) is a voter already"))
    }
    // The new voter itself is asked which levels it supports: it must be there, too.
    let voter = Voter(request.voter, endpoints: request.endpoints)
    guard case .leader(var leader) = role, let node = voter.node(listener: configuration.listener),
      connections.readiness(node.id, at: now) == .ready
    else {
      return respond(
        VoterChangeResponse(.requestTimedOut, "The new voter cannot be asked at the moment"))
    }
    let correlation = connections.sent(.apiVersions, to: node, at: now)
    effects.append(.send(.apiVersions, to: node, correlation))
    let patience = deadline(
      inMs: request.timeoutMs > 0 ? Int64(request.timeoutMs) : options.requestTimeoutMs)
    leader.add = PendingAdd(
      request: id, voter: request.voter, endpoints: request.endpoints,
      patience: patience, deadline: min(patience, deadline(inMs: options.requestTimeoutMs)),
      asking: correlation)
    role = .leader(leader)
  }

  /// The new voter's levels, or why they could not be had.
  mutating func take(_ response: ApiVersionsResponse, from inflight: Inflight) -> Bool {
    guard case .leader(var leader) = role, var add = leader.add,
      add.asking == inflight.correlation
    else { return true }
    func abort(_ error: ErrorCode, _ message: String) {
      leader.add = nil
      role = .leader(leader)
      fail(add, error, message)
    }
    guard response.error == .none else {
      abort(.requestTimedOut, "The new voter answers ApiVersions with \(response.error)")
      return false
    }
    guard let levels = response.kraftVersions, levels.contains(log.kraftVersion) else {
      abort(
        .invalidRequest, "The new voter does not support kraft.version \(log.kraftVersion)")
      return true
    }
    guard isCaughtUp(leader.progress(of: add.voter)) else {
      abort(.requestTimedOut, "The new voter has not caught up with the log")
      return true
    }
    let voter = Voter(add.voter, endpoints: add.endpoints, kraftVersions: levels)
    guard let changed = voters.adding(voter) else {
      abort(.duplicateVoter, "Node \(add.voter.id.rawValue) is a voter already")
      return true
    }
    add.asking = nil
    add.deadline = add.patience
    add.offset = log.endOffset
    leader.add = add
    role = .leader(leader)
    writeControl([.voters(changed)])
    return true
  }

  /// Whether a replica's log has reached the leader's, and it is still there.
  private func isCaughtUp(_ progress: Progress?) -> Bool {
    guard let progress, progress.lastCaughtUp != nil, let last = progress.lastFetch else {
      return false
    }
    return now.milliseconds(since: last) < 3_600_000
  }

  mutating func fail(_ add: PendingAdd?, _ error: ErrorCode, _ message: String? = nil) {
    guard let add else { return }
    effects.append(.respond(add.request, .addVoter(VoterChangeResponse(error, message))))
  }

  // MARK: RemoveRaftVoter

  mutating func answer(_ request: RemoveVoterRequest, _ id: RequestID) {
    func respond(_ response: VoterChangeResponse) {
      effects.append(.respond(id, .removeVoter(response)))
    }
    if let problem = problem(clusterID: request.clusterID, voter: request.voter) {
      return respond(problem)
    }
    if let objection = objection() { return respond(objection) }
    guard case .leader(var leader) = role, let changed = voters.removing(request.voter) else {
      return respond(
        VoterChangeResponse(
          .voterNotFound, "\(request.voter) is not a voter, or the only one"))
    }
    leader.remove = PendingRemove(
      request: id, deadline: deadline(inMs: options.requestTimeoutMs), offset: log.endOffset)
    role = .leader(leader)
    writeControl([.voters(changed)])
  }

  /// What is wrong with a tool's request, wherever it came to.
  private func problem(clusterID: String?, voter: ReplicaKey) -> VoterChangeResponse? {
    guard isOwnCluster(clusterID) else {
      return VoterChangeResponse(
        .inconsistentClusterID,
        "The cluster id \(clusterID ?? "") is not this cluster's (\(configuration.clusterID))")
    }
    let error = leaderError(epoch)
    guard error == .none else { return VoterChangeResponse(error) }
    guard voter.id >= BrokerID(0), !voter.directory.isZero else {
      return VoterChangeResponse(.invalidRequest, "The request names no valid voter")
    }
    return nil
  }

  // MARK: UpdateRaftVoter

  mutating func answer(_ request: UpdateVoterRequest, _ id: RequestID) {
    let error = updateError(request)
    if error == .none {
      let levels = request.minKRaftVersion...request.maxKRaftVersion
      let voter = Voter(request.voter, endpoints: request.endpoints, kraftVersions: levels)
      if let changed = voters.updating(voter) { writeControl([.voters(changed)]) }
    }
    let response = UpdateVoterResponse(error, leader: currentLeader)
    effects.append(.respond(id, .updateVoter(response)))
  }

  private mutating func updateError(_ request: UpdateVoterRequest) -> ErrorCode {
    guard isOwnCluster(request.clusterID) else { return .inconsistentClusterID }
    let error = leaderError(request.currentLeaderEpoch)
    guard error == .none else { return error }
    guard request.voter.id >= BrokerID(0), !request.voter.directory.isZero,
      hasOwnListener(request.endpoints), request.minKRaftVersion >= 0,
      request.maxKRaftVersion >= request.minKRaftVersion
    else { return .invalidRequest }
    if let objection = objection() { return objection.error }
    let levels = request.minKRaftVersion...request.maxKRaftVersion
    guard levels.contains(log.kraftVersion) else { return .invalidRequest }
    return voters.isVoter(request.voter) ? .none : .voterNotFound
  }

  /// A follower whose entry in the voters record is out of date says so to the leader.
  mutating func updateVoter(_ follower: Follower) {
    var follower = follower
    defer { role = .follower(follower) }
    guard log.kraftVersion > 0, voters.needsUpdate(configuration.ownVoter),
      let leader = node(of: follower)
    else {
      follower.updateDeadline = deadline(inMs: updateVoterPeriodMs)
      return
    }
    guard connections.readiness(leader.id, at: now) == .ready else { return }
    follower.updateDeadline = deadline(inMs: updateVoterPeriodMs)
    let request = UpdateVoterRequest(
      clusterID: configuration.clusterID, currentLeaderEpoch: epoch, voter: own,
      endpoints: configuration.endpoints, minKRaftVersion: configuration.kraftVersions.lowerBound,
      maxKRaftVersion: configuration.kraftVersions.upperBound)
    _ = send(to: leader, .updateVoter(request))
  }

  mutating func take(_ response: UpdateVoterResponse, from inflight: Inflight) -> Bool {
    switch common(response.error, response.leader, inflight) {
    case .done(let succeeded): return succeeded
    // Whatever else stands against it, it is asked again after a while.
    case .proceed: return true
    }
  }

  // MARK: The end of a change

  /// Gives up on a change that takes too long. Its record, once written, stays in the log.
  mutating func expireVoterChange() -> Instant {
    guard case .leader(var leader) = role else { return .distantFuture }
    if let add = leader.add, now >= add.deadline {
      leader.add = nil
      fail(add, .requestTimedOut)
    }
    if let remove = leader.remove, now >= remove.deadline {
      leader.remove = nil
      let response = VoterChangeResponse(.requestTimedOut)
      effects.append(.respond(remove.request, .removeVoter(response)))
    }
    role = .leader(leader)
    return min(leader.add?.deadline ?? .distantFuture, leader.remove?.deadline ?? .distantFuture)
  }

  /// The high watermark has risen: a change may be committed. A leader that is not a voter any more
  /// has done its duty.
  mutating func completeVoterChange() {
    guard case .leader(var leader) = role, let committed = leader.highWatermark else { return }
    if let add = leader.add, let offset = add.offset, offset < committed {
      leader.add = nil
      effects.append(.respond(add.request, .addVoter(VoterChangeResponse(.none))))
    }
    if let remove = leader.remove, remove.offset < committed {
      leader.remove = nil
      effects.append(.respond(remove.request, .removeVoter(VoterChangeResponse(.none))))
    }
    if let entry = log.lastVoters, entry.offset < committed, !voters.isVoter(own) {
      note(.info, "This leader is not a voter any more; resigning from epoch \(epoch.rawValue)")
      leader.isResigning = true
    }
    role = .leader(leader)
  }
}
