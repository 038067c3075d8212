// Several changes of partitions in one decision.
import KafkaRecords
import Metadata
import Values

/// The records of one decision about partitions, and what partitions look like after them, so that
/// the second change of a partition builds on the first. Brokers are those of `control`: a caller
/// that changes a broker in the same decision says so.
struct PartitionDraft {
  let control: Controller
  let availability: BrokerAvailability
  let nodeID: BrokerID
  let level: MetadataVersion
  /// Eligible leader replicas are kept (KIP-966): the level has them, and so says the setting.
  let usesEligibleReplicas: Bool
  private(set) var records: [MetadataRecord] = []

  private struct Place: Hashable {
    var topicID: Uuid
    var number: Int32
  }
  // Only asked, never walked.
  private var changed: [Place: PartitionImage] = [:]

  /// Taken as if the records about it were already in force.
  enum Departure {
    case none
    /// Fenced, shutting down or unregistered: leaves every ISR and leads nothing.
    case removed(BrokerID)
    /// Unfenced: may lead.
    case added(BrokerID)
    /// Came back without what it had not written out (KIP-966).
    case uncleanShutdown(BrokerID)
  }

  init(_ machine: QuorumController) {
    control = machine.pending
    availability = BrokerAvailability(brokers: machine.pending.image.brokers)
    nodeID = machine.options.nodeID
    level = machine.pending.image.metadataVersion
    usesEligibleReplicas =
      level.hasEligibleLeaderReplicas && machine.options.areEligibleReplicasKept
  }

  var image: MetadataImage { control.image }

  mutating func add(_ record: MetadataRecord) { records.append(record) }

  /// The state of a partition after the records so far.
  func partition(_ topic: TopicImage, _ number: Int32) -> PartitionImage? {
    changed[Place(topicID: topic.id, number: number)] ?? topic.partitions[number]
  }

  /// Adds what the builder makes of its targets; the new state, or nil if nothing changed.
  @discardableResult
  mutating func apply(_ builder: PartitionChangeBuilder) -> PartitionImage? {
    var builder = builder
    guard let record = builder.build() else { return nil }
    let next = builder.partition.merging(record)
    changed[Place(topicID: record.topicID, number: record.partitionID)] = next
    records.append(.partitionChange(record))
    return next
  }

  /// Unfenced and not on its way out.
  func isActive(_ id: BrokerID) -> Bool { availability.isActive(id) }

  /// Where a new replica on a broker goes: known only if the broker has one directory.
  func defaultDirectory(_ id: BrokerID) -> Uuid { availability.defaultDirectory(id) }

  // MARK: Builders

  /// A builder for a partition; `departure` is what the decision does to a broker besides.
  func builder(
    _ topic: TopicImage, _ number: Int32, _ partition: PartitionImage,
    _ departure: Departure = .none
  ) -> PartitionChangeBuilder {
    // The closures hold what they need and not the draft, whose records would be copied for each.
    let availability = availability
    var builder = PartitionChangeBuilder(
      topicID: topic.id, number: number, partition: partition, level: level,
      isAcceptable: { id in
        switch departure {
        case .removed(let gone) where gone == id: return false
        case .uncleanShutdown(let gone) where gone == id: return false
        case .added(let new) where new == id: break
        default: guard availability.isActive(id) else { return false }
        }
        return availability.hasOnlineDirectory(
          id, partition.directory(of: id) ?? availability.defaultDirectory(id))
      },
      defaultDirectory: { availability.defaultDirectory($0) })
    if usesEligibleReplicas {
      builder.usesEligibleReplicas = true
      builder.minISR = minISR(topic)
    }
    return builder
  }

  /// Takes a broker out of a partition, or looks whether it can lead it.
  mutating func settle(
    _ topic: TopicImage, _ number: Int32, _ partition: PartitionImage, _ departure: Departure
  ) {
    var builder = builder(topic, number, partition, departure)
    if allowsUncleanElection(topic.name) { builder.election = .unclean }
    switch departure {
    case .removed(let gone): builder.isr.removeAll { $0 == gone }
    case .uncleanShutdown(let gone):
      builder.isr.removeAll { $0 == gone }
      builder.uncleanShutdown = gone
    case .added, .none: break
    }
    apply(builder)
  }

  /// Settles every partition for which `isConcerned` says so, in the order of topic ids.
  mutating func settleAll(
    _ departure: Departure, where isConcerned: (PartitionImage) -> Bool
  ) {
    image.topics.forEachByID { topic in
      for number in topic.partitions.numbers {
        guard let partition = partition(topic, number), isConcerned(partition) else { continue }
        settle(topic, number, partition, departure)
      }
    }
  }

  // MARK: Settings that decide elections

  /// The topic's own setting, else the dynamic one of this controller, of all brokers, or the
  /// default.
  func setting(_ key: String, _ brokerKey: String, of topic: String) -> String? {
    image.configs.value(key, of: .topic(topic))
      ?? image.configs.value(brokerKey, of: .broker(String(nodeID.rawValue)))
      ?? image.configs.value(brokerKey, of: .brokerDefault)
  }

  func allowsUncleanElection(_ topic: String) -> Bool {
    let key = "unclean.leader.election.enable"
    return setting(key, key, of: topic).map { $0.lowercased() == "true" }
      ?? control.options.isUncleanElectionEnabled
  }

  /// `min.insync.replicas`, at most the replication factor.
  private func minISR(_ topic: TopicImage) -> Int {
    let key = "min.insync.replicas"
    let wanted = setting(key, key, of: topic.name).flatMap { Int($0) } ?? control.options.minISR
    return min(wanted, topic.partitions[0]?.replicas.count ?? wanted)
  }
}

/// What brokers can be used for.
struct BrokerAvailability: Sendable {
  let brokers: BrokersImage

  /// Unfenced and not on its way out.
  func isActive(_ id: BrokerID) -> Bool {
    guard let broker = brokers[id] else { return false }
    return broker.isAlive && !broker.isInControlledShutdown
  }

  /// Whether a directory of a broker is usable, as far as it has said.
  func hasOnlineDirectory(_ id: BrokerID, _ directory: Uuid) -> Bool {
    guard let broker = brokers[id] else { return false }
    if directory == DirectoryID.unassigned || directory == DirectoryID.migrating { return true }
    if directory == DirectoryID.lost { return false }
    // A registration without directories is from before there were any (3.7-IV2).
    return broker.logDirs.isEmpty || broker.logDirs.contains(directory)
  }

  /// Where a new replica on a broker goes: known only if the broker has one directory.
  func defaultDirectory(_ id: BrokerID) -> Uuid {
    guard let broker = brokers[id] else { return DirectoryID.unassigned }
    if broker.logDirs.isEmpty { return DirectoryID.migrating }
    return broker.logDirs.count == 1 ? broker.logDirs[0] : DirectoryID.unassigned
  }
}
