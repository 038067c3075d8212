import Values
import ZooKeeperProtocol

// A leader, from its election to the loss of its quorum.
//
//   discovery --a quorum has connected: new epoch, LEADERINFO--> history
//   history --a quorum has sent ACKEPOCH, none is ahead of us: currentEpoch--> synchronization
//   synchronization --a quorum has acknowledged NEWLEADER: UPTODATE--> broadcast
//
// Each phase must be over within initLimit. In broadcast, a quorum must have been heard of within
// syncLimit. Leader+Discovery, +Synchronization and +Broadcast hold the three parts.

/// A learner's connection, as the leader sees it.
struct LearnerConnection: Sendable {
  enum Stage: Hashable, Sendable {
    /// Connected, FOLLOWERINFO not read yet.
    case greeting
    /// Waits for the epoch.
    case waitingForEpoch
    /// LEADERINFO sent.
    case ackingEpoch
    /// Waits until a quorum has acknowledged the epoch; its log ends at `lastLogged`.
    case waitingForHistory
    /// Waits for what the log on disk holds.
    case readingLog
    /// NEWLEADER sent.
    case synchronizing
    /// NEWLEADER acknowledged.
    case synced
  }

  let id: LearnerID
  var server = ServerID(-1)
  var isObserver = false
  var stage = Stage.greeting
  /// While it is brought up: whether a snapshot is sent to it.
  var takesSnapshot = false
  var lastLogged = Zxid.zero
  /// When patience with this learner ends.
  var deadline: Instant
  /// The oldest proposal sent and not acknowledged, the newest one, and when they were sent.
  var oldestUnacked: (zxid: Zxid, sentAt: Instant)?
  var newestUnacked: (zxid: Zxid, sentAt: Instant)?

  /// Whether it is the learner's turn to say something; otherwise it waits for others through us.
  func owesAnswer(in phase: Leader.Phase) -> Bool {
    switch stage {
    case .greeting, .ackingEpoch, .synchronizing: true
    case .waitingForEpoch, .waitingForHistory, .readingLog: false
    case .synced: phase == .broadcast
    }
  }

  /// Whether proposals are sent to it as they are made.
  var isForwarding: Bool { stage == .synchronizing || stage == .synced }

  mutating func sent(_ zxid: Zxid, at now: Instant) {
    guard stage == .synced, !isObserver else { return }
    if oldestUnacked == nil {
      oldestUnacked = (zxid, now)
    } else {
      newestUnacked = (zxid, now)
    }
  }

  mutating func acknowledged(_ zxid: Zxid) {
    guard let oldest = oldestUnacked, zxid >= oldest.zxid else { return }
    oldestUnacked = newestUnacked.flatMap { $0.zxid > zxid ? $0 : nil }
    newestUnacked = nil
  }
}

struct Leader: Sendable {
  enum Phase: Hashable, Sendable { case discovery, history, synchronization, broadcast }

  var phase = Phase.discovery
  /// The epoch to propose; final once discovery is over.
  var epoch: Int64 = -1
  /// In the order of their connections.
  var learners: [LearnerConnection] = []
  /// Nil before FOLLOWERINFO or OBSERVERINFO.
  func server(of id: LearnerID) -> ServerID? {
    learners.first { $0.id == id && $0.stage != .greeting }?.server
  }
  /// Voters that have connected, acknowledged the epoch, acknowledged NEWLEADER.
  var connected: Set<ServerID> = []
  var ackedEpoch: Set<ServerID> = []
  var ackedNewLeader: Set<ServerID> = []
  /// How far each voter has acknowledged, in broadcast.
  var acked: [ServerID: Zxid] = [:]
  var lastProposed = Zxid.zero
  /// Syncs that wait for a commit: by whom (nil: a client of the leader itself).
  var pendingSyncs: [(after: Zxid, learner: LearnerID?)] = []
  var phaseDeadline: Instant
  var nextPing: Instant = .distantFuture
  /// Whom a reconfiguration has put in our place: nothing is committed here any more.
  var successor: ServerID?
  /// Set when this server is about to end: until then what is proposed may still be committed.
  var resignBy: Instant?
  /// The quorum is examined at every other ping.
  var examinesQuorum = false

  init(_ context: inout PeerContext, at now: Instant, into effects: inout [PeerEffect]) {
    let waitMs = context.timing.epochWaitMs ?? context.timing.initTimeoutMs
    phaseDeadline = now.advanced(milliseconds: waitMs)
    propose(epochAfter: context.epochs.accepted, by: context.own, at: now, &context, into: &effects)
  }

  // MARK: What is known

  var isBroadcasting: Bool { phase == .broadcast }
  var nextZxid: Zxid? {
    phase == .broadcast && successor == nil && resignBy == nil ? lastProposed.next : nil
  }
  func isSynced(_ server: ServerID) -> Bool {
    learners.contains { $0.server == server && !$0.isObserver && $0.stage == .synced }
  }
  var syncedLearners: [ServerID] {
    learners.filter { $0.stage == .synced }.map(\.server).sorted()
  }
  var learnerCounts: (all: Int, observers: Int) {
    let ready = learners.filter { $0.stage == .synced }
    return (ready.count, ready.count { $0.isObserver })
  }
  var nextDeadline: Instant {
    let learnerDeadline =
      learners.lazy.filter { $0.owesAnswer(in: phase) }.map(\.deadline).min() ?? .distantFuture
    let due = min(phase == .broadcast ? nextPing : phaseDeadline, learnerDeadline)
    return min(due, resignBy ?? .distantFuture)
  }

  func index(of id: LearnerID) -> Int? { learners.firstIndex { $0.id == id } }

  // MARK: Steps

  mutating func step(
    _ event: PeerEvent, at now: Instant, _ context: inout PeerContext,
    into effects: inout [PeerEffect]
  ) {
    switch event {
    case .learnerConnected(let id):
      let deadline = now.advanced(milliseconds: context.timing.initTimeoutMs)
      learners.append(LearnerConnection(id: id, deadline: deadline))
    case .learnerDisconnected(let id):
      drop(id)
      endIfLeft(&context)
    case .learnerPacket(let id, let packet):
      received(packet, from: id, at: now, &context, into: &effects)
    case .logRead(let id, let log):
      guard let index = index(of: id), learners[index].stage == .readingLog else { return }
      let plan = SyncPlan.step(
        learnerLast: learners[index].lastLogged, log: log, history: context.history)
      synchronize(index, by: plan, at: now, context, into: &effects)
    case .revalidated(let id, let session, let isValid):
      answer(id, session: session, isValid: isValid, into: &effects)
    case .propose(let proposal):
      propose(proposal, at: now, &context, into: &effects)
    case .sync:
      sync(for: nil, context, into: &effects)
    default: break
    }
  }

  /// One packet of a learner, by the stage its connection is in. Whoever speaks out of turn is cut
  /// off: it will find its place on a new connection.
  private mutating func received(
    _ packet: QuorumPacket, from id: LearnerID, at now: Instant, _ context: inout PeerContext,
    into effects: inout [PeerEffect]
  ) {
    guard let index = index(of: id) else { return }
    let limitMs =
      learners[index].stage == .synced
      ? context.timing.syncTimeoutMs : context.timing.initTimeoutMs
    learners[index].deadline = now.advanced(milliseconds: limitMs)
    switch learners[index].stage {
    case .greeting:
      greet(packet, index, at: now, &context, into: &effects)
    case .ackingEpoch:
      epochAcknowledged(packet, index, at: now, &context, into: &effects)
    case .synchronizing:
      guard packet.type == .ack else { return close(id, into: &effects) }
      newLeaderAcknowledged(packet, index, at: now, &context, into: &effects)
    case .synced:
      served(packet, index, &context, into: &effects)
    case .waitingForEpoch, .waitingForHistory, .readingLog:
      close(id, into: &effects)
    }
  }

  /// The leader's own log has become durable as far as the history says.
  mutating func flushed(
    at now: Instant, _ context: inout PeerContext, into effects: inout [PeerEffect]
  ) {
    if phase == .synchronization {
      supportOwnEpoch(at: now, &context, into: &effects)
    } else if phase == .broadcast {
      acked[context.own] = context.history.durable
      commitWhatIsAgreed(&context, into: &effects)
    }
  }

  mutating func timer(
    at now: Instant, _ context: inout PeerContext, into effects: inout [PeerEffect]
  ) {
    for learner in learners where learner.owesAnswer(in: phase) && now >= learner.deadline {
      close(learner.id, into: &effects)
    }
    if let resignBy, now >= resignBy { context.hasResigned = true }
    if phase == .broadcast {
      if now >= nextPing { ping(at: now, &context, into: &effects) }
    } else if now >= phaseDeadline {
      context.endOfRole = "no quorum in phase \(phase) within initLimit"
    }
  }

  mutating func close(_ id: LearnerID, into effects: inout [PeerEffect]) {
    guard index(of: id) != nil else { return }
    effects.append(.close(id))
    drop(id)
  }

  func closeAll(into effects: inout [PeerEffect]) {
    for learner in learners { effects.append(.close(learner.id)) }
  }

  private mutating func drop(_ id: LearnerID) {
    guard let index = index(of: id) else { return }
    learners.remove(at: index)
    pendingSyncs.removeAll { $0.learner == id }
  }
}
