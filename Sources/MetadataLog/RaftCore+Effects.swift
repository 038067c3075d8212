// What the machine asks for, carried out in order.
import KafkaRecords
import KafkaTransport
import LogStorage
import Metadata
import Platform
import Raft
import Telemetry
import Values

extension RaftCore {
  func perform(_ effect: RaftEffect) {
    do {
      switch effect {
      case .persist(let election): try persist(election)
      case .send(let request, let node, let correlation): send(request, to: node, correlation)
      case .respond(let id, let response): try respond(id, response)
      case .write(let token, let offset, let epoch): try write(token, at: offset, epoch)
      case .writeControl(let records, let offset, let epoch):
        try write(control: records, at: offset, epoch)
      case .refuse(let token, _): refuse(token)
      case .flush: startFlush()
      case .append(let batches): try append(batches)
      case .truncate(let offset): try truncate(to: offset)
      case .beginSnapshot(let id): try beginSnapshot(id)
      case .writeSnapshotChunk(let id, let position, let token):
        try writeChunk(id, at: position, token)
      case .installSnapshot(let id, let size): install(id, size: size)
      case .discardSnapshot(let id): try discard(id)
      default: tell(effect)
      }
    } catch {
      fail("\(error)")
    }
  }

  /// What those above want to know.
  private func tell(_ effect: RaftEffect) {
    switch effect {
    case .stateChanged(let state, let epoch):
      Self.log.info("state \(state.rawValue)", ["epoch": epoch.rawValue])
    case .leaderChanged(let leader):
      for feed in feeds { feed.tell(quorumLeader(leader)) }
    case .becameLeader(let epoch, let startOffset):
      leadership = (epoch, startOffset)
      let own = quorumLeader(machine.currentLeader)
      for feed in feeds {
        feed.tell(own)
        feed.lead(epoch, from: startOffset)
      }
    case .resigned(let epoch):
      leadership = nil
      uncommitted.removeAll()
      for feed in feeds { feed.resign(epoch) }
    case .committed(let offset): committed(upTo: offset)
    case .votersChanged(let voters, let offset):
      let ids = voters.keys.map(\.description).joined(separator: ",")
      Self.log.info("voters [\(ids)]", ["offset": offset])
      for feed in feeds { feed.tell(voters, kraftVersion: machine.log.kraftVersion) }
    case .shutdownCompleted: shutdownCompleted?()
    case .log(let line):
      switch line.level {
      case .info: Self.log.info(line.text)
      case .warn: Self.log.warn(line.text)
      case .error: Self.log.error(line.text)
      }
    default: break
    }
  }

  private func persist(_ election: ElectionState) throws {
    votedID = election.voted?.id
    var data = QuorumStateData()
    data.leaderID = election.leader?.rawValue ?? -1
    data.leaderEpoch = election.epoch.rawValue
    data.votedID = election.voted?.id.rawValue ?? -1
    data.votedDirectoryID = election.voted?.directory ?? .zero
    data.currentVoters = election.voters.map { id in
      QuorumStateData.Voter { $0.voterID = id.rawValue }
    }
    try file.write(data, version: election.dataVersion > 0 ? 1 : 0)
  }

  // MARK: The log

  private func write(_ token: Token, at offset: Offset, _ epoch: LeaderEpoch) throws {
    guard case .records(let records, let isLast, let completion)? = payloads.removeValue(
      forKey: token)
    else { return }
    let now = Clock.wallNow()
    let place = MetadataBatch.Place(
      baseOffset: offset, epoch: epoch.rawValue, timestamp: now.milliseconds)
    try store.append(MetadataBatch.encode(records, at: place), now: now)
    let end = offset + Offset(records.count)
    uncommitted.append((end, Clock.now()))
    if isLast { completion(.success(end - 1)) }
  }

  private func write(
    control records: [ControlRecord], at offset: Offset, _ epoch: LeaderEpoch
  ) throws {
    let now = Clock.wallNow()
    let place = MetadataBatch.Place(
      baseOffset: offset, epoch: epoch.rawValue, timestamp: now.milliseconds)
    try store.append(
      MetadataBatch.encode(control: records.map(MetadataControl.init), at: place), now: now)
  }

  private func refuse(_ token: Token) {
    guard case .records(_, let isLast, let completion)? = payloads.removeValue(forKey: token),
      isLast
    else { return }
    completion(.failure(.notLeader))
  }

  private func append(_ batches: [FetchedBatch]) throws {
    var bytes: [UInt8] = []
    for batch in batches {
      guard case .bytes(let some)? = payloads.removeValue(forKey: batch.token) else { continue }
      bytes += some
    }
    try store.append(bytes, now: Clock.wallNow())
  }

  private func truncate(to offset: Offset) throws {
    Self.log.info("log cut", ["from": store.endOffset, "to": offset])
    flush.cap = min(flush.cap, offset)
    try store.truncate(to: offset, now: Clock.wallNow())
  }

  // MARK: Flushing

  private func startFlush() {
    guard !flush.isRunning else {
      flush.isWanted = true
      return
    }
    flush = FlushState(isRunning: true, isWanted: false, cap: .max)
    let end = store.endOffset
    let store = store
    let core = Unchecked(self)
    flusher.submit(
      { () -> LogError? in
        do throws(LogError) {
          try store.flush(now: Clock.wallNow())
          return nil
        } catch { return error }
      }, then: loop
    ) { failure in
      core.value.flushed(upTo: end, failure)
    }
  }

  private func flushed(upTo end: Offset, _ failure: LogError?) {
    if let failure { return fail("flush: \(failure)") }
    let durable = min(end, flush.cap)
    let isWanted = flush.isWanted
    flush = FlushState()
    if isWanted { startFlush() }
    take(.flushed(upTo: durable))
  }

  // MARK: Committing

  private func committed(upTo offset: Offset) {
    store.log.updateHighWatermark(offset)
    let now = Clock.now()
    var done = 0
    for entry in uncommitted {
      guard entry.end <= offset else { break }
      driver?.latency.record(now.milliseconds(since: entry.since), at: now)
      done += 1
    }
    uncommitted.removeFirst(done)
    for feed in feeds { feed.advance(to: offset) }
  }
}
