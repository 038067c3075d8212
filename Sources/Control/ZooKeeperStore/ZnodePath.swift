// Where everything lies.
import Values

/// The paths of ZooKeeper-mode Kafka.
public enum ZnodePath {
  public static let controller = "/controller"
  public static let controllerEpoch = "/controller_epoch"
  public static let clusterID = "/cluster/id"
  public static let brokerIDs = "/brokers/ids"
  public static let brokerSequence = "/brokers/seqid"
  public static let topics = "/brokers/topics"
  public static let config = "/config"
  public static let configChanges = "/config/changes"
  public static let isrChanges = "/isr_change_notification"
  public static let logDirEvents = "/log_dir_event_notification"
  /// A node here asks for the deletion of the topic of its name.
  public static let topicDeletions = "/admin/delete_topics"
  public static let reassignment = "/admin/reassign_partitions"
  public static let preferredElection = "/admin/preferred_replica_election"
  /// Holds the last block of producer ids that was given away.
  public static let producerIDBlock = "/latest_producer_id_block"
  public static let features = "/feature"
  public static let migration = "/migration"

  /// Prefixes of sequential nodes; the server appends ten digits.
  public static let configChange = configChanges + "/config_change_"
  public static let isrChange = isrChanges + "/isr_change_"
  public static let logDirEvent = logDirEvents + "/log_dir_event_"

  public static func broker(_ id: BrokerID) -> String { "\(brokerIDs)/\(id.rawValue)" }
  public static func topic(_ name: String) -> String { "\(topics)/\(name)" }
  public static func partitions(_ topic: String) -> String { "\(topics)/\(topic)/partitions" }
  public static func partition(_ at: TopicPartition) -> String {
    "\(partitions(at.topic))/\(at.partition)"
  }
  public static func partitionState(_ at: TopicPartition) -> String { partition(at) + "/state" }
  public static func topicDeletion(_ name: String) -> String { "\(topicDeletions)/\(name)" }
  /// `entity` is `topics/T`, `users/U/clients/C` and the like, as change notifications name it.
  public static func config(_ entity: String) -> String { "\(config)/\(entity)" }

  /// What a broker creates at its first start, parents included, in this order.
  public static let persistent: [String] = [
    "/consumers", brokerIDs, topics, configChanges, topicDeletions, brokerSequence, isrChanges,
    producerIDBlock, logDirEvents, "/config/topics", "/config/clients", "/config/users",
    "/config/brokers", "/config/ips",
  ]

  /// Whether others than the creator may not even read the node under `zookeeper.set.acl`.
  public static func isSensitive(_ path: String) -> Bool {
    path.hasPrefix("/config/users") || path.hasPrefix("/config/brokers")
      || path.hasPrefix("/delegation_token/tokens")
  }
}

/// Names of users and client ids in paths, where a slash would open a level: percent-encoded.
public enum ZnodeName {
  public static func sanitized(_ name: String) -> String {
    let hex = Array("0123456789ABCDEF".utf8)
    var out: [UInt8] = []
    for byte in name.utf8 {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"),
        UInt8(ascii: "_"), UInt8(ascii: "~"):
        out.append(byte)
      default: out += [UInt8(ascii: "%"), hex[Int(byte >> 4)], hex[Int(byte & 15)]]
      }
    }
    return String(decoding: out, as: UTF8.self)
  }

  /// Nil if the text is not what `sanitized` makes.
  public static func plain(_ sanitized: String) -> String? {
    let bytes = Array(sanitized.utf8)
    var out: [UInt8] = []
    var index = 0
    while index < bytes.count {
      if bytes[index] == UInt8(ascii: "%") {
        guard index + 2 < bytes.count,
          let high = Character(Unicode.Scalar(bytes[index + 1])).hexDigitValue,
          let low = Character(Unicode.Scalar(bytes[index + 2])).hexDigitValue
        else { return nil }
        out.append(UInt8(high << 4 | low))
        index += 3
      } else {
        out.append(bytes[index] == UInt8(ascii: "+") ? 0x20 : bytes[index])
        index += 1
      }
    }
    return String(validating: out, as: UTF8.self)
  }

  /// Stands for the default of all brokers, users or client ids.
  public static let defaultEntity = "<default>"
}
