import Values

/// The znodes by which tools and brokers ask the controller for something.

/// `/admin/reassign_partitions` (version 1): reassignments by tools from before KIP-455.
public enum ReassignmentZnode {
  public static func encode(_ moves: [(at: TopicPartition, replicas: [BrokerID])]) -> [UInt8] {
    JSON.object([
      .init("version", .integer(1)),
      .init(
        "partitions",
        .array(
          moves.map { move in
            .object([
              .init("topic", .string(move.at.topic)),
              .init("partition", .integer(Int64(move.at.partition))),
              .init("replicas", .int32s(move.replicas.map(\.rawValue))),
            ])
          })),
    ]).bytes
  }

  public static func decode(_ data: [UInt8]) -> [(at: TopicPartition, replicas: [BrokerID])]? {
    guard let partitions = (try? JSON(parsing: data))?["partitions"]?.array else { return nil }
    var moves: [(at: TopicPartition, replicas: [BrokerID])] = []
    for json in partitions {
      guard let at = TopicPartition(json), let replicas = json["replicas"]?.int32s else {
        return nil
      }
      moves.append((at, replicas.map { BrokerID($0) }))
    }
    return moves
  }
}

/// `/admin/preferred_replica_election` and the nodes under `/isr_change_notification` (version 1):
/// a list of partitions.
public enum PartitionListZnode {
  public static func encode(_ partitions: [TopicPartition]) -> [UInt8] {
    JSON.object([
      .init("version", .integer(1)),
      .init(
        "partitions",
        .array(
          partitions.map {
            .object([
              .init("topic", .string($0.topic)), .init("partition", .integer(Int64($0.partition))),
            ])
          })),
    ]).bytes
  }

  public static func decode(_ data: [UInt8]) -> [TopicPartition]? {
    guard let list = (try? JSON(parsing: data))?["partitions"]?.array else { return nil }
    let partitions = list.compactMap { TopicPartition($0) }
    return partitions.count == list.count ? partitions : nil
  }
}

/// Nodes under `/log_dir_event_notification` (version 1): a broker lost a log directory.
public enum LogDirEventZnode {
  public static func encode(_ broker: BrokerID) -> [UInt8] {
    JSON.object([
      .init("version", .integer(1)), .init("broker", .integer(Int64(broker.rawValue))),
      .init("event", .integer(1)),
    ]).bytes
  }

  public static func decode(_ data: [UInt8]) -> BrokerID? {
    (try? JSON(parsing: data))?["broker"]?.int32.map { BrokerID($0) }
  }
}

/// Nodes under `/config/changes` (version 2): which entity has new configuration.
public enum ConfigChangeZnode {
  public static func encode(_ entity: String) -> [UInt8] {
    JSON.object([.init("version", .integer(2)), .init("entity_path", .string(entity))]).bytes
  }

  /// The entity, as `topics/T`; version 1 named type and name apart.
  public static func decode(_ data: [UInt8]) -> String? {
    guard let json = try? JSON(parsing: data) else { return nil }
    if let path = json["entity_path"]?.string { return path }
    guard let type = json["entity_type"]?.string, let name = json["entity_name"]?.string else {
      return nil
    }
    return "\(type)/\(name)"
  }
}

extension TopicPartition {
  fileprivate init?(_ json: JSON) {
    guard let topic = json["topic"]?.string, let partition = json["partition"]?.int32 else {
      return nil
    }
    self.init(topic, partition)
  }
}
