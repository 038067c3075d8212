/// ListClientMetricsResources, key 74, version 0 (KIP-714, KIP-1000); in KRaft mode only.
///
/// The names of the subscriptions to clients' metrics that are configured.
import KafkaMessages
import KafkaProtocol
import Metadata

enum ListClientMetricsResourcesHandler: ApiHandler {
  static func handle(_ request: ListClientMetricsResourcesRequest, _ context: RequestContext) {
    var response = ListClientMetricsResourcesResponse()
    let resources = context.services.metadata.image.configs.resources
    response.clientMetricsResources = resources.filter { $0.type == .clientMetrics }.map { found in
      .init { $0.name = found.name }
    }
    context.reply(response)
  }
}
