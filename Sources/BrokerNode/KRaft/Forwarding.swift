/// Requests that only the controller can decide, passed on to it in an Envelope (KIP-590).
///
/// The client's request travels as it came, header included, with the client's principal and
/// address, and so does the answer: the correlation id in it is the client's own.
import Bytes
import KafkaMessages
import KafkaProtocol
import KafkaTransport
import Platform
import Telemetry
import Values

enum Forwarding {
  private static let log = Log("forwarding")

  /// Passes the request on; the answer goes to the client when it comes.
  static func forward(_ context: RequestContext) {
    let pending = context.park()
    send([UInt8](context.frame), context) { outcome in
      switch outcome {
      case .success(let bytes): pending.send(encoded: bytes)
      case .failure(let why):
        // The connection's end is an answer that every client understands, whatever it asked:
        // it tries again, here or elsewhere.
        log.warn("not forwarded: \(why)", ["request": pending.api.name])
        pending.disconnect("\(pending.api.name) not answered by the controller")
      }
    }
  }

  /// Why there is no answer of the controller.
  enum Failure: Error, CustomStringConvertible {
    case unreachable(PeerError)
    case refused(ErrorCode)

    var description: String {
      switch self {
      case .unreachable(let error): "\(error)"
      case .refused(let code): "\(code)"
      }
    }
  }

  /// Sends one encoded request with its header; `completion` gets the encoded response with its
  /// header, on the controller channel's loop.
  static func send(
    _ request: [UInt8], _ context: RequestContext,
    _ completion: @escaping @Sendable (Result<[UInt8], Failure>) -> Void
  ) {
    let envelope = EnvelopeRequest {
      $0.requestData = request
      $0.requestPrincipal = context.client.requestPrincipal.envelopeBytes
      $0.clientHostAddress = context.connection.peer.ip.bytes
    }
    context.services.controllerChannel.call(envelope, versions: 0...0) { result in
      switch result {
      case .success(let response):
        let code = ErrorCode(response.errorCode)
        if code == .none, let bytes = response.responseData {
          completion(.success(bytes))
        } else {
          completion(.failure(.refused(code)))
        }
      case .failure(let error): completion(.failure(.unreachable(error)))
      }
    }
  }

  /// The same for a request that this broker has changed.
  static func send<R: KafkaRequest>(
    _ request: R, _ context: RequestContext,
    _ completion: @escaping @Sendable (Result<R.Response, Failure>) -> Void
  ) {
    var writer = ByteWriter()
    let version = context.version
    RequestHeader(
      apiKey: R.apiKey, apiVersion: version, correlationID: context.correlationID,
      clientID: context.clientID
    ).write(to: &writer)
    request.write(to: &writer, version: version)
    send(writer.array(), context) { outcome in
      completion(
        outcome.flatMap { bytes in
          do throws(ByteError) {
            return .success(
              try bytes.decoded { (reader) throws(ByteError) in
                _ = try ResponseHeader(
                  from: &reader, version: R.apiKey.responseHeaderVersion(version))
                return try R.Response(from: &reader, version: version)
              })
          } catch {
            return .failure(.unreachable(.malformed("\(R.apiKey.name): \(error)")))
          }
        })
    }
  }
}

extension ClientSession {
  /// The principal as an Envelope carries it.
  var requestPrincipal: RequestPrincipal {
    guard let colon = principal.firstIndex(of: ":") else { return .anonymous }
    return RequestPrincipal(
      type: String(principal[..<colon]),
      name: String(principal[principal.index(after: colon)...]))
  }
}
