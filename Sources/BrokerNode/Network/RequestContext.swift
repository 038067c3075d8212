import Authorization
import Bytes
import KafkaMessages
import KafkaProtocol
import Platform
import Telemetry
import Transport
import Values

/// Changes an answer before it is written.
typealias ResponseAmendment = @Sendable (any KafkaResponse) -> any KafkaResponse

/// One request while it is handled: who asks, in which version, and how to answer.
struct RequestContext {
  let api: ApiKey
  let version: Int16
  let correlationID: Int32
  let clientID: String?
  let connection: Connection
  /// The services of the connection's event loop.
  let loop: BrokerLoop
  /// The whole frame: what a `RecordsField.inFrame` range points into. Valid until `handle`
  /// returns.
  let frame: UnsafeMutableRawBufferPointer
  /// When the frame was received.
  let received: Instant
  /// What the authorizer adds to the answer and takes away from it; nil: nothing.
  var amendment: ResponseAmendment?

  var services: BrokerServices { loop.services }
  /// The same request, its bytes in another place.
  func with(frame: UnsafeMutableRawBufferPointer) -> RequestContext {
    RequestContext(
      api: api, version: version, correlationID: correlationID, clientID: clientID,
      connection: connection, loop: loop, frame: frame, received: received, amendment: amendment)
  }

  var client: ClientSession { (connection.context as? ClientSession) ?? loop.anonymous }

  /// Answers at once.
  func reply(_ response: some KafkaResponse) {
    loop.metrics.finish(api, received: received, now: loop.now)
    let wait = settleTime()
    guard amendment != nil || wait > 0 else {
      return Self.write(response, api, version, correlationID, to: &connection.output)
    }
    var changed: any KafkaResponse = response
    if let amendment { changed = amendment(changed) }
    if wait > 0 {
      changed = ThrottleTime.adding(wait, to: changed)
      mute(forMs: wait)
    }
    Self.write(changed, api, version, correlationID, to: &connection.output)
  }

  /// Answers at once with what `body` writes behind the header.
  func reply(_ body: (inout ByteWriter) -> Void) {
    loop.metrics.finish(api, received: received, now: loop.now)
    Self.write(body, api, version, correlationID, to: &connection.output)
  }

  /// Keeps the place of the answer, which is given later; what comes after it waits.
  func park() -> PendingReply {
    PendingReply(
      api: api, version: version, correlationID: correlationID, connection: connection,
      slot: connection.park(), loop: loop, received: received, amendment: amendment,
      client: loop.timing.isSettled ? nil : timedClient)
  }

  /// What the client may do; nil when no authorizer is configured.
  var access: Access? {
    guard let authorizer = services.authorizer else { return nil }
    var access = Access(
      authorizer, image: services.metadata.image, principal: client.principal, host: client.host,
      request: api.name
    ) { AccessAudit.log.info("\($0)") }
    access.createsTopics = services.currentConfig.topics.isAutoCreationEnabled
    return access
  }

  /// Ends the connection without an answer.
  func disconnect(_ why: String) { connection.close(.local(why)) }

  /// Notes that the request wants no answer (acks=0).
  func finishWithoutReply() { loop.metrics.finish(api, received: received, now: loop.now) }

  /// Writes one response frame.
  static func write(
    _ response: some KafkaResponse, _ api: ApiKey, _ version: Int16, _ correlationID: Int32,
    to output: inout ByteWriter
  ) {
    write({ response.write(to: &$0, version: version) }, api, version, correlationID, to: &output)
  }

  fileprivate static func write(
    _ body: (inout ByteWriter) -> Void, _ api: ApiKey, _ version: Int16, _ correlationID: Int32,
    to output: inout ByteWriter
  ) {
    let mark = output.beginFrame()
    ResponseHeader(correlationID: correlationID)
      .write(to: &output, version: api.responseHeaderVersion(version))
    body(&output)
    output.endFrame(mark)
  }
}

/// Where denials are told, by the name of Kafka's own logger.
enum AccessAudit {
  static let log = Log("kafka.authorizer.logger")
}

/// An answer that is owed. May be given from any thread, once; a second one is ignored.
struct PendingReply: Sendable {
  let api: ApiKey
  let version: Int16
  let correlationID: Int32
  let connection: Connection
  let slot: ReplySlot
  let loop: BrokerLoop
  let received: Instant
  let amendment: ResponseAmendment?
  /// Whose time the request takes; nil: nobody's is limited.
  let client: ThrottledClient?

  /// Gives the answer, on the connection's loop or on the way there.
  func send(_ response: some KafkaResponse) {
    guard let amendment else { return sendAsIs(response) }
    sendAsIs(amendment(response))
  }

  private func sendAsIs(_ response: some KafkaResponse) {
    if connection.loop.isCurrent {
      sendHere(response)
    } else {
      connection.loop.execute { sendHere(response) }
    }
  }

  /// Gives an answer that is encoded already, response header included.
  func send(encoded bytes: [UInt8]) {
    connection.loop.execute {
      loop.metrics.finish(api, received: received, now: connection.loop.now, hasWaited: true)
      connection.complete(slot) { output in
        let mark = output.beginFrame()
        output.writeBytes(bytes)
        output.endFrame(mark)
      }
      // The controller counts what clients change, and this broker makes them wait.
      let wait = ThrottleTime.inForwarded(bytes, api, version)
      RequestContext.mute(connection, on: loop, forMs: wait)
    }
  }

  /// Ends the connection: there is no answer that the client could use.
  func disconnect(_ why: String) {
    connection.loop.execute { connection.close(.local(why)) }
  }

  private func sendHere(_ response: some KafkaResponse) {
    let wait = client.map { loop.services.throttle.spent(0, for: $0, at: loop.now) } ?? 0
    guard wait == 0 else {
      RequestContext.mute(connection, on: loop, forMs: wait)
      let told = ThrottleTime.adding(wait, to: response)
      return sendHere { told.write(to: &$0, version: version) }
    }
    sendHere { response.write(to: &$0, version: version) }
  }

  /// Gives the answer that `body` writes behind the header.
  /// - Precondition: on the connection's loop.
  func sendHere(_ body: (inout ByteWriter) -> Void) {
    loop.metrics.finish(
      api, received: received, now: connection.loop.now, hasWaited: true)
    connection.complete(slot) { output in
      RequestContext.write(body, api, version, correlationID, to: &output)
    }
  }
}

/// What is known about the client behind a connection.
final class ClientSession {
  /// The listener it came in by, in capitals.
  let listener: String
  let host: String
  let principal = "User:ANONYMOUS"
  /// From ApiVersions ≥ 3 (KIP-511).
  var softwareName = "unknown"
  var softwareVersion = "unknown"
  /// Once it has asked which metrics to push (KIP-714).
  var telemetryInstance: Uuid?
  /// What the last request's header said; clients say the same in all of them.
  var lastClientID: String?

  init(listener: String, host: String) {
    self.listener = listener
    self.host = host
  }
}
