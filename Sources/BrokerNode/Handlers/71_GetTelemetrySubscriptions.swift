/// GetTelemetrySubscriptions, key 71, version 0 (KIP-714); in KRaft mode only, and only where
/// somebody takes what clients push (`jackdaw.client.telemetry.enable`).
///
/// A client that asks for the first time has no instance id yet and is given one. Asking again
/// before the push interval is over: THROTTLING_QUOTA_EXCEEDED.
import ClientTelemetry
import KafkaMessages
import KafkaProtocol
import Values

enum GetTelemetrySubscriptionsHandler: ApiHandler {
  static func handle(_ request: GetTelemetrySubscriptionsRequest, _ context: RequestContext) {
    var response = GetTelemetrySubscriptionsResponse()
    guard let receiver = context.services.telemetry else {
      response.errorCode = ErrorCode.unsupportedVersion.rawValue
      return context.reply(response)
    }
    do throws(TelemetrySubscription.Refusal) {
      let answer = try receiver.ask(
        request.clientInstanceID, context.telemetryClient, at: context.loop.now)
      context.client.telemetryInstance = answer.instance
      response.clientInstanceID = answer.instance
      response.subscriptionID = answer.subscriptionID
      response.acceptedCompressionTypes = receiver.compressionTypes
      response.pushIntervalMs = answer.intervalMs
      response.telemetryMaxBytes = Int32(clamping: receiver.maxBytes)
      response.deltaTemporality = true
      response.requestedMetrics = answer.metrics
    } catch {
      response.errorCode = error.code.rawValue
    }
    context.reply(response)
  }
}

extension RequestContext {
  /// Who asks, as subscriptions are matched.
  var telemetryClient: TelemetryClient {
    TelemetryClient(
      clientID: clientID ?? "", softwareName: client.softwareName,
      softwareVersion: client.softwareVersion, address: connection.peer.ip.description,
      port: connection.peer.port)
  }
}
