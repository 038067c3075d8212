// Dynamic configuration (AlterConfigs, IncrementalAlterConfigs).
import Decision
import KafkaProtocol
import KafkaRecords
import Metadata
import Values

/// Changes the dynamic configuration of a resource (AlterConfigs, IncrementalAlterConfigs).
public struct AlterConfig: Sendable {
  public enum Operation: Int8, Sendable {
    case set = 0
    case delete = 1
    /// Adds elements to a list, or takes them out (KIP-339).
    case append = 2
    case subtract = 3
  }

  public enum Change: Sendable {
    /// What is set becomes exactly this; nil values are left out.
    case replace([(name: String, value: String?)])
    case incremental([(name: String, operation: Operation, value: String?)])
  }

  /// A topic, a broker, or the default of all brokers.
  public var resource: ConfigResource
  public var change: Change

  public init(_ resource: ConfigResource, _ change: Change) {
    self.resource = resource
    self.change = change
  }
}

extension Controller {
  /// The reply is the complete configuration of the resource after the change.
  public func decide(
    _ command: AlterConfig
  ) throws(Refusal) -> Decision<MetadataRecord, [String: String]> {
    let resource = command.resource
    try validate(resource)
    let old = image.configs[resource]
    let new: [String: String]
    let mentioned: [String: String]
    switch command.change {
    case .replace(let entries):
      var values: [String: String] = [:]
      for (name, value) in entries { values[name] = value }
      new = values
      mentioned = values
    case .incremental(let operations):
      new = try apply(operations, to: old, of: resource)
      mentioned = operations.reduce(into: [:]) { $0[$1.name] = $1.value }
    }
    if let refusal = options.hooks.validateConfig(resource, new) { throw refusal }
    if let refusal = options.hooks.alterConfigPolicy?(resource, mentioned) { throw refusal }
    var records: [MetadataRecord] = []
    for key in Set(old.keys).union(new.keys).sorted() where old[key] != new[key] {
      records.append(.config(ConfigRecord(resource, key, new[key])))
    }
    return Decision(records, reply: new)
  }

  private func validate(_ resource: ConfigResource) throws(Refusal) {
    switch resource.type {
    case .topic:
      if resource.name.isEmpty {
        throw Refusal(.invalidRequest, "Default topic resources are not allowed.")
      }
      guard image.topics[resource.name] != nil else {
        throw Refusal(
          .unknownTopicOrPartition, "The topic '\(resource.name)' does not exist.")
      }
    case .broker:
      guard resource.name.isEmpty || Int32(resource.name) != nil else {
        throw Refusal(
          .invalidRequest, "Broker id must be an integer, but it is: \(resource.name)")
      }
    case .unknown, .brokerLogger, .clientMetrics, .group:
      throw Refusal(
        .invalidRequest,
        "AlterConfigs is only supported for topics and brokers, but resource type is "
          + "\(resource.type)")
    }
  }

  private func apply(
    _ operations: [(name: String, operation: AlterConfig.Operation, value: String?)],
    to old: [String: String], of resource: ConfigResource
  ) throws(Refusal) -> [String: String] {
    var new = old
    for (name, operation, value) in operations {
      switch operation {
      case .set:
        guard let value else {
          throw Refusal(.invalidRequest, "Null value not supported for : \(name)")
        }
        new[name] = value
      case .delete: new[name] = nil
      case .append, .subtract:
        guard options.hooks.isList(resource, name) else {
          throw Refusal(
            .invalidConfig,
            "Config value \(operation == .append ? "append" : "subtract") is not allowed for "
              + "config key: \(name)")
        }
        guard let value else {
          throw Refusal(.invalidRequest, "Null value not supported for : \(name)")
        }
        let start = new[name] ?? options.hooks.defaultValue(resource, name) ?? ""
        var elements = Self.elements(start)
        let given = Self.elements(value)
        if operation == .append {
          elements += given.filter { !elements.contains($0) }
        } else {
          elements.removeAll(where: given.contains)
        }
        new[name] = elements.joined(separator: ",")
      }
    }
    return new
  }

  /// The elements of a list as it stands in a value, without blanks around them.
  private static func elements(_ list: String) -> [String] {
    list.split(separator: ",").map { element in
      var trimmed = element[...]
      while trimmed.first == " " { trimmed.removeFirst() }
      while trimmed.last == " " { trimmed.removeLast() }
      return String(trimmed)
    }.filter { !$0.isEmpty }
  }
}
