import KafkaProtocol
import KafkaRecords
import Metadata
import Values

/// Topics and partitions that come, by request or by znode.
extension ZooKeeperController {
  // MARK: By znode

  /// `/brokers/topics` changed: most often by us. Topics that others wrote get their leaders now.
  mutating func topicsChanged() {
    read([.children(ZnodePath.topics, watch: true)]) { machine, results in
      let names = results[0].children
      let known = machine.control.image.topics.sortedNames
      let present = Set(names)
      for name in known where !present.contains(name) { machine.forget(name) }
      let knownSet = Set(known)
      let added = names.filter { !knownSet.contains($0) }
      // Our own are known, but not watched yet.
      let unwatched = names.filter { knownSet.contains($0) && !machine.watchedTopics.contains($0) }
      machine.read(unwatched.map { .data(ZnodePath.topic($0), watch: true) }) { machine, _ in
        machine.watchedTopics.formUnion(unwatched)
        machine.loadTopics(added) { machine, _ in machine.electNew() }
      }
    }
  }

  /// A topic's znode was deleted by hand: there is nothing left to write.
  private mutating func forget(_ name: String) {
    guard let topic = control.image.topics[name] else { return }
    control.replay(.removeTopic(.init { $0.topicID = topic.id }))
    watchedTopics.remove(name)
    deletions.end(name)
    answerDeletionWaiters()
  }

  private mutating func electNew() {
    commit(control.decide(ElectOfflineLeaders()).records) { _, _ in }
  }

  /// A topic's znode changed: by us, or to add partitions.
  mutating func topicChanged(_ name: String) {
    guard let topic = control.image.topics[name] else { return }
    read([.data(ZnodePath.topic(name), watch: true)]) { machine, results in
      guard let data = results[0].content?.data, let content = TopicZnode.decode(data) else {
        return
      }
      machine.watchedTopics.insert(name)
      guard !machine.control.topicsBeingDeleted.contains(name) else { return }
      // Only additions are taken from the znode: assignments are changed through the controller
      // alone.
      var isNew = false
      for (number, partition) in content.partitions.entries
      where topic.partitions[number] == nil {
        machine.control.replay(.partition(partition.record(number, topicID: topic.id)))
        isNew = true
      }
      if isNew { machine.electNew() }
    }
  }

  /// Somebody changed a topic's configuration; unclean elections may be allowed now.
  mutating func topicConfigChanged(_ name: String) {
    let resource = ConfigResource.topic(name)
    guard control.image.topics[name] != nil else { return }
    read([.data(ZnodePath.config("topics/\(name)"), watch: false)]) { machine, results in
      let config = ConfigZnode.decode(results[0].content?.data ?? [])
      let records = ConfigEntity.resource(resource).records(
        for: config, in: machine.control.image)
      machine.control.replay(records)
      machine.electNew()
    }
  }

  // MARK: By request

  mutating func createTopics(_ id: Int, _ topics: [TopicToCreate], validateOnly: Bool) {
    var scratch = control
    var records: [MetadataRecord] = []
    let results = topics.map { topic in
      Result { () throws(Refusal) in
        let decision = try scratch.decide(CreateTopic(topic), using: &random)
        scratch.replay(decision.records)
        records += decision.records
        return decision.reply
      }
    }
    if validateOnly { return respond(id, .createTopics(results)) }
    commit(records) { machine, report in
      let answers = zip(topics, results).map { topic, result in
        // What is in the image has been written; what is not has failed, whatever the reason.
        guard case .success = result, machine.control.image.topics[topic.name] == nil else {
          return result
        }
        // The store did not take it: somebody was faster.
        let exists = report.failures.contains {
          $0.failure == .nodeExists
            && $0.transaction.ops.contains { $0.path == ZnodePath.topic(topic.name) }
        }
        return .failure(
          exists
            ? Refusal(.topicAlreadyExists, "Topic '\(topic.name)' already exists.")
            : Refusal(.unknownServerError, "Topic '\(topic.name)' could not be written."))
      }
      machine.respond(id, .createTopics(answers), isToldFirst: true)
    }
  }

  mutating func createPartitions(_ id: Int, _ additions: [AddPartitions], validateOnly: Bool) {
    var scratch = control
    var records: [MetadataRecord] = []
    let results = additions.map { addition in
      Result { () throws(Refusal) -> Void in
        let decision = try scratch.decide(addition, using: &random)
        scratch.replay(decision.records)
        records += decision.records
      }
    }
    if validateOnly { return respond(id, .done(results)) }
    commit(records) { machine, _ in
      let answers = zip(additions, results).map { addition, result -> Result<Void, Refusal> in
        let count = machine.control.image.topics[addition.topic]?.partitions.count ?? 0
        guard case .success = result, count < Int(addition.count) else { return result }
        return .failure(
          Refusal(.unknownServerError, "Partitions of '\(addition.topic)' could not be written."))
      }
      machine.respond(id, .done(answers), isToldFirst: true)
    }
  }
}
