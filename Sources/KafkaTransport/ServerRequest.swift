/// A request to a controller and the answer that is owed to it.
///
/// Handlers here answer from whichever thread decides, so a request is a value that may travel. It
/// came over a connection of its own or within an Envelope (KIP-590); the handler does not see the
/// difference but in `principal` and `clientHost`, which are the original client's.
import Authorization
import Bytes
import KafkaMessages
import KafkaProtocol
import Platform
import Transport
import Values

/// Who a request comes from.
public struct RequestPrincipal: Hashable, Sendable {
  public var type: String
  public var name: String
  /// Authenticated by a delegation token.
  public var tokenAuthenticated: Bool

  public init(type: String = "User", name: String, tokenAuthenticated: Bool = false) {
    self.type = type
    self.name = name
    self.tokenAuthenticated = tokenAuthenticated
  }

  public static let anonymous = RequestPrincipal(name: "ANONYMOUS")

  /// As it is written in ACLs and logs: `User:alice`.
  public var text: String { "\(type):\(name)" }

  /// The bytes that an Envelope carries: int16 version, then DefaultPrincipalData.
  public var envelopeBytes: [UInt8] {
    var writer = ByteWriter()
    writer.writeInt16(0)
    DefaultPrincipalData {
      $0.type = type
      $0.name = name
      $0.tokenAuthenticated = tokenAuthenticated
    }.write(to: &writer, version: 0)
    return writer.array()
  }

  public init(envelopeBytes bytes: [UInt8]) throws(ByteError) {
    let data: DefaultPrincipalData = try bytes.decoded { (reader) throws(ByteError) in
      let version: Int16 = try reader.readInt16()
      guard version >= 0 else { throw .invalidValue(Int64(version)) }
      return try DefaultPrincipalData(from: &reader, version: min(version, 0))
    }
    self.init(type: data.type, name: data.name, tokenAuthenticated: data.tokenAuthenticated)
  }
}

extension Array where Element == UInt8 {
  /// Reads something from the bytes.
  public func decoded<T>(
    _ body: (inout ByteReader) throws(ByteError) -> T
  ) throws(ByteError) -> T {
    var reader = ByteReader(self.span.bytes)
    return try body(&reader)
  }
}

/// An answer that is owed. May be given from any thread, once; a second one is ignored.
public struct ServerReply: Sendable {
  enum Sink: Sendable {
    case connection(Connection, ReplySlot)
    /// The answer becomes the payload of an Envelope's own.
    case envelope(@Sendable (EnvelopeResponse) -> Void)
  }

  public let api: ApiKey
  public let version: Int16
  public let correlationID: Int32
  let sink: Sink
  /// Called when the answer is given, on the thread that gives it.
  let onAnswer: (@Sendable () -> Void)?
  /// What the answer lacks because the asker may not have it, or has because something was left out
  /// of the request; nil: nothing.
  var amendment: (@Sendable (any KafkaResponse) -> any KafkaResponse)?

  /// Gives the answer, in the request's version.
  public func send(_ response: some KafkaResponse) {
    guard let amendment else { return send(response, version: version) }
    send(amendment(response), version: version)
  }

  func send(_ response: some KafkaResponse, version: Int16) {
    onAnswer?()
    switch sink {
    case .connection(let connection, let slot):
      if connection.loop.isCurrent {
        complete(connection, slot, response, version)
      } else {
        connection.loop.execute { complete(connection, slot, response, version) }
      }
    case .envelope(let give):
      var output = ByteWriter()
      write(response, version, to: &output)
      give(EnvelopeResponse { $0.responseData = output.array() })
    }
  }

  /// Answers that this node is not the one to ask. A forwarded request's Envelope has to say it,
  /// for the broker that sent it then looks for the active controller and asks again.
  public func refuseAsNotController(_ response: some KafkaResponse) {
    guard case .envelope(let give) = sink else { return send(response) }
    give(EnvelopeResponse { $0.errorCode = ErrorCode.notController.rawValue })
  }

  /// Ends the client's connection, for a request that cannot be answered.
  public func disconnect(_ why: String) {
    switch sink {
    case .connection(let connection, _):
      connection.loop.execute { connection.close(.malformed(why)) }
    case .envelope(let give):
      give(EnvelopeResponse { $0.errorCode = ErrorCode.invalidRequest.rawValue })
    }
  }

  private func complete(
    _ connection: Connection, _ slot: ReplySlot, _ response: some KafkaResponse, _ version: Int16
  ) {
    connection.complete(slot) { output in
      let mark = output.beginFrame()
      write(response, version, to: &output)
      output.endFrame(mark)
    }
  }

  private func write(
    _ response: some KafkaResponse, _ version: Int16, to output: inout ByteWriter
  ) {
    ResponseHeader(correlationID: correlationID)
      .write(to: &output, version: api.responseHeaderVersion(version))
    response.write(to: &output, version: version)
  }
}

/// One request while it is handled.
public struct ServerRequest: Sendable {
  public let api: ApiKey
  public let version: Int16
  public let correlationID: Int32
  public let clientID: String?
  public let principal: RequestPrincipal
  /// The client's address, without its port.
  public let clientHost: String
  /// The name of the listener that it came in by.
  public let listener: String
  public internal(set) var reply: ServerReply
  /// It came within an Envelope.
  public let isForwarded: Bool

  /// Gives the answer.
  public func answer(_ response: some KafkaResponse) { reply.send(response) }
}
