import Bytes
import Values
import ZooKeeperProtocol

// Discovery: a quorum agrees on an epoch later than any it has accepted, and shows its logs.

extension Leader {
  /// FOLLOWERINFO or OBSERVERINFO: who it is, and the last epoch it has accepted.
  mutating func greet(
    _ packet: QuorumPacket, _ index: Int, at now: Instant, _ context: inout PeerContext,
    into effects: inout [PeerEffect]
  ) {
    let id = learners[index].id
    guard packet.type == .followerInfo || packet.type == .observerInfo,
      let info = try? LearnerInfo(decoding: packet.data ?? []),
      info.protocolVersion >= LearnerInfo.currentProtocolVersion
    else { return close(id, into: &effects) }
    let server = ServerID(info.serverID)
    learners[index].server = server
    learners[index].isObserver = packet.type == .observerInfo
    learners[index].stage = .waitingForEpoch
    // A server that connects again has given up its former connection.
    for other in learners where other.server == server && other.id != id {
      close(other.id, into: &effects)
    }
    let accepted = Zxid(rawValue: packet.zxid).epoch
    guard phase == .discovery else {
      if accepted > epoch, context.membership.isVoter(server) {
        // It has promised a later epoch to somebody who never got a quorum, and could not join us
        // before the next election: hold it now.
        context.endOfRole = "voter \(server) has accepted epoch \(accepted), later than \(epoch)"
        return
      }
      return tellEpoch(at: now, context, into: &effects)
    }
    propose(epochAfter: accepted, by: server, at: now, &context, into: &effects)
  }

  /// Counts a server whose last accepted epoch this is; with a quorum the epoch is settled.
  mutating func propose(
    epochAfter accepted: Int64, by server: ServerID, at now: Instant,
    _ context: inout PeerContext, into effects: inout [PeerEffect]
  ) {
    // A stranger's word would only drive the epoch up.
    guard context.membership.contains(server) else { return }
    if accepted >= epoch { epoch = accepted + 1 }
    if context.membership.isVoter(server) { connected.insert(server) }
    guard connected.contains(context.own), context.membership.isQuorum(connected) else { return }
    context.epochs.accepted = epoch
    effects.append(.persistAcceptedEpoch(epoch))
    phase = .history
    phaseDeadline = now.advanced(milliseconds: context.timing.initTimeoutMs)
    tellEpoch(at: now, context, into: &effects)
    countEpoch(of: context.own, at: now, &context, into: &effects)
  }

  private mutating func tellEpoch(
    at now: Instant, _ context: PeerContext, into effects: inout [PeerEffect]
  ) {
    var writer = ByteWriter()
    writer.writeInt32(LearnerInfo.currentProtocolVersion)
    let packet = QuorumPacket(
      .leaderInfo, zxid: Zxid(epoch: epoch, counter: 0).rawValue, data: writer.array())
    for index in learners.indices where learners[index].stage == .waitingForEpoch {
      learners[index].stage = .ackingEpoch
      learners[index].deadline = now.advanced(milliseconds: context.timing.initTimeoutMs)
      effects.append(.send(packet, to: learners[index].id))
    }
  }

  /// ACKEPOCH: where its log ends, and the last epoch it took part in.
  mutating func epochAcknowledged(
    _ packet: QuorumPacket, _ index: Int, at now: Instant, _ context: inout PeerContext,
    into effects: inout [PeerEffect]
  ) {
    let learner = learners[index]
    let data = packet.data ?? []
    var reader = ByteReader(data.span.bytes)
    guard packet.type == .ackEpoch, let current = try? reader.readInt32() else {
      return close(learner.id, into: &effects)
    }
    let lastLogged = Zxid(rawValue: packet.zxid)
    learners[index].lastLogged = lastLogged
    learners[index].stage = .waitingForHistory
    guard phase == .history else {
      return opens(index, at: now, context, into: &effects)
    }
    if current != -1 {
      let ours = (context.epochs.current, context.history.lastLogged)
      guard (Int64(current), lastLogged) <= ours else {
        // Its log may hold committed transactions that ours lacks: it must not follow us.
        return close(learner.id, into: &effects)
      }
      countEpoch(of: learner.server, at: now, &context, into: &effects)
    }
  }

  /// With a quorum, no committed transaction can be missing from our log.
  private mutating func countEpoch(
    of server: ServerID, at now: Instant, _ context: inout PeerContext,
    into effects: inout [PeerEffect]
  ) {
    if context.membership.isVoter(server) { ackedEpoch.insert(server) }
    guard ackedEpoch.contains(context.own), context.membership.isQuorum(ackedEpoch) else { return }
    context.enter(epoch, isHeld: true, into: &effects)
    lastProposed = Zxid(epoch: epoch, counter: 0)
    versionFirstConfig(&context, into: &effects)
    phase = .synchronization
    phaseDeadline = now.advanced(milliseconds: context.timing.initTimeoutMs)
    for learner in learners where learner.stage == .waitingForHistory {
      guard let index = index(of: learner.id) else { continue }
      opens(index, at: now, context, into: &effects)
    }
    supportOwnEpoch(at: now, &context, into: &effects)
  }
}
