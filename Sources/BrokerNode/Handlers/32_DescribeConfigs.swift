/// DescribeConfigs, key 32, versions 0–4.
///
/// Every setting of a topic or a broker with where its value comes from: defaults included, values
/// of sensitive keys withheld. Version 1 adds sources and synonyms; 3 types and documentation. A
/// broker describes only itself; the empty name asks for what is set for all brokers.
import KafkaMessages
import KafkaProtocol
import Metadata
import Settings
import Values

enum DescribeConfigsHandler: ApiHandler {
  private typealias Answer = DescribeConfigsResponse.DescribeConfigsResult

  static func handle(_ request: DescribeConfigsRequest, _ context: RequestContext) {
    var response = DescribeConfigsResponse()
    response.results = request.resources.map { resource in
      var answer = Answer()
      answer.resourceType = resource.resourceType
      answer.resourceName = resource.resourceName
      do throws(ConfigRefusal) {
        let keys = resource.configurationKeys
        let found = try describe(resource.resourceType, resource.resourceName, keys, context)
        answer.configs = found.map { encode($0, request) }
      } catch {
        answer.errorCode = error.code.rawValue
        answer.errorMessage = error.message
      }
      return answer
    }
    context.reply(response)
  }

  private struct ConfigRefusal: Error {
    var code: ErrorCode
    var message: String?
  }

  private static func describe(
    _ type: Int8, _ name: String, _ keys: [String]?, _ context: RequestContext
  ) throws(ConfigRefusal) -> [ConfigDescription] {
    let services = context.services
    switch ConfigResourceType(rawValue: type) {
    case .topic:
      guard AutoTopicCreation.isValidName(name) else {
        throw ConfigRefusal(
          code: .invalidTopicException, message: "Topic name is not valid: \(name)")
      }
      guard services.metadata.topic(name) != nil else {
        throw ConfigRefusal(code: .unknownTopicOrPartition, message: nil)
      }
      return TopicConfig.describe(
        overrides: services.metadata.configs(.topic(name)), broker: services.currentConfig,
        keys: keys)
    case .broker where name.isEmpty:
      return services.currentConfig.describeDynamicDefaults(keys: keys)
    case .broker:
      guard name == "\(services.brokerID.rawValue)" else {
        throw ConfigRefusal(
          code: .invalidRequest,
          message: "Unexpected broker id, expected \(services.brokerID.rawValue) or empty string, "
            + "but received \(name)")
      }
      return services.currentConfig.describe(keys: keys)
    case .brokerLogger:
      guard name == "\(services.brokerID.rawValue)" else {
        throw ConfigRefusal(code: .invalidRequest, message: "Unexpected broker id \(name)")
      }
      return []
    case .clientMetrics where services.apis[.listClientMetricsResources] != nil:
      guard !name.isEmpty else {
        throw ConfigRefusal(
          code: .invalidRequest, message: "Client metrics subscription name must not be empty")
      }
      return ClientMetricsDescription.describe(
        services.metadata.configs(ConfigResource(.clientMetrics, name)), keys: keys)
    default:
      throw ConfigRefusal(code: .invalidRequest, message: "Unsupported resource type: \(type)")
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
