import Platform
import Synchronization
import Transport

/// One request, one answer, one connection: for tests, and tools that look at a process.
public enum HTTPClient {
  /// Fetches `path`; fails with why the connection ended.
  public static func get(
    _ path: String, from address: SocketAddress, on loop: EventLoop, timeoutMs: Int64 = 10_000
  ) async throws -> HTTPResponse {
    try await send("GET", path, to: address, on: loop, timeoutMs: timeoutMs)
  }

  /// Sends a request and waits for its answer.
  public static func send(
    _ method: String, _ path: String, body: [UInt8] = [], to address: SocketAddress,
    on loop: EventLoop, timeoutMs: Int64 = 10_000
  ) async throws -> HTTPResponse {
    try await withCheckedThrowingContinuation { continuation in
      loop.execute {
        let exchange = HTTPExchange(continuation)
        var limits = ConnectionLimits()
        limits.connectTimeoutMs = timeoutMs
        limits.idleTimeoutMs = timeoutMs
        let connection = Connection.connect(
          to: address, on: loop, .stream(exchange), limits: limits)
        connection.output.writeText(
          """
          \(method) \(path) HTTP/1.1\r
          Host: \(address)\r
          Connection: close\r
          Content-Length: \(body.count)\r
          \r

          """)
        connection.output.writeBytes(body)
      }
    }
  }
}

/// Waits for the one answer; on its loop only.
private final class HTTPExchange: StreamHandler {
  private var continuation: CheckedContinuation<HTTPResponse, any Error>?

  init(_ continuation: CheckedContinuation<HTTPResponse, any Error>) {
    self.continuation = continuation
  }

  func opened(_ connection: Connection) {}

  func received(
    bytes: UnsafeMutableRawBufferPointer, on connection: Connection
  ) throws(CloseReason) -> Int {
    let bytes = UnsafeRawBufferPointer(bytes)
    do throws(HTTPParser.Refusal) {
      guard let head = try HTTPParser.head(bytes) else { return 0 }
      let words = head.first.split(separator: " ")
      guard words.count >= 2, let status = Int(words[1]), let bodyLength = head.contentLength else {
        throw HTTPParser.Refusal(status: 400, reason: "not an answer with a length")
      }
      let (length, tooLong) = head.length.addingReportingOverflow(bodyLength)
      guard !tooLong else { throw HTTPParser.Refusal(status: 400, reason: "length") }
      guard bytes.count >= length else { return 0 }
      continuation?.resume(
        returning: HTTPResponse(
          status: status, contentType: head.headers["content-type"] ?? "",
          body: Array(bytes[head.length..<length])))
      continuation = nil
      connection.close(.local("answered"))
      return length
    } catch {
      throw .malformed(error.reason)
    }
  }

  func closed(_ connection: Connection, because reason: CloseReason) {
    continuation?.resume(throwing: reason)
    continuation = nil
  }
}
