import Platform
import Telemetry
import Transport

/// A small HTTP/1.1 server for what a process shows of itself: metrics, health, JSON commands.
public final class HTTPServer: Sendable {
  /// Answers a request, on the connection's loop, at once.
  public typealias Handler = @Sendable (HTTPRequest) -> HTTPResponse
  /// Answers a request later: `reply` is called exactly once, from any thread.
  public typealias LaterHandler =
    @Sendable (HTTPRequest, _ reply: @escaping @Sendable (HTTPResponse) -> Void) -> Void

  private let server: Server
  /// Where it listens; the true port when 0 was asked for.
  public var address: SocketAddress { server.address }

  public init(
    at address: SocketAddress = .loopback(), on group: EventLoopGroup,
    idleTimeoutMs: Int64 = 60_000, later handler: @escaping LaterHandler
  ) throws(SystemError) {
    var options = ServerOptions()
    options.name = "http"
    options.maxConnections = 256
    options.limits.idleTimeoutMs = idleTimeoutMs
    options.limits.maxParkedReplies = 16
    options.limits.maxFrameBytes = HTTPParser.maxHeadBytes + HTTPParser.maxBodyBytes
    server = try Server(at: address, on: group, options: options) { _ in
      .stream(HTTPConnectionHandler(handler))
    }
  }

  public convenience init(
    at address: SocketAddress = .loopback(), on group: EventLoopGroup,
    idleTimeoutMs: Int64 = 60_000, _ handler: @escaping Handler
  ) throws(SystemError) {
    try self.init(
      at: address, on: group, idleTimeoutMs: idleTimeoutMs,
      later: { request, reply in reply(handler(request)) })
  }

  /// A server of `/metrics` (and, for probes, `/health`).
  public static func serving(
    _ metrics: Metrics, at address: SocketAddress = .loopback(), on group: EventLoopGroup
  ) throws(SystemError) -> HTTPServer {
    try HTTPServer(at: address, on: group) { request in
      switch request.path {
      case "/metrics": .text(metrics.exposition(), contentType: Metrics.contentType)
      case "/health": .text("ok\n")
      default: .text("not found\n", status: 404)
      }
    }
  }

  public func stop() { server.stop() }
}

/// Cuts requests out of a connection's bytes and answers them in order.
private final class HTTPConnectionHandler: StreamHandler, Sendable {
  private let handler: HTTPServer.LaterHandler

  init(_ handler: @escaping HTTPServer.LaterHandler) { self.handler = handler }

  func opened(_ connection: Connection) {}
  func closed(_ connection: Connection, because reason: CloseReason) {}

  func received(
    bytes: UnsafeMutableRawBufferPointer, on connection: Connection
  ) throws(CloseReason) -> Int {
    let request: HTTPRequest
    let length: Int
    do throws(HTTPParser.Refusal) {
      let bytes = UnsafeRawBufferPointer(bytes)
      guard let head = try HTTPParser.head(bytes) else { return 0 }
      if head.headers["transfer-encoding"] != nil {
        throw HTTPParser.Refusal(status: 501, reason: "transfer-encoding")
      }
      let bodyLength = head.contentLength ?? 0
      guard bodyLength <= HTTPParser.maxBodyBytes else {
        throw HTTPParser.Refusal(status: 413, reason: "body too large")
      }
      length = head.length + bodyLength
      guard bytes.count >= length else { return 0 }
      request = try HTTPParser.request(head, body: Array(bytes[head.length..<length]))
    } catch {
      write(
        .text(error.reason + "\n", status: error.status), isLast: true, isHead: false,
        connection.park(), connection)
      connection.closeAfterFlush(.malformed(error.reason))
      return bytes.count
    }
    answer(request, connection)
    return length
  }

  private func answer(_ request: HTTPRequest, _ connection: Connection) {
    let isLast = request.headers["connection"]?.lowercased() == "close"
    let isHead = request.method == "HEAD"
    let slot = connection.park()
    let finish: @Sendable (HTTPResponse) -> Void = { [self] response in
      write(response, isLast: isLast, isHead: isHead, slot, connection)
    }
    handler(request) { response in
      if connection.loop.isCurrent {
        finish(response)
      } else {
        connection.loop.execute { finish(response) }
      }
    }
  }

  private func write(
    _ response: HTTPResponse, isLast: Bool, isHead: Bool, _ slot: ReplySlot,
    _ connection: Connection
  ) {
    connection.complete(slot) { writer in
      writer.writeText(
        """
        HTTP/1.1 \(response.status) \(HTTPResponse.reason(response.status))\r
        Content-Type: \(response.contentType)\r
        Content-Length: \(response.body.count)\r
        Connection: \(isLast ? "close" : "keep-alive")\r
        \r

        """)
      if !isHead { writer.writeBytes(response.body) }
    }
    if isLast { connection.closeAfterFlush(.local("connection: close")) }
  }
}
