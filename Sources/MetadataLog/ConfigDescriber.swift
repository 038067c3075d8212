/// What DescribeConfigs answers, on brokers of both modes and on controllers: every setting with
/// where its value comes from, defaults included, values of sensitive keys withheld.
///
/// A node describes only itself; the empty name asks for what is set for all brokers.
import Control
import KafkaMessages
import KafkaProtocol
import Metadata
import Settings
import Values

public struct ConfigDescriber {
  private let nodeID: BrokerID
  private let image: MetadataImage
  private let config: BrokerConfig
  private let hasClientMetrics: Bool

  /// - Parameters:
  ///   - image: what is set, and which topics there are.
  ///   - config: the node's own, with its dynamic changes.
  ///   - hasClientMetrics: not so in ZooKeeper mode.
  public init(
    _ nodeID: BrokerID, image: MetadataImage, config: BrokerConfig, hasClientMetrics: Bool
  ) {
    self.nodeID = nodeID
    self.image = image
    self.config = config
    self.hasClientMetrics = hasClientMetrics
  }

  public func answer(_ request: DescribeConfigsRequest) -> DescribeConfigsResponse {
    var response = DescribeConfigsResponse()
    response.results = request.resources.map { resource in
      var answer = DescribeConfigsResponse.DescribeConfigsResult()
      answer.resourceType = resource.resourceType
      answer.resourceName = resource.resourceName
      do throws(Refusal) {
        let found = try describe(
          resource.resourceType, resource.resourceName, resource.configurationKeys)
        answer.configs = found.map { Self.encode($0, request) }
      } catch {
        answer.errorCode = error.code.rawValue
        answer.errorMessage = error.message
      }
      return answer
    }
    return response
  }

  private func describe(
    _ type: Int8, _ name: String, _ keys: [String]?
  ) throws(Refusal) -> [ConfigDescription] {
    switch ConfigResourceType(rawValue: type) {
    case .topic:
      guard TopicNames.reasonInvalid(name) == nil else {
        throw Refusal(.invalidTopicException, "Topic name is not valid: \(name)")
      }
      guard image.topics[name] != nil else { throw Refusal(.unknownTopicOrPartition) }
      return TopicConfig.describe(
        overrides: image.configs[.topic(name)], broker: config, keys: keys)
    case .broker where name.isEmpty:
      return config.describeDynamicDefaults(keys: keys)
    case .broker:
      guard name == "\(nodeID.rawValue)" else {
        throw Refusal(
          .invalidRequest,
          "Unexpected broker id, expected \(nodeID.rawValue) or empty string, but received "
            + "\(name)")
      }
      return config.describe(keys: keys)
    case .brokerLogger:
      guard name == "\(nodeID.rawValue)" else {
        throw Refusal(.invalidRequest, "Unexpected broker id \(name)")
      }
      return []
    case .clientMetrics where hasClientMetrics:
      guard !name.isEmpty else {
        throw Refusal(
          .invalidRequest, "Client metrics subscription name must not be empty")
      }
      return ClientMetricsDescription.describe(
        image.configs[ConfigResource(.clientMetrics, name)], keys: keys)
    default:
      throw Refusal(.invalidRequest, "Unsupported resource type: \(type)")
    }
  }

  private static func encode(
    _ config: ConfigDescription, _ request: DescribeConfigsRequest
  ) -> DescribeConfigsResponse.DescribeConfigsResourceResult {
    DescribeConfigsResponse.DescribeConfigsResourceResult {
      $0.name = config.name
      $0.value = config.value
      $0.readOnly = config.isReadOnly
      $0.isDefault = config.isDefault
      $0.configSource = config.source.rawValue
      $0.isSensitive = config.isSensitive
      $0.configType = config.type.rawValue
      if request.includeDocumentation { $0.documentation = config.documentation }
      guard request.includeSynonyms else { return }
      $0.synonyms = config.synonyms.map { synonym in
        DescribeConfigsResponse.DescribeConfigsSynonym {
          $0.name = synonym.name
          $0.value = synonym.value
          $0.source = synonym.source.rawValue
        }
      }
    }
  }
}
