import Bytes
import Values
import ZooKeeperProtocol

// A follower or observer, from the first connection attempt to the loss of the leader.
//
//   connecting --connected: FOLLOWERINFO--> discovery --LEADERINFO: ACKEPOCH--> opening
//   connecting | discovery --disconnected: wait, connect again--> connecting
//   opening --DIFF | TRUNC--> synchronizing     opening --SNAP--> installing --> synchronizing
//   synchronizing --NEWLEADER--> securing --all durable: currentEpoch, ACK--> secured
//   secured --UPTODATE: ACK--> serving
//
// The order at NEWLEADER is the heart of it: the transactions first, then `currentEpoch`, then
// the ACK. A server that wrote the epoch first could, after a crash, win an election with that
// epoch and a log that lacks what the epoch's quorum was counted on for.

struct Learner: Sendable {
  enum Phase: Hashable, Sendable {
    case connecting, discovery, opening, installing, synchronizing
    /// NEWLEADER has come and what it covers is not durable yet.
    case securing
    case secured, serving
  }

  let server: ServerID
  /// Whether transactions are logged; otherwise memory alone holds them.
  let keepsLog: Bool
  private(set) var phase = Phase.connecting
  /// The epoch of the leader, once it has said so.
  var epoch: Int64 = 0
  private var newLeaderZxid = Zxid.zero
  /// What came with NEWLEADER, in force from UPTODATE on.
  private var newLeaderConfig: EnsembleConfig?
  /// What must be durable before NEWLEADER may be acknowledged.
  private var secureThrough = Zxid.zero
  private var attempts = 1
  /// Milliseconds spent in pauses between attempts, the one under way included.
  private var pausedMs: Int64 = 0
  /// When the next attempt to connect is due; nil while one is under way.
  private var retryAt: Instant?
  /// Until when attempts are begun.
  private let connectDeadline: Instant
  /// When patience with the leader ends.
  private var deadline: Instant

  /// How many attempts there are at least, and how many of the longest pauses lie between them.
  static let connectAttempts = 5
  /// The first pause; each later one is twice as long, up to `connectRetryMs`.
  static let firstRetryMs: Int64 = 10

  init(
    of server: ServerID, _ context: inout PeerContext, at now: Instant,
    into effects: inout [PeerEffect]
  ) {
    self.server = server
    keepsLog = context.keepsLog
    let pauseMs =
      context.membership.isObserver(context.own)
      ? context.pause(upToMs: context.configuration.observerReconnectDelayMs) : 0
    let start = now.advanced(milliseconds: pauseMs)
    connectDeadline = start.advanced(milliseconds: context.timing.connectTimeoutMs)
    deadline = connectDeadline
    if pauseMs > 0 {
      retryAt = start
    } else {
      effects.append(.connectToLeader(server))
    }
  }

  var isServing: Bool { phase == .serving }
  var nextDeadline: Instant { min(deadline, retryAt ?? .distantFuture) }

  mutating func step(
    _ event: PeerEvent, at now: Instant, _ context: inout PeerContext,
    into effects: inout [PeerEffect]
  ) {
    switch event {
    case .leaderConnected:
      introduce(at: now, context, into: &effects)
    case .leaderDisconnected:
      disconnected(at: now, &context)
    case .leaderPacket(let packet):
      let limitMs =
        phase == .serving || phase == .secured
        ? context.timing.syncTimeoutMs : context.timing.initTimeoutMs
      deadline = now.advanced(milliseconds: limitMs)
      received(packet, &context, into: &effects)
      if !keepsLog, context.keepsLog, context.endOfRole == nil {
        // A configuration that was proposed gives this server a vote, which takes a log.
        context.endOfRole = "a server that is to vote begins to log"
      }
    case .snapshotInstalled(let zxid):
      guard phase == .installing else { return }
      context.history.replace(bySnapshotAt: zxid)
      phase = .synchronizing
    case .forward(let request, let authInfo):
      guard isServing else { return }
      send(
        QuorumPacket(.request, zxid: -1, data: request, authInfo: authInfo), into: &effects)
    case .revalidate(let session, let timeoutMs):
      guard isServing else { return }
      var writer = ByteWriter()
      writer.writeInt64(session)
      writer.writeInt32(timeoutMs)
      send(QuorumPacket(.revalidate, zxid: -1, data: writer.array()), into: &effects)
    default: break
    }
  }

  mutating func timer(
    at now: Instant, _ context: inout PeerContext, into effects: inout [PeerEffect]
  ) {
    if now >= deadline {
      context.endOfRole = "leader \(server) silent in phase \(phase)"
    } else if let due = retryAt, now >= due {
      retryAt = nil
      effects.append(.connectToLeader(server))
    }
  }

  /// A leader that has just been elected may not listen yet. Where a proxy or a backlog takes
  /// connections for it, one opens all the same and ends before the leader has said anything: that
  /// is no other case than a refusal.
  private mutating func disconnected(at now: Instant, _ context: inout PeerContext) {
    let hasHeardNothing = phase == .connecting || phase == .discovery
    let limitMs = Int64(Self.connectAttempts - 1) * context.timing.connectRetryMs
    let isPatient = attempts < Self.connectAttempts || pausedMs < limitMs
    guard hasHeardNothing, isPatient, now < connectDeadline else {
      context.endOfRole = "connection to leader \(server) lost in phase \(phase)"
      return
    }
    // It begins to listen as soon as it knows that it leads, which is about now.
    let doublings = min(Int64(attempts) - 1, 20)
    let pauseMs = min(Self.firstRetryMs << doublings, context.timing.connectRetryMs)
    attempts += 1
    pausedMs += pauseMs
    phase = .connecting
    deadline = connectDeadline
    retryAt = now.advanced(milliseconds: pauseMs)
  }

  /// FOLLOWERINFO or OBSERVERINFO: who we are and the last epoch we have accepted.
  private mutating func introduce(
    at now: Instant, _ context: PeerContext, into effects: inout [PeerEffect]
  ) {
    guard phase == .connecting else { return }
    phase = .discovery
    deadline = now.advanced(milliseconds: context.timing.initTimeoutMs)
    send(
      QuorumPacket(
        context.membership.isObserver(context.own) ? .observerInfo : .followerInfo,
        zxid: Zxid(epoch: context.epochs.accepted, counter: 0).rawValue,
        data: LearnerInfo(serverID: context.own.rawValue).encoded()),
      into: &effects)
  }

  // MARK: Packets

  private mutating func received(
    _ packet: QuorumPacket, _ context: inout PeerContext, into effects: inout [PeerEffect]
  ) {
    switch phase {
    case .connecting, .installing:
      unexpected(packet, &context)
    case .discovery:
      discover(packet, &context, into: &effects)
    case .opening:
      open(packet, &context, into: &effects)
    case .synchronizing, .securing, .secured, .serving:
      followStream(packet, &context, into: &effects)
    }
  }

  /// LEADERINFO: promise not to take part in any earlier epoch, and say where the log ends.
  private mutating func discover(
    _ packet: QuorumPacket, _ context: inout PeerContext, into effects: inout [PeerEffect]
  ) {
    guard packet.type == .leaderInfo else { return unexpected(packet, &context) }
    epoch = Zxid(rawValue: packet.zxid).epoch
    guard epoch >= context.epochs.accepted else {
      context.endOfRole = "leader's epoch \(epoch) is below \(context.epochs.accepted), accepted"
      return
    }
    var writer = ByteWriter()
    if epoch > context.epochs.accepted {
      writer.writeInt32(Int32(truncatingIfNeeded: context.epochs.current))
      context.epochs.accepted = epoch
      effects.append(.persistAcceptedEpoch(epoch))
    } else {
      // Accepted before, perhaps on another connection: it must not be counted twice.
      writer.writeInt32(-1)
    }
    phase = .opening
    send(
      QuorumPacket(
        .ackEpoch, zxid: context.history.lastLogged.rawValue, data: writer.array()),
      into: &effects)
  }

  /// DIFF, TRUNC or SNAP: how our log becomes a prefix of the leader's.
  private mutating func open(
    _ packet: QuorumPacket, _ context: inout PeerContext, into effects: inout [PeerEffect]
  ) {
    let zxid = Zxid(rawValue: packet.zxid)
    switch packet.type {
    case .diff:
      phase = .synchronizing
    case .trunc:
      truncate(to: zxid, &context, into: &effects)
    case .snap:
      effects.append(.receiveSnapshot(zxid))
      phase = .installing
    default:
      unexpected(packet, &context)
    }
  }

  /// A tree can only be brought back to where the disk can lead it. An observer that keeps no log
  /// and is asked for less than it holds comes again with what it can show.
  private mutating func truncate(
    to zxid: Zxid, _ context: inout PeerContext, into effects: inout [PeerEffect]
  ) {
    let end = min(zxid, context.history.hasUnwritten ? context.history.written : zxid)
    effects.append(.truncate(to: end))
    context.history.truncate(to: end)
    phase = .synchronizing
    if end < zxid { context.endOfRole = "\(zxid) is in no log here, which ends at \(end)" }
  }

  /// Everything after the opening. Transactions are logged as they come and applied when they are
  /// committed, also before NEWLEADER: what a leader sends there is its own history, which a crash
  /// may leave us with any part of.
  private mutating func followStream(
    _ packet: QuorumPacket, _ context: inout PeerContext, into effects: inout [PeerEffect]
  ) {
    switch packet.type {
    case .proposal:
      proposed(packet, packet.data ?? [], &context, into: &effects)
    case .commit:
      committed(Zxid(rawValue: packet.zxid), &context, into: &effects)
    case .commitAndActivate:
      activated(packet, &context, into: &effects)
    case .inform:
      proposed(packet, packet.data ?? [], &context, into: &effects)
      committed(Zxid(rawValue: packet.zxid), &context, into: &effects)
    case .informAndActivate:
      // The leader that the new configuration suggests comes first.
      proposed(packet, Array((packet.data ?? []).dropFirst(8)), &context, into: &effects)
      activated(packet, &context, into: &effects)
    case .newLeader where phase == .synchronizing:
      newLeaderZxid = Zxid(rawValue: packet.zxid)
      if let data = packet.data, data.count > 1,
        let config = try? EnsembleConfig(text: String(decoding: data, as: UTF8.self))
      {
        context.see(config, into: &effects)
        newLeaderConfig = config
      }
      secureThrough = context.history.lastLogged
      phase = .securing
      secure(&context, into: &effects)
    case .upToDate where phase == .secured:
      if let config = newLeaderConfig, changesRole(config, suggested: nil, &context, into: &effects)
      {
        context.endOfRole = "the ensemble has changed: \(config.version)"
        return
      }
      phase = .serving
      send(
        QuorumPacket(.ack, zxid: Zxid(epoch: epoch, counter: 0).rawValue), into: &effects)
      effects.append(.startServing(epoch: epoch))
    case .ping:
      // A leader waits for the ACK of NEWLEADER and takes nothing else before it.
      if phase == .secured || phase == .serving {
        effects.append(.answerPing(Zxid(rawValue: packet.zxid)))
      }
    case .revalidate where phase == .serving:
      revalidated(packet, &context, into: &effects)
    case .sync where phase == .serving:
      effects.append(.synced)
    default:
      unexpected(packet, &context)
    }
  }

  /// Logs a transaction. The leader's stream has no gaps that could be told from a change of epoch,
  /// but it never goes back: a leader that does is not followed further.
  private mutating func proposed(
    _ packet: QuorumPacket, _ data: [UInt8], _ context: inout PeerContext,
    into effects: inout [PeerEffect]
  ) {
    let zxid = Zxid(rawValue: packet.zxid)
    guard zxid > context.history.lastLogged else {
      context.endOfRole = "leader \(server) sent \(zxid) after \(context.history.lastLogged)"
      return
    }
    let proposal = Proposal(zxid: zxid, data: data)
    if let config = proposal.newConfig { context.see(config, into: &effects) }
    context.history.append(proposal, isWritten: keepsLog)
    effects.append(keepsLog ? .append(proposal) : .hold(proposal))
    // Before NEWLEADER is acknowledged the leader expects no other ACK; `secure` makes up for it.
    if phase == .secured || phase == .serving, packet.type == .proposal, keepsLog {
      acknowledge(zxid, into: &effects)
    }
  }

  /// Applies the oldest transaction that waits. Commits of what a snapshot already held are old
  /// news.
  private func committed(
    _ zxid: Zxid, _ context: inout PeerContext, into effects: inout [PeerEffect]
  ) {
    guard zxid > context.history.lastProcessed else { return }
    guard context.history.pending.first?.zxid == zxid, let proposal = context.history.commitFirst()
    else {
      context.endOfRole = "leader \(server) committed \(zxid) out of order"
      return
    }
    effects.append(.commit(proposal))
  }

  // MARK: Changes of the ensemble

  /// COMMITANDACTIVATE or INFORMANDACTIVATE: the oldest transaction that waits is a
  /// reconfiguration, and is agreed on.
  private func activated(
    _ packet: QuorumPacket, _ context: inout PeerContext, into effects: inout [PeerEffect]
  ) {
    let data = packet.data ?? []
    var reader = ByteReader(data.span.bytes)
    guard let suggested = try? reader.readInt64() else { return unexpected(packet, &context) }
    let config = context.history.pending.first?.newConfig
    var isMajor = false
    if let config {
      isMajor = changesRole(config, suggested: ServerID(suggested), &context, into: &effects)
    }
    committed(Zxid(rawValue: packet.zxid), &context, into: &effects)
    guard isMajor, context.endOfRole == nil else { return }
    context.appointed = ServerID(suggested)
    context.endOfRole = "the ensemble has changed: \(Zxid(rawValue: packet.zxid))"
  }

  /// Puts a configuration in force; true if it gives this server another role or another leader.
  private func changesRole(
    _ config: EnsembleConfig, suggested: ServerID?, _ context: inout PeerContext,
    into effects: inout [PeerEffect]
  ) -> Bool {
    let former = context.membership.current
    let wasObserver = context.membership.isObserver(context.own)
    guard context.activate(config, into: &effects), !config.hasSameMembers(as: former) else {
      return false
    }
    let hasOtherRole = wasObserver != context.membership.isObserver(context.own)
    if let suggested { return hasOtherRole || suggested != server }
    return hasOtherRole || !config.hasSameAddress(of: server, as: former)
  }

  // MARK: Durability

  mutating func flushed(
    at now: Instant, _ context: inout PeerContext, into effects: inout [PeerEffect]
  ) {
    if phase == .securing { secure(&context, into: &effects) }
  }

  /// Enters the epoch once everything that NEWLEADER covers is durable, and acknowledges it first,
  /// then whatever is proposed and not committed yet.
  private mutating func secure(
    _ context: inout PeerContext, into effects: inout [PeerEffect]
  ) {
    let isHeld = context.history.durable >= secureThrough
    // An observer without a log has no say in what is agreed on: its ACK only asks for UPTODATE.
    guard isHeld || !keepsLog else { return }
    context.enter(epoch, isHeld: isHeld, into: &effects)
    phase = .secured
    send(QuorumPacket(.ack, zxid: newLeaderZxid.rawValue), into: &effects)
    guard !context.membership.isObserver(context.own) else { return }
    for proposal in context.history.pending.elements { acknowledge(proposal.zxid, into: &effects) }
  }

  private func acknowledge(_ zxid: Zxid, into effects: inout [PeerEffect]) {
    effects.append(
      .sendToLeader(QuorumPacket(.ack, zxid: zxid.rawValue), after: .flushed(zxid)))
  }

  // MARK: Odds and ends

  private func revalidated(
    _ packet: QuorumPacket, _ context: inout PeerContext, into effects: inout [PeerEffect]
  ) {
    let data = packet.data ?? []
    var reader = ByteReader(data.span.bytes)
    guard let session = try? reader.readInt64(), let isValid = try? reader.readBool() else {
      return unexpected(packet, &context)
    }
    effects.append(.sessionRevalidated(session: session, isValid: isValid))
  }

  private func send(_ packet: QuorumPacket, into effects: inout [PeerEffect]) {
    effects.append(.sendToLeader(packet, after: .none))
  }

  private func unexpected(_ packet: QuorumPacket, _ context: inout PeerContext) {
    context.endOfRole =
      "leader \(server) sent a packet of type \(packet.type.rawValue) in phase \(phase)"
  }
}
