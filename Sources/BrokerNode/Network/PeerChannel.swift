/// A connection to another broker over which requests are sent in order.
///
/// Confined to its loop. It does not ask for ApiVersions: versions among brokers follow
/// `inter.broker.protocol.version`, and every sender knows them. It connects when it first has
/// something to send, and again after a failure when the next request comes.
import Bytes
import KafkaMessages
import KafkaProtocol
import Platform
import Telemetry
import Transport
import Values

/// Why a request to a peer got no answer.
enum PeerError: Error, Equatable {
  case disconnected(String)
  case timedOut
  case malformed(String)
}

final class PeerChannel {
  /// Gets the response frame behind its header, or why there is none. The bytes are valid for the
  /// call only, and may be changed in place.
  typealias Completion = (Result<PeerResponse, PeerError>) -> Void

  /// A response as it lies in the receiving buffer.
  struct PeerResponse {
    let frame: UnsafeMutableRawBufferPointer
    /// Where the response begins, behind its header.
    let start: Int
    let version: Int16
  }

  private struct Outstanding {
    let correlationID: Int32
    let api: ApiKey
    let version: Int16
    let completion: Completion
    var timer: LoopTimer
  }

  let loop: EventLoop
  let host: String
  let port: UInt16
  let name: String
  private let clientID: String
  private let timeoutMs: Int64
  private let limits: ConnectionLimits
  private var connection: Connection?
  private var isResolving = false
  /// Encoded requests that wait for an address.
  private var unsent: [[UInt8]] = []
  private var outstanding: [Outstanding] = []
  private var nextCorrelationID: Int32 = 0
  private var isClosed = false

  init(
    to host: String, port: UInt16, on loop: EventLoop, clientID: String, name: String,
    timeoutMs: Int64 = 30_000, limits: ConnectionLimits = ConnectionLimits()
  ) {
    self.host = host
    self.port = port
    self.loop = loop
    self.clientID = clientID
    self.name = name
    self.timeoutMs = timeoutMs
    self.limits = limits
  }

  /// Requests that have no answer yet.
  var inFlight: Int { outstanding.count }
  var isConnected: Bool { connection?.isOpen ?? false }

  /// Sends a request; `completion` is called on the loop exactly once, never before this returns.
  func send<R: KafkaRequest>(_ request: R, version: Int16, _ completion: @escaping Completion) {
    assert(loop.isCurrent)
    if isClosed {
      let later = Unchecked(completion)
      loop.execute { later.value(.failure(.disconnected("closed"))) }
      return
    }
    let correlationID = nextCorrelationID
    nextCorrelationID &+= 1
    let timer = loop.schedule(afterMs: timeoutMs) { [weak self] in self?.timeOut(correlationID) }
    outstanding.append(
      Outstanding(
        correlationID: correlationID, api: R.apiKey, version: version, completion: completion,
        timer: timer))
    let header = RequestHeader(
      apiKey: R.apiKey, apiVersion: version, correlationID: correlationID, clientID: clientID)
    if let connection {
      Self.write(header, request, to: &connection.output)
      return
    }
    var frame = ByteWriter()
    Self.write(header, request, to: &frame)
    unsent.append(frame.array())
    connect()
  }

  /// The same for callers that want the decoded response.
  func call<R: KafkaRequest>(
    _ request: R, version: Int16, _ completion: @escaping (Result<R.Response, PeerError>) -> Void
  ) {
    send(request, version: version) { result in
      completion(result.flatMap { $0.decode(R.Response.self) })
    }
  }

  /// Ends the connection; what is outstanding fails.
  func close() {
    isClosed = true
    connection?.close(.local("\(name) closed"))
    fail(.disconnected("closed"))
  }

  private static func write(
    _ header: RequestHeader, _ request: some KafkaRequest, to output: inout ByteWriter
  ) {
    let mark = output.beginFrame()
    header.write(to: &output)
    request.write(to: &output, version: header.apiVersion)
    output.endFrame(mark)
  }

  // MARK: Connecting

  private func connect() {
    if connection != nil || isResolving { return }
    isResolving = true
    let box = Unchecked(self)
    Hosts.resolve(host, port: port, then: loop) { found in
      box.value.resolved((try? found.get())?.first)
    }
  }

  private func resolved(_ address: SocketAddress?) {
    isResolving = false
    if isClosed { return }
    guard let address else {
      // Not from within `send`, whose caller does not expect its completion yet.
      let box = Unchecked(self)
      loop.execute { box.value.fail(.disconnected("no address for \(box.value.host)")) }
      return
    }
    connect(to: address)
  }

  private func connect(to address: SocketAddress) {
    let made = Connection.connect(to: address, on: loop, .frames(self), limits: limits)
    connection = made
    for frame in unsent { made.output.writeBytes(frame) }
    unsent.removeAll()
  }

  // MARK: Ending

  private func timeOut(_ correlationID: Int32) {
    guard outstanding.contains(where: { $0.correlationID == correlationID }) else { return }
    // Answers come in order: one that is missing makes the connection useless.
    connection?.close(.local("\(name): no answer in \(timeoutMs) ms"))
    fail(.timedOut)
  }

  private func fail(_ error: PeerError) {
    let failed = outstanding
    outstanding = []
    unsent = []
    for entry in failed {
      loop.cancel(entry.timer)
      entry.completion(.failure(error))
    }
  }
}

extension PeerChannel: FrameHandler {
  func opened(_ connection: Connection) {}

  func received(
    frame: UnsafeMutableRawBufferPointer, on connection: Connection
  ) throws(CloseReason) {
    guard let first = outstanding.first else { throw .malformed("response without request") }
    var reader = ByteReader(RawSpan(_unsafeBytes: UnsafeRawBufferPointer(frame)))
    let header: ResponseHeader
    do throws(ByteError) {
      header = try ResponseHeader(
        from: &reader, version: first.api.responseHeaderVersion(first.version))
    } catch {
      throw .malformed("response header: \(error)")
    }
    guard header.correlationID == first.correlationID else {
      throw .malformed("response \(header.correlationID) for \(first.correlationID)")
    }
    outstanding.removeFirst()
    loop.cancel(first.timer)
    first.completion(
      .success(PeerResponse(frame: frame, start: reader.position, version: first.version)))
  }

  func closed(_ connection: Connection, because reason: CloseReason) {
    guard self.connection === connection else { return }
    self.connection = nil
    fail(.disconnected("\(reason)"))
  }
}

extension PeerChannel.PeerResponse {
  /// Reads the response; records in it stay positions in `frame`.
  func decode<R: KafkaResponse>(_ type: R.Type) -> Result<R, PeerError> {
    var reader = ByteReader(RawSpan(_unsafeBytes: UnsafeRawBufferPointer(frame)))
    do throws(ByteError) {
      try reader.skip(start)
      return .success(try R(from: &reader, version: version))
    } catch {
      return .failure(.malformed("\(R.apiKey.name): \(error)"))
    }
  }
}

/// Carries a loop's own object through a `@Sendable` closure that comes back to that loop.
struct Unchecked<T>: @unchecked Sendable {  // opened only on the loop that the value belongs to
  let value: T
  init(_ value: T) { self.value = value }
}
