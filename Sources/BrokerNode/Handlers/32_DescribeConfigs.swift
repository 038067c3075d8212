/// DescribeConfigs, key 32, versions 0–4.
///
/// Every setting of a topic or a broker with where its value comes from: defaults included, values
/// of sensitive keys withheld. Version 1 adds sources and synonyms; 3 types and documentation. A
/// broker describes only itself; the empty name asks for what is set for all brokers. In KRaft mode
/// subscriptions to clients' metrics too (KIP-1000).
import KafkaMessages
import KafkaProtocol
import Metadata
import MetadataLog
import Settings

enum DescribeConfigsHandler: ApiHandler {
  static func handle(_ request: DescribeConfigsRequest, _ context: RequestContext) {
    let services = context.services
    let describer = ConfigDescriber(
      services.brokerID, image: services.metadata.image, config: services.currentConfig,
      hasClientMetrics: services.apis[.listClientMetricsResources] != nil)
    context.reply(describer.answer(request))
  }
}
