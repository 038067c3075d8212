/// PushTelemetry, key 72, version 0 (KIP-714); in KRaft mode only, and only where somebody takes
/// what clients push.
///
/// Refused with INVALID_REQUEST (no instance id, or one that has said its last), with
/// THROTTLING_QUOTA_EXCEEDED (too early), UNKNOWN_SUBSCRIPTION_ID (the subscriptions have changed:
/// the client asks for them), UNSUPPORTED_COMPRESSION_TYPE, TELEMETRY_TOO_LARGE (packed or
/// unpacked), INVALID_RECORD (no OTLP metrics).
import ClientTelemetry
import KafkaMessages
import KafkaProtocol
import Values

enum PushTelemetryHandler: ApiHandler {
  static func handle(_ request: PushTelemetryRequest, _ context: RequestContext) {
    var response = PushTelemetryResponse()
    guard let receiver = context.services.telemetry else {
      response.errorCode = ErrorCode.unsupportedVersion.rawValue
      return context.reply(response)
    }
    let client = context.telemetryClient
    do throws(TelemetrySubscription.Refusal) {
      try receiver.check(request, client, at: context.loop.now)
    } catch {
      response.errorCode = error.code.rawValue
      return context.reply(response)
    }
    context.client.telemetryInstance = request.clientInstanceID
    guard !request.metrics.isEmpty else { return context.reply(response) }
    // Unpacking and writing are not a loop's business.
    let pending = context.park()
    let isTaken = context.services.io.trySubmit {
      let code = receiver.receive(request, from: client)
      pending.send(PushTelemetryResponse { $0.errorCode = code.rawValue })
    }
    // Metrics come again: better none than a queue without an end.
    if !isTaken {
      pending.send(
        PushTelemetryResponse { $0.errorCode = ErrorCode.throttlingQuotaExceeded.rawValue })
    }
  }
}
