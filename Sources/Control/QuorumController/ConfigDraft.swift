// Changes of configuration in KRaft mode.
import KafkaProtocol
import KafkaRecords
import Metadata
import Values

/// The records of changes of configuration, each resource on its own. The rules differ a little
/// from those of ZooKeeper mode (`AlterConfig`): a node's configuration is there only if the node
/// is, and every change of a broker's is written, even one that changes nothing, because brokers
/// reload what depends on it (keystores) when they see it (KAFKA-14136).
struct ConfigDraft {
  private let image: MetadataImage
  private let options: QuorumControllerOptions
  private(set) var records: [MetadataRecord] = []

  init(_ machine: QuorumController) {
    image = machine.pending.image
    options = machine.options
  }

  /// - Throws: why the whole change of this resource is refused.
  mutating func alter(_ command: AlterConfig) throws(Refusal) {
    let resource = command.resource
    try validateName(resource)
    let old = image.configs[resource]
    /// What the request says, for the operator's policy.
    var stated: [String: String?] = [:]
    switch command.change {
    case .replace(let entries):
      for (name, value) in entries {
        guard let value else {
          throw Refusal(.invalidRequest, "Null value not supported for : \(name)")
        }
        stated[name] = value
      }
    case .incremental(let operations):
      for (name, operation, value) in operations {
        guard stated[name] == nil else {
          throw Refusal(
            .invalidRequest,
            "Error due to duplicate config keys : \(name)")
        }
        let current = old[name]
        stated[name] = .some(try apply(operation, name, value, to: current, of: resource))
      }
    }
    var new = old
    if case .replace = command.change { new = [:] }
    for (name, value) in stated { new[name] = value }
    if let refusal = options.base.hooks.validateConfig(resource, new) { throw refusal }
    try requireExistence(resource)
    let set = stated.compactMapValues { $0 }
    if let refusal = options.base.hooks.alterConfigPolicy?(resource, set) { throw refusal }
    write(resource, old: old, new: new, stated: Set(stated.keys))
  }

  private mutating func write(
    _ resource: ConfigResource, old: [String: String], new: [String: String],
    stated: Set<String>
  ) {
    for key in Set(old.keys).union(stated).sorted() {
      let isForced = resource.type == .broker && stated.contains(key)
      guard old[key] != new[key] || isForced else { continue }
      records.append(.config(ConfigRecord(resource, key, new[key])))
    }
  }

  // MARK: Rules

  private func validateName(_ resource: ConfigResource) throws(Refusal) {
    switch resource.type {
    case .topic:
      if resource.name.isEmpty {
        throw Refusal(.invalidRequest, "Default topic resources are not allowed.")
      }
      try TopicNames.validate(resource.name)
    case .broker:
      guard !resource.name.isEmpty else { return }
      guard let id = Int32(resource.name) else {
        throw Refusal(.invalidRequest, "Unable to parse broker name as a base 10 number.")
      }
      if id < 0 { throw Refusal(.invalidRequest, "Invalid negative broker ID.") }
    case .clientMetrics:
      if resource.name.isEmpty {
        throw Refusal(
          .invalidRequest, "Default client metrics resources are not allowed.")
      }
    case .unknown, .brokerLogger, .group:
      throw Refusal(.invalidRequest, "Unexpected resource type \(resource.type.name).")
    }
  }

  private func requireExistence(_ resource: ConfigResource) throws(Refusal) {
    switch resource.type {
    case .topic:
      guard image.topics[resource.name] != nil else {
        throw Refusal(
          .unknownTopicOrPartition, "The topic '\(resource.name)' does not exist.")
      }
    case .broker:
      guard let id = Int32(resource.name).map({ BrokerID($0) }) else { return }
      let isKnown =
        image.brokers[id] != nil || options.controllerIDs.contains(id) || id == options.nodeID
      guard isKnown else {
        throw Refusal(.brokerIDNotRegistered, "No node with id \(id.rawValue) found.")
      }
    case .unknown, .brokerLogger, .clientMetrics, .group: break
    }
  }

  /// The value after the operation; nil removes the key.
  private func apply(
    _ operation: AlterConfig.Operation, _ name: String, _ value: String?, to current: String?,
    of resource: ConfigResource
  ) throws(Refusal) -> String? {
    if operation == .delete { return nil }
    guard let value else {
      throw Refusal(.invalidRequest, "Null value not supported for : \(name)")
    }
    if operation == .set { return value }
    guard options.base.hooks.isList(resource, name) else {
      throw Refusal(
        .invalidConfig,
        "Can't \(operation == .append ? "APPEND" : "SUBTRACT") to key \(name) because its type is "
          + "not LIST.")
    }
    let start = current ?? options.base.hooks.defaultValue(resource, name) ?? ""
    var elements = start.split(separator: ",").map(String.init)
    let given = value.split(separator: ",").map(String.init)
    if operation == .append {
      for element in given where !elements.contains(element) { elements.append(element) }
    } else {
      elements.removeAll(where: given.contains)
    }
    return elements.joined(separator: ",")
  }
}
