/// What this broker knows of the cluster, for answering clients and finding peers.
///
/// In ZooKeeper mode the controller's UpdateMetadata requests feed it, and the watcher of
/// configuration changes; in KRaft mode the publisher of the metadata log. Readers get an immutable
/// image; copies share what did not change.
import Control
import KafkaMessages
import KafkaRecords
import Metadata
import Platform
import Synchronization
import Values

final class MetadataCache: Sendable {
  private struct State {
    var image = MetadataImage()
    var controllerID = BrokerID.none
    var controllerEpoch = ControllerEpoch(-1)
    /// The image comes from the metadata log: the controller is no broker.
    var isFromLog = false
    /// The offset of the last record in the image, as the epoch of features.
    var offset: Int64 = -1
    /// The level of `kraft.version`, which no metadata record tells.
    var kraftVersion: Int16 = 0
  }

  private let state = Mutex(State())

  var image: MetadataImage { state.withLock { $0.image } }
  /// `.none` while the controller is unknown, and in KRaft mode.
  var controllerID: BrokerID { state.withLock { $0.controllerID } }
  /// In KRaft mode the offset that the image stands for; else -1.
  var offset: Int64 { state.withLock { $0.offset } }

  /// What clients are told the controller is; `.none` while there is none. In KRaft mode any live
  /// broker will do, because all forward to the controller (KIP-590).
  func advertisedController() -> BrokerID {
    state.withLock { state in
      if state.isFromLog {
        var random = SystemRandom()
        return state.image.brokers.alive.randomElement(using: &random)?.id ?? .none
      }
      return state.image.brokers.isAlive(state.controllerID) ? state.controllerID : .none
    }
  }

  func topic(_ name: String) -> TopicImage? { state.withLock { $0.image.topics[name] } }
  func topic(_ id: Uuid) -> TopicImage? { state.withLock { $0.image.topics[id] } }
  func topicName(_ id: Uuid) -> String? { state.withLock { $0.image.topics.name(of: id) } }
  func partition(_ at: TopicPartition) -> PartitionImage? {
    state.withLock { $0.image.topics.partition(at) }
  }
  func broker(_ id: BrokerID) -> BrokerImage? { state.withLock { $0.image.brokers[id] } }
  func isAlive(_ id: BrokerID) -> Bool { state.withLock { $0.image.brokers.isAlive(id) } }
  /// The brokers that may join an ISR: alive, and not about to leave (KIP-841).
  var isrCandidates: [BrokerID] {
    state.withLock { state in
      state.image.brokers.alive.filter { !$0.isInControlledShutdown }.map(\.id)
    }
  }
  func configs(_ resource: ConfigResource) -> [String: String] {
    state.withLock { $0.image.configs[resource] }
  }

  /// Takes over an image of the metadata log.
  func publish(_ image: MetadataImage, offset: Int64) {
    state.withLock { state in
      state.image = image
      state.offset = offset
      state.isFromLog = true
    }
  }

  func setKRaftVersion(_ level: Int16) { state.withLock { $0.kraftVersion = level } }

  /// The finalized levels of features and the offset that they are of; nil in ZooKeeper mode.
  var finalizedFeatures: (levels: [String: Int16], epoch: Int64)? {
    state.withLock { state in
      guard state.isFromLog else { return nil }
      var levels = state.image.features
      if state.kraftVersion > 0 { levels[SupportedFeatures.kraftVersion] = state.kraftVersion }
      return (levels, state.offset)
    }
  }

  /// Replaces what is set for a resource.
  func setConfig(_ resource: ConfigResource, _ settings: [String: String]) {
    state.withLock { state in
      let known = state.image.configs[resource]
      for key in known.keys.sorted() where settings[key] == nil {
        state.image.apply(Self.record(resource, key, nil))
      }
      for (key, value) in settings.sorted(by: { $0.key < $1.key }) {
        state.image.apply(Self.record(resource, key, value))
      }
    }
  }

  /// Replaces the limits (and a user's credentials) of an entity; returns all limits there are.
  func setQuota(_ entity: ConfigEntity, _ settings: [String: String]) -> ClientQuotasImage {
    state.withLock { state in
      for record in entity.records(for: settings, in: state.image) { state.image.apply(record) }
      return state.image.clientQuotas
    }
  }

  /// Replaces the access control entries about resources.
  func setAcls(_ lists: [StoredAcls]) {
    guard !lists.isEmpty else { return }
    var wanted: [AclZnode.Resource: Set<AccessControlEntry>] = [:]
    for list in lists { wanted[list.resource] = Set(list.entries) }
    state.withLock { state in
      let image = state.image.accessControl
      for id in image.ids {
        guard let entry = image[id], let list = wanted[AclZnode.Resource(entry)],
          !list.contains(entry)
        else { continue }
        state.image.apply(.removeAccessControlEntry(.init { $0.id = id }))
      }
      var random = SystemRandom()
      for entry in lists.flatMap(\.entries) where !image.contains(entry) {
        // Znodes have no ids for entries; the image has.
        var record = entry.record
        record.id = Uuid.random(using: &random)
        state.image.apply(.accessControlEntry(record))
      }
    }
  }

  private static func record(
    _ resource: ConfigResource, _ key: String, _ value: String?
  ) -> MetadataRecord {
    .config(
      ConfigRecord {
        $0.resourceType = resource.type.rawValue
        $0.resourceName = resource.name
        $0.name = key
        $0.value = value
      })
  }

  /// What an UpdateMetadata changed, for those who act on it.
  struct Change: Sendable {
    var deletedTopics: [String] = []
    var brokersChanged = false
  }

  /// Applies the controller's word; nil when a newer controller has spoken before.
  func update(_ request: UpdateMetadataRequest) -> Change? {
    state.withLock { state in
      let epoch = ControllerEpoch(request.controllerEpoch)
      if epoch < state.controllerEpoch { return nil }
      state.controllerEpoch = epoch
      state.controllerID = BrokerID(request.controllerID)
      var change = Change()
      change.brokersChanged = Self.replaceBrokers(request.liveBrokers, in: &state.image)
      for topic in request.topicStates {
        for partition in topic.partitionStates {
          Self.set(partition, topic.topicName, topic.topicID, in: &state.image, &change)
        }
      }
      for partition in request.ungroupedPartitionStates {
        Self.set(partition, partition.topicName, .zero, in: &state.image, &change)
      }
      return change
    }
  }

  /// The request names every live broker.
  private static func replaceBrokers(
    _ live: [UpdateMetadataRequest.UpdateMetadataBroker], in image: inout MetadataImage
  ) -> Bool {
    var next = BrokersImage()
    for broker in live {
      var endpoints = broker.endpoints.map {
        Endpoint(
          listener: $0.listener, host: $0.host, port: UInt16(clamping: $0.port),
          securityProtocol: SecurityProtocol(rawValue: $0.securityProtocol) ?? .plaintext)
      }
      if endpoints.isEmpty {
        endpoints = [
          Endpoint(
            listener: "PLAINTEXT", host: broker.v0Host, port: UInt16(clamping: broker.v0Port),
            securityProtocol: .plaintext)
        ]
      }
      let id = BrokerID(broker.id)
      // The request does not tell the epochs.
      next[id] = BrokerImage(
        id: id, epoch: .none, endpoints: endpoints,
        rack: broker.rack.flatMap { $0.isEmpty ? nil : $0 })
    }
    defer { image.brokers = next }
    return image.brokers != next
  }

  /// A leader of -2 says that the topic is being deleted.
  private static let leaderDuringDelete: Int32 = -2

  private static func set(
    _ partition: UpdateMetadataRequest.UpdateMetadataPartitionState, _ topic: String, _ id: Uuid,
    in image: inout MetadataImage, _ change: inout Change
  ) {
    var topicID = id
    // Before 2.8 topics have no ids; the image finds topics by id, so the name must do.
    if topicID.isZero { topicID = image.topics[topic]?.id ?? MetadataCache.standInID(topic) }
    if partition.leader == leaderDuringDelete {
      guard let known = image.topics[topic] else { return }
      image.apply(.removeTopic(RemoveTopicRecord { $0.topicID = known.id }))
      change.deletedTopics.append(topic)
      return
    }
    if image.topics[topic]?.id != topicID {
      image.apply(
        .topic(
          TopicRecord {
            $0.name = topic
            $0.topicID = topicID
          }))
    }
    image.apply(
      .partition(
        PartitionRecord {
          $0.topicID = topicID
          $0.partitionID = partition.partitionIndex
          $0.replicas = partition.replicas
          $0.isr = partition.isr
          $0.leader = partition.leader
          $0.leaderEpoch = partition.leaderEpoch
          $0.partitionEpoch = partition.zkVersion
          // A replica that is offline though its broker lives has lost its directory.
          if !partition.offlineReplicas.isEmpty {
            $0.directories = partition.replicas.map {
              partition.offlineReplicas.contains($0) && image.brokers.isAlive(BrokerID($0))
                ? DirectoryID.lost : DirectoryID.migrating
            }
          }
        }))
  }

  /// An id for a topic that has none; its high half tells it apart from real ones, which are random
  /// with version bits there.
  static func standInID(_ topic: String) -> Uuid {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in topic.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    return Uuid(high: 0xffff, low: hash)
  }

  /// The id to tell others: stand-ins are nobody's business.
  static func publicID(_ id: Uuid) -> Uuid { id.high == 0xffff ? .zero : id }
}
