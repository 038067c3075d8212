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
  public var ensemble: Ensemble
  public var timing: EnsembleTiming
  /// The ensemble in the words of a dynamic configuration file, for NEWLEADER.
  public var configText: [UInt8]
  /// Applied transactions kept at hand for learners (`commitLogCount`).
  public var commitLogCount = 500

  public init(
    own: ServerID, ensemble: Ensemble, timing: EnsembleTiming = EnsembleTiming(),
    configText: [UInt8] = []
  ) {
    self.own = own
    self.ensemble = ensemble
    self.timing = timing
    self.configText = configText
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
  var epochs: Epochs
  var history: TransactionHistory
  /// Set by a role that has to end; the peer then looks for a leader again.
  var endOfRole: String?

  var own: ServerID { configuration.own }
  var ensemble: Ensemble { configuration.ensemble }
  var timing: EnsembleTiming { configuration.timing }
}

/// One server of a ZAB ensemble, as a protocol machine.
public struct Peer: Sendable {
  private var context: PeerContext
  private var election: Election
  private var leader: Leader?
  private var learner: Learner?
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
      configuration: configuration, epochs: epochs,
      history: TransactionHistory(
        lastProcessed: lastProcessed, recent: recent, limit: configuration.commitLogCount))
    election = Election(
      own: configuration.own, ensemble: configuration.ensemble, timing: configuration.timing)
  }

  // MARK: What is known

  public var state: PeerState { election.state }
  public var epochs: Epochs { context.epochs }
  public var history: TransactionHistory { context.history }
  public var vote: Vote { election.vote }
  /// The leader this server leads as, follows or tries to follow.
  public var leaderID: ServerID? { state == .looking ? nil : election.vote.leader }
  /// Whether clients are served.
  public var isServing: Bool { leader?.isBroadcasting ?? learner?.isServing ?? false }
  /// The zxid the next proposed transaction must have; nil unless this server leads and serves.
  public var nextZxid: Zxid? { leader?.nextZxid }
  /// Servers whose connections the leader has brought up to date, ascending.
  public var syncedLearners: [ServerID] { leader?.syncedLearners ?? [] }
  /// Learners' connections to the leader: all of them, and those of observers.
  public var learnerCounts: (all: Int, observers: Int) { leader?.learnerCounts ?? (0, 0) }

  /// When `timer` wants to be told.
  public var nextDeadline: Instant {
    min(
      election.nextDeadline, leader?.nextDeadline ?? .distantFuture,
      learner?.nextDeadline ?? .distantFuture)
  }

  // MARK: Steps

  /// Takes one event and appends what has to be done to `effects`.
  public mutating func step(
    _ event: PeerEvent, at now: Instant, into effects: inout [PeerEffect]
  ) {
    switch event {
    case .start:
      look(at: now, into: &effects)
    case .electionLinkUp(let peer):
      var asked: [Election.Effect] = []
      election.linkUp(peer, into: &asked)
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
    if let reason = context.endOfRole {
      context.endOfRole = nil
      lastEndOfRole = reason
      look(at: now, into: &effects)
    }
  }

  /// Ends whatever role there was, and begins an election.
  private mutating func look(at now: Instant, into effects: inout [PeerEffect]) {
    if isServing { effects.append(.stopServing) }
    leader?.closeAll(into: &effects)
    if learner != nil { effects.append(.closeLeaderConnection) }
    leader = nil
    learner = nil
    // The vote speaks for the whole log, committed or not: whoever wins makes all of it committed.
    if !context.history.pending.isEmpty {
      effects.append(.fastForward)
      context.history.fastForward()
    }
    effects.append(.roleChanged(.looking, leader: nil))
    var asked: [Election.Effect] = []
    election.begin(
      zxid: context.history.lastLogged, peerEpoch: context.epochs.current, at: now, into: &asked)
    carryOut(asked, at: now, into: &effects)
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
          learner = Learner(of: server, context, at: now, into: &effects)
        }
      }
    }
  }
}
