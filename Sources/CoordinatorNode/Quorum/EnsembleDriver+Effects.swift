// What the machine asks for, done: the contract stands at `PeerEffect`.

import Bytes
import Platform
import Telemetry
import Zab
import ZooKeeperProtocol
import Znodes

extension EnsembleDriver {
  func carryOut(_ effect: PeerEffect) {
    switch effect {
    case .notify(let notification, let server):
      links.send(notification.message(config: configBytes), to: server)
    case .roleChanged(let state, let leader):
      changeRole(state, leader)
    case .connectToLeader(let server):
      guard let member = member(server) else { return handle(.leaderDisconnected) }
      leader.connect(to: member, timeoutMs: config.ensembleTiming.connectTimeoutMs)
    case .closeLeaderConnection:
      leader.close()
    case .sendToLeader(let packet, let durability):
      if packet.type == .ackEpoch { quorum.syncSince = loop.now }
      leader.send(packet, after: durability)
    case .answerPing(let zxid):
      answerPing(zxid)
    case .receiveSnapshot(let zxid):
      CoordinatorLog.quorum.info("receiving a snapshot", ["zxid": "0x\(zxidText(zxid.rawValue))"])
      leader.expectSnapshot(zxid)
    case .send(let packet, let learner):
      measureSync(packet.type)
      learners.send(packet, to: learner)
    case .sendSnapshot(let zxid, let learner):
      sendSnapshot(zxid, to: learner)
    case .readLog(let learner, let from, let through):
      readLog(for: learner, from: from, through: through)
    case .close(let learner):
      learners.close(learner)
    default:
      carryOutAtHome(effect)
    }
  }

  /// Effects on the disk, the tree and the clients.
  private func carryOutAtHome(_ effect: PeerEffect) {
    switch effect {
    case .configSeen(let config):
      configSeen(config)
    case .configActivated(let config):
      configActivated(config)
    case .resigned:
      onResigned?()
    case .persistAcceptedEpoch(let epoch):
      persist("acceptedEpoch", epoch)
    case .persistCurrentEpoch(let epoch):
      persist("currentEpoch", epoch)
    case .append(let proposal):
      unapplied.append(proposal)
      if let time = proposal.time { unflushed.append((proposal.zxid.rawValue, time)) }
      store.append(proposal.zxid.rawValue, proposal.data)
    case .hold(let proposal):
      unapplied.append(proposal)
    case .dropHeld:
      unapplied.removeAll()
    case .saveTree(let zxid):
      saveTree(at: zxid)
    case .truncate(let zxid):
      truncate(to: zxid)
    case .commit(let proposal):
      commit(proposal)
    case .fastForward:
      while let proposal = unapplied.popFirst() { apply(proposal, isServing: false) }
    case .startServing(let epoch):
      startServing(epoch)
    case .stopServing:
      coordinator.stopServing()
      reconfigProposed = 0
      proposed.removeAll()
      syncs.removeAll()
    case .request(let learner, let data, let identities):
      requested(data, identities, by: learner)
    case .touch(let session, let timeoutMs):
      coordinator.touch(session, timeoutMs: timeoutMs)
    case .revalidate(let learner, let session, let timeoutMs):
      let isValid = coordinator.revalidate(
        session, timeoutMs: timeoutMs, for: Int64(learner.rawValue))
      handle(.revalidated(learner, session: session, isValid: isValid))
    case .sessionRevalidated(let session, let isValid):
      coordinator.revalidated(session: session, isValid: isValid)
    case .synced:
      if let sync = syncs.popFirst() {
        coordinator.synced(session: sync.session, cxid: sync.cxid)
      }
    default:
      break
    }
  }

  // MARK: Roles

  /// The learners' port is open exactly while this server leads: a learner that is refused tries
  /// again, one that is accepted and forgotten would wait for initLimit.

  private func changeRole(_ state: PeerState, _ leader: ServerID?) {
    loop.cancel(readOnlyTimer)
    coordinator.measureElection(isLooking: state == .looking)
    if coordinator.isReadOnly, state != .looking { coordinator.stopServing() }
    switch state {
    case .leading:
      learners.open()
      CoordinatorLog.quorum.info("leading", ["round": peer.vote.electionEpoch])
    case .following, .observing:
      CoordinatorLog.quorum.info("\(state)", ["leader": leader?.description ?? "none"])
    case .looking:
      quorum.lost(at: loop.now)
      links.beginElection()
      learners.close()
      serveReadersSoon()
      if let reason = peer.lastEndOfRole {
        CoordinatorLog.quorum.info("looking for a leader", ["because": reason])
      }
    }
  }

  /// A server that finds no leader for a while is probably cut off from the others.
  private func serveReadersSoon() {
    guard config.readOnlyModeEnabled, !coordinator.isReadOnly else { return }
    readOnlyTimer = loop.schedule(afterMs: max(2000, Int64(config.tickTimeMs))) { [weak self] in
      guard let self, peer.state == .looking, !coordinator.isServing else { return }
      coordinator.startServingReadOnly()
    }
  }

  /// Clients are taken. A leader numbers its transactions from the epoch's zero, and all servers
  /// show that zero: a client must never see a zxid go back when it changes servers.
  private func startServing(_ epoch: Int64) {
    let start = Zxid(epoch: epoch, counter: 0).rawValue
    coordinator.database.beginEpoch(at: start)
    coordinator.startServing(preparingFrom: peer.state == .leading ? start : nil)
    quorum.serves(as: peer.state, at: loop.now)
    CoordinatorLog.quorum.info(
      "serving",
      [
        "as": status.mode.rawValue, "epoch": epoch,
        "zxid": "0x\(zxidText(coordinator.database.lastZxid))",
      ])
  }

  // MARK: Disk

  /// A server that cannot keep a promise must not make it.
  private func persist(_ name: String, _ epoch: Int64) {
    do throws(StorageError) { try store.directory.writeEpoch(name, epoch) } catch {
      fail(error)
    }
  }

  func fail(_ error: StorageError) {
    CoordinatorLog.quorum.error("cannot go on", ["reason": error])
    store.onFailure?(error)
  }

  /// Cuts the log, and reads what is left: the tree may hold what was cut.
  private func truncate(to zxid: Zxid) {
    CoordinatorLog.quorum.warn("truncating the log", ["zxid": "0x\(zxidText(zxid.rawValue))"])
    do throws(StorageError) {
      try store.truncate(to: zxid.rawValue)
      var recovery = Recovery(directory: store.directory)
      recovery.extendedTypes = config.extendedTypesEnabled
      let recovered = try recovery.run()
      guard recovered.database.lastZxid == zxid.rawValue || zxid.counter == 0 else {
        throw .ensemble(
          "the log ends at \(Zxid(rawValue: recovered.database.lastZxid)) instead of \(zxid)")
      }
      replaceDatabase(recovered.database, durable: zxid)
    } catch {
      // Half a log must not vote.
      fail(error)
    }
  }

  /// An observer that has kept no log gets a vote: what follows is logged, and must have something
  /// to follow on. (A real server logs on behind the gap, and misses it after its next start.)
  private func saveTree(at zxid: Zxid) {
    CoordinatorLog.quorum.info(
      "saving what was in memory only", ["zxid": "0x\(zxidText(zxid.rawValue))"])
    do throws(StorageError) { try store.install(coordinator.database) } catch { return fail(error) }
    leader.reset(durable: zxid)
  }

  /// Puts a leader's tree in place of everything here.
  func install(_ database: Database) -> Bool {
    do throws(StorageError) { try store.install(database) } catch {
      fail(error)
      return false
    }
    let zxid = Zxid(rawValue: database.lastZxid)
    replaceDatabase(database, durable: zxid)
    handle(.snapshotInstalled(zxid))
    return true
  }

  /// The log ends at `zxid` now, and the tree with it; what waited to be applied is in neither.
  private func replaceDatabase(_ database: Database, durable zxid: Zxid) {
    unapplied.removeAll()
    unflushed.removeAll()
    coordinator.replaceDatabase(database)
    showConfig()
    leader.reset(durable: zxid)
  }

  // MARK: The tree

  /// Commits come in the order of the log, so the oldest of what is not applied is the one.
  private func commit(_ proposal: Proposal) {
    if unapplied.first?.zxid == proposal.zxid { _ = unapplied.popFirst() }
    measureCommit(proposal)
    // Effects of one step come in order: the machine may have gone on to end its role already.
    apply(proposal, isServing: coordinator.isServing)
  }

  /// Applies a transaction; while serving, watchers and whoever asked for it are told.
  private func apply(_ proposal: Proposal, isServing: Bool) {
    guard let txn = transaction(of: proposal) else {
      // The leader has agreed with a quorum on what we cannot read: going on would lose it.
      return fail(.ensemble("transaction \(proposal.zxid) cannot be read"))
    }
    if isServing { coordinator.commit(txn) } else { coordinator.apply(txn) }
  }

  /// The leader still has what it has made; everybody else reads the bytes.
  private func transaction(of proposal: Proposal) -> Txn? {
    while let first = proposed.first, first.header.zxid <= proposal.zxid.rawValue {
      _ = proposed.popFirst()
      if first.header.zxid == proposal.zxid.rawValue { return first }
    }
    return try? Txn(decoding: proposal.data)
  }

  // MARK: Learners

  /// The leader keeps the clock of all sessions; a learner says which of its own were heard of.
  private func answerPing(_ zxid: Zxid) {
    var writer = ByteWriter()
    for (session, timeoutMs) in coordinator.takeTouched() {
      writer.writeInt64(session)
      writer.writeInt32(timeoutMs)
    }
    leader.send(
      QuorumPacket(.ping, zxid: zxid.rawValue, data: writer.array()), after: .none)
  }

  /// A request of a learner's client. Its owner is the learner's connection, so that a client that
  /// has moved on cannot be spoken for by the server it has left.
  private func requested(_ data: [UInt8], _ identities: [AuthID], by learner: LearnerID) {
    var reader = ByteReader(data.span.bytes)
    guard let session = try? reader.readInt64(), let cxid = try? reader.readInt32(),
      let type = try? reader.readInt32(), let body = try? reader.readBytes(reader.remaining)
    else { return learners.close(learner) }
    propose(
      WriteRequest(
        session: session, cxid: cxid, type: OpCode(rawValue: type), body: body,
        identities: identities, owner: Int64(learner.rawValue)))
  }

  /// The whole tree, as of `zxid`: what follows on the stream continues exactly there.
  private func sendSnapshot(_ zxid: Zxid, to learner: LearnerID) {
    guard let connection = learners[learner] else { return }
    CoordinatorLog.quorum.info(
      "sending a snapshot", ["zxid": "0x\(zxidText(zxid.rawValue))", "to": connection.peer])
    measureSync(.snap)
    learners.sendSnapshot(coordinator.database, zxid: zxid.rawValue, to: learner)
  }

  /// A learner that is further behind than a part of a snapshot is served faster by a snapshot.
  private func readLog(for learner: LearnerID, from: Zxid, through: Zxid) {
    let size = Int(clamping: coordinator.database.tree.approximateDataSize)
    let ratio = config.storage.logToSnapshotRatio
    guard ratio >= 0 else { return handle(.logRead(learner, nil)) }
    let limit = max(1 << 20, Int(Double(size) * min(ratio, 1000)))
    let answer = LoopConfined(self)
    store.read(from: from.rawValue, through: through.rawValue, limit: limit) { log in
      answer.value.handle(
        .logRead(
          learner, log?.map { Proposal(zxid: Zxid(rawValue: $0.zxid), data: $0.bytes) }))
    }
  }
}
