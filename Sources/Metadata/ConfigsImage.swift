// Dynamic configuration by resource.
import KafkaRecords

/// What a configuration belongs to, by its number on the wire.
public enum ConfigResourceType: Int8, Sendable, Comparable {
  case unknown = 0
  case topic = 2
  case broker = 4
  case brokerLogger = 8
  case clientMetrics = 16
  case group = 32

  public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }

  /// As Kafka's messages name it.
  public var name: String {
    switch self {
    case .unknown: "UNKNOWN"
    case .topic: "TOPIC"
    case .broker: "BROKER"
    case .brokerLogger: "BROKER_LOGGER"
    case .clientMetrics: "CLIENT_METRICS"
    case .group: "GROUP"
    }
  }
}

/// A resource that has dynamic configuration. A broker's name is its id as text; the empty name
/// stands for the default of all brokers.
public struct ConfigResource: ShardKey, CustomStringConvertible {
  /// Topic, broker, …
  public var type: ConfigResourceType
  /// The topic's name, the broker's id, …; see above for the empty one.
  public var name: String

  public init(_ type: ConfigResourceType, _ name: String) {
    self.type = type
    self.name = name
  }

  public static func topic(_ name: String) -> ConfigResource { ConfigResource(.topic, name) }
  public static func broker(_ name: String) -> ConfigResource { ConfigResource(.broker, name) }
  public static let brokerDefault = ConfigResource(.broker, "")

  public var shardHash: UInt64 { name.shardHash ^ UInt64(UInt8(bitPattern: type.rawValue)) }

  public static func < (a: Self, b: Self) -> Bool {
    a.type == b.type ? a.name < b.name : a.type < b.type
  }

  /// As Kafka's messages name it.
  public var description: String { "ConfigResource(type=\(type.name), name='\(name)')" }
}

/// The dynamic configuration of every resource: only what was set, defaults are not in it.
public struct ConfigsImage: Equatable, Sendable {
  private var byResource = ShardedMap<ConfigResource, [String: String]>()

  public init() {}

  /// All that have something set, by type and name.
  public var resources: [ConfigResource] { byResource.sortedKeys }

  /// What is set for a resource; empty if nothing is. Sort the keys before walking them.
  public subscript(resource: ConfigResource) -> [String: String] { byResource[resource] ?? [:] }

  /// One value; nil if it is not set for this resource, whatever its default.
  public func value(_ key: String, of resource: ConfigResource) -> String? {
    byResource[resource]?[key]
  }

  /// The keys and values of a resource in the order of keys.
  public func sorted(_ resource: ConfigResource) -> [(key: String, value: String)] {
    self[resource].sorted { $0.key < $1.key }
  }

  /// Sets or removes one key. Nil for a type of resource that is not known.
  mutating func apply(_ record: ConfigRecord) -> ConfigResource? {
    guard let type = ConfigResourceType(rawValue: record.resourceType) else { return nil }
    let resource = ConfigResource(type, record.resourceName)
    if byResource[resource] == nil {
      guard record.value != nil else { return resource }
      byResource[resource] = [:]
    }
    byResource.update(resource) { $0[record.name] = record.value }
    // An entry without keys would be a resource to walkers and equal nothing that was never set.
    if byResource[resource]?.isEmpty == true { byResource[resource] = nil }
    return resource
  }

  mutating func remove(_ resource: ConfigResource) { byResource[resource] = nil }
}
