/// DescribeCluster, key 60, versions 0–1.
///
/// The brokers, the controller and the cluster's id, without topics. Version 1 asks for brokers (1)
/// or controllers (2); in ZooKeeper mode controllers have no endpoints of their own:
/// MISMATCHED_ENDPOINT_TYPE.
import KafkaMessages
import KafkaProtocol
import Values

enum DescribeClusterHandler: ApiHandler {
  static func handle(_ request: DescribeClusterRequest, _ context: RequestContext) {
    var response = DescribeClusterResponse()
    response.endpointType = request.endpointType
    if context.version >= 1, request.endpointType != 1 {
      response.errorCode = (request.endpointType == 2
        ? ErrorCode.mismatchedEndpointType : .unsupportedEndpointType).rawValue
      response.errorMessage = "The request was sent to an endpoint of the wrong type."
      context.reply(response)
      return
    }
    let image = context.services.metadata.image
    response.clusterID = context.services.clusterID
    response.controllerID = context.services.metadata.advertisedController().rawValue
    response.brokers = image.brokers.alive.compactMap { broker in
      broker.endpoint(context.client.listener).map { endpoint in
        DescribeClusterResponse.DescribeClusterBroker {
          $0.brokerID = broker.id.rawValue
          $0.host = endpoint.host
          $0.port = Int32(endpoint.port)
          $0.rack = broker.rack
        }
      }
    }
    if request.includeClusterAuthorizedOperations {
      response.clusterAuthorizedOperations = AuthorizedOperations.cluster
    }
    context.reply(response)
  }
}
