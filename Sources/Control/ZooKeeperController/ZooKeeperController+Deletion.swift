import KafkaProtocol
import KafkaRecords
import Metadata
import Values

/// A DeleteTopics request whose topics are not all gone yet.
struct DeletionWaiter {
  var request: Int
  var results: [Result<DeleteTopic.Reply, Refusal>]
  var deadline: Instant

  func isDone(_ deletions: TopicDeletions) -> Bool {
    results.allSatisfy { result in
      guard case .success(let reply) = result else { return true }
      return !deletions.contains(reply.name)
    }
  }
}

/// The deletion of topics; `TopicDeletions` has the states.
extension ZooKeeperController {
  /// `/admin/delete_topics` has a node for every topic that shall go.
  mutating func topicDeletionsChanged() {
    read([.children(ZnodePath.topicDeletions, watch: true)]) { machine, results in
      let names = results[0].children
      let unknown = names.filter { machine.control.image.topics[$0] == nil }
      let refused = machine.options.isTopicDeletionEnabled ? [] : names
      let gone = (unknown + refused).map { machine.fencedDelete(ZnodePath.topicDeletion($0)) }
      machine.writeFenced(gone) { machine in
        guard machine.options.isTopicDeletionEnabled else { return }
        machine.beginDeletions(names.filter { machine.control.image.topics[$0] != nil })
      }
    }
  }

  mutating func deleteTopics(_ id: Int, _ targets: [DeleteTopic.Target], timeoutMs: Int64) {
    let results = targets.map { target in
      Result { () throws(Refusal) in try control.decide(DeleteTopic(target)).reply }
    }
    let names = results.compactMap { try? $0.get().name }
    let markers = names.map {
      // Any broker may mark a topic, so that is not fenced.
      ZnodeTransaction(
        [.create(path: ZnodePath.topicDeletion($0), data: nil)], tolerates: .nodeExists)
    }
    writeFenced(markers) { machine in
      let deadline = machine.now.advanced(milliseconds: max(timeoutMs, 0))
      machine.deletionWaiters.append(
        DeletionWaiter(request: id, results: results, deadline: deadline))
      if machine.currentRequest == id { machine.currentRequest = nil }
      machine.beginDeletions(names)
      machine.answerDeletionWaiters()
      machine.wake(at: deadline)
    }
  }

  private mutating func beginDeletions(_ names: [String]) {
    for name in names {
      guard let topic = control.image.topics[name], !deletions.contains(name) else { continue }
      control.topicsBeingDeleted.insert(name)
      // A reassignment under way ends here: replicas that come and that go are all deleted.
      for at in znodeReassignments.keys where at.topic == name { znodeReassignments[at] = nil }
      var replicas: [(Int32, BrokerID)] = []
      for (number, partition) in topic.partitions.entries {
        replicas += partition.replicas.map { (number, $0) }
      }
      deletions.begin(name, replicas: replicas)
      log("Deleting topic \(name)")
    }
    enqueueOnce(.deletionProgress, Self.isDeletionProgress)
  }

  /// Tells replicas that wait, and removes topics of which all have confirmed.
  mutating func continueDeletions() {
    var batch = BrokerRequestBatch()
    var complete: [MetadataRecord] = []
    for name in deletions.names {
      guard let topic = control.image.topics[name] else {
        deletions.end(name)
        continue
      }
      let asked = deletions.ask(name) { control.image.brokers.isAlive($0) }
      if !asked.isEmpty {
        let partitions = topic.partitions.numbers.map { TopicPartition(name, $0) }
        batch.addUpdateMetadata(partitions, to: control.image.brokers.all.map(\.id))
        for (at, broker) in asked { batch.addStopReplica(at, to: broker, delete: true) }
      }
      if deletions.isComplete(name) {
        complete.append(.removeTopic(.init { $0.topicID = topic.id }))
      }
    }
    send(batch)
    guard !complete.isEmpty else { return answerDeletionWaiters() }
    commit(complete) { machine, _ in
      for name in machine.deletions.names where machine.control.image.topics[name] == nil {
        machine.deletions.end(name)
        machine.watchedTopics.remove(name)
        machine.writtenBy = machine.writtenBy.filter { $0.key.topic != name }
        machine.log("Deleted topic \(name)")
      }
      machine.answerDeletionWaiters()
    }
  }

  mutating func answerDeletionWaiters() {
    let done = deletionWaiters.filter { $0.isDone(deletions) }
    deletionWaiters.removeAll { $0.isDone(deletions) }
    for waiter in done {
      respond(waiter.request, .deleteTopics(waiter.results), isToldFirst: true)
    }
  }

  /// Requests that waited long enough are told so for what is not gone; deletion goes on.
  mutating func expireDeletionWaiters() {
    let late = deletionWaiters.filter { $0.deadline <= now }
    deletionWaiters.removeAll { $0.deadline <= now }
    for waiter in late {
      let results = waiter.results.map { result -> Result<DeleteTopic.Reply, Refusal> in
        guard case .success(let reply) = result, deletions.contains(reply.name) else {
          return result
        }
        return .failure(Refusal(.requestTimedOut))
      }
      respond(waiter.request, .deleteTopics(results))
    }
  }
}
