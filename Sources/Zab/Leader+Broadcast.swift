import Bytes
import Values
import ZooKeeperProtocol

// Broadcast: proposals out, acknowledgements in, commits in order; pings keep everybody honest.

extension Leader {
  /// Logs a transaction and sends it to every learner that has reached this point of the stream.
  /// The leader's own log counts like any follower's: when it is durable, not before.
  mutating func propose(
    _ proposal: Proposal, at now: Instant, _ context: inout PeerContext,
    into effects: inout [PeerEffect]
  ) {
    guard nextZxid == proposal.zxid else { return }
    lastProposed = proposal.zxid
    if let config = proposal.newConfig { context.see(config, into: &effects) }
    context.history.append(proposal)
    effects.append(.append(proposal))
    let packet = Self.packet(.proposal, proposal)
    for index in learners.indices
    where learners[index].isForwarding && !learners[index].isObserver {
      learners[index].sent(proposal.zxid, at: now)
      effects.append(.send(packet, to: learners[index].id))
    }
    // The next transaction needs a number, and this epoch has none left.
    if lastProposed.isLastOfEpoch { context.endOfRole = "epoch \(epoch) is out of numbers" }
  }

  /// A packet of a learner that is up to date.
  mutating func served(
    _ packet: QuorumPacket, _ index: Int, _ context: inout PeerContext,
    into effects: inout [PeerEffect]
  ) {
    let learner = learners[index]
    switch packet.type {
    case .ack:
      let zxid = Zxid(rawValue: packet.zxid)
      learners[index].acknowledged(zxid)
      guard !learner.isObserver, zxid <= lastProposed else { return }
      acked[learner.server] = max(acked[learner.server] ?? .lowest, zxid)
      commitWhatIsAgreed(&context, into: &effects)
    case .ping:
      touched(packet.data ?? [], into: &effects)
    case .request:
      requested(packet, by: learner.id, context, into: &effects)
    case .revalidate:
      let data = packet.data ?? []
      var reader = ByteReader(data.span.bytes)
      guard let session = try? reader.readInt64(), let timeoutMs = try? reader.readInt32() else {
        return close(learner.id, into: &effects)
      }
      effects.append(.revalidate(learner.id, session: session, timeoutMs: timeoutMs))
    default:
      break
    }
  }

  /// Commits, oldest first, whatever a quorum has on disk. A learner acknowledges in order, so its
  /// last acknowledgement speaks for all before it.
  mutating func commitWhatIsAgreed(
    _ context: inout PeerContext, into effects: inout [PeerEffect]
  ) {
    while phase == .broadcast, successor == nil, let next = context.history.pending.first,
      context.membership.isQuorum(
        for: next.zxid, where: { (acked[$0] ?? .lowest) >= next.zxid }),
      let proposal = context.history.commitFirst()
    {
      if context.membership.nextZxid == proposal.zxid, let config = context.membership.next {
        activate(config, by: proposal, &context, into: &effects)
      } else {
        let commit = QuorumPacket(.commit, zxid: proposal.zxid.rawValue)
        for learner in learners where learner.isForwarding {
          effects.append(
            .send(learner.isObserver ? Self.packet(.inform, proposal) : commit, to: learner.id))
        }
      }
      effects.append(.commit(proposal))
      releaseSyncs(upTo: proposal.zxid, into: &effects)
    }
    if resignBy != nil, context.history.pending.isEmpty { context.hasResigned = true }
  }

  // MARK: Learners' clients

  /// Sessions that a learner has heard of since the last ping.
  private func touched(_ data: [UInt8], into effects: inout [PeerEffect]) {
    var reader = ByteReader(data.span.bytes)
    while let session = try? reader.readInt64(), let timeoutMs = try? reader.readInt32() {
      effects.append(.touch(session: session, timeoutMs: timeoutMs))
    }
  }

  /// A forwarded request. Syncs are answered here: they only wait for commits, and become no
  /// transaction.
  private mutating func requested(
    _ packet: QuorumPacket, by id: LearnerID, _ context: PeerContext,
    into effects: inout [PeerEffect]
  ) {
    guard phase == .broadcast else { return }
    let data = packet.data ?? []
    var reader = ByteReader(data.span.bytes)
    guard (try? reader.readInt64()) != nil, (try? reader.readInt32()) != nil,
      let type = try? reader.readInt32()
    else { return close(id, into: &effects) }
    if OpCode(rawValue: type) == .sync {
      sync(for: id, context, into: &effects)
    } else {
      effects.append(.request(id, data, authInfo: packet.authInfo ?? []))
    }
  }

  /// Answers when everything proposed so far is committed: what comes after the answer on the
  /// learner's stream is younger than the sync.
  mutating func sync(
    for learner: LearnerID?, _ context: PeerContext, into effects: inout [PeerEffect]
  ) {
    guard let last = context.history.pending.last else {
      return answerSync(learner, into: &effects)
    }
    pendingSyncs.append((last.zxid, learner))
  }

  private mutating func releaseSyncs(upTo zxid: Zxid, into effects: inout [PeerEffect]) {
    while let first = pendingSyncs.first, first.after <= zxid {
      pendingSyncs.removeFirst()
      answerSync(first.learner, into: &effects)
    }
  }

  private func answerSync(_ learner: LearnerID?, into effects: inout [PeerEffect]) {
    if let learner {
      effects.append(.send(QuorumPacket(.sync, zxid: 0), to: learner))
    } else {
      effects.append(.synced)
    }
  }

  /// Passes on whether a session that a learner has asked about is alive.
  func answer(
    _ id: LearnerID, session: Int64, isValid: Bool, into effects: inout [PeerEffect]
  ) {
    guard index(of: id) != nil else { return }
    var writer = ByteWriter()
    writer.writeInt64(session)
    writer.writeBool(isValid)
    effects.append(.send(QuorumPacket(.revalidate, zxid: -1, data: writer.array()), to: id))
  }

  // MARK: Ticks

  /// Every half tick: pings, learners that are too far behind; every tick: is there a quorum?
  mutating func ping(
    at now: Instant, _ context: inout PeerContext, into effects: inout [PeerEffect]
  ) {
    nextPing = now.advanced(milliseconds: context.timing.tickTimeMs / 2)
    for learner in learners where isBehind(learner, at: now, context) {
      close(learner.id, into: &effects)
    }
    let packet = QuorumPacket(.ping, zxid: lastProposed.rawValue)
    for learner in learners where learner.isForwarding {
      effects.append(.send(packet, to: learner.id))
    }
    if examinesQuorum {
      // Learners that fell silent have been closed at their deadlines.
      var present: Set<ServerID> = [context.own]
      for learner in learners where !learner.isObserver { present.insert(learner.server) }
      if !context.membership.isQuorum(present) {
        context.endOfRole = "too few followers: \(present.sorted().map(\.description))"
      }
    }
    examinesQuorum.toggle()
  }

  /// A learner that answers pings but does not get its proposals to disk holds nobody up, and is
  /// cut off so that it starts over.
  private func isBehind(
    _ learner: LearnerConnection, at now: Instant, _ context: PeerContext
  ) -> Bool {
    guard let oldest = learner.oldestUnacked else { return false }
    return now.milliseconds(since: oldest.sentAt) >= context.timing.syncTimeoutMs
  }
}
