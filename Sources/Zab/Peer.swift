import Values
import ZooKeeperProtocol

// One server of an ensemble: an election, and between elections a leader or a learner.
//
//   looking --elected--> leading --lost the quorum, or a limit--> looking
//                        following | observing --lost the leader--> looking
//
// The machine is the protocol; its driver owns sockets, files, the tree and the clock (see
// `PeerEffect` for what it owes). It calls `step` for every event and again at `nextDeadline`.

/// What a peer is and how patient it is.
public struct PeerConfiguration: Sendable {
  public var own: ServerID
  public var membership: Membership
  public var timing: EnsembleTiming
  /// Applied transactions kept at hand for learners (`commitLogCount`).
  public var commitLogCount = 500

  /// How many learners may be brought up by a snapshot, and how many by a DIFF, at the same time.
  public var maxConcurrentSnapshots = 10
  public var maxConcurrentDiffs = 100
  /// Whether learners are always brought up by a snapshot.
  public var forcesSnapshots = false

  /// Whether this server keeps a log while it is an observer (`syncEnabled`).
  public var observerKeepsLog = true
  /// An observer that has lost its leader waits at random up to so many milliseconds before it
  /// looks for another one (`observer.election.DelayMs`) …
  public var observerElectionDelayMs: Int64 = 0
  /// … and again before it connects to the one that it has found (`observer.reconnectDelayMs`),
  /// so that a fleet of observers does not come all at once.
  public var observerReconnectDelayMs: Int64 = 0
  /// What these pauses follow from.
  public var seed: UInt64 = 0

  public init(
    own: ServerID, membership: Membership, timing: EnsembleTiming = EnsembleTiming()
  ) {
    self.own = own
    self.membership = membership
    self.timing = timing
  }
}

/// The epochs a server has promised to (`acceptedEpoch`) and taken part in (`currentEpoch`).
public struct Epochs: Hashable, Sendable {
  public var accepted: Int64
  public var current: Int64

  public init(accepted: Int64 = 0, current: Int64 = 0) {
    self.accepted = accepted
    self.current = current
  }
}

/// What every role works on.
struct PeerContext: Sendable {
  let configuration: PeerConfiguration
  var membership: Membership
  var epochs: Epochs
  var history: TransactionHistory
  /// Set by a role that has to end; the peer then looks for a leader again.
  var endOfRole: String?
  /// Whom a reconfiguration has named as the next leader: no election is needed then.
  var appointed: ServerID?
  /// Set by a leader that was asked to resign and has nothing left to do.
  var hasResigned = false
  /// `currentEpoch` as it stands on disk: behind `epochs.current` where transactions are.
  var durableEpoch: Int64
  var random: SplitMix

  var own: ServerID { configuration.own }
  var timing: EnsembleTiming { configuration.timing }
  /// Whether transactions are logged as they come: only who has no vote, and is not about to get
  /// one, may do without.
  var keepsLog: Bool {
    configuration.observerKeepsLog || !membership.isObserver(own) || membership.isVoter(own)
  }

  /// A pause from nothing to just below the limit, in milliseconds.
  mutating func pause(upToMs limit: Int64) -> Int64 {
    limit > 0 ? Int64.random(in: 0..<limit, using: &random) : 0
  }
}

extension PeerContext {
  /// Takes part in an epoch from here on.
  ///
  /// - Parameter isHeld: Whether all that a quorum of the epoch was counted on for is on disk. The
  ///   file must not claim an epoch whose transactions a restart would lose.
  mutating func enter(_ epoch: Int64, isHeld: Bool, into effects: inout [PeerEffect]) {
    epochs.current = max(epochs.current, epoch)
    guard isHeld, epochs.current > durableEpoch else { return }
    durableEpoch = epochs.current
    effects.append(.persistCurrentEpoch(durableEpoch))
  }

  /// Brings what only memory holds to the disk, where this server is to vote from now on.
  mutating func saveWhatWasHeld(into effects: inout [PeerEffect]) {
    guard keepsLog, history.hasUnwritten else { return }
    effects.append(.saveTree(at: history.lastLogged))
    history.saved()
    enter(epochs.current, isHeld: true, into: &effects)
  }

  /// Notes a configuration that was proposed.
  mutating func see(_ config: EnsembleConfig, into effects: inout [PeerEffect]) {
    if membership.see(config) { effects.append(.configSeen(config)) }
  }

  /// Puts a configuration in force; false if it is nothing new.
  @discardableResult
  mutating func activate(_ config: EnsembleConfig, into effects: inout [PeerEffect]) -> Bool {
    guard membership.activate(config) else { return false }
    effects.append(.configActivated(config))
    return true
  }
}

/// One server of a ZAB ensemble, as a protocol machine.
public struct Peer: Sendable {
  private var context: PeerContext
  private var election: Election
  private var leader: Leader?
  private var learner: Learner?
  /// Whether this server has resigned: it waits for its end.
  private var isResting = false
  /// When an observer that has lost its leader looks for another one.
  private var looksAt: Instant?
  /// Why the last role ended, for the log.
  public private(set) var lastEndOfRole: String?

  /// A server whose log ends at `lastProcessed`, everything of it applied to the tree and durable;
  /// `recent` are its last transactions, contiguous up to that one.
  public init(
    _ configuration: PeerConfiguration, epochs: Epochs, lastProcessed: Zxid,
    recent: [Proposal] = []
  ) {
    // A crash may have come between the transactions of a new epoch and the epoch itself. A log
    // that reaches into an epoch holds all that came before it, so its server may say so.
    var epochs = epochs
    epochs.current = max(epochs.current, lastProcessed.epoch)
    epochs.accepted = max(epochs.accepted, epochs.current)
    context = PeerContext(
      configuration: configuration, membership: configuration.membership, epochs: epochs,
      history: TransactionHistory(
        lastProcessed: lastProcessed, recent: recent, limit: configuration.commitLogCount),
      durableEpoch: epochs.current, random: SplitMix(seed: configuration.seed))
    election = Election(
      own: configuration.own, membership: configuration.membership,
      timing: configuration.timing)
  }

  // MARK: What is known

  public var state: PeerState { election.state }
  public var epochs: Epochs { context.epochs }
  public var history: TransactionHistory { context.history }
  public var vote: Vote { election.vote }
  /// The leader this server leads as, follows or tries to follow.
  public var leaderID: ServerID? { state == .looking ? nil : election.vote.leader }
  public var membership: Membership { context.membership }
  /// Whether transactions are logged as they come.
  public var keepsLog: Bool { context.keepsLog }
  /// Whether clients are served.
  public var isServing: Bool { leader?.isBroadcasting ?? learner?.isServing ?? false }
  /// The zxid the next proposed transaction must have; nil unless this server leads and serves.
  public var nextZxid: Zxid? { leader?.nextZxid }
  /// Servers whose connections the leader has brought up to date, ascending.
  public var syncedLearners: [ServerID] { leader?.syncedLearners ?? [] }
  /// Whether this server leads and a quorum of these members has all that is committed.
  public func hasSyncedQuorum(of config: EnsembleConfig) -> Bool {
    guard let leader else { return false }
    let ensemble = config.ensemble
    return ensemble.isQuorum { $0 == context.own || leader.isSynced($0) }
  }
  /// Learners' connections to the leader: all of them, and those of observers.
  public var learnerCounts: (all: Int, observers: Int) { leader?.learnerCounts ?? (0, 0) }

  /// Who is at the other end of a learner's connection, once it has said so.
  public func server(of learner: LearnerID) -> ServerID? { leader?.server(of: learner) }
  /// Followers that are up to date and have no vote: they are in no configuration yet.
  public var nonVotingFollowers: Int {
    syncedLearners.count { !context.membership.ensemble.contains($0) }
  }

  /// When `timer` wants to be told.
  public var nextDeadline: Instant {
    min(
      election.nextDeadline, leader?.nextDeadline ?? .distantFuture,
      learner?.nextDeadline ?? .distantFuture, looksAt ?? .distantFuture)
  }

  // MARK: Steps

  /// Takes one event and appends what has to be done to `effects`.
  public mutating func step(
    _ event: PeerEvent, at now: Instant, into effects: inout [PeerEffect]
  ) {
    switch event {
    case .start:
      look(at: now, into: &effects)
    case .heardConfig(let config):
      heard(config, at: now, into: &effects)
    case .resign:
      resign(at: now, into: &effects)
    case .electionLinkUp(let peer):
      var asked: [Election.Effect] = []
      election.linkUp(peer, into: &asked)
      carryOut(asked, at: now, into: &effects)
    case .electionLinkRefused(let peer):
      var asked: [Election.Effect] = []
      election.refused(peer, at: now, into: &asked)
      carryOut(asked, at: now, into: &effects)
    case .notification(let notification, let sender):
      var asked: [Election.Effect] = []
      election.received(notification, from: sender, at: now, into: &asked)
      carryOut(asked, at: now, into: &effects)
    case .timer:
      var asked: [Election.Effect] = []
      election.timer(at: now, into: &asked)
      carryOut(asked, at: now, into: &effects)
      leader?.timer(at: now, &context, into: &effects)
      learner?.timer(at: now, &context, into: &effects)
      if let due = looksAt, now >= due { look(at: now, into: &effects) }
    case .flushed(let zxid):
      context.history.flushed(through: zxid)
      leader?.flushed(at: now, &context, into: &effects)
      learner?.flushed(at: now, &context, into: &effects)
    case .leaderConnected, .leaderDisconnected, .leaderPacket, .snapshotInstalled, .forward:
      learner?.step(event, at: now, &context, into: &effects)
    case .revalidate:
      learner?.step(event, at: now, &context, into: &effects)
    case .learnerConnected, .learnerDisconnected, .learnerPacket, .logRead, .revalidated,
      .propose, .sync:
      leader?.step(event, at: now, &context, into: &effects)
    }
    follow(at: now, into: &effects)
  }

  /// Tells the election what the roles have reached, and ends a role that is over.
  private mutating func follow(at now: Instant, into effects: inout [PeerEffect]) {
    if isServing, election.vote.peerEpoch != context.epochs.current {
      election.established(epoch: context.epochs.current)
    }
    if election.membershipVersions != context.membership.versions {
      election.membership = context.membership
    }
    if context.hasResigned {
      context.endOfRole = nil
      rest(into: &effects)
    } else if let reason = context.endOfRole {
      context.endOfRole = nil
      lastEndOfRole = reason
      election.membership = context.membership
      if let appointed = context.appointed {
        take(appointed, at: now, into: &effects)
      } else {
        lookSoon(at: now, into: &effects)
      }
    }
  }

  // MARK: Changes of the ensemble

  /// Somebody's vote carries a configuration. Only a server without a leader needs it: it may have
  /// missed the change and look for a leader among those who are gone.
  private mutating func heard(
    _ config: EnsembleConfig, at now: Instant, into effects: inout [PeerEffect]
  ) {
    guard state == .looking, !isResting else { return }
    let former = context.membership.current
    guard context.activate(config, into: &effects), !config.hasSameMembers(as: former) else {
      return
    }
    election.membership = context.membership
    look(at: now, into: &effects)
  }

  /// Takes up the role that a reconfiguration has given this server, without an election.
  private mutating func take(
    _ server: ServerID, at now: Instant, into effects: inout [PeerEffect]
  ) {
    context.appointed = nil
    leave(into: &effects)
    effects.append(.roleChanged(.looking, leader: nil))
    var asked: [Election.Effect] = []
    election.appoint(server, zxid: context.history.lastLogged, into: &asked)
    carryOut(asked, at: now, into: &effects)
  }

  /// A leader finishes what it has proposed, so that its clients have their answers; then, or at
  /// once if this server does not lead, it takes no part any more.
  private mutating func resign(at now: Instant, into effects: inout [PeerEffect]) {
    if let leader, leader.isBroadcasting {
      self.leader?.resign(at: now, &context)
    } else {
      context.hasResigned = true
    }
  }

  private mutating func rest(into effects: inout [PeerEffect]) {
    guard !isResting else { return }
    isResting = true
    looksAt = nil
    leave(into: &effects)
    election.retire()
    effects.append(.resigned)
  }

  /// Ends whatever role there was, and begins an election.
  private mutating func look(at now: Instant, into effects: inout [PeerEffect]) {
    guard !isResting else { return }
    let hasPaused = looksAt != nil
    looksAt = nil
    leave(into: &effects)
    if !hasPaused { effects.append(.roleChanged(.looking, leader: nil)) }
    var asked: [Election.Effect] = []
    election.begin(
      zxid: context.history.lastLogged, peerEpoch: context.epochs.current, at: now, into: &asked)
    carryOut(asked, at: now, into: &effects)
  }

  /// The same, but an observer waits first: nobody needs its vote, and the voters are busy.
  private mutating func lookSoon(at now: Instant, into effects: inout [PeerEffect]) {
    let limit = context.configuration.observerElectionDelayMs
    guard state == .observing, !isResting, limit > 0, context.membership.isObserver(context.own)
    else { return look(at: now, into: &effects) }
    leave(into: &effects)
    election.pause()
    effects.append(.roleChanged(.looking, leader: nil))
    looksAt = now.advanced(milliseconds: context.pause(upToMs: limit))
  }

  private mutating func leave(into effects: inout [PeerEffect]) {
    if isServing { effects.append(.stopServing) }
    leader?.closeAll(into: &effects)
    if learner != nil { effects.append(.closeLeaderConnection) }
    if learner?.keepsLog == false, !context.history.pending.isEmpty {
      effects.append(.dropHeld)
      context.history.dropPending()
    }
    leader = nil
    learner = nil
    context.saveWhatWasHeld(into: &effects)
    // The vote speaks for the whole log, committed or not: whoever wins makes all of it committed.
    if !context.history.pending.isEmpty {
      effects.append(.fastForward)
      context.history.fastForward()
    }
  }

  /// Passes on what the election asks for, and takes up the role it has decided on.
  private mutating func carryOut(
    _ asked: [Election.Effect], at now: Instant, into effects: inout [PeerEffect]
  ) {
    for effect in asked {
      switch effect {
      case .notify(let notification, let peer):
        effects.append(.notify(notification, to: peer))
      case .elected(let server):
        effects.append(.roleChanged(election.state, leader: server))
        if server == context.own {
          leader = Leader(&context, at: now, into: &effects)
        } else {
          learner = Learner(of: server, &context, at: now, into: &effects)
        }
      }
    }
  }
}
