import KafkaProtocol
import Raft
import Values

// The driver's half of the contract in `RaftEffect`, on simulated sockets and disks.

extension RaftCluster {
  mutating func carryOut(_ effect: RaftEffect, _ index: Int) {
    switch effect {
    case .persist(let state):
      invariants.enters(state.epoch, &servers[index])
      servers[index].disk.election = state
    case .send(let request, let node, let correlation):
      // The mistake must show in what it leads to, not only here.
      if case .fetch(let fetch) = request, sabotage != .acknowledgesBeforeFlush {
        invariants.fetches(from: fetch.fetchOffset, servers[index])
      }
      send(.request(request, correlation), from: index, to: self.index(node))
    case .respond(let id, let response): respond(id, response, index)
    case .write, .writeControl, .append, .truncate, .flush: carryOutOnLog(effect, index)
    case .refuse: break  // the client asks another server
    case .beginSnapshot, .writeSnapshotChunk, .installSnapshot, .discardSnapshot:
      carryOutOnSnapshot(effect, index)
    case .stateChanged(let state, let epoch):
      trace.note(now, "\(servers[index].name) is \(state.rawValue) in epoch \(epoch.rawValue)")
    case .leaderChanged: break
    case .becameLeader(let epoch, _):
      counts.leaders += 1
      invariants.becameLeader(servers[index], epoch: epoch)
    case .resigned: servers[index].waiting = []
    case .committed(let end): commit(upTo: end, index)
    case .votersChanged(let voters, let offset):
      guard offset >= 0 else { return }
      let set = RaftInvariants.text(.control(.voters(voters)))
      trace.note(now, "\(servers[index].name) has \(set) from \(offset) on")
    case .shutdownCompleted:
      trace.note(now, "\(servers[index].name) has shut down")
    case .log(let line):
      if line.level != .info { trace.note(now, "\(servers[index].name) logs: \(line.text)") }
    }
  }

  // MARK: The log

  private mutating func carryOutOnLog(_ effect: RaftEffect, _ index: Int) {
    switch effect {
    case .write(let token, let base, let epoch):
      // The token is the value itself.
      let batch = RaftBatch(baseOffset: base, epoch: epoch, records: [.value(Int(token))])
      servers[index].disk.log.append(batch)
      servers[index].waiting.append((base, Int(token)))
      invariants.noteOffered(Int(token), epoch: epoch)
    case .writeControl(let records, let base, let epoch):
      for case .voters(let set) in records {
        counts.voterChanges += 1
        let before = servers[index].machine?.log.votersEntries.last { $0.offset < base }
        invariants.changesVoters(to: set, from: before, by: servers[index])
      }
      let batch = RaftBatch(baseOffset: base, epoch: epoch, records: records.map { .control($0) })
      servers[index].disk.log.append(batch)
    case .append(let batches):
      for batch in batches where Int(batch.token) < servers[index].received.count {
        servers[index].disk.log.append(servers[index].received[Int(batch.token)])
      }
    case .truncate(let end):
      counts.truncations += 1
      trace.note(now, "\(servers[index].name) truncates to \(end)")
      if sabotage != .ignoresTruncation {
        servers[index].disk.log.truncate { $0.endOffset <= end }
      }
    case .flush: beginFlush(index)
    default: break
    }
  }

  /// One flush at a time; what is written meanwhile waits for the next, as in group commit.
  mutating func beginFlush(_ index: Int) {
    if sabotage == .acknowledgesBeforeFlush {
      return step(index, .flushed(upTo: servers[index].disk.endOffset))
    }
    guard !servers[index].isFlushing else { return }
    servers[index].isFlushing = true
    let flush = servers[index].disk.log.beginFlush()
    let delay = Int64.random(in: flushMs, using: &random)
    schedule(.flushed(server: index, life: servers[index].life, flush: flush), inMs: delay)
  }

  mutating func flushed(_ index: Int, _ flush: (generation: Int, count: Int)) {
    servers[index].isFlushing = false
    let life = servers[index].life
    if servers[index].disk.log.completeFlush(flush), flush.count > 0 {
      let end = servers[index].disk.log.entries[flush.count - 1].endOffset
      trace.mix(end)
      step(index, .flushed(upTo: end))
    }
    guard servers[index].life == life else { return }
    if servers[index].disk.log.durableCount < servers[index].disk.log.entries.count {
      beginFlush(index)
    }
  }

  // MARK: Snapshots

  private mutating func carryOutOnSnapshot(_ effect: RaftEffect, _ index: Int) {
    switch effect {
    case .beginSnapshot, .discardSnapshot: servers[index].partial = nil
    case .writeSnapshotChunk(_, let position, _):
      guard let snapshot = servers[index].receivedSnapshot else { return }
      servers[index].partial = (snapshot, position)
    case .installSnapshot(let id, _):
      guard let partial = servers[index].partial, partial.snapshot.id == id else {
        return step(index, .snapshotFailed(id))
      }
      servers[index].partial = nil
      install(partial.snapshot, index)
    default: break
    }
  }

  private mutating func install(_ snapshot: RaftSnapshot, _ index: Int) {
    counts.snapshotsInstalled += 1
    trace.note(now, "\(servers[index].name) installs snapshot \(snapshot.id)")
    invariants.installed(snapshot, by: servers[index])
    servers[index].disk.replaceLog(by: snapshot)
    servers[index].applied = snapshot.history
    step(
      index,
      .snapshotInstalled(
        snapshot.file, voters: snapshot.voters, kraftVersion: snapshot.kraftVersion))
  }

  /// Makes a snapshot of what is committed, and forgets what it stands for.
  mutating func takeSnapshot(_ index: Int, keepsLog: Bool = false) {
    guard let machine = servers[index].machine, let last = servers[index].applied.last else {
      return
    }
    let end = Offset(servers[index].applied.count)
    guard end > servers[index].disk.snapshots.last?.id.offset ?? 0 else { return }
    let snapshot = RaftSnapshot(
      id: SnapshotID(offset: end, epoch: last.epoch), history: servers[index].applied,
      voters: machine.log.voters(below: end), kraftVersion: machine.log.kraftVersion(below: end))
    trace.note(now, "\(servers[index].name) makes snapshot \(snapshot.id)")
    servers[index].disk.snapshots.append(snapshot)
    let life = servers[index].life
    step(index, .snapshotCreated(snapshot.file))
    guard !keepsLog, servers[index].life == life else { return }
    servers[index].disk.startOffset = end
    servers[index].disk.snapshots = [snapshot]
    step(index, .logStartRaised(to: end))
  }

  // MARK: What is committed

  private mutating func commit(upTo end: Offset, _ index: Int) {
    if servers[index].isLeader {
      invariants.leaderCommits(upTo: end, servers[index], servers: servers)
    }
    trace.mix(end)
    trace.note(now, "\(servers[index].name) has committed up to \(end)")
    while Offset(servers[index].applied.count) < end {
      let offset = Offset(servers[index].applied.count)
      guard let entry = servers[index].disk.entry(at: offset) else {
        return invariants.violated(
          "committed prefix stable", "\(servers[index].name) lacks record \(offset)")
      }
      invariants.applied(entry, at: offset, by: servers[index])
      servers[index].applied.append(entry)
    }
    let done = servers[index].waiting.filter { $0.offset < end }
    servers[index].waiting.removeAll { $0.offset < end }
    acknowledged += done.count
    let since = end - (servers[index].disk.snapshots.last?.id.offset ?? 0)
    if snapshotInterval > 0, since >= Offset(snapshotInterval) {
      takeSnapshot(index, keepsLog: random.next() % 3 == 0)
    }
  }

  // MARK: Messages

  mutating func respond(_ id: RequestID, _ response: RaftResponse, _ index: Int) {
    if case .vote(let vote) = response, vote.voteGranted, let asked = servers[index].asked[id] {
      invariants.voted(servers[index].key, for: servers[asked.from].key, epoch: vote.leader.epoch)
      // The mistake shows sooner when crashes come at the worst moment.
      if sabotage == .forgetsVotes { servers[index].crashCountdown = 0 }
    }
    guard let asked = servers[index].asked.removeValue(forKey: id) else {
      return noteOperation(response, index)
    }
    // An answer to a former life arrives at a closed connection.
    guard servers[asked.from].life == asked.life else { return }
    var batches: [RaftBatch] = []
    var snapshot: RaftSnapshot?
    if case .fetch(let fetch) = response, case .read(let from, let to, _) = fetch.records {
      batches = servers[index].disk.read(from: from, to: to)
    }
    if case .fetchSnapshot(let fetch) = response, let wanted = fetch.snapshotID {
      snapshot = servers[index].disk.snapshots.first { $0.id == wanted }
    }
    send(
      .response(response, asked.correlation, batches, snapshot), from: index, to: asked.from)
  }
}
