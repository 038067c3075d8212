/// The brokers of the replication simulation: they do with each effect what a real broker does.
import Replication
import Values

extension ReplicationSimulation {
  // MARK: Faults

  mutating func injectFaults() {
    if chance(4) {
      let index = Int(random.next() % UInt64(brokers.count))
      if brokers[index].isUp { crash(index) }
    }
    for index in brokers.indices where !brokers[index].isUp && chance(20) { restart(index) }
    if chance(5) {
      let target = brokers[Int(random.next() % UInt64(brokers.count))].id
      controller.transfer(to: target)
      announce()
    }
    // The controller repeats itself, as a newly elected one does.
    if chance(20) { announce() }
  }

  private mutating func crash(_ index: Int) {
    outcome.crashes += 1
    let id = brokers[index].id
    let survivors = brokers.filter {
      $0.isUp && $0.id != id && controller.assignment.isr.contains($0.id)
        && controller.alive[$0.id] == $0.epoch
    }
    let losesUnsynced = !survivors.isEmpty && chance(500)
    brokers[index].isUp = false
    brokers[index].fetcher = nil
    brokers[index].asking = nil
    brokers[index].pending = []
    if losesUnsynced { brokers[index].log.truncate(to: Offset(brokers[index].log.synced)) }
    note(1, Int64(index), losesUnsynced ? 1 : 0)
    send(.sessionLost(index, brokers[index].epoch), reliable: true)
  }

  mutating func restart(_ index: Int) {
    brokers[index].isUp = true
    brokers[index].epoch = BrokerEpoch(brokers[index].epoch.rawValue + 1)
    let end = brokers[index].log.logEndOffset
    brokers[index].replica = PartitionReplica(
      localID: brokers[index].id,
      highWatermark: min(brokers[index].checkpointedHighWatermark, end), logEndOffset: end,
      limits: brokers[index].replica.limits)
    brokers[index].log.highWatermark = brokers[index].replica.highWatermark
    note(2, Int64(index))
    send(.registered(index, brokers[index].epoch), reliable: true)
  }

  mutating func produce() {
    for index in brokers.indices where brokers[index].isUp && brokers[index].replica.isLeader {
      guard (try? brokers[index].replica.checkAppend(acks: -1)) != nil else { continue }
      let epoch = brokers[index].replica.leaderEpoch
      brokers[index].log.append(ModelRecord(epoch: epoch, value: nextValue))
      let end = brokers[index].log.logEndOffset
      brokers[index].pending.append((nextValue, end, epoch))
      nextValue += 1
      try? drive(index, .appended(logEndOffset: end))
    }
  }

  // MARK: Effects

  mutating func drive(_ index: Int, _ event: PartitionReplica.Event) throws {
    var effects: [PartitionReplica.Effect] = []
    brokers[index].replica.step(event, at: now, into: &effects)
    for effect in effects { try perform(effect, index) }
    brokers[index].log.highWatermark = brokers[index].replica.highWatermark
    acknowledge(index)
  }

  private mutating func perform(_ effect: PartitionReplica.Effect, _ index: Int) throws {
    switch effect {
    case .becameLeader(let epoch, _):
      brokers[index].fetcher = nil
      brokers[index].asking = nil
      brokers[index].log.noteEpoch(epoch)
      outcome.leaderships += 1
      note(3, Int64(index), Int64(epoch.rawValue))
      let id = brokers[index].id
      if let other = leaderOfEpoch[epoch], other != id {
        throw fail("one leader per epoch: \(other) and \(id) lead \(epoch)")
      }
      leaderOfEpoch[epoch] = id
    case .becameFollower(_, let epoch):
      brokers[index].fetcher = FollowerFetcher(leaderEpoch: epoch, backoffMs: 20)
      brokers[index].asking = nil
    case .lostLeader:
      brokers[index].fetcher = nil
      brokers[index].asking = nil
    case .proposeISR(let proposal):
      send(.alter(proposal, from: index, brokers[index].epoch))
      // The sender's time-out; it means nothing when the answer has come before it.
      schedule(.altered(.failed, proposal, to: index, brokers[index].epoch), afterMs: 120)
    case .isrChanged: outcome.isrChanges += 1
    case .ignoredAssignment, .highWatermarkAdvanced, .rejectedFetch: break
    }
  }

  private mutating func acknowledge(_ index: Int) {
    let replica = brokers[index].replica
    let log = brokers[index].log
    var waiting: [(value: Int, end: Offset, epoch: LeaderEpoch)] = []
    for entry in brokers[index].pending {
      // A refusal ends the wait: the producer is told an error and may not count on the record.
      guard let isDone = try? replica.checkReplicated(upTo: entry.end, epoch: entry.epoch) else {
        continue
      }
      if !isDone {
        waiting.append(entry)
        continue
      }
      acknowledged[entry.end - 1] = log.records[Int(entry.end) - 1]
      outcome.acknowledged += 1
      note(4, entry.end, Int64(entry.value))
    }
    brokers[index].pending = waiting
  }

  // MARK: Following

  mutating func ask(_ index: Int) {
    guard brokers[index].asking == nil || chance(20), let fetcher = brokers[index].fetcher,
      case .follower(let leader) = brokers[index].replica.role, leader != .none,
      let question = fetcher.question(for: brokers[index].log, at: now)
    else { return }
    brokers[index].asking = nextNumber
    let asker = Asker(
      index: index, incarnation: brokers[index].epoch, leader: leader, epoch: fetcher.leaderEpoch,
      ticket: nextNumber)
    send(.question(question, from: asker))
  }

  private mutating func answer(_ question: FollowerFetcher.Question, from asker: Asker) throws {
    guard let index = brokers.firstIndex(where: { $0.id == asker.leader }), brokers[index].isUp
    else { return }
    var records: [ModelRecord] = []
    var answer = FollowerFetcher.Answer.failed
    do throws(ReplicaRefusal) {
      try brokers[index].replica.check(leaderEpoch: asker.epoch)
      (answer, records) = read(question, at: index)
    } catch {
      answer = error == .fencedLeaderEpoch ? .fenced : .failed
    }
    if case .fetch(let offset, _, let start) = question, case .fetched = answer {
      let fetch = FollowerFetch(
        replica: brokers[asker.index].id, brokerEpoch: asker.incarnation, offset: offset,
        logStartOffset: start, leaderEndOffset: brokers[index].log.logEndOffset)
      try drive(index, .fetched(fetch))
    }
    send(.answer(answer, records, to: asker))
  }

  private func read(
    _ question: FollowerFetcher.Question, at index: Int
  ) -> (FollowerFetcher.Answer, [ModelRecord]) {
    let log = brokers[index].log
    switch question {
    case .endOfEpoch(let epoch): return (.epochEnd(log.end(of: epoch)), [])
    case .latestOffset: return (.offset(log.logEndOffset), [])
    case .earliestOffset: return (.offset(0), [])
    case .fetch(let offset, let lastEpoch, _):
      if let lastEpoch {
        guard let end = log.end(of: lastEpoch) else { return (.outOfRange, []) }
        if end.epoch < lastEpoch || end.endOffset < offset { return (.diverging(end), []) }
      }
      if offset > log.logEndOffset { return (.outOfRange, []) }
      let records = Array(log.records[Int(offset)...].prefix(5))
      let watermark = brokers[index].replica.highWatermark
      return (
        .fetched(highWatermark: watermark, logStartOffset: 0, recordBytes: records.count), records
      )
    }
  }

  private mutating func take(
    _ answer: FollowerFetcher.Answer, _ records: [ModelRecord], at index: Int, epoch: LeaderEpoch
  ) throws {
    guard var fetcher = brokers[index].fetcher, fetcher.leaderEpoch == epoch else { return }
    var effects: [FollowerFetcher.Effect] = []
    fetcher.step(answer, log: brokers[index].log, at: now, into: &effects)
    brokers[index].fetcher = fetcher
    for effect in effects {
      switch effect {
      case .truncate(let end), .restart(let end):
        outcome.truncations += 1
        brokers[index].log.truncate(to: end)
        try drive(index, .truncated(logEndOffset: end))
      case .append:
        for record in records { brokers[index].log.append(record) }
      case .followHighWatermark(let offset):
        let end = brokers[index].log.logEndOffset
        try drive(index, .leaderHighWatermark(offset, logEndOffset: end))
      case .raiseLogStart: break
      }
    }
  }

  // MARK: Messages

  mutating func deliver(_ message: Message) throws {
    switch message {
    case .assignment(let assignment, let to, let epoch):
      // STALE_BROKER_EPOCH: meant for an earlier incarnation, which may have had more records.
      guard brokers[to].isUp, brokers[to].epoch == epoch else { return }
      try drive(
        to, .assigned(assignment, logEndOffset: brokers[to].log.logEndOffset))
      try drive(to, .eligibleBrokers(controller.alive.keys.sorted()))
    case .registered(let index, let epoch):
      controller.brokerRegistered(brokers[index].id, epoch: epoch)
      announce()
    case .sessionLost(let index, let epoch):
      guard controller.alive[brokers[index].id] == epoch else { return }
      controller.brokerFailed(brokers[index].id)
      announce()
    case .question(let question, let asker): try answer(question, from: asker)
    case .answer(let answer, let records, let asker):
      let to = asker.index
      guard brokers[to].isUp, brokers[to].asking == asker.ticket else { return }
      brokers[to].asking = nil
      try take(answer, records, at: to, epoch: asker.epoch)
    case .alter(let proposal, let from, let epoch):
      let answer = controller.alter(proposal, from: brokers[from].id)
      send(.altered(answer, proposal, to: from, epoch))
    case .altered(let answer, let proposal, let to, let epoch):
      guard brokers[to].isUp, brokers[to].epoch == epoch else { return }
      try drive(to, .isrAnswered(answer, to: proposal))
    }
  }

  // MARK: Invariants

  mutating func checkInvariants() throws {
    for broker in brokers where broker.isUp {
      // The newest leader, once it knows that it leads, must have all that was ever acknowledged.
      guard broker.replica.isLeader,
        broker.replica.leaderEpoch == controller.assignment.leaderEpoch
      else { continue }
      for (offset, record) in acknowledged {
        guard offset < broker.log.logEndOffset, broker.log.records[Int(offset)] == record else {
          throw fail("acknowledged stays: \(record) at \(offset) is not on leader \(broker.id)")
        }
      }
    }
    for a in brokers.indices {
      for b in brokers.indices where b > a {
        let end = Int(min(brokers[a].replica.highWatermark, brokers[b].replica.highWatermark))
        guard end <= brokers[a].log.records.count, end <= brokers[b].log.records.count,
          brokers[a].isUp, brokers[b].isUp
        else { continue }
        if brokers[a].log.records[..<end] != brokers[b].log.records[..<end] {
          throw fail("same prefix: \(brokers[a].id) and \(brokers[b].id) differ below \(end)")
        }
      }
    }
  }
}
