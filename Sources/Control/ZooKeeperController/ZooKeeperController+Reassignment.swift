import KafkaProtocol
import KafkaRecords
import Metadata
import Values

/// Reassignments, by request and by znode, one after the other: two partitions of a topic share the
/// znode that holds their assignment.
extension ZooKeeperController {
  mutating func reassign(_ id: Int, _ moves: [ReassignPartition]) {
    // What the request names is no longer the znode's business.
    let named = moves.map(\.partition).filter { znodeReassignments[$0] != nil }
    for at in named { znodeReassignments[at] = nil }
    updateReassignmentZnode(named) { machine in
      machine.reassign(moves[...], results: []) { machine, results in
        machine.respond(id, .done(results))
        machine.enqueueOnce(.deletionProgress, Self.isDeletionProgress)
      }
    }
  }

  private mutating func reassign(
    _ moves: ArraySlice<ReassignPartition>, results: [Result<Void, Refusal>], tries: Int = 2,
    then go: @escaping (inout Self, [Result<Void, Refusal>]) -> Void
  ) {
    guard let move = moves.first else { return go(&self, results) }
    do {
      let decision = try control.decide(move)
      commit(decision.records) { machine, report in
        if report.refreshed.contains(move.partition), tries > 0 {
          machine.reassign(moves, results: results, tries: tries - 1, then: go)
          return
        }
        let result: Result<Void, Refusal> =
          report.failed(move.partition)
          ? .failure(Refusal(.unknownServerError)) : .success(())
        machine.reassign(moves.dropFirst(), results: results + [result], then: go)
      }
    } catch {
      reassign(moves.dropFirst(), results: results + [.failure(error)], then: go)
    }
  }

  /// Ends those reassignments whose target replicas are all in sync.
  mutating func completeReassignments(_ partitions: [TopicPartition]) {
    let due = partitions.filter { control.image.topics.partition($0)?.isReassigning == true }
    completeNext(due[...])
  }

  private mutating func completeNext(_ partitions: ArraySlice<TopicPartition>) {
    guard let at = partitions.first else { return }
    let records = control.decide(CompleteReassignment(at)).records
    if records.isEmpty { return completeNext(partitions.dropFirst()) }
    commit(records) { machine, report in
      if report.refreshed.contains(at) { machine.enqueue(.completeReassignment(at)) }
      let isDone = machine.control.image.topics.partition(at)?.isReassigning != true
      if isDone {
        machine.log("Reassignment of \(at) is complete")
        machine.enqueueOnce(.deletionProgress, Self.isDeletionProgress)
      }
      guard isDone, machine.znodeReassignments.removeValue(forKey: at) != nil else {
        return machine.completeNext(partitions.dropFirst())
      }
      machine.updateReassignmentZnode([at]) { machine in
        machine.completeNext(partitions.dropFirst())
      }
    }
  }

  mutating func listReassignments(_ id: Int, _ partitions: [TopicPartition]?) {
    var list = control.reassignments
    if let partitions { list.removeAll { !partitions.contains($0.at) } }
    respond(id, .listReassignments(list))
  }

  // MARK: By znode

  /// `/admin/reassign_partitions` appeared: what tools from before KIP-455 leave.
  mutating func znodeReassignmentsChanged() {
    read([.data(ZnodePath.reassignment, watch: true)]) { machine, results in
      guard let content = results[0].content else { return }
      let moves = ReassignmentZnode.decode(content.data) ?? []
      let new = moves.filter { machine.znodeReassignments[$0.at] != $0.replicas }
      guard !new.isEmpty || moves.isEmpty else { return }
      for move in moves { machine.znodeReassignments[move.at] = move.replicas }
      let commands = new.map { ReassignPartition($0.at, target: $0.replicas) }
      machine.reassign(commands[...], results: []) { machine, results in
        var ended: [TopicPartition] = []
        for (command, result) in zip(commands, results) {
          let at = command.partition
          var isEnded = machine.control.image.topics.partition(at)?.isReassigning != true
          if case .failure(let refusal) = result {
            isEnded = true
            machine.log("Reassigning \(at) failed: \(refusal.message ?? "\(refusal.code)")")
          }
          if isEnded {
            machine.znodeReassignments[at] = nil
            ended.append(at)
          }
        }
        machine.updateReassignmentZnode(ended, force: moves.isEmpty) { _ in }
      }
    }
  }

  /// Takes ended moves out of the znode; the last one takes the znode with it.
  private mutating func updateReassignmentZnode(
    _ ended: [TopicPartition], force: Bool = false, then go: @escaping (inout Self) -> Void
  ) {
    guard !ended.isEmpty || force, let term else { return go(&self) }
    let left = znodeReassignments.keys.sorted().map {
      (at: $0, replicas: znodeReassignments[$0] ?? [])
    }
    let write: ZnodeTransaction
    if left.isEmpty {
      write = fencedDelete(ZnodePath.reassignment)
    } else {
      let data = ReassignmentZnode.encode(left)
      write = ZnodeTransaction(
        [term.check, .setData(path: ZnodePath.reassignment, data: data, version: -1)],
        tolerates: .noNode)
    }
    writeFenced([write]) { machine in
      // Deleting used up the watch.
      if left.isEmpty { machine.enqueue(.znodeReassignments) }
      go(&machine)
    }
  }
}
