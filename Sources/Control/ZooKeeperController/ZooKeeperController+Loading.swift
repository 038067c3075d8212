import KafkaRecords
import Metadata
import Values

/// What a new controller does before it acts: it watches, reads everything as records, tells every
/// broker, and takes up what its predecessor left unfinished.
extension ZooKeeperController {
  mutating func load() {
    control = Controller(options: options)
    returned = []
    isLoading = true
    let lists: [ZnodeRead] = [
      .children(ZnodePath.brokerIDs, watch: true), .children(ZnodePath.topics, watch: true),
      .children(ZnodePath.topicDeletions, watch: true),
      .children(ZnodePath.logDirEvents, watch: true), .children(ZnodePath.isrChanges, watch: true),
      .data(ZnodePath.producerIDBlock, watch: false), .data(ZnodePath.features, watch: false),
    ]
    read(lists) { machine, results in
      let brokers = results[0].children.compactMap { Int32($0) }.sorted().map { BrokerID($0) }
      let topics = results[1].children
      // Notifications from before say nothing that is not read now.
      var stale: [ZnodeTransaction] = []
      for (index, parent) in [(3, ZnodePath.logDirEvents), (4, ZnodePath.isrChanges)] {
        for name in results[index].children {
          stale.append(machine.fencedDelete("\(parent)/\(name)"))
        }
      }
      if let block = results[5].content {
        machine.producerIDVersion = block.version
        if let content = ProducerIDZnode.decode(block.data) {
          machine.control.replay(.producerIDs(.init { $0.nextProducerID = content.end + 1 }))
        }
      }
      stale += machine.featureWrites(results[6].content)
      let pendingDeletions = results[2].children
      machine.writeFenced(stale) { machine in
        machine.loadBrokers(brokers, topics, pendingDeletions)
      }
    }
  }

  private mutating func loadBrokers(
    _ brokers: [BrokerID], _ topics: [String], _ pendingDeletions: [String]
  ) {
    read(brokers.map { .data(ZnodePath.broker($0), watch: true) }) { machine, results in
      for (id, result) in zip(brokers, results) {
        guard let broker = machine.decodeBroker(id, result) else { continue }
        machine.watchedBrokers.insert(id)
        machine.control.replay(.registerBroker(broker.record))
      }
      machine.loadTopics(topics) { machine, _ in
        machine.noteDeletions(pendingDeletions)
        machine.repairReturned { machine in machine.takeOver() }
      }
    }
  }

  /// A registration as read. Data that is none hides the broker: it cannot be talked to anyway.
  func decodeBroker(_ id: BrokerID, _ result: ZnodeReadResult) -> BrokerImage? {
    guard let content = result.content else { return nil }
    return BrokerZnode.decode(id, content.data, epoch: BrokerEpoch(content.createdZxid))
  }

  /// Reads topics with their configuration and partition states into the image, and gives an id to
  /// those without. Goes on with the names of those that were there.
  mutating func loadTopics(
    _ names: [String], then go: @escaping (inout Self, [String]) -> Void
  ) {
    let reads = names.flatMap { name -> [ZnodeRead] in
      [
        .data(ZnodePath.topic(name), watch: true),
        .data(ZnodePath.config("topics/\(name)"), watch: false),
      ]
    }
    read(reads) { machine, results in
      var found: [(name: String, content: TopicZnode.Content)] = []
      var idWrites: [ZnodeTransaction] = []
      for (index, name) in names.enumerated() {
        guard let data = results[2 * index].content?.data,
          var content = TopicZnode.decode(data)
        else { continue }
        machine.watchedTopics.insert(name)
        if content.id == nil { idWrites += machine.giveID(to: name, &content) }
        found.append((name, content))
        machine.control.replay(
          .topic(TopicRecord(name: name, topicID: content.id ?? .zero)))
        // Of a topic's configuration only permissions for unclean elections matter here, but
        // records hold all of it or nothing.
        let config = ConfigZnode.decode(results[2 * index + 1].content?.data ?? [])
        for key in config.keys.sorted() {
          machine.control.replay(.config(ConfigRecord(.topic(name), key, config[key])))
        }
      }
      machine.writeFenced(idWrites) { machine in
        machine.loadStates(found) { machine in go(&machine, found.map(\.name)) }
      }
    }
  }

  /// A topic from before ids gets one, in its znode where the cluster's version has room for it.
  private mutating func giveID(
    to name: String, _ content: inout TopicZnode.Content
  ) -> [ZnodeTransaction] {
    let id = Uuid.random(using: &random)
    content.id = id
    // Below 2.8-IV0 the id lives in this process only: brokers are told names.
    guard version.usesTopicIDs, let term else { return [] }
    var topic = TopicImage(name: name, id: id)
    topic.partitions = content.partitions
    let data = TopicZnode.encode(topic, id: id)
    return [
      ZnodeTransaction([
        term.check, .setData(path: ZnodePath.topic(name), data: data, version: -1),
      ])
    ]
  }

  private mutating func loadStates(
    _ topics: [(name: String, content: TopicZnode.Content)],
    then go: @escaping (inout Self) -> Void
  ) {
    let partitions = topics.flatMap { topic in
      topic.content.partitions.numbers.map { TopicPartition(topic.name, $0) }
    }
    var assignments: [TopicPartition: PartitionImage] = [:]
    for topic in topics {
      for (number, partition) in topic.content.partitions.entries {
        assignments[TopicPartition(topic.name, number)] = partition
      }
    }
    read(partitions.map { .data(ZnodePath.partitionState($0), watch: false) }) { machine, results in
      for (at, result) in zip(partitions, results) {
        guard let partition = assignments[at] else { continue }
        _ = machine.replayState(of: at, partition, result.content)
      }
      go(&machine)
    }
  }

  /// Puts what a state znode says into the image, over the assignment given; nil content: it has no
  /// state yet. False if a newer controller wrote it.
  mutating func replayState(
    of at: TopicPartition, _ assignment: PartitionImage, _ content: ZnodeContent?
  ) -> Bool {
    guard let topic = control.image.topics[at.topic] else { return true }
    var partition = assignment
    if let content, let state = PartitionStateZnode.decode(content.data) {
      state.apply(to: &partition, version: content.version)
      noteReturned(among: partition.isr, writtenAt: content.modifiedZxid)
      if let term {
        if state.controllerEpoch > term.epoch { return false }
        writtenBy[at] = state.controllerEpoch == term.epoch ? nil : state.controllerEpoch
      }
    }
    control.replay(.partition(partition.record(at.partition, topicID: topic.id)))
    return true
  }

  /// Before anything is decided: nobody is elected for what is about to go.
  private mutating func noteDeletions(_ names: [String]) {
    for name in names where control.image.topics[name] != nil {
      control.topicsBeingDeleted.insert(name)
    }
  }

  // MARK: Restarts that no controller saw

  /// A member of the ISR that registered after the partition's state was written has restarted
  /// while there was no controller, and its loss was never dealt with.
  private mutating func noteReturned(among isr: [BrokerID], writtenAt zxid: Int64) {
    guard isLoading else { return }
    for id in isr {
      if let broker = control.image.brokers[id], broker.epoch.rawValue > zxid {
        returned.insert(id)
      }
    }
  }

  /// Such a broker is lost first and then arrives, as one that bounces under a controller's eyes:
  /// others lead what it led. It may have lost what it had not flushed, and must not be told that
  /// it leads before that is settled; its followers would cut their logs to fit.
  private mutating func repairReturned(then go: @escaping (inout Self) -> Void) {
    let ids = returned.sorted()
    returned = []
    isLoading = false
    for broker in control.image.brokers.all { out.append(.openChannel(broker)) }
    guard !ids.isEmpty else { return go(&self) }
    log("Brokers \(Self.list(ids)) restarted while there was no controller")
    let brokers = ids.compactMap { control.image.brokers[$0] }
    var next = control
    var records = next.decide(LoseBrokers(ids)).records
    next.replay(records)
    for broker in brokers {
      let more = next.decide(RegisterBroker(broker)).records
      next.replay(more)
      records += more
    }
    commit(records) { machine, _ in go(&machine) }
  }

  /// Everything is read: tell everybody, then repair and resume.
  private mutating func takeOver() {
    send(
      RequestPlanner.batchAfterElection(
        control.image, topicsBeingDeleted: control.topicsBeingDeleted))
    // What happened between the terms: brokers that came and went while nobody looked.
    let repairs = control.decide(ElectAfterReplicaFailure()).records
    commit(repairs) { machine, _ in
      machine.completeReassignments(machine.control.reassignments.map(\.at))
      machine.enqueue(.topicDeletions)
      machine.enqueue(.znodeReassignments)
      machine.enqueue(.znodeElection)
      machine.scheduleRebalance(afterSeconds: 5)
    }
  }

  // MARK: Features

  /// `/feature` says whether this cluster's brokers look at finalized features at all.
  private func featureWrites(_ content: ZnodeContent?) -> [ZnodeTransaction] {
    let isEnabled = version.usesFeatures
    guard let content else {
      let data = FeatureZnode.encode(
        [:], version: version.featureZnodeVersion, isEnabled: isEnabled)
      return [
        ZnodeTransaction(
          [.create(path: ZnodePath.features, data: data)], tolerates: .nodeExists)
      ]
    }
    guard let old = FeatureZnode.decode(content.data) else { return [] }
    let features = isEnabled && old.isEnabled ? old.features : [:]
    let isSame =
      old.isEnabled == isEnabled && old.features == features
      && old.version == version.featureZnodeVersion
    if isSame { return [] }
    let data = FeatureZnode.encode(
      features, version: version.featureZnodeVersion, isEnabled: isEnabled)
    return [
      ZnodeTransaction([
        .setData(path: ZnodePath.features, data: data, version: content.version)
      ])
    ]
  }
}
