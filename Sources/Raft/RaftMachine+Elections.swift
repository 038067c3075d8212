import KafkaProtocol
import Values

// Elections: calling one, voting, and the end of an epoch.

/// A vote request that waits, because its receiver still hears its leader.
struct ParkedVote: Sendable {
  let id: RequestID
  let request: VoteRequest
  let deadline: Instant
}

extension RaftMachine {
  /// Vote requests parked at most.
  static var maxParkedVotes: Int { 64 }

  // MARK: What is due

  mutating func pollUnattached(_ unattached: Unattached) -> Instant {
    // Only voters elect; everybody else asks around who leads.
    guard isVoter else { return askAround() }
    guard shutdownDeadline == nil else { return .distantFuture }
    guard now >= unattached.electionDeadline else { return unattached.electionDeadline }
    return campaign()
  }

  mutating func pollCandidate(_ candidate: Candidate) -> Instant {
    if let backoffEnd = candidate.backoffEnd, shutdownDeadline == nil {
      guard now >= backoffEnd else { return backoffEnd }
      return campaign()
    }
    // A candidate that shuts down waits for the outcome: it may have to hand over what it wins.
    if now >= candidate.electionDeadline, shutdownDeadline == nil {
      return backOff(candidate)
    }
    var next = shutdownDeadline == nil ? candidate.electionDeadline : .distantFuture
    for voter in voters.voters {
      let id = voter.key.id
      guard !candidate.granted.contains(id), !candidate.rejected.contains(id),
        let node = node(of: id)
      else { continue }
      let request = VoteRequest(
        clusterID: configuration.clusterID, voter: voter.key, candidate: own, candidateEpoch: epoch,
        logEnd: log.end)
      next = min(next, send(to: node, .vote(request)))
    }
    return next
  }

  mutating func pollResigned(_ resigned: Resigned) -> Instant {
    var next = Instant.distantFuture
    let request = EndQuorumEpochRequest(
      clusterID: configuration.clusterID, leader: own.id, epoch: epoch,
      preferredCandidates: resigned.preferred, leaderEndpoints: [])
    for id in resigned.unacknowledged {
      guard let node = node(of: id) else { continue }
      next = min(next, send(to: node, .endQuorumEpoch(request)))
    }
    guard shutdownDeadline == nil else { return next }
    guard now >= resigned.electionDeadline else { return min(next, resigned.electionDeadline) }
    guard isVoter else {
      // Its epoch must end, or its answers would go on naming it as the leader.
      becomeUnattached(epoch.next)
      return now
    }
    return min(next, campaign())
  }

  /// Calls an election, once a majority of voters has answered something lately; asks those that
  /// have not. A replica that is cut off thus keeps its epoch, and follows again without an
  /// election when it is back.
  ///
  /// The question is a fetch that does not wait: it is valid in every state of its receiver, and
  /// tells of a leader that this replica has missed.
  mutating func campaign() -> Instant {
    // Between two logs there is nothing to stand for.
    guard installing == nil else { return .distantFuture }
    let answering = voters.keys.filter { $0.means(own) || hasAnswered($0.id) }
    if answering.count >= voters.majority {
      becomeCandidate()
      return now
    }
    var next = deadline(inMs: options.electionTimeoutMs)
    for id in others where !hasAnswered(id) {
      guard let node = node(of: id) else { continue }
      next = min(next, send(to: node, .fetch(fetchRequest(maxWaitMs: 0))))
    }
    return next
  }

  private func hasAnswered(_ id: BrokerID) -> Bool {
    guard let last = lastAnswers[id] else { return false }
    return now.milliseconds(since: last) < options.electionTimeoutMs
  }

  private mutating func backOff(_ candidate: Candidate) -> Instant {
    var candidate = candidate
    // Doubling, so that replicas which keep disturbing each other part soon.
    let choices = UInt64(2) << UInt64(min(20, candidate.attempts - 1))
    let wait = min(100 * Int64(random.next() % choices), options.electionBackoffMaxMs)
    note(.info, "Election of epoch \(epoch.rawValue) is lost, backing off for \(wait) ms")
    candidate.backoffEnd = deadline(inMs: wait)
    role = .candidate(candidate)
    return deadline(inMs: wait)
  }

  // MARK: Vote

  mutating func answer(_ request: VoteRequest, _ id: RequestID) {
    func respond(_ error: ErrorCode, granted: Bool = false) {
      let response = VoteResponse(error: error, leader: currentLeader, voteGranted: granted)
      effects.append(.respond(id, .vote(response)))
    }
    guard isOwnCluster(request.clusterID) else {
      return refuse(.vote(request), id, .inconsistentClusterID)
    }
    guard request.logEnd.offset >= 0, request.logEnd.epoch >= LeaderEpoch(0),
      request.logEnd.epoch < request.candidateEpoch
    else { return respond(.invalidRequest) }
    guard request.candidateEpoch >= epoch else { return respond(.fencedLeaderEpoch) }
    guard request.candidate.id >= BrokerID(0), request.candidate.id != own.id else {
      return respond(.invalidRequest)
    }
    if request.candidateEpoch > epoch {
      if let until = heldUntil(against: request.candidate.id),
        parkedVotes.count < Self.maxParkedVotes
      {
        parkedVotes.append(ParkedVote(id: id, request: request, deadline: until))
        return
      }
      becomeUnattached(request.candidateEpoch)
    }
    guard isMeant(request.voter) else { return respond(.invalidVoterKey) }
    let isGranted = grants(request)
    note(
      .info,
      "Vote for \(request.candidate) in epoch \(request.candidateEpoch.rawValue) is "
        + (isGranted ? "granted" : "rejected"))
    respond(.none, granted: isGranted)
  }

  /// Decides on a vote in this epoch, and keeps the promise.
  private mutating func grants(_ request: VoteRequest) -> Bool {
    guard case .unattached(let unattached) = role else { return false }
    if let voted = unattached.voted {
      return voted.means(request.candidate)
    }
    guard unattached.leader == nil, request.logEnd >= log.end else { return false }
    becomeVoted(for: request.candidate)
    return true
  }

  /// Until when this replica holds on to the leader of its epoch whatever others think; nil if it
  /// does not now. Half the fetch timeout: whoever calls an election because the leader is dead has
  /// waited longer than that. A leader that stands again has given up its epoch itself.
  private func heldUntil(against candidate: BrokerID? = nil) -> Instant? {
    let window = options.fetchTimeoutMs / 2
    switch role {
    case .follower(let follower):
      guard isVoter, follower.leader != candidate, let last = follower.lastHeard else { return nil }
      let until = last.advanced(milliseconds: window)
      return now < until ? until : nil
    case .leader(let leader):
      guard !leader.isResigning, leader.voters.count > 1,
        leader.isFollowed(withinMs: window, at: now)
      else { return nil }
      return deadline(inMs: window)
    case .unattached, .candidate, .resigned:
      return nil
    }
  }

  /// Answers the votes whose time has come: by a vote if the leader is silent, else by a rejection.
  mutating func pollParkedVotes() -> Instant {
    let isFree = heldUntil() == nil
    let due = parkedVotes.filter { isFree || now >= $0.deadline }
    guard !due.isEmpty else { return parkedVotes.map(\.deadline).min() ?? .distantFuture }
    parkedVotes.removeAll { isFree || now >= $0.deadline }
    for vote in due {
      let request = vote.request
      if heldUntil(against: request.candidate.id) == nil || request.candidateEpoch <= epoch {
        answer(request, vote.id)
      } else {
        let response = VoteResponse(leader: currentLeader, voteGranted: false)
        effects.append(.respond(vote.id, .vote(response)))
        turnedAway(request.candidateEpoch)
      }
    }
    return parkedVotes.map(\.deadline).min() ?? .distantFuture
  }

  /// A replica that is ahead in epochs, such as a voter that was removed while it was cut off and
  /// has called elections since, cannot follow a leader of an epoch that it has left. As long as
  /// everybody turns it away it stays outside. When that has gone on for long enough, the leader
  /// stands again, in an epoch above the other's: that costs one round of votes, once.
  private mutating func turnedAway(_ candidateEpoch: LeaderEpoch) {
    guard case .leader(var leader) = role else { return }
    var stray = leader.stray ?? Stray(epoch: candidateEpoch, since: now, last: now)
    // Silence in between: that one found back, or is gone.
    if now.milliseconds(since: stray.last) >= 2 * options.fetchTimeoutMs { stray.since = now }
    stray.epoch = max(stray.epoch, candidateEpoch)
    stray.last = now
    leader.stray = stray
    role = .leader(leader)
    guard now.milliseconds(since: stray.since) >= 5 * options.fetchTimeoutMs else { return }
    note(
      .info,
      "A replica in epoch \(stray.epoch.rawValue) cannot follow; standing again above that epoch")
    becomeUnattached(stray.epoch)
    if case .unattached(var unattached) = role, isVoter {
      unattached.electionDeadline = now
      role = .unattached(unattached)
    }
  }

  mutating func take(_ response: VoteResponse, from inflight: Inflight) -> Bool {
    guard response.topLevelError == .none else {
      return unexpected(response.topLevelError, inflight)
    }
    // Whoever still hears its leader keeps its epoch and rejects.
    let isRefusal =
      response.error == .none && !response.voteGranted && response.leader.epoch < epoch
    if !isRefusal {
      switch common(response.error, response.leader, inflight) {
      case .done(let succeeded): return succeeded
      case .proceed: break
      }
      guard response.error == .none else { return unexpected(response.error, inflight) }
    }
    guard case .candidate(var candidate) = role, case .vote(let request) = inflight.request,
      request.candidateEpoch == epoch, let voter = request.voter?.id
    else { return true }
    if response.voteGranted {
      if !candidate.granted.contains(voter) { candidate.granted.append(voter) }
      role = .candidate(candidate)
      leadIfElected()
    } else {
      lose(voter)
    }
    return true
  }

  /// A vote that this candidate will not get in this epoch. When no majority is left to win, there
  /// is no use in waiting for the others.
  mutating func lose(_ voter: BrokerID) {
    guard case .candidate(var candidate) = role else { return }
    if !candidate.rejected.contains(voter) { candidate.rejected.append(voter) }
    role = .candidate(candidate)
    if voters.count - candidate.rejected.count < voters.majority, candidate.backoffEnd == nil {
      _ = backOff(candidate)
    }
  }

  // MARK: BeginQuorumEpoch

  mutating func answer(_ request: BeginQuorumEpochRequest, _ id: RequestID) {
    guard isOwnCluster(request.clusterID) else {
      return refuse(.beginQuorumEpoch(request), id, .inconsistentClusterID)
    }
    var error = leadershipError(request.leader, request.epoch)
    if error == .none {
      let endpoints = endpoints(of: request.leader, orElse: request.leaderEndpoints)
      if !learn(request.leader, request.epoch, endpoints) {
        error = .invalidRequest
      } else if !isMeant(request.voter) {
        error = .invalidVoterKey
      }
    }
    let response = QuorumEpochResponse(error: error, leader: currentLeader)
    effects.append(.respond(id, .beginQuorumEpoch(response)))
  }

  mutating func takeBegin(_ response: QuorumEpochResponse, from inflight: Inflight) -> Bool {
    guard response.topLevelError == .none else {
      return unexpected(response.topLevelError, inflight)
    }
    switch common(response.error, response.leader, inflight) {
    case .done(let succeeded): return succeeded
    case .proceed: return response.error == .none || unexpected(response.error, inflight)
    }
  }

  // MARK: EndQuorumEpoch

  mutating func answer(_ request: EndQuorumEpochRequest, _ id: RequestID) {
    guard isOwnCluster(request.clusterID) else {
      return refuse(.endQuorumEpoch(request), id, .inconsistentClusterID)
    }
    var error = leadershipError(request.leader, request.epoch)
    if error == .none {
      let endpoints = endpoints(of: request.leader, orElse: request.leaderEndpoints)
      if !learn(request.leader, request.epoch, endpoints) { error = .invalidRequest }
    }
    if error == .none, case .follower(var follower) = role, follower.leader == request.leader {
      follower.fetchDeadline = deadline(inMs: successionDelay(request.preferredCandidates))
      // Who resigns does not lead any more: others may have this replica's vote at once.
      follower.lastHeard = nil
      role = .follower(follower)
    }
    let response = QuorumEpochResponse(error: error, leader: currentLeader)
    effects.append(.respond(id, .endQuorumEpoch(response)))
  }

  /// Milliseconds until this replica calls the election: none for the one that is furthest,
  /// doubling from one to the next, so that the best candidate is not disturbed by the others.
  private mutating func successionDelay(_ preferred: [ReplicaKey]) -> Int64 {
    let longest = options.electionBackoffMaxMs
    guard !preferred.isEmpty else {
      return longest > 0 ? Int64(random.next() % UInt64(longest)) : 0
    }
    guard let position = preferred.firstIndex(where: { $0.means(own) }) else { return longest }
    guard position > 0 else { return 0 }
    let shortest = longest >> Int64(min(62, preferred.count - 1))
    return min(longest, shortest << Int64(min(62, position - 1)))
  }

  mutating func takeEnd(_ response: QuorumEpochResponse, from inflight: Inflight) -> Bool {
    guard response.topLevelError == .none else {
      return unexpected(response.topLevelError, inflight)
    }
    switch common(response.error, response.leader, inflight) {
    case .done(let succeeded): return succeeded
    case .proceed: break
    }
    guard response.error == .none else { return unexpected(response.error, inflight) }
    if case .resigned(var resigned) = role {
      resigned.unacknowledged.removeAll { $0 == inflight.node.id }
      role = .resigned(resigned)
    }
    return true
  }

  // MARK: Checks

  /// Of whoever claims to lead, or to be about to.
  private func leadershipError(_ sender: BrokerID, _ requestEpoch: LeaderEpoch) -> ErrorCode {
    if requestEpoch < epoch { return .fencedLeaderEpoch }
    return sender < BrokerID(0) ? .invalidRequest : .none
  }

  /// A request without cluster id is taken as it is.
  func isOwnCluster(_ id: String?) -> Bool { id == nil || id == configuration.clusterID }

  /// Whether a request that names its receiver names this replica.
  private func isMeant(_ voter: ReplicaKey?) -> Bool { voter?.means(own) ?? true }
}
