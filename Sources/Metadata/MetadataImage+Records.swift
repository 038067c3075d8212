import KafkaRecords
import Values

extension MetadataImage {
  /// The records that build this image from nothing, always in the same order, which is Kafka's:
  /// what a snapshot holds. The level comes first: the versions of all others follow from it.
  public var records: [MetadataRecord] {
    var records: [MetadataRecord] = []
    forEachRecord { records.append($0) }
    return records
  }

  /// The same one after the other. Those of topics are made one at a time: in a large cluster all
  /// of them together would take several times the room of the image.
  public func forEachRecord<E: Error>(_ body: (MetadataRecord) throws(E) -> Void) throws(E) {
    var records: [MetadataRecord] = []
    appendFeatures(to: &records)
    records += brokers.all.map { .registerBroker($0.record) }
    records += controllers.map { .registerController($0.record) }
    for record in records { try body(record) }
    try forEachTopicRecord(body)
    records.removeAll()
    appendConfigs(to: &records)
    appendSecurity(to: &records)
    for record in records { try body(record) }
  }

  /// The same with the versions to write them in.
  public func forEachVersionedRecord<E: Error>(
    _ body: (VersionedRecord) throws(E) -> Void
  ) throws(E) {
    let level = metadataVersion
    try forEachRecord { record throws(E) in try body(VersionedRecord(record, at: level)) }
  }

  /// The same all at once.
  public var versionedRecords: [VersionedRecord] {
    var records: [VersionedRecord] = []
    forEachVersionedRecord { records.append($0) }
    return records
  }

  private func appendFeatures(to records: inout [MetadataRecord]) {
    let first = features.keys.filter { $0 == MetadataVersion.featureName }
    for name in first + features.keys.filter({ $0 != MetadataVersion.featureName }).sorted() {
      var record = FeatureLevelRecord()
      record.name = name
      record.featureLevel = features[name] ?? 0
      records.append(.featureLevel(record))
      guard name == MetadataVersion.featureName, metadataVersion.hasMigration else { continue }
      records.append(.zkMigrationState(.init { $0.zkMigrationState = zkMigrationState }))
    }
    // Without a level there is no telling whether readers know the record.
    if first.isEmpty, zkMigrationState != 0 {
      records.append(.zkMigrationState(.init { $0.zkMigrationState = zkMigrationState }))
    }
  }

  private func forEachTopicRecord<E: Error>(
    _ body: (MetadataRecord) throws(E) -> Void
  ) throws(E) {
    let hasDirectories = metadataVersion.hasDirectoryAssignment
    try topics.forEach { topic throws(E) in
      var record = TopicRecord()
      record.name = topic.name
      record.topicID = topic.id
      try body(.topic(record))
      for (number, partition) in topic.partitions.entries {
        var record = partition.record(number, topicID: topic.id)
        if hasDirectories, record.directories.isEmpty {
          record.directories = partition.replicas.map { _ in DirectoryID.migrating }
        }
        try body(.partition(record))
      }
    }
  }

  private func appendConfigs(to records: inout [MetadataRecord]) {
    for resource in configs.resources {
      for (key, value) in configs.sorted(resource) {
        var record = ConfigRecord()
        record.resourceType = resource.type.rawValue
        record.resourceName = resource.name
        record.name = key
        record.value = value
        records.append(.config(record))
      }
    }
  }

  private func appendSecurity(to records: inout [MetadataRecord]) {
    for entity in clientQuotas.entities {
      for (key, value) in clientQuotas[entity].sorted(by: { $0.key < $1.key }) {
        records.append(.clientQuota(ClientQuotaRecord(entity: entity, key: key, value: value)))
      }
    }
    if nextProducerID != 0 {
      var record = ProducerIdsRecord()
      record.brokerID = -1
      record.brokerEpoch = -1
      record.nextProducerID = nextProducerID
      records.append(.producerIDs(record))
    }
    for id in accessControl.ids {
      guard let entry = accessControl[id] else { continue }
      records.append(.accessControlEntry(entry.record(id: id)))
    }
    for user in scram.users {
      for mechanism in ScramMechanism.allCases {
        guard let credential = scram[user, mechanism] else { continue }
        var record = UserScramCredentialRecord()
        record.name = user
        record.mechanism = mechanism.rawValue
        record.salt = credential.salt
        record.storedKey = credential.storedKey
        record.serverKey = credential.serverKey
        record.iterations = credential.iterations
        records.append(.userScramCredential(record))
      }
    }
    for id in delegationTokens.ids {
      if let token = delegationTokens[id] { records.append(.delegationToken(token.record(id: id))) }
    }
  }
}

extension ClientQuotaRecord {
  /// A limit that is set, or removed when `value` is nil.
  public init(entity: QuotaEntity, key: String, value: Double?) {
    self.init()
    self.entity = entity.parts.map {
      var part = ClientQuotaRecord.EntityData()
      part.entityType = $0.type
      part.entityName = $0.name
      return part
    }
    self.key = key
    self.value = value ?? 0
    remove = value == nil
  }
}

extension AccessControlEntry {
  public func record(id: Uuid) -> AccessControlEntryRecord {
    var record = AccessControlEntryRecord()
    record.id = id
    record.resourceType = resourceType
    record.resourceName = resourceName
    record.patternType = patternType
    record.principal = principal
    record.host = host
    record.operation = operation
    record.permissionType = permissionType
    return record
  }
}
