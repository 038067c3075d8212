import KafkaProtocol
import KafkaRecords
import Metadata
import Values

/// Leaders, ISRs and assignments: what brokers report, and what operators ask for.
extension ZooKeeperController {
  mutating func handle(_ id: Int, _ request: ControlRequest) {
    switch request {
    case .createTopics(let topics, let validateOnly):
      createTopics(id, topics, validateOnly: validateOnly)
    case .deleteTopics(let targets, let timeoutMs):
      deleteTopics(id, targets, timeoutMs: timeoutMs)
    case .createPartitions(let additions, let validateOnly):
      createPartitions(id, additions, validateOnly: validateOnly)
    case .electLeaders(let partitions, let kind): electLeaders(id, partitions, kind)
    case .alterPartitions(let changes): alterPartitions(id, changes)
    case .reassign(let moves): reassign(id, moves)
    case .listReassignments(let partitions): listReassignments(id, partitions)
    case .controlledShutdown(let command): controlledShutdown(id, command)
    case .allocateProducerIDs(let command): allocateProducerIDs(id, command)
    case .topicConfigChanged: break
    }
  }

  // MARK: ISR

  private mutating func alterPartitions(_ id: Int, _ changes: [AlterPartition]) {
    var scratch = control
    var records: [MetadataRecord] = []
    let results = changes.map { change in
      Result { () throws(Refusal) in
        let decision = try scratch.decide(change)
        scratch.replay(decision.records)
        records += decision.records
        return decision.reply
      }
    }
    let places = changes.map { change -> TopicPartition? in
      switch change.topic {
      case .name(let name): TopicPartition(name, change.partition)
      case .id(let id):
        control.image.topics.name(of: id).map { TopicPartition($0, change.partition) }
      }
    }
    commit(records) { machine, report in
      let answers = zip(places, results).map { at, result -> Result<PartitionImage, Refusal> in
        guard case .success = result, let at else { return result }
        // The leader learns the state from the LeaderAndIsr that follows, and asks again.
        if report.refreshed.contains(at) { return .failure(Refusal(.invalidUpdateVersion)) }
        return report.failed(at) ? .failure(Refusal(.unknownServerError)) : result
      }
      machine.respond(id, .alterPartitions(answers))
      machine.completeReassignments(places.compactMap { $0 })
    }
  }

  /// Below 2.7-IV2 leaders write the ISR themselves and leave a note.
  mutating func isrChangesNotified() {
    read([.children(ZnodePath.isrChanges, watch: true)]) { machine, results in
      let paths = results[0].children.map { "\(ZnodePath.isrChanges)/\($0)" }
      machine.read(paths.map { .data($0, watch: false) }) { machine, results in
        let partitions = Set(
          results.compactMap { $0.content.flatMap { PartitionListZnode.decode($0.data) } }.joined())
        machine.refresh(partitions.sorted(), MetadataDelta(machine.control.image)) {
          machine, delta in
          var batch = BrokerRequestBatch()
          let everybody = machine.control.image.brokers.all.map(\.id)
          batch.addUpdateMetadata(delta.touchedPartitions, to: everybody)
          machine.send(batch)
          machine.writeFenced(paths.map { machine.fencedDelete($0) }) { machine in
            machine.completeReassignments(delta.touchedPartitions)
          }
        }
      }
    }
  }

  // MARK: Elections

  private mutating func electLeaders(
    _ id: Int, _ asked: [TopicPartition]?, _ kind: ElectLeader.Kind
  ) {
    var partitions = asked ?? []
    if asked == nil {
      control.forEachLivePartition { _, at, _ in partitions.append(at) }
    }
    elect(partitions, kind) { machine, results in
      var answers = Array(zip(partitions, results)).map { (at: $0, result: $1) }
      // Who asked for everything does not want to hear where there was nothing to do.
      if asked == nil {
        answers.removeAll { answer in
          if case .failure(let refusal) = answer.result {
            refusal.code == .electionNotNeeded
          } else {
            false
          }
        }
      }
      machine.respond(id, .electLeaders(answers))
    }
  }

  private mutating func elect(
    _ partitions: [TopicPartition], _ kind: ElectLeader.Kind,
    then go: @escaping (inout Self, [Result<BrokerID, Refusal>]) -> Void
  ) {
    var scratch = control
    var records: [MetadataRecord] = []
    let results = partitions.map { at in
      Result { () throws(Refusal) in
        let decision = try scratch.decide(ElectLeader(at, kind))
        scratch.replay(decision.records)
        records += decision.records
        return decision.reply
      }
    }
    commit(records) { machine, report in
      let answers = zip(partitions, results).map { at, result -> Result<BrokerID, Refusal> in
        guard case .success = result, report.failed(at) else { return result }
        return .failure(Refusal(.unknownServerError, "The state of \(at) could not be written."))
      }
      go(&machine, answers)
    }
  }

  /// `/admin/preferred_replica_election`: what tools from before ElectLeaders leave.
  mutating func znodeElectionChanged() {
    read([.data(ZnodePath.preferredElection, watch: true)]) { machine, results in
      guard let content = results[0].content else { return }
      let partitions = PartitionListZnode.decode(content.data) ?? []
      machine.elect(partitions, .preferred) { machine, _ in
        machine.writeFenced([machine.fencedDelete(ZnodePath.preferredElection)]) { machine in
          // The node is watched again for the next one.
          machine.read([.data(ZnodePath.preferredElection, watch: true)]) { machine, results in
            if results[0].content != nil { machine.enqueue(.znodeElection) }
          }
        }
      }
    }
  }

  mutating func scheduleRebalance(afterSeconds seconds: Int64) {
    guard options.isLeaderRebalanceEnabled else { return }
    let at = now.advanced(milliseconds: seconds * 1000)
    rebalanceAt = at
    wake(at: at)
  }

  mutating func rebalance() {
    commit(control.decide(RebalanceLeaders()).records) { machine, _ in
      machine.scheduleRebalance(afterSeconds: machine.options.leaderImbalanceCheckIntervalSeconds)
    }
  }

  // MARK: Controlled shutdown, producer ids

  private mutating func controlledShutdown(_ id: Int, _ command: BeginControlledShutdown) {
    do {
      let decision = try control.decide(command)
      var batch = BrokerRequestBatch()
      for at in decision.reply.followed {
        batch.addStopReplica(at, to: command.broker, delete: false)
      }
      commit(decision.records, telling: batch) { machine, _ in
        var remaining: [TopicPartition] = []
        machine.control.forEachLivePartition { _, at, partition in
          if partition.leader == command.broker, partition.replicas.count > 1 {
            remaining.append(at)
          }
        }
        machine.respond(id, .controlledShutdown(.success(remaining)))
      }
    } catch {
      respond(id, .controlledShutdown(.failure(error)))
    }
  }

  private mutating func allocateProducerIDs(
    _ id: Int, _ command: AllocateProducerIDs, tries: Int = 3
  ) {
    do {
      let decision = try control.decide(command)
      commit(decision.records) { machine, report in
        guard !report.failures.isEmpty else {
          return machine.respond(id, .allocateProducerIDs(.success(decision.reply)))
        }
        guard tries > 0 else {
          return machine.respond(
            id, .allocateProducerIDs(.failure(Refusal(.unknownServerError))))
        }
        machine.rereadProducerIDs { machine in
          machine.allocateProducerIDs(id, command, tries: tries - 1)
        }
      }
    } catch {
      respond(id, .allocateProducerIDs(.failure(error)))
    }
  }

  /// The block's znode was not as we knew it: another wrote it, or we did and did not hear of it.
  private mutating func rereadProducerIDs(then go: @escaping (inout Self) -> Void) {
    read([.data(ZnodePath.producerIDBlock, watch: false)]) { machine, results in
      if let content = results[0].content {
        machine.producerIDVersion = content.version
        if let block = ProducerIDZnode.decode(content.data) {
          machine.control.replay(.producerIDs(.init { $0.nextProducerID = block.end + 1 }))
        }
      }
      go(&machine)
    }
  }
}
