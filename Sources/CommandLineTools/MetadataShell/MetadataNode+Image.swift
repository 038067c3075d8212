/// The tree of `/image`: the same names and places as in the metadata shell of Kafka 3.9.
import KafkaRecords
import Metadata
import Values

/// An image and where in the log it stands.
struct ShellImage {
  var image = MetadataImage()
  var lastOffset: Offset = -1
  var lastEpoch: Int32 = -1
  /// When the last record was appended, in ms since 1970.
  var timestamp: Int64 = 0

  var root: MetadataNode {
    let node = self.node
    return .directory(["image": { node }, "local": { Self.local }])
  }

  /// What is known of the shell itself. The commit is that of a build from an archive.
  private static var local: MetadataNode {
    .directory([
      "version": { .file(ToolCatalogue.version) },
      "commitId": { .file("unknown") },
    ])
  }

  private var node: MetadataNode {
    let image = image
    let time = JavaText.zonedDateTime(milliseconds: timestamp)
    let provenance = "offset \(lastOffset), epoch \(lastEpoch), time \(time)"
    return .directory([
      "provenance": { .file(provenance) },
      "features": { .features(image) },
      "cluster": { .cluster(image) },
      "topics": { .topics(image.topics) },
      "configs": { .configs(image.configs) },
      "clientQuotas": { .clientQuotas(image.clientQuotas) },
      "producerIds": {
        .directory(["nextProducerId": { .file("\(image.nextProducerID)") }])
      },
      "acls": { .acls(image.accessControl) },
      "scram": { .scram(image.scram) },
      "delegationToken": { .delegationTokens(image.delegationTokens) },
    ])
  }
}

extension MetadataNode {
  fileprivate static func features(_ image: MetadataImage) -> MetadataNode {
    // The level of the metadata has a place of its own.
    let finalized = image.features.filter { $0.key != MetadataVersion.featureName }
    let prefix = "finalized_"
    return .directory(
      names: { ["metadataVersion", "zkMigrationState"] + finalized.keys.map { prefix + $0 } },
      child: { name in
        switch name {
        case "metadataVersion": return .file(image.metadataVersion.name)
        case "zkMigrationState": return .file(JavaText.zkMigrationState(image.zkMigrationState))
        default:
          guard name.hasPrefix(prefix) else { return nil }
          return finalized[String(name.dropFirst(prefix.count))].map { .file("\($0)") }
        }
      })
  }

  fileprivate static func cluster(_ image: MetadataImage) -> MetadataNode {
    .directory([
      "brokers": {
        .directory(
          names: { image.brokers.all.map { "\($0.id.rawValue)" } },
          child: { name in
            Int32(name).flatMap { image.brokers[BrokerID($0)] }.map { .file(JavaText.text($0)) }
          })
      },
      "controllers": {
        .directory(
          names: { image.controllers.map { "\($0.id.rawValue)" } },
          child: { name in
            image.controllers.first { "\($0.id.rawValue)" == name }.map { .file(JavaText.text($0)) }
          })
      },
    ])
  }

  fileprivate static func topics(_ topics: TopicsImage) -> MetadataNode {
    .directory([
      "byName": {
        .directory(names: { topics.sortedNames }, child: { topics[$0].map(topic) })
      },
      "byId": {
        .directory(
          names: {
            var ids: [String] = []
            topics.forEachByID { ids.append("\($0.id)") }
            return ids
          },
          child: { Uuid($0).flatMap { topics[$0] }.map(topic) })
      },
    ])
  }

  private static func topic(_ topic: TopicImage) -> MetadataNode {
    .directory(
      names: { ["name", "id"] + topic.partitions.entries.map { "\($0.0)" } },
      child: { name in
        switch name {
        case "name": return .file(topic.name)
        case "id": return .file("\(topic.id)")
        default:
          return Int32(name).flatMap { topic.partitions[$0] }.map { .file(JavaText.text($0)) }
        }
      })
  }

  /// `TOPIC:orders`, `BROKER:1`; a default has the type's name alone.
  fileprivate static func configs(_ configs: ConfigsImage) -> MetadataNode {
    func name(_ resource: ConfigResource) -> String {
      resource.name.isEmpty ? resource.type.name : "\(resource.type.name):\(resource.name)"
    }
    return .directory(
      names: { configs.resources.map(name) },
      child: { wanted in
        guard let resource = configs.resources.first(where: { name($0) == wanted }) else {
          return nil
        }
        let values = configs[resource]
        return .directory(
          names: { Array(values.keys) }, child: { values[$0].map { .file($0) } })
      })
  }

  fileprivate static func clientQuotas(_ quotas: ClientQuotasImage) -> MetadataNode {
    .directory(
      names: { quotas.entities.map(JavaText.text) },
      child: { name in
        guard let entity = quotas.entities.first(where: { JavaText.text($0) == name }) else {
          return nil
        }
        let limits = quotas[entity]
        return .directory(
          names: { Array(limits.keys) },
          child: { limits[$0].map { .file(JavaText.text($0)) } })
      })
  }

  /// In the shell entries lie directly below `acls`.
  fileprivate static func acls(_ acls: AccessControlImage) -> MetadataNode {
    .directory(
      names: { acls.ids.map { "\($0)" } },
      child: { Uuid($0).flatMap { acls[$0] }.map { .file(JavaText.text($0)) } })
  }

  fileprivate static func scram(_ scram: ScramImage) -> MetadataNode {
    .directory(
      names: { ScramMechanism.allCases.map(\.name) },
      child: { name in
        guard let mechanism = ScramMechanism(name: name) else { return nil }
        return .directory(
          names: { scram.users.filter { scram[$0, mechanism] != nil } },
          child: { scram[$0, mechanism].map { .file(JavaText.text($0)) } })
      })
  }

  fileprivate static func delegationTokens(_ tokens: DelegationTokensImage) -> MetadataNode {
    .directory(
      names: { tokens.ids },
      child: { id in tokens[id].map { .file(JavaText.text($0, id: id)) } })
  }
}
