/// Creates topics that somebody asked for by using them.
import KafkaMessages
import KafkaProtocol
import Synchronization
import Telemetry
import Values

final class AutoTopicCreation: Sendable {
  private static let log = Log("auto-creation")
  /// Topics whose creation is under way: many clients ask for a new topic at once.
  private let underWay = Mutex<Set<String>>([])

  static func isValidName(_ name: String) -> Bool {
    guard (1...249).contains(name.utf8.count), name != ".", name != ".." else { return false }
    return name.utf8.allSatisfy { byte in
      (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
        || byte == 0x2d || byte == 0x2e || byte == 0x5f
    }
  }

  /// Asks the controller to create the topics with the cluster's defaults, or with what the
  /// configuration says about internal topics. Returns before they are there.
  func create(_ names: [String], services: BrokerServices) {
    let new = underWay.withLock { underWay in names.filter { underWay.insert($0).inserted } }
    if new.isEmpty { return }
    var request = CreateTopicsRequest()
    request.timeoutMs = Int32(clamping: services.config.network.requestTimeoutMs)
    request.topics = new.map { Self.topic($0, services) }
    services.controllerChannel.call(request, versions: 5...7) { [self] result in
      underWay.withLock { $0.subtract(new) }
      switch result {
      case .failure(let error):
        Self.log.warn("topics not created: \(error)", ["topics": new.joined(separator: ",")])
      case .success(let response):
        for topic in response.topics {
          let error = ErrorCode(topic.errorCode)
          if error == .none || error == .topicAlreadyExists { continue }
          Self.log.warn(
            "topic not created: \(topic.errorMessage ?? "\(error)")", ["topic": topic.name])
        }
      }
    }
  }

  private static func topic(
    _ name: String, _ services: BrokerServices
  ) -> CreateTopicsRequest.CreatableTopic {
    let config = services.currentConfig
    return CreateTopicsRequest.CreatableTopic {
      $0.name = name
      switch name {
      case InternalTopics.offsets:
        $0.numPartitions = config.groups.offsetsTopicPartitions
        $0.replicationFactor = config.groups.offsetsTopicReplicationFactor
        $0.configs = configs([
          ("cleanup.policy", "compact"), ("compression.type", "producer"),
          ("segment.bytes", "\(config.groups.offsetsTopicSegmentBytes)"),
        ])
      case InternalTopics.transactions:
        $0.numPartitions = config.producers.transactionTopicPartitions
        $0.replicationFactor = config.producers.transactionTopicReplicationFactor
        $0.configs = configs([
          ("cleanup.policy", "compact"), ("compression.type", "uncompressed"),
          ("unclean.leader.election.enable", "false"),
          ("min.insync.replicas", "\(config.producers.transactionTopicMinISR)"),
          ("segment.bytes", "\(config.producers.transactionTopicSegmentBytes)"),
        ])
      default:
        $0.numPartitions = config.topics.defaultPartitions
        $0.replicationFactor = config.topics.defaultReplicationFactor
      }
    }
  }

  private static func configs(
    _ pairs: [(String, String)]
  ) -> [CreateTopicsRequest.CreatableTopicConfig] {
    pairs.map { name, value in
      CreateTopicsRequest.CreatableTopicConfig {
        $0.name = name
        $0.value = value
      }
    }
  }
}
