import KafkaRecords
import Metadata
import Values

/// The term of one elected controller, and the token that proves it.
public struct ControllerTerm: Equatable, Sendable {
  public var epoch: ControllerEpoch
  /// The version of `/controller_epoch`: every write checks it, which fences whoever was replaced.
  public var epochVersion: Int32

  public init(epoch: ControllerEpoch, epochVersion: Int32) {
    self.epoch = epoch
    self.epochVersion = epochVersion
  }

  var check: ZnodeOp { .check(path: ZnodePath.controllerEpoch, version: epochVersion) }
}

/// Turns records into znode writes.
///
/// - topic, with its partitions and configs: its configuration; then the topic, `partitions`, each
///   partition and its state in one multi (or several, if there are many).
/// - partition, new in a known topic: the topic once, then the partition and its state. One that
///   only lacked a leader so far: the partition and its state.
/// - partitionChange: the state, at the partition epoch; the topic too if replicas changed, in the
///   same multi.
/// - removeTopic: states, partitions, `partitions`, topic, configuration, deletion marker.
/// - config: the configuration of the resource, and a change notification.
/// - producerIDs: the block, at the version it was read.
/// - registerBroker, unregisterBroker, brokerRegistrationChange: nothing. Brokers write their own
///   registrations, and that a broker shuts down is not kept.
///
/// Every multi begins with the check of the controller epoch. Where the partition state is written,
/// its version must be the partition epoch of the image, and becomes the next one.
public struct ZnodeWriter: Sendable {
  /// On whose behalf the writes are made.
  public let term: ControllerTerm
  /// Whether ids stand in topic znodes; without, they are this process's own business.
  public let usesTopicIDs: Bool
  /// The version of `/latest_producer_id_block`.
  public let producerIDVersion: Int32
  /// What the store holds, as far as earlier records of this batch have been turned into writes.
  private var image: MetadataImage
  /// The writes so far, in the order in which they have to be carried out.
  public private(set) var transactions: [ZnodeTransaction] = []

  /// A multi must stay well below ZooKeeper's limit of 1 MB for a request.
  private static let partitionsPerMulti = 500

  public init(
    _ image: MetadataImage, term: ControllerTerm, usesTopicIDs: Bool, producerIDVersion: Int32
  ) {
    self.image = image
    self.term = term
    self.usesTopicIDs = usesTopicIDs
    self.producerIDVersion = producerIDVersion
  }

  /// Adds the writes for a batch of records, in their order.
  public mutating func write(_ records: [MetadataRecord]) {
    var index = 0
    while index < records.count {
      let end = endOfGroup(records, from: index)
      let group = Array(records[index..<end])
      index = end
      if case .removeTopic(let record) = group[0] {
        if let topic = image.topics[record.topicID] { removeTopic(topic) }
        continue
      }
      for record in group { image.apply(record) }
      write(group: group)
    }
  }

  /// Records that one znode holds together are written together.
  private func endOfGroup(_ records: [MetadataRecord], from start: Int) -> Int {
    var end = start + 1
    switch records[start] {
    case .topic(let topic):
      while end < records.count {
        switch records[end] {
        case .partition(let next) where next.topicID == topic.topicID: end += 1
        case .config(let next) where next.resourceName == topic.name && next.resourceType == 2:
          end += 1
        default: return end
        }
      }
    case .partition(let first):
      while end < records.count, case .partition(let next) = records[end],
        next.topicID == first.topicID
      { end += 1 }
    case .config(let first):
      while end < records.count, case .config(let next) = records[end],
        next.resourceName == first.resourceName, next.resourceType == first.resourceType
      { end += 1 }
    default: break
    }
    return end
  }

  private mutating func write(group: [MetadataRecord]) {
    switch group[0] {
    case .topic(let record): createTopic(record, group)
    case .partition(let record): addPartitions(record, group)
    case .partitionChange(let record): changePartition(record)
    case .config(let record): writeConfig(record, group)
    case .producerIDs(let record): writeProducerIDs(record)
    default: transactions.append(ZnodeTransaction([], records: group))
    }
  }

  // MARK: Topics

  private mutating func createTopic(_ record: TopicRecord, _ group: [MetadataRecord]) {
    guard let topic = image.topics[record.topicID] else { return }
    let config = ZnodePath.config("topics/\(topic.name)")
    let data = ConfigZnode.encode(image.configs[.topic(topic.name)])
    // Configuration first: whoever sees the topic finds it. A node may be left from another life.
    transactions.append(
      ZnodeTransaction(
        [term.check, .create(path: config, data: data)],
        fallback: (
          .nodeExists, [term.check, .setData(path: config, data: data, version: -1)]
        )))
    var ops = [
      term.check,
      .create(path: ZnodePath.topic(topic.name), data: topicData(topic)),
      .create(path: ZnodePath.partitions(topic.name), data: nil),
    ]
    let entries = Array(topic.partitions.entries)
    for (number, partition) in entries.prefix(Self.partitionsPerMulti) {
      ops += create(TopicPartition(topic.name, number), partition)
    }
    transactions.append(ZnodeTransaction(ops, records: group))
    for start in stride(
      from: Self.partitionsPerMulti, to: entries.count, by: Self.partitionsPerMulti)
    {
      let more = entries[start..<min(start + Self.partitionsPerMulti, entries.count)]
      transactions.append(
        ZnodeTransaction(
          [term.check] + more.flatMap { create(TopicPartition(topic.name, $0.0), $0.1) }))
    }
  }

  private func topicData(_ topic: TopicImage) -> [UInt8] {
    TopicZnode.encode(topic, id: usesTopicIDs ? topic.id : nil)
  }

  /// A partition without a leader yet has no state.
  private func create(_ at: TopicPartition, _ partition: PartitionImage) -> [ZnodeOp] {
    var ops: [ZnodeOp] = [.create(path: ZnodePath.partition(at), data: nil)]
    if partition.isInitialized {
      let data = PartitionStateZnode.encode(partition, by: term.epoch)
      ops.append(.create(path: ZnodePath.partitionState(at), data: data))
    }
    return ops
  }

  /// Partitions of a topic that is there: new ones, or ones that get their first leader. What of
  /// the path exists already is not known, so each node is created alone and may be found there.
  private mutating func addPartitions(_ first: PartitionRecord, _ group: [MetadataRecord]) {
    guard let topic = image.topics[first.topicID] else { return }
    transactions.append(
      ZnodeTransaction(
        [
          term.check,
          .setData(path: ZnodePath.topic(topic.name), data: topicData(topic), version: -1),
        ]))
    transactions.append(
      ZnodeTransaction(
        [term.check, .create(path: ZnodePath.partitions(topic.name), data: nil)],
        tolerates: .nodeExists))
    for record in group {
      guard case .partition(let partition) = record,
        let state = topic.partitions[partition.partitionID]
      else { continue }
      let at = TopicPartition(topic.name, partition.partitionID)
      let ops = create(at, state)
      transactions.append(
        ZnodeTransaction(
          [term.check, ops[0]], records: ops.count == 1 ? [record] : [], tolerates: .nodeExists))
      if ops.count > 1 {
        transactions.append(ZnodeTransaction([term.check, ops[1]], records: [record], subject: at))
      }
    }
  }

  private mutating func changePartition(_ record: PartitionChangeRecord) {
    // The image is one step ahead: the record has been applied to it.
    guard let topic = image.topics[record.topicID],
      let partition = topic.partitions[record.partitionID]
    else { return }
    let at = TopicPartition(topic.name, record.partitionID)
    var ops = [term.check]
    // Both znodes in one multi: an assignment whose state still names another leader or ISR would
    // break what everybody relies on.
    let movesReplicas =
      record.replicas != nil || record.addingReplicas != nil || record.removingReplicas != nil
    if movesReplicas {
      ops.append(
        .setData(path: ZnodePath.topic(topic.name), data: topicData(topic), version: -1))
    }
    ops.append(
      .setData(
        path: ZnodePath.partitionState(at),
        data: PartitionStateZnode.encode(partition, by: term.epoch),
        version: partition.partitionEpoch.rawValue - 1))
    transactions.append(
      ZnodeTransaction(ops, records: [.partitionChange(record)], subject: at))
  }

  /// The deletion of a topic's znodes, leaves first, each alone: what is gone already is no
  /// obstacle.
  private mutating func removeTopic(_ topic: TopicImage) {
    for (number, _) in topic.partitions.entries {
      let at = TopicPartition(topic.name, number)
      remove(ZnodePath.partitionState(at))
      remove(ZnodePath.partition(at))
    }
    remove(ZnodePath.partitions(topic.name))
    remove(ZnodePath.topic(topic.name))
    remove(ZnodePath.config("topics/\(topic.name)"))
    remove(ZnodePath.topicDeletion(topic.name))
    var record = RemoveTopicRecord()
    record.topicID = topic.id
    image.apply(.removeTopic(record))
    transactions.append(ZnodeTransaction([], records: [.removeTopic(record)]))
  }

  /// Deletes a node whatever its version.
  // Whatever its version: only the controller writes these, and there is one controller.
  public mutating func remove(_ path: String) {
    transactions.append(
      ZnodeTransaction([term.check, .delete(path: path, version: -1)], tolerates: .noNode))
  }

  // MARK: The rest

  private mutating func writeConfig(_ record: ConfigRecord, _ group: [MetadataRecord]) {
    guard let type = ConfigResourceType(rawValue: record.resourceType) else { return }
    let entity = ConfigEntity.resource(ConfigResource(type, record.resourceName))
    guard let path = entity.path else { return }
    transactions += Self.configWrites(path, entity.config(in: image), records: group)
  }

  /// The writes that put an entity's configuration in place and tell everybody. Any broker may do
  /// this, so no controller epoch is checked.
  public static func configWrites(
    _ entity: String, _ config: [String: String], records: [MetadataRecord]
  ) -> [ZnodeTransaction] {
    let data = ConfigZnode.encode(config)
    let path = ZnodePath.config(entity)
    return [
      ZnodeTransaction(
        [.setData(path: path, data: data, version: -1)], records: records,
        fallback: (.noNode, [.create(path: path, data: data)])),
      ZnodeTransaction([
        .create(
          path: ZnodePath.configChange, data: ConfigChangeZnode.encode(entity),
          mode: .persistentSequential)
      ]),
    ]
  }

  // The version makes sure that no block is given twice, even by a controller that was replaced
  // in between.
  private mutating func writeProducerIDs(_ record: ProducerIdsRecord) {
    let data = ProducerIDZnode.encode(
      BrokerID(record.brokerID), next: record.nextProducerID,
      blockSize: AllocateProducerIDs.blockSize)
    transactions.append(
      ZnodeTransaction(
        [
          term.check,
          .setData(path: ZnodePath.producerIDBlock, data: data, version: producerIDVersion),
        ], records: [.producerIDs(record)]))
  }
}
