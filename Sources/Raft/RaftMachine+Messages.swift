import KafkaProtocol
import Values

// Messages by kind, and what all answers have in common.

extension RaftMachine {
  /// How long a node that answers nonsense is left alone.
  static var complaintPauseMs: Int64 { 1000 }

  /// What an answer came to.
  enum Handled {
    /// Nothing more to do; without success the node is left alone for a while.
    case done(succeeded: Bool)
    case proceed
  }

  // MARK: Requests

  mutating func answer(_ request: RaftRequest, _ id: RequestID) {
    switch request {
    case .vote(let request): answer(request, id)
    case .beginQuorumEpoch(let request): answer(request, id)
    case .endQuorumEpoch(let request): answer(request, id)
    case .fetch(let request): answer(request, id)
    case .fetchSnapshot(let request): answer(request, id)
    case .addVoter(let request): answer(request, id)
    case .removeVoter(let request): answer(request, id)
    case .updateVoter(let request): answer(request, id)
    case .describeQuorum: describeQuorum(id)
    // The driver answers these itself.
    case .apiVersions: refuse(request, id, .unsupportedVersion)
    }
  }

  /// Answers with a top-level error.
  mutating func refuse(_ request: RaftRequest, _ id: RequestID, _ error: ErrorCode) {
    let leader = currentLeader
    let response: RaftResponse =
      switch request {
      case .vote: .vote(VoteResponse(topLevelError: error, leader: leader, voteGranted: false))
      case .beginQuorumEpoch:
        .beginQuorumEpoch(QuorumEpochResponse(topLevelError: error, leader: leader))
      case .endQuorumEpoch:
        .endQuorumEpoch(QuorumEpochResponse(topLevelError: error, leader: leader))
      case .fetch:
        .fetch(
          FetchResponse(
            topLevelError: error, leader: leader, highWatermark: -1,
            logStartOffset: log.startOffset))
      case .fetchSnapshot:
        .fetchSnapshot(FetchSnapshotResponse(topLevelError: error, leader: leader))
      case .addVoter: .addVoter(VoterChangeResponse(error))
      case .removeVoter: .removeVoter(VoterChangeResponse(error))
      case .updateVoter: .updateVoter(UpdateVoterResponse(error, leader: leader))
      case .describeQuorum: .describeQuorum(DescribeQuorumResponse(error: error, leader: leader))
      case .apiVersions: .apiVersions(ApiVersionsResponse(error, kraftVersions: nil))
      }
    effects.append(.respond(id, response))
  }

  /// What stands against a request that only the leader of its epoch can serve.
  func leaderError(_ requestEpoch: LeaderEpoch) -> ErrorCode {
    if requestEpoch < epoch { return .fencedLeaderEpoch }
    if requestEpoch > epoch { return .unknownLeaderEpoch }
    if !isLeader { return .notLeaderOrFollower }
    return shutdownDeadline == nil ? .none : .brokerNotAvailable
  }

  /// Forgets a request that waits here.
  mutating func cancel(_ id: RequestID) {
    parkedFetches.removeAll { $0.id == id }
    parkedVotes.removeAll { $0.id == id }
  }

  // MARK: Answers

  mutating func take(_ response: RaftResponse, to correlation: CorrelationID) {
    guard let inflight = connections.inflight(correlation) else { return }
    pauseMs = nil
    if voters[inflight.node.id] != nil { lastAnswers[inflight.node.id] = now }
    let succeeded =
      switch response {
      case .vote(let response): take(response, from: inflight)
      case .beginQuorumEpoch(let response): takeBegin(response, from: inflight)
      case .endQuorumEpoch(let response): takeEnd(response, from: inflight)
      case .fetch(let response): take(response, from: inflight)
      case .fetchSnapshot(let response): take(response, from: inflight)
      case .updateVoter(let response): take(response, from: inflight)
      case .apiVersions(let response): take(response, from: inflight)
      case .addVoter(let response): takeChange(response, from: inflight)
      case .removeVoter(let response): takeChange(response, from: inflight)
      // Never asked for.
      case .describeQuorum: false
      }
    connections.completed(correlation, succeeded: succeeded, at: now, pauseMs: pauseMs)
  }

  mutating func failed(_ correlation: CorrelationID, isRefused: Bool) {
    guard let inflight = connections.inflight(correlation) else { return }
    if case .apiVersions = inflight.request {
      let response = ApiVersionsResponse(.brokerNotAvailable, kraftVersions: nil)
      _ = take(response, from: inflight)
    }
    connections.completed(correlation, succeeded: false, at: now)
    guard isRefused else { return }
    // A closed port is a dead process. It gives no votes; and its followers need not wait for the
    // fetch timeout, only for each other.
    if case .vote(let request) = inflight.request, request.candidateEpoch == epoch {
      lose(inflight.node.id)
    }
    if options.electsOnRefusal, isVoter, case .follower(var follower) = role,
      follower.leader == inflight.node.id
    {
      follower.lastHeard = nil
      let soon = deadline(
        inMs: Int64(random.next() % UInt64(max(1, options.electionTimeoutMs / 5))))
      follower.fetchDeadline = min(follower.fetchDeadline, soon)
      role = .follower(follower)
    }
  }

  /// What every answer says about epoch and leader.
  mutating func common(_ error: ErrorCode, _ leader: CurrentLeader, _ inflight: Inflight) -> Handled
  {
    let endpoints = endpoints(of: leader.id, orElse: leader.endpoints)
    if leader.epoch < epoch || error == .unknownLeaderEpoch {
      // This replica knows better; the other has to catch up before it can say anything useful.
      return .done(succeeded: false)
    }
    let before = transitions
    if leader.epoch > epoch || error == .fencedLeaderEpoch || error == .notLeaderOrFollower {
      let isConsistent = learn(leader.id, leader.epoch, endpoints)
      // Asking the same node again at once is of use only if something has changed.
      return .done(succeeded: isConsistent && transitions != before)
    }
    if let id = leader.id, currentLeader.id == nil || lacksEndpoints(of: id) {
      guard learn(id, leader.epoch, endpoints), transitions != before else {
        return .done(succeeded: false)
      }
      // An observer finds its leader and its first records in one answer.
      return error == .none ? .proceed : .done(succeeded: true)
    }
    switch error {
    case .brokerNotAvailable: return .done(succeeded: false)
    case .invalidVoterKey:
      note(.info, "Node \(inflight.node.id.rawValue) is not the voter that the request names")
      return .done(succeeded: false)
    default: return .proceed
    }
  }

  /// Whether the leader's id is known already, but not where it listens.
  private func lacksEndpoints(of leader: BrokerID) -> Bool {
    if case .unattached(let unattached) = role { unattached.leader == leader } else { false }
  }

  mutating func unexpected(_ error: ErrorCode, _ inflight: Inflight) -> Bool {
    if error != .brokerNotAvailable {
      complain("Node \(inflight.node.id.rawValue) answers a request with \(error)")
    }
    return false
  }

  /// Notes what should not be, and leaves the node alone for long enough not to fill the log.
  mutating func complain(_ text: String) {
    note(.error, text)
    pauseMs = Self.complaintPauseMs
  }
}
