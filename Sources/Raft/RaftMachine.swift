import KafkaProtocol
import Values

// One replica of the metadata log: KRaft's protocol (KIP-595, KIP-630, KIP-853), as Kafka 3.9 has
// it.
//
// Voters:
//
//   unattached  --vote given--> voted                 --a higher epoch--> unattached
//               --election timeout, majority reachable--> candidate
//               --the epoch's leader turns up--> follower
//   voted       as unattached; gives no other vote
//   candidate   --majority of votes--> leader         --a higher epoch--> unattached
//               --lost, backoff over, majority reachable--> candidate, next epoch
//               --the epoch's leader turns up--> follower
//   follower    --fetch timeout, majority reachable--> candidate
//               --a higher epoch--> unattached, or follower if its leader is known
//   leader      --shutdown, order, no fetches from a majority, not a voter any more--> resigned
//               --a higher epoch--> unattached, or follower if its leader is known
//   resigned    --election timeout--> candidate; unattached, next epoch, if it is no voter any more
//               --a higher epoch--> unattached, or follower if its leader is known
//
// Observers are unattached (asking the bootstrap servers) or follower, and never vote for
// themselves. A leader starts again as resigned, so that it neither votes nor leads in an epoch in
// which it may have lost unsynced records.
//
// Vote requests of version 0 and 1 have no pre-vote. Two rules keep a replica that was cut off from
// disturbing the others, and need nothing from its peers:
//   - it raises its epoch only when a majority of voters answers it (`campaign`);
//   - a replica that has just heard its leader, or a leader that a majority has just fetched from,
//     leaves a vote request of a higher epoch unanswered until that is no longer so (`ParkedVote`).

/// A replica of the metadata log, as a protocol machine.
public struct RaftMachine: Sendable {
  public let configuration: RaftConfiguration
  public internal(set) var log: RaftLog
  public internal(set) var epoch: LeaderEpoch
  /// Everything below is known to be committed; nil until a leader has said so. A new leader knows
  /// less than its followers until a record of its own epoch is committed.
  public internal(set) var highWatermark: Offset?
  /// When `timer` wants to be told.
  public private(set) var nextDeadline = Instant.distantFuture
  /// Set by `shutdownCompleted`; nothing happens any more.
  public internal(set) var isStopped = false

  var role: Role
  var connections: Connections
  var random: SplitMix
  /// The leader's high watermark as a follower last heard it, even beyond the end of its own log.
  var leaderHighWatermark: Offset = -1
  /// How long the node whose answer is being handled is left alone, if not as usual.
  var pauseMs: Int64?
  /// The greatest one that `committed` has named: nothing below may ever be cut off.
  var announcedHighWatermark: Offset = 0
  /// When a voter last answered anything, by id.
  var lastAnswers: [BrokerID: Instant] = [:]
  var parkedFetches: [ParkedFetch] = []
  var parkedVotes: [ParkedVote] = []
  /// The snapshot by which the driver replaces the log, until it says that it has.
  var installing: SnapshotID?
  var shutdownDeadline: Instant?
  /// Rises with every transition.
  var transitions = 0
  /// The leader last announced by `leaderChanged`.
  var announced: CurrentLeader?

  // Of the step under way.
  var now = Instant.zero
  var effects: [RaftEffect] = []

  /// A replica as its files have it.
  /// - Parameters:
  ///   - election: from `quorum-state`; nil if there is no such file.
  ///   - log: from `__cluster_metadata-0`. If the newest snapshot reaches beyond the log, the
  ///     driver has replaced the log by it already.
  ///   - seed: for time-outs and backoffs.
  public init(
    _ configuration: RaftConfiguration, election: ElectionState?, log: RaftLog, seed: UInt64
  ) {
    self.configuration = configuration
    self.log = log
    epoch = max(election?.epoch ?? LeaderEpoch(0), log.lastEpoch)
    random = SplitMix(seed: seed)
    connections = Connections(
      requestTimeoutMs: configuration.options.requestTimeoutMs,
      retryBackoffMs: configuration.options.retryBackoffMs)
    role = .unattached(Unattached(electionDeadline: .distantFuture))
    // A log that has reached a higher epoch than the file outdates whatever the file promises.
    recovered = election?.epoch == epoch ? election : nil
  }

  /// What the file promised; used up by `start`.
  var recovered: ElectionState?

  // MARK: What is known

  var options: RaftOptions { configuration.options }
  var own: ReplicaKey { configuration.own }

  /// The voters in force: of the newest voters record, else as configured.
  public var voters: VoterSet { log.lastVoters?.voters ?? configuration.staticVoters }
  public var isVoter: Bool { voters.isVoter(own) }
  public var isLeader: Bool { if case .leader = role { true } else { false } }

  public var state: RaftState {
    switch role {
    case .leader: .leader
    case .candidate: .candidate
    case .resigned: .resigned
    case .follower: isVoter ? .follower : .observer
    case .unattached(let unattached):
      unattached.voted != nil ? .voted : isVoter ? .unattached : .observer
    }
  }

  /// The leader of this replica's epoch, as it may tell others.
  public var currentLeader: CurrentLeader {
    switch role {
    case .unattached(let unattached): CurrentLeader(id: unattached.leader, epoch: epoch)
    case .candidate: CurrentLeader(id: nil, epoch: epoch)
    case .follower(let follower):
      CurrentLeader(id: follower.leader, epoch: epoch, endpoints: follower.endpoints)
    case .leader, .resigned:
      CurrentLeader(id: own.id, epoch: epoch, endpoints: configuration.endpoints)
    }
  }

  /// Whom this replica has voted for in its epoch; itself as candidate.
  public var votedFor: ReplicaKey? {
    switch role {
    case .unattached(let unattached): unattached.voted
    case .candidate: own
    case .follower, .leader, .resigned: nil
    }
  }

  /// Where the next `append` will put its first record; nil unless this replica leads.
  public var nextAppendOffset: Offset? { isLeader ? log.endOffset : nil }

  /// What `quorum-state` should hold now.
  var electionState: ElectionState {
    var state = ElectionState(
      epoch: epoch, dataVersion: log.kraftVersion, voters: log.kraftVersion == 0 ? voters.ids : [])
    switch role {
    case .unattached(let unattached):
      state.voted = unattached.voted
      if unattached.voted == nil { state.leader = unattached.leader }
    case .candidate: state.voted = own
    case .follower(let follower): state.leader = follower.leader
    case .leader, .resigned: state.leader = own.id
    }
    return state
  }

  // MARK: Steps

  /// Takes one event and appends what has to be done to `effects`. Tokens of an event mean nothing
  /// after the step, unless an effect names them.
  public mutating func step(
    _ event: RaftEvent, at now: Instant, into effects: inout [RaftEffect]
  ) {
    self.now = max(self.now, now)
    swap(&self.effects, &effects)
    if isStopped {
      refuse(event)
    } else {
      handle(event)
      poll()
    }
    swap(&self.effects, &effects)
  }

  private mutating func handle(_ event: RaftEvent) {
    switch event {
    case .start: start()
    case .timer: break
    case .request(let request, let id): answer(request, id)
    case .requestCancelled(let id): cancel(id)
    case .response(let response, let correlation): take(response, to: correlation)
    case .requestFailed(let correlation, let isRefused): failed(correlation, isRefused: isRefused)
    case .append(let token, let count, let bytes, let epoch):
      append(token, count: count, bytes: bytes, epoch: epoch)
    case .drain: drain()
    case .flushed(let offset): flushed(upTo: offset)
    case .snapshotCreated(let snapshot): log.add(snapshot)
    case .logStartRaised(let offset): log.raiseStart(to: offset)
    case .snapshotInstalled(let snapshot, let voters, let level):
      installed(snapshot, voters: voters, kraftVersion: level)
    case .snapshotFailed(let id): installationFailed(id)
    case .resign(let epoch): resign(from: epoch)
    case .shutdown(let timeoutMs):
      if shutdownDeadline == nil { shutdownDeadline = now.advanced(milliseconds: timeoutMs) }
    }
  }

  /// A stopped replica does nothing but say so.
  private mutating func refuse(_ event: RaftEvent) {
    switch event {
    case .request(let request, let id): refuse(request, id, .brokerNotAvailable)
    case .append(let token, _, _, _): effects.append(.refuse(token, .notLeaderOrFollower))
    case .shutdown: effects.append(.shutdownCompleted)
    default: break
    }
  }

  // MARK: What is due

  /// Does all that is due in the present state, and what that leads to, until nothing is.
  private mutating func poll() {
    var next = Instant.distantFuture
    var before: Int
    repeat {
      before = transitions
      if completeShutdown() { return }
      next = min(pollRole(), pollParkedVotes(), pollParkedFetches())
    } while transitions != before
    nextDeadline = min(next, shutdownDeadline ?? .distantFuture)
  }

  private mutating func pollRole() -> Instant {
    switch role {
    case .unattached(let unattached): pollUnattached(unattached)
    case .candidate(let candidate): pollCandidate(candidate)
    case .follower(let follower):
      isVoter ? pollFollower(follower) : pollObserver(follower)
    case .leader: pollLeader()
    case .resigned(let resigned): pollResigned(resigned)
    }
  }

  /// Stops when nobody needs this replica to wait: it does not vote, or another leads.
  private mutating func completeShutdown() -> Bool {
    guard let deadline = shutdownDeadline else { return false }
    let hasOtherLeader = currentLeader.id.map { $0 != own.id } ?? false
    guard now >= deadline || !isVoter || voters.isOnlyVoter(own) || hasOtherLeader else {
      return false
    }
    leaveRole()
    for vote in parkedVotes { refuse(.vote(vote.request), vote.id, .brokerNotAvailable) }
    parkedVotes.removeAll()
    isStopped = true
    nextDeadline = .distantFuture
    effects.append(.shutdownCompleted)
    return true
  }

  // MARK: Tools

  func deadline(inMs milliseconds: Int64) -> Instant { now.advanced(milliseconds: milliseconds) }

  /// A new election timeout: the configured one and up to as much again.
  mutating func electionDeadline() -> Instant {
    let base = options.electionTimeoutMs
    guard base > 0 else { return now }
    return deadline(inMs: base + Int64(random.next() % UInt64(base)))
  }

  mutating func note(_ level: RaftLogLine.Level, _ text: String) {
    effects.append(.log(RaftLogLine(level, text)))
  }

  /// Sends if the node is ready for it; says when it will be worth trying again.
  mutating func send(to node: RaftNode, _ request: RaftRequest) -> Instant {
    if case .busy(let until) = connections.readiness(node.id, at: now) { return until }
    let correlation = connections.sent(request, to: node, at: now)
    effects.append(.send(request, to: node, correlation))
    return deadline(inMs: options.requestTimeoutMs)
  }

  /// Where a voter listens, for this replica.
  func node(of voter: BrokerID) -> RaftNode? {
    voters[voter]?.node(listener: configuration.listener)
  }
}
