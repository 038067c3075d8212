/// Takes requests off connections and hands them to their handlers: the frame side of a controller.
///
/// One object serves all connections of one listener on one loop. Every answer has its place parked
/// when the request comes, so handlers may answer in any order and the client sees its own.
import Authorization
import Bytes
import KafkaMessages
import KafkaProtocol
import Platform
import Telemetry
import Transport
import Values

/// What the owner of a server learns of every request.
public protocol RequestObserver: Sendable {
  func began(_ api: ApiKey)
  func finished(_ api: ApiKey, nanoseconds: Int64)
}

public final class RequestServer: FrameHandler {
  private let apis: ServedApis
  private let listener: String
  private let observer: (any RequestObserver)?

  public init(_ apis: ServedApis, listener: String, observer: (any RequestObserver)? = nil) {
    self.apis = apis
    self.listener = listener
    self.observer = observer
  }

  public func opened(_ connection: Connection) {}
  public func closed(_ connection: Connection, because reason: CloseReason) {}

  public func received(
    frame: UnsafeMutableRawBufferPointer, on connection: Connection
  ) throws(CloseReason) {
    var reader = ByteReader(RawSpan(_unsafeBytes: UnsafeRawBufferPointer(frame)))
    let header: RequestHeader
    do throws(ByteError) { header = try RequestHeader(from: &reader) } catch {
      throw .malformed("request header: \(error)")
    }
    guard let api = header.api, let entry = apis[api] else {
      throw .malformed("request of unknown API \(header.apiKey)")
    }
    let isServed = entry.versions.contains(header.apiVersion)
    // The one request whose version may be unknown: clients ask it to find out (KIP-511).
    guard isServed || api == .apiVersions else {
      throw .malformed("\(api.name) in unsupported version \(header.apiVersion)")
    }
    let reply = ServerReply(
      api: api, version: header.apiVersion, correlationID: header.correlationID,
      sink: .connection(connection, connection.park()), onAnswer: observing(api))
    let request = ServerRequest(
      api: api, version: header.apiVersion, correlationID: header.correlationID,
      clientID: header.clientID, principal: .anonymous,
      clientHost: connection.peer.ip.description, listener: listener, reply: reply,
      isForwarded: false)
    guard isServed else { return Self.refuseVersion(request, entry.versions) }
    do throws(ByteError) { try entry.run(&reader, request, apis.access(of: request)) } catch {
      throw .malformed("\(api.name) v\(header.apiVersion): \(error)")
    }
  }

  private func observing(_ api: ApiKey) -> (@Sendable () -> Void)? {
    guard let observer else { return nil }
    observer.began(api)
    let start = Clock.now()
    return { observer.finished(api, nanoseconds: Clock.now().nanoseconds - start.nanoseconds) }
  }

  /// Answers ApiVersions of a version that is not known, in version 0.
  private static func refuseVersion(_ request: ServerRequest, _ versions: ClosedRange<Int16>) {
    let response = ApiVersionsResponse {
      $0.errorCode = ErrorCode.unsupportedVersion.rawValue
      $0.apiKeys = [
        ApiVersionsResponse.ApiVersion {
          $0.apiKey = ApiKey.apiVersions.rawValue
          $0.minVersion = versions.lowerBound
          $0.maxVersion = versions.upperBound
        }
      ]
    }
    request.reply.send(response, version: 0)
  }
}

extension ServedApis {
  fileprivate func access(of request: ServerRequest) -> Access? {
    policy?(request.principal, request.clientHost, request.api)
  }

  /// Unpacks an Envelope and runs what is in it, as the client who first sent it.
  ///
  /// Answers INVALID_REQUEST for a payload that is no request, or of an API that `allowed` denies,
  /// UNSUPPORTED_VERSION for a version not served, PRINCIPAL_DESERIALIZATION_FAILURE as named.
  public func unpack(
    _ envelope: EnvelopeRequest, _ outer: ServerRequest, allowed: (ApiKey) -> Bool
  ) {
    func refuse(_ code: ErrorCode) {
      outer.answer(EnvelopeResponse { $0.errorCode = code.rawValue })
    }
    guard let bytes = envelope.requestPrincipal,
      let principal = try? RequestPrincipal(envelopeBytes: bytes)
    else { return refuse(.principalDeserializationFailure) }
    guard let host = IPAddress(bytes: envelope.clientHostAddress) else {
      return refuse(.invalidRequest)
    }
    let data = envelope.requestData
    do throws(ByteError) {
      try data.decoded { (reader) throws(ByteError) in
        let header = try RequestHeader(from: &reader)
        guard let api = header.api, allowed(api), let entry = self[api] else {
          return refuse(.invalidRequest)
        }
        guard entry.versions.contains(header.apiVersion) else {
          return refuse(.unsupportedVersion)
        }
        let reply = ServerReply(
          api: api, version: header.apiVersion, correlationID: header.correlationID,
          sink: .envelope { outer.answer($0) }, onAnswer: nil)
        let inner = ServerRequest(
          api: api, version: header.apiVersion, correlationID: header.correlationID,
          clientID: header.clientID, principal: principal, clientHost: host.description,
          listener: outer.listener, reply: reply, isForwarded: true)
        try entry.run(&reader, inner, self.access(of: inner))
      }
    } catch {
      refuse(.invalidRequest)
    }
  }
}
