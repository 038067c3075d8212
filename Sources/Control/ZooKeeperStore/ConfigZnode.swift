// Dynamic configuration as znodes hold it, and what it means in records.
import Bytes
import KafkaRecords
import Metadata
import Values

/// `/config/<type>/<name>` (version 1): topic and broker configuration, quotas and SCRAM
/// credentials, all as text by key.
public enum ConfigZnode {
  public static func encode(_ config: [String: String]) -> [UInt8] {
    JSON.object([
      .init("version", .integer(1)),
      .init(
        "config",
        .object(
          JavaOrder.properties(config.keys).map {
            .init($0, .string(config[$0] ?? ""))
          })),
    ]).bytes
  }

  /// Empty for data that is not configuration, as Kafka takes it.
  public static func decode(_ data: [UInt8]) -> [String: String] {
    guard let fields = (try? JSON(parsing: data))?["config"]?.fields else { return [:] }
    var config: [String: String] = [:]
    for field in fields { config[field.name] = field.value.string }
    return config
  }
}

/// What a node under `/config` belongs to; its text is the path below `/config`, as change
/// notifications name it.
public enum ConfigEntity: Equatable, Sendable {
  case resource(ConfigResource)
  /// Quotas, and for a user alone also SCRAM credentials.
  case quota(QuotaEntity)

  public init?(path: String) {
    let parts = path.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    func name(_ part: String) -> String?? {
      if part == ZnodeName.defaultEntity { return .some(nil) }
      return ZnodeName.plain(part).map { .some($0) }
    }
    switch (parts.first, parts.count) {
    case ("topics", 2): self = .resource(.topic(parts[1]))
    case ("brokers", 2):
      self = .resource(.broker(parts[1] == ZnodeName.defaultEntity ? "" : parts[1]))
    case ("users", 2), ("clients", 2), ("ips", 2):
      let type = ["users": "user", "clients": "client-id", "ips": "ip"][parts[0]] ?? ""
      // IP addresses are not encoded.
      let plain: String?? =
        type == "ip" && parts[1] != ZnodeName.defaultEntity ? .some(parts[1]) : name(parts[1])
      guard let plain else { return nil }
      self = .quota(QuotaEntity([.init(type: type, name: plain)]))
    case ("users", 4) where parts[2] == "clients":
      guard let user = name(parts[1]), let client = name(parts[3]) else { return nil }
      self = .quota(
        QuotaEntity([
          .init(type: "user", name: user), .init(type: "client-id", name: client),
        ]))
    default: return nil
    }
  }

  /// Nil for entities that ZooKeeper mode has no place for.
  public var path: String? {
    switch self {
    case .resource(let resource):
      switch resource.type {
      case .topic: return "topics/\(resource.name)"
      case .broker:
        return "brokers/\(resource.name.isEmpty ? ZnodeName.defaultEntity : resource.name)"
      default: return nil
      }
    case .quota(let entity):
      func segment(_ name: String?) -> String {
        name.map(ZnodeName.sanitized) ?? ZnodeName.defaultEntity
      }
      switch (entity.name(of: "user"), entity.name(of: "client-id"), entity.name(of: "ip")) {
      case (let user?, let client?, nil):
        return "users/\(segment(user))/clients/\(segment(client))"
      case (let user?, nil, nil): return "users/\(segment(user))"
      case (nil, let client?, nil): return "clients/\(segment(client))"
      case (nil, nil, let ip?): return "ips/\(ip ?? ZnodeName.defaultEntity)"
      default: return nil
      }
    }
  }

  /// Everything `image` holds for this entity, as the znode's text values.
  public func config(in image: MetadataImage) -> [String: String] {
    switch self {
    case .resource(let resource): return image.configs[resource]
    case .quota(let entity):
      var config: [String: String] = [:]
      for (key, value) in image.clientQuotas[entity] { config[key] = Self.quotaText(value, key) }
      if entity.parts.count == 1, let user = entity.name(of: "user"), let user {
        for mechanism in ScramMechanism.allCases {
          config[mechanism.name] = image.scram[user, mechanism].map(ScramZnodeText.encode)
        }
      }
      return config
    }
  }

  /// The records that turn what `image` holds for this entity into `config`.
  public func records(for config: [String: String], in image: MetadataImage) -> [MetadataRecord] {
    let old = self.config(in: image)
    var records: [MetadataRecord] = []
    for key in Set(old.keys).union(config.keys).sorted() where old[key] != config[key] {
      switch self {
      case .resource(let resource):
        records.append(.config(ConfigRecord(resource, key, config[key])))
      case .quota(let entity):
        if let mechanism = ScramMechanism(name: key) {
          if let user = entity.name(of: "user"), let user {
            records += ScramZnodeText.records(user, mechanism, config[key])
          }
        } else if let text = config[key] {
          // A key that is no limit: not ours, and left alone.
          guard let value = Double(text) else { continue }
          records.append(.clientQuota(ClientQuotaRecord(entity: entity, key: key, value: value)))
        } else {
          records.append(.clientQuota(ClientQuotaRecord(entity: entity, key: key, value: nil)))
        }
      }
    }
    return records
  }

  /// Rates in bytes and connections are whole numbers; percentages and mutation rates are not.
  // Kafka would write a whole number for a rate it keeps as an integer, and a decimal one for a
  // rate it keeps as a double.
  public static func quotaText(_ value: Double, _ key: String) -> String {
    let isWhole =
      key == "producer_byte_rate" || key == "consumer_byte_rate"
      || key == "connection_creation_rate"
    if isWhole, let whole = Int64(exactly: value) { return String(whole) }
    return String(value)
  }
}

/// A SCRAM credential as text: `salt=…,stored_key=…,server_key=…,iterations=…`, bytes in base64.
enum ScramZnodeText {
  static func encode(_ credential: ScramCredential) -> String {
    "salt=\(Base64.encode(credential.salt)),stored_key=\(Base64.encode(credential.storedKey)),"
      + "server_key=\(Base64.encode(credential.serverKey)),iterations=\(credential.iterations)"
  }

  /// Another program may have written it.
  private static func bytes(_ text: String) -> [UInt8]? { Base64.decode(text, .forgiving) }

  static func decode(_ text: String) -> ScramCredential? {
    var values: [String: String] = [:]
    for part in text.split(separator: ",") {
      // The first equals sign separates: padding comes later.
      guard let equals = part.firstIndex(of: "=") else { return nil }
      values[String(part[..<equals])] = String(part[part.index(after: equals)...])
    }
    guard values.count == 4, let salt = values["salt"].flatMap(bytes),
      let storedKey = values["stored_key"].flatMap(bytes),
      let serverKey = values["server_key"].flatMap(bytes),
      let iterations = values["iterations"].flatMap({ Int32($0) })
    else { return nil }
    return ScramCredential(
      salt: salt, storedKey: storedKey, serverKey: serverKey, iterations: iterations)
  }

  static func records(
    _ user: String, _ mechanism: ScramMechanism, _ text: String?
  ) -> [MetadataRecord] {
    guard let text else {
      return [
        .removeUserScramCredential(
          .init {
            $0.name = user
            $0.mechanism = mechanism.rawValue
          })
      ]
    }
    guard let credential = decode(text) else { return [] }
    return [
      .userScramCredential(
        .init {
          $0.name = user
          $0.mechanism = mechanism.rawValue
          $0.salt = credential.salt
          $0.storedKey = credential.storedKey
          $0.serverKey = credential.serverKey
          $0.iterations = credential.iterations
        })
    ]
  }
}
