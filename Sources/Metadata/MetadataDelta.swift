// Deltas: what changed between two images.
import KafkaRecords
import Values

/// The step from one image to the next: records are applied one by one, and what they touched is
/// noted, so that whoever publishes the new image looks at that alone.
public struct MetadataDelta: Sendable {
  /// What was before.
  public let base: MetadataImage
  /// What is, after the records so far.
  public private(set) var image: MetadataImage

  /// Each list is in the order of first touch and has no duplicates.
  public private(set) var touchedBrokers: [BrokerID] = []
  public private(set) var touchedPartitions: [TopicPartition] = []
  public private(set) var touchedConfigs: [ConfigResource] = []
  public private(set) var touchedQuotas: [QuotaEntity] = []
  public private(set) var addedTopics: [String] = []
  /// Name and id of removed topics. A topic that was removed and created again is in both lists.
  public private(set) var removedTopics: [(name: String, id: Uuid)] = []
  public private(set) var touchesFeatures = false
  public private(set) var touchesSecurity = false

  // Only asked, never walked: their order does not matter.
  private var seenBrokers: Set<BrokerID> = []
  private var seenPartitions: Set<TopicPartition> = []
  private var seenConfigs: Set<ConfigResource> = []
  private var seenQuotas: Set<QuotaEntity> = []
  private var seenTopics: Set<String> = []

  /// A delta that changes nothing yet.
  public init(_ base: MetadataImage) {
    self.base = base
    image = base
  }

  /// The delta that these records make.
  public init(_ base: MetadataImage, applying records: some Sequence<MetadataRecord>) {
    self.init(base)
    for record in records { apply(record) }
  }

  /// Whether there is nothing to publish. Producer ids alone are nobody's business.
  public var isEmpty: Bool {
    touchedBrokers.isEmpty && touchedPartitions.isEmpty && touchedConfigs.isEmpty
      && touchedQuotas.isEmpty && addedTopics.isEmpty && removedTopics.isEmpty && !touchesFeatures
      && !touchesSecurity
  }

  /// Applies one more record to the new image and notes what it touched.
  public mutating func apply(_ record: MetadataRecord) {
    switch image.apply(record) {
    case .nothing, .producerIDs: break
    case .broker(let id):
      if seenBrokers.insert(id).inserted { touchedBrokers.append(id) }
    case .topic(let name):
      if seenTopics.insert(name).inserted { addedTopics.append(name) }
    // What was noted of the topic before its removal is about something that is gone.
    case .topicRemoved(let name, let id):
      if seenTopics.remove(name) != nil { addedTopics.removeAll { $0 == name } }
      touchedPartitions.removeAll { $0.topic == name }
      seenPartitions = Set(touchedPartitions)
      removedTopics.append((name, id))
      noteConfig(.topic(name))
    case .partition(let topic, let partition):
      let at = TopicPartition(topic, partition)
      if seenPartitions.insert(at).inserted { touchedPartitions.append(at) }
    case .config(let resource): noteConfig(resource)
    case .clientQuota(let entity):
      if seenQuotas.insert(entity).inserted { touchedQuotas.append(entity) }
    case .features: touchesFeatures = true
    case .security: touchesSecurity = true
    }
  }

  private mutating func noteConfig(_ resource: ConfigResource) {
    if seenConfigs.insert(resource).inserted { touchedConfigs.append(resource) }
  }
}
