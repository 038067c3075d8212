// The image: what all the parts add up to, and how a record changes it.
import KafkaRecords
import Values

/// Everything a node knows about the cluster at one moment: an immutable value, advanced by deltas,
/// whichever store fed it. Copies share what did not change.
public struct MetadataImage: Equatable, Sendable {
  /// Registered brokers, fenced ones included.
  public var brokers = BrokersImage()
  public var topics = TopicsImage()
  /// Dynamic configuration of topics and brokers.
  public var configs = ConfigsImage()
  public var clientQuotas = ClientQuotasImage()
  public var scram = ScramImage()
  /// Entries of the authorizer, in KRaft mode.
  public var accessControl = AccessControlImage()
  public var delegationTokens = DelegationTokensImage()
  /// Finalized feature levels, by name.
  public var features: [String: Int16] = [:]
  /// The first producer id that belongs to no broker yet.
  public var nextProducerID: Int64 = 0
  /// Registered KRaft controllers, in the order of their ids.
  public var controllers: [ControllerRegistration] = []
  /// The state of a migration from ZooKeeper; 0 is none (KIP-866).
  public var zkMigrationState: Int8 = 0

  public init() {}

  /// Whether the replica of a partition on `broker` can be read and led: the broker is alive and
  /// has not lost the directory.
  public func isReplicaOnline(_ broker: BrokerID, _ partition: PartitionImage) -> Bool {
    brokers.isAlive(broker) && !partition.isDirectoryLost(on: broker)
  }

  /// The replicas of a partition that cannot be reached now, as Metadata responses list them.
  public func offlineReplicas(_ partition: PartitionImage) -> [BrokerID] {
    partition.replicas.filter { !isReplicaOnline($0, partition) }
  }

  /// Applies one record and says what it touched.
  @discardableResult
  public mutating func apply(_ record: MetadataRecord) -> MetadataTouch {
    switch record {
    case .registerBroker, .unregisterBroker, .fenceBroker, .unfenceBroker,
      .brokerRegistrationChange, .registerController:
      return applyRegistration(record)
    case .topic(let record):
      topics.add(record)
      return .topic(record.name)
    case .removeTopic(let record):
      guard let topic = topics.remove(record.topicID) else { return .nothing }
      // In the KRaft log a topic's configuration goes with the topic, without records of its own.
      configs.remove(.topic(topic.name))
      return .topicRemoved(topic.name, id: topic.id)
    case .partition(let record):
      return topics.set(record).map { .partition($0, record.partitionID) } ?? .nothing
    case .partitionChange(let record):
      return topics.change(record).map { .partition($0, record.partitionID) } ?? .nothing
    case .config(let record):
      return configs.apply(record).map { .config($0) } ?? .nothing
    case .clientQuota, .userScramCredential, .removeUserScramCredential, .accessControlEntry,
      .removeAccessControlEntry, .delegationToken, .removeDelegationToken:
      return applySecurity(record)
    case .featureLevel(let record):
      features[record.name] = record.featureLevel == 0 ? nil : record.featureLevel
      return .features
    case .producerIDs(let record):
      nextProducerID = record.nextProducerID
      return .producerIDs
    case .zkMigrationState(let record):
      zkMigrationState = record.zkMigrationState
      return .nothing
    case .noOp, .beginTransaction, .endTransaction, .abortTransaction:
      return .nothing
    }
  }

  private mutating func applyRegistration(_ record: MetadataRecord) -> MetadataTouch {
    switch record {
    case .registerBroker(let record):
      let id = BrokerID(record.brokerID)
      brokers[id] = BrokerImage(record)
      return .broker(id)
    case .unregisterBroker(let record):
      let id = BrokerID(record.brokerID)
      brokers[id] = nil
      return .broker(id)
    case .fenceBroker(let record):
      return changeBroker(record.id, record.epoch) { $0.isFenced = true }
    case .unfenceBroker(let record):
      return changeBroker(record.id, record.epoch) { $0.isFenced = false }
    case .brokerRegistrationChange(let record):
      return changeBroker(record.brokerID, record.brokerEpoch) { broker in
        if record.fenced != 0 { broker.isFenced = record.fenced > 0 }
        if record.inControlledShutdown != 0 {
          broker.isInControlledShutdown = record.inControlledShutdown > 0
        }
        if !record.logDirs.isEmpty { broker.logDirs = record.logDirs }
      }
    case .registerController(let record):
      let controller = ControllerRegistration(record)
      controllers.removeAll { $0.id == controller.id }
      let index = controllers.firstIndex { $0.id > controller.id } ?? controllers.count
      controllers.insert(controller, at: index)
      return .nothing
    default: return .nothing
    }
  }

  /// A record that names another epoch than the registration's is about an earlier life of the
  /// broker.
  private mutating func changeBroker(
    _ id: Int32, _ epoch: Int64, _ change: (inout BrokerImage) -> Void
  ) -> MetadataTouch {
    guard var broker = brokers[BrokerID(id)], broker.epoch.rawValue == epoch else {
      return .nothing
    }
    change(&broker)
    brokers[broker.id] = broker
    return .broker(broker.id)
  }

  private mutating func applySecurity(_ record: MetadataRecord) -> MetadataTouch {
    switch record {
    case .clientQuota(let record): return .clientQuota(clientQuotas.apply(record))
    case .userScramCredential(let record): scram.apply(record)
    case .removeUserScramCredential(let record): scram.remove(record)
    case .accessControlEntry(let record): accessControl.apply(record)
    case .removeAccessControlEntry(let record): accessControl.remove(record.id)
    case .delegationToken(let record): delegationTokens.apply(record)
    case .removeDelegationToken(let record): delegationTokens.remove(record.tokenID)
    default: return .nothing
    }
    return .security
  }
}

/// What one record changed in an image.
public enum MetadataTouch: Equatable, Sendable {
  /// Nothing, or nothing that is published.
  case nothing
  case broker(BrokerID)
  case topic(String)
  case topicRemoved(String, id: Uuid)
  case partition(String, Int32)
  case config(ConfigResource)
  case clientQuota(QuotaEntity)
  case features
  case producerIDs
  case security
}
