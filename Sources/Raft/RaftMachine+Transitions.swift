import KafkaProtocol
import Values

// From state to state: what is given up, what is promised on disk, and who is told. Persisting
// comes first, so that nothing a new state says can be denied after a crash.

extension RaftMachine {
  // MARK: The beginning

  /// Takes up what the files say: a leader as resigned, a candidate as candidate of the same epoch,
  /// a follower as follower if it knows where the leader listens.
  mutating func start() {
    let deadline = electionDeadline()
    var unattached = Unattached(electionDeadline: isVoter ? deadline : .distantFuture)
    if let state = recovered, state.leader == own.id {
      enter(
        .resigned(
          Resigned(unacknowledged: others, preferred: [], electionDeadline: deadline)))
    } else if let state = recovered, let voted = state.voted, voted.means(own), isVoter {
      enter(
        .candidate(Candidate(granted: [own.id], attempts: 1, electionDeadline: deadline)))
      leadIfElected()
    } else if let state = recovered, let voted = state.voted {
      unattached.voted = voted
      enter(.unattached(unattached))
    } else if let leader = recovered?.leader {
      let endpoints = voters.endpoints(of: leader)
      if hasOwnListener(endpoints) {
        enter(.follower(newFollower(of: leader, endpoints)))
      } else {
        // Found again through the bootstrap servers, or by its own BeginQuorumEpoch.
        unattached.leader = leader
        enter(.unattached(unattached))
      }
    } else {
      enter(.unattached(unattached))
    }
    recovered = nil
    effects.append(.votersChanged(voters, offset: log.lastVoters?.offset ?? -1))
    if voters.isOnlyVoter(own), !isLeader { becomeCandidate() }
  }

  // MARK: Transitions

  /// A higher epoch, whose leader is not known, or not known well enough to fetch from it.
  mutating func becomeUnattached(_ newEpoch: LeaderEpoch, leader: BrokerID? = nil) {
    var deadline = electionDeadline()
    switch role {
    // Whoever raises epochs must not keep the others from calling an election of their own.
    case .candidate(let candidate): deadline = candidate.electionDeadline
    case .unattached(let unattached) where isVoter: deadline = unattached.electionDeadline
    default: break
    }
    leaveRole()
    epoch = newEpoch
    enter(
      .unattached(
        Unattached(leader: leader, electionDeadline: isVoter ? deadline : .distantFuture)))
  }

  /// A vote given, in this epoch.
  mutating func becomeVoted(for candidate: ReplicaKey) {
    // The candidate has as good a chance as this replica: it is given time.
    enter(.unattached(Unattached(voted: candidate, electionDeadline: electionDeadline())))
  }

  /// The next epoch, with a vote for itself.
  mutating func becomeCandidate() {
    var attempts = 1
    if case .candidate(let candidate) = role { attempts = candidate.attempts + 1 }
    leaveRole()
    epoch = epoch.next
    enter(
      .candidate(
        Candidate(granted: [own.id], attempts: attempts, electionDeadline: electionDeadline())))
    leadIfElected()
  }

  mutating func becomeFollower(
    of leader: BrokerID, _ newEpoch: LeaderEpoch, _ endpoints: [Endpoint]
  ) {
    leaveRole()
    epoch = newEpoch
    enter(.follower(newFollower(of: leader, endpoints)))
  }

  /// Leads if a majority has voted so, and writes its first record.
  mutating func leadIfElected() {
    guard case .candidate(let candidate) = role, candidate.granted.count >= voters.majority else {
      return
    }
    leaveRole()
    let start = log.endOffset
    let leader = Leader(
      own: own, epochStart: start, voters: voters, at: now, checkQuorumMs: checkQuorumMs)
    highWatermark = nil
    enter(.leader(leader))
    effects.append(.becameLeader(epoch: epoch, startOffset: start))
    writeStartOfEpoch(grantedBy: candidate.granted.sorted())
  }

  /// Gives up leadership. Not written to disk: a leader starts again as resigned anyway.
  mutating func becomeResigned() {
    guard case .leader(let leader) = role else { return }
    let preferred = leader.successors
    leaveRole()
    let resigned = Resigned(
      unacknowledged: others, preferred: preferred, electionDeadline: electionDeadline())
    enter(.resigned(resigned), isDurable: false)
  }

  // MARK: Leaving and entering

  /// Gives up what belongs to the present role.
  mutating func leaveRole() {
    switch role {
    case .leader(let leader):
      // What lingers is in the log, and may yet be committed by the next leader.
      drain()
      fail(leader.add, .notLeaderOrFollower)
      if let remove = leader.remove {
        let answer = VoterChangeResponse(.notLeaderOrFollower)
        effects.append(.respond(remove.request, .removeVoter(answer)))
      }
      rejectParkedFetches()
      effects.append(.resigned(epoch: epoch))
    case .follower(let follower):
      leaderHighWatermark = -1
      // An installation under way goes on: it replaces a log that is behind anyway.
      if let snapshot = follower.snapshot { effects.append(.discardSnapshot(snapshot.id)) }
    case .unattached, .candidate, .resigned:
      break
    }
  }

  private mutating func enter(_ new: Role, isDurable: Bool = true) {
    let before = state
    role = new
    transitions += 1
    connections.resetAll()
    if isDurable { effects.append(.persist(electionState)) }
    if before != state || transitions == 1 { effects.append(.stateChanged(state, epoch: epoch)) }
    announce()
  }

  /// Tells those above who leads, if it is news.
  private mutating func announce() {
    switch role {
    case .leader: announced = currentLeader
    // There is no new leader yet.
    case .resigned: break
    case .unattached, .candidate, .follower:
      if announced != currentLeader {
        announced = currentLeader
        effects.append(.leaderChanged(currentLeader))
      }
    }
  }

  private mutating func newFollower(of leader: BrokerID, _ endpoints: [Endpoint]) -> Follower {
    Follower(
      leader: leader, endpoints: endpoints,
      fetchDeadline: nextFetchDeadline(),
      updateDeadline: deadline(inMs: updateVoterPeriodMs))
  }

  // MARK: What messages say about leadership

  /// Takes in what a message says about who leads, if it is news.
  ///
  /// - Returns: false for a message that contradicts what this replica knows for certain.
  mutating func learn(_ leader: BrokerID?, _ newEpoch: LeaderEpoch, _ endpoints: [Endpoint]) -> Bool
  {
    guard newEpoch >= epoch else { return true }
    let known = currentLeader.id
    if newEpoch == epoch, let leader, let known, leader != known {
      note(
        .error,
        "A message names node \(leader.rawValue) as the leader of epoch \(epoch.rawValue), "
          + "which is node \(known.rawValue)")
      return false
    }
    // Nobody else can know better whether this replica leads.
    if leader == own.id {
      if newEpoch > epoch { becomeUnattached(newEpoch) }
      return true
    }
    if newEpoch > epoch {
      if let leader, hasOwnListener(endpoints) {
        becomeFollower(of: leader, newEpoch, endpoints)
      } else {
        becomeUnattached(newEpoch, leader: leader)
      }
    } else if let leader, hasOwnListener(endpoints) {
      switch role {
      case .unattached, .candidate: becomeFollower(of: leader, newEpoch, endpoints)
      case .follower(var follower) where endpoints.count > follower.endpoints.count:
        // A newer message names more listeners of the same leader.
        follower.endpoints = endpoints
        role = .follower(follower)
        announce()
      case .follower, .leader, .resigned: break
      }
    }
    return true
  }

  /// The endpoints that a message has, or else those of the voter set.
  func endpoints(of leader: BrokerID?, orElse given: [Endpoint]) -> [Endpoint] {
    guard let leader, given.isEmpty else { return given }
    return voters.endpoints(of: leader)
  }

  func hasOwnListener(_ endpoints: [Endpoint]) -> Bool {
    endpoints.contains { $0.listener == configuration.listener }
  }

  /// All voters but this replica.
  var others: [BrokerID] { voters.ids.filter { $0 != own.id } }

  /// Without fetches of a majority for so long, a leader resigns.
  var checkQuorumMs: Int64 { options.fetchTimeoutMs * 3 / 2 }
  /// Some rounds of fetches pass before a follower looks after its entry in the voters record.
  var updateVoterPeriodMs: Int64 { options.fetchTimeoutMs * 3 }
}
