import Bytes
import Values
import Zab
import ZooKeeperProtocol

// The driver's half of the contract in `PeerEffect`, on simulated sockets and disks.

extension ZabCluster {
  mutating func carryOut(_ effect: PeerEffect, _ index: Int) {
    switch effect {
    case .notify(let notification, let peer):
      notify(notification, from: index, to: self.index(peer))
    case .roleChanged(let state, let leader):
      trace.note(now, "\(servers[index].id) is \(state) of \(leader?.description ?? "none")")
    case .connectToLeader(let leader):
      connectAttempts += 1
      servers[index].leaderLink = -connectAttempts
      schedule(
        .connecting(
          from: index, to: leader, life: servers[index].life, attempt: connectAttempts),
        inMs: network.delay(using: &random))
    case .closeLeaderConnection:
      if let link = servers[index].leaderLink, link > 0 { cut(link) }
      servers[index].leaderLink = nil
      servers[index].gate.dropAll()
    case .sendToLeader(let packet, let durability):
      let condition = sabotage == .acknowledgesBeforeFlush ? .none : durability
      if let packet = servers[index].gate.pass(packet, after: condition) {
        sendToLeader(packet, index)
      }
    case .answerPing(let zxid):
      sendToLeader(QuorumPacket(.ping, zxid: zxid.rawValue, data: []), index)
    case .receiveSnapshot:
      break  // it has come in one piece with SNAP
    case .send(let packet, let learner):
      send(.packet(packet), to: learner, index)
    case .sendSnapshot(let zxid, let learner):
      send(.snapshot(zxid, servers[index].tree), to: learner, index)
    case .readLog(let learner, let from, _):
      readLog(for: learner, from: from, index)
    case .close(let learner):
      if let link = servers[index].learnerLinks.removeValue(forKey: learner) { cut(link) }
    default:
      carryOutAtHome(effect, index)
    }
  }

  /// Effects on the server's own disk, tree and clients.
  private mutating func carryOutAtHome(_ effect: PeerEffect, _ index: Int) {
    switch effect {
    case .configSeen(let config):
      servers[index].disk.nextConfig = config
    case .configActivated(let config):
      trace.note(now, "\(servers[index].id) has configuration \(config.versionText)")
      servers[index].disk.config = config
      if let next = servers[index].disk.nextConfig, next.version <= config.version {
        servers[index].disk.nextConfig = nil
      }
    case .resigned:
      trace.note(now, "\(servers[index].id) has resigned")
      crash(index)
      let back = Int64.random(in: 20...1500, using: &random)
      schedule(.restart(server: index, life: servers[index].life), inMs: back)
    case .persistAcceptedEpoch(let epoch):
      if sabotage != .forgetsEpochs { servers[index].disk.epochs.accepted = epoch }
    case .persistCurrentEpoch(let epoch):
      if sabotage != .forgetsEpochs { servers[index].disk.epochs.current = epoch }
    case .append(let proposal):
      servers[index].disk.log.append(proposal)
      servers[index].unapplied.append(proposal)
      beginFlush(index)
      if sabotage == .entersEpochBeforeFlush, !servers[index].isServing {
        step(index, .flushed(proposal.zxid))
      }
    case .hold(let proposal):
      servers[index].unapplied.append(proposal)
    case .dropHeld:
      servers[index].unapplied = []
    case .saveTree(let zxid):
      saveTree(index, at: zxid)
    case .truncate(let zxid):
      truncate(index, to: zxid)
    case .commit(let proposal):
      commit(proposal, index)
    case .fastForward:
      servers[index].tree += servers[index].unapplied
      servers[index].unapplied = []
    case .startServing(let epoch):
      trace.note(
        now,
        "\(servers[index].id) serves epoch \(epoch) with "
          + ZabInvariants.text(servers[index].tree))
      if servers[index].isLeading {
        invariants.leaderServes(
          servers[index], epoch: epoch, servers: servers, ensemble: ensemble(of: index))
      } else {
        invariants.learnerServes(servers[index])
      }
    case .request(_, let data, _):
      propose(Array(data.dropFirst(16)), at: index)
    default:
      break
    }
  }

  private mutating func notify(_ notification: Notification, from: Int, to: Int) {
    let pair = min(from, to) * 100 + max(from, to)
    guard let link = electionLinks[pair], let connection = network[link] else { return }
    schedule(
      network.send(
        .notification(notification, servers[from].disk.config), over: link,
        toAccepter: connection.accepter == to, at: now,
        using: &random))
  }

  private mutating func send(_ message: ZabMessage, to learner: LearnerID, _ index: Int) {
    guard let link = servers[index].learnerLinks[learner] else { return }
    schedule(network.send(message, over: link, toAccepter: false, at: now, using: &random))
  }

  private mutating func readLog(for learner: LearnerID, from: Zxid, _ index: Int) {
    let entries = servers[index].disk.log.entries
    let start = entries.lastIndex { $0.zxid <= from }
    step(index, .logRead(learner, start.map { Array(entries[$0...]) }))
  }

  private mutating func truncate(_ index: Int, to zxid: Zxid) {
    trace.note(now, "\(servers[index].id) truncates to \(zxid)")
    guard sabotage != .ignoresTruncation else { return }
    servers[index].disk.log.truncate { $0.zxid <= zxid }
    servers[index].tree.removeAll { $0.zxid > zxid }
    servers[index].unapplied.removeAll { $0.zxid > zxid }
    servers[index].gate.reset(durable: zxid)
  }

  /// An observer that kept no log is to vote: all it has becomes a snapshot.
  private mutating func saveTree(_ index: Int, at zxid: Zxid) {
    trace.note(now, "\(servers[index].id) saves its tree at \(zxid)")
    guard sabotage != .votesWithoutLog else { return }
    servers[index].disk.snapshot = (zxid, servers[index].tree)
    servers[index].disk.log.removeAll()
    servers[index].gate.reset(durable: zxid)
  }

  /// Applies a transaction; on the leader this is the moment its client hears of it.
  private mutating func commit(_ proposal: Proposal, _ index: Int) {
    servers[index].unapplied.removeAll { $0.zxid <= proposal.zxid }
    servers[index].tree.append(proposal)
    trace.note(now, "\(servers[index].id) applies \(proposal.zxid)")
    guard servers[index].isServing else { return }
    invariants.applied(servers[index])
    guard servers[index].isLeading else { return }
    invariants.acknowledges(proposal.zxid, servers: servers, ensemble: ensemble(of: index))
    acknowledged += 1
    if proposal.newConfig != nil { reconfigured += 1 }
  }

  private func ensemble(of index: Int) -> Ensemble {
    servers[index].peer?.membership.ensemble ?? Ensemble(voters: [])
  }

  // MARK: Changes of the ensemble

  /// Gives a random server another role, if the leader finds a quorum of what that makes.
  mutating func offerReconfiguration() {
    schedule(.reconfigure, inMs: Int64.random(in: 100...800, using: &random))
    let subject = servers[Int(random.next() % UInt64(servers.count))].id
    let role = random.next() % 3
    guard let leader = servers.indices.first(where: { servers[$0].isLeading }),
      let peer = servers[leader].peer, let zxid = peer.nextZxid, peer.membership.next == nil
    else { return }
    var members = peer.membership.current.servers.filter { $0.id != subject.rawValue }
    if role < 2 {
      var member = Self.member(Int(subject.rawValue))
      member.isObserver = role == 1
      members.append(member)
    }
    let config = EnsembleConfig(servers: members, version: zxid.rawValue)
    guard config.participantCount >= 2, peer.hasSyncedQuorum(of: config) else { return }
    propose(config, zxid, by: leader)
  }

  /// Logs and broadcasts a configuration as a reconfig request would make it.
  mutating func propose(_ config: EnsembleConfig, _ zxid: Zxid, by leader: Int) {
    trace.note(now, "\(servers[leader].id) proposes configuration \(config.versionText)")
    let txn = Txn(
      header: TxnHeader(clientID: 1, cxid: 1, zxid: zxid.rawValue, time: 0, type: .reconfig),
      body: .setData(path: "/zookeeper/config", data: config.bytes, version: -1))
    let proposal = Proposal(zxid: zxid, data: txn.encoded())
    invariants.noteProposed(proposal)
    step(leader, .propose(proposal))
  }

  // MARK: Clients

  /// Numbers a request as the leader's server would.
  mutating func propose(_ data: [UInt8], at index: Int) {
    guard let zxid = servers[index].peer?.nextZxid else { return }
    let proposal = Proposal(zxid: zxid, data: data)
    invariants.noteProposed(proposal)
    step(index, .propose(proposal))
  }

  /// A client writes through a random server, which forwards if it does not lead.
  mutating func offerWrite() {
    schedule(.client, inMs: Int64.random(in: 5...60, using: &random))
    write(at: Int(random.next() % UInt64(servers.count)), "")
  }

  /// A client's write through one server, in the form of a forwarded request.
  mutating func write(at index: Int, _ text: String) {
    guard servers[index].isServing else { return }
    offered += 1
    var writer = ByteWriter()
    writer.writeInt64(Int64(index))
    writer.writeInt32(Int32(offered))
    writer.writeInt32(OpCode.create.rawValue)
    writer.writeInt64(Int64(offered))
    writer.writeText(text)
    let request = writer.array()
    if servers[index].isLeading {
      propose(Array(request.dropFirst(16)), at: index)
    } else {
      step(index, .forward(request: request, authInfo: []))
    }
  }
}

extension PacketType {
  /// The name in the protocol's own words.
  var name: String {
    switch self {
    case .request: "REQUEST"
    case .proposal: "PROPOSAL"
    case .ack: "ACK"
    case .commit: "COMMIT"
    case .ping: "PING"
    case .revalidate: "REVALIDATE"
    case .sync: "SYNC"
    case .inform: "INFORM"
    case .newLeader: "NEWLEADER"
    case .followerInfo: "FOLLOWERINFO"
    case .upToDate: "UPTODATE"
    case .diff: "DIFF"
    case .trunc: "TRUNC"
    case .snap: "SNAP"
    case .observerInfo: "OBSERVERINFO"
    case .leaderInfo: "LEADERINFO"
    case .ackEpoch: "ACKEPOCH"
    case .commitAndActivate: "COMMITANDACTIVATE"
    case .informAndActivate: "INFORMANDACTIVATE"
    default: "TYPE\(rawValue)"
    }
  }
}
