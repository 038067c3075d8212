/// A connection to another node over which requests are sent in order.
///
/// Confined to its loop. It connects when it first has something to send, and again after a failure
/// when the next request comes. Versions among brokers follow `inter.broker.protocol.version` and
/// are never asked for (`.agreed`); the channels to controllers ask with ApiVersions first, on
/// every new connection (`.negotiated`), and use the highest version that both sides know.
import Bytes
import KafkaMessages
import KafkaProtocol
import Platform
import Telemetry
import Transport
import Values

/// Why a request to a peer got no answer.
public enum PeerError: Error, Equatable {
  case disconnected(String)
  /// Nobody listens there: the process is gone.
  case refused
  case timedOut
  case malformed(String)
  /// The peer serves no version of the API that this side knows; nothing was sent.
  case unsupported(ApiKey)
}

/// How the versions of requests are found.
public enum VersionPolicy: Sendable {
  case agreed
  case negotiated
}

public final class PeerChannel {
  /// Gets the response frame behind its header, or why there is none. The bytes are valid for the
  /// call only, and may be changed in place.
  public typealias Completion = (Result<PeerResponse, PeerError>) -> Void

  /// A response as it lies in the receiving buffer.
  public struct PeerResponse {
    public let frame: UnsafeMutableRawBufferPointer
    /// Where the response begins, behind its header.
    public let start: Int
    public let version: Int16
  }

  struct Outstanding {
    let correlationID: Int32
    let api: ApiKey
    let version: Int16
    let completion: Completion
    var timer: LoopTimer
  }

  /// A request that waits for an address, or for the peer's versions.
  struct Waiting {
    let correlationID: Int32
    let api: ApiKey
    let versions: ClosedRange<Int16>
    let write: (Int16, inout ByteWriter) -> Void
    let completion: Completion
    var timer: LoopTimer
  }

  public let loop: EventLoop
  public let host: String
  public let port: UInt16
  public let name: String
  let policy: VersionPolicy
  private let clientID: String
  private let timeoutMs: Int64
  private let limits: ConnectionLimits
  private var connection: Connection?
  private var isResolving = false
  private var waiting: [Waiting] = []
  private var outstanding: [Outstanding] = []
  private var nextCorrelationID: Int32 = 0
  private var isClosed = false
  /// What the peer serves; nil until it has said so on this connection.
  public private(set) var peerVersions: PeerVersions?
  /// Called on the loop whenever a connection was made.
  public var onOpen: (() -> Void)?

  public init(
    to host: String, port: UInt16, on loop: EventLoop, clientID: String, name: String,
    timeoutMs: Int64 = 30_000, limits: ConnectionLimits = ConnectionLimits(),
    policy: VersionPolicy = .agreed
  ) {
    self.host = host
    self.port = port
    self.loop = loop
    self.clientID = clientID
    self.name = name
    self.timeoutMs = timeoutMs
    self.limits = limits
    self.policy = policy
  }

  /// Requests that have no answer yet.
  public var inFlight: Int { outstanding.count + waiting.count }
  public var isConnected: Bool { connection?.isOpen ?? false }
  private var isReady: Bool {
    connection != nil && (policy == .agreed || peerVersions != nil)
  }

  // MARK: Sending

  /// Sends a request; `completion` is called on the loop exactly once, never before this returns.
  public func send<R: KafkaRequest>(
    _ request: R, version: Int16, _ completion: @escaping Completion
  ) {
    send(request, versions: version...version, completion)
  }

  /// Sends a request in the highest version of the range that the peer serves; a channel that does
  /// not ask takes the range's highest.
  public func send<R: KafkaRequest>(
    _ request: R, versions: ClosedRange<Int16>, _ completion: @escaping Completion
  ) {
    assert(loop.isCurrent)
    if isClosed { return failLater(completion, .disconnected("closed")) }
    guard let connection, isReady else {
      return enqueue(request, versions, completion)
    }
    guard let version = choose(R.apiKey, versions) else {
      return failLater(completion, .unsupported(R.apiKey))
    }
    let id = nextID()
    note(id, R.apiKey, version, completion, startTimer(id))
    write(id, R.apiKey, version, to: &connection.output) {
      request.write(to: &$0, version: version)
    }
  }

  /// The same for callers that want the decoded response.
  public func call<R: KafkaRequest>(
    _ request: R, version: Int16, _ completion: @escaping (Result<R.Response, PeerError>) -> Void
  ) {
    call(request, versions: version...version, completion)
  }

  /// The same in the highest version that both sides know.
  public func call<R: KafkaRequest>(
    _ request: R, versions: ClosedRange<Int16>,
    _ completion: @escaping (Result<R.Response, PeerError>) -> Void
  ) {
    send(request, versions: versions) { result in
      completion(result.flatMap { $0.decode(R.Response.self) })
    }
  }

  /// Ends the connection; what is outstanding fails.
  public func close() {
    isClosed = true
    connection?.close(.local("\(name) closed"))
    fail(.disconnected("closed"))
  }

  private func nextID() -> Int32 {
    defer { nextCorrelationID &+= 1 }
    return nextCorrelationID
  }

  private func startTimer(_ id: Int32) -> LoopTimer {
    loop.schedule(afterMs: timeoutMs) { [weak self] in self?.timeOut(id) }
  }

  private func choose(_ api: ApiKey, _ versions: ClosedRange<Int16>) -> Int16? {
    guard policy == .negotiated else { return versions.upperBound }
    return peerVersions?.best(api, within: versions)
  }

  private func note(
    _ id: Int32, _ api: ApiKey, _ version: Int16, _ completion: @escaping Completion,
    _ timer: LoopTimer
  ) {
    outstanding.append(
      Outstanding(
        correlationID: id, api: api, version: version, completion: completion, timer: timer))
  }

  private func write(
    _ id: Int32, _ api: ApiKey, _ version: Int16, to output: inout ByteWriter,
    _ body: (inout ByteWriter) -> Void
  ) {
    let mark = output.beginFrame()
    RequestHeader(apiKey: api, apiVersion: version, correlationID: id, clientID: clientID)
      .write(to: &output)
    body(&output)
    output.endFrame(mark)
  }

  private func enqueue<R: KafkaRequest>(
    _ request: R, _ versions: ClosedRange<Int16>, _ completion: @escaping Completion
  ) {
    let id = nextID()
    waiting.append(
      Waiting(
        correlationID: id, api: R.apiKey, versions: versions,
        write: { version, output in request.write(to: &output, version: version) },
        completion: completion, timer: startTimer(id)))
    connect()
  }

  private func sendWaiting() {
    guard let connection, isReady else { return }
    let ready = waiting
    waiting = []
    for entry in ready {
      guard let version = choose(entry.api, entry.versions) else {
        loop.cancel(entry.timer)
        failLater(entry.completion, .unsupported(entry.api))
        continue
      }
      note(entry.correlationID, entry.api, version, entry.completion, entry.timer)
      write(entry.correlationID, entry.api, version, to: &connection.output) {
        entry.write(version, &$0)
      }
    }
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
    let made = Connection.connect(to: address, on: loop, .frames(self), limits: limits)
    connection = made
    peerVersions = nil
    if policy == .negotiated { askForVersions(on: made) }
    sendWaiting()
  }

  /// Version 3 is what every controller serves: KRaft is younger than it.
  private func askForVersions(on connection: Connection) {
    let id = nextID()
    let request = ApiVersionsRequest {
      $0.clientSoftwareName = "jackdaw"
      $0.clientSoftwareVersion = "3.9.0"
    }
    note(id, .apiVersions, 3, { [weak self] in self?.learn($0, on: connection) }, startTimer(id))
    write(id, .apiVersions, 3, to: &connection.output) { request.write(to: &$0, version: 3) }
  }

  private func learn(
    _ result: Result<PeerResponse, PeerError>, on connection: Connection
  ) {
    // A failed connection has told its requests already.
    guard case .success(let response) = result, self.connection === connection else { return }
    guard case .success(let answer) = response.decode(ApiVersionsResponse.self),
      answer.errorCode == ErrorCode.none.rawValue
    else { return connection.close(.malformed("ApiVersions refused by \(name)")) }
    peerVersions = PeerVersions(answer)
    sendWaiting()
  }

  // MARK: Ending

  private func timeOut(_ id: Int32) {
    let isKnown =
      outstanding.contains { $0.correlationID == id } || waiting.contains { $0.correlationID == id }
    guard isKnown else { return }
    // Answers come in order: one that is missing makes the connection useless.
    connection?.close(.local("\(name): no answer in \(timeoutMs) ms"))
    fail(.timedOut)
  }

  private func failLater(_ completion: @escaping Completion, _ error: PeerError) {
    let later = Unchecked(completion)
    loop.execute { later.value(.failure(error)) }
  }

  private func fail(_ error: PeerError) {
    let failed = outstanding
    let unsent = waiting
    outstanding = []
    waiting = []
    for entry in failed { loop.cancel(entry.timer) }
    for entry in unsent { loop.cancel(entry.timer) }
    for entry in failed { entry.completion(.failure(error)) }
    for entry in unsent { entry.completion(.failure(error)) }
  }
}

extension PeerChannel: FrameHandler {
  public func opened(_ connection: Connection) {
    // Where nobody listens, a connection from this machine may meet itself.
    if connection.local != connection.peer { onOpen?() }
  }

  public func received(
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

  public func closed(_ connection: Connection, because reason: CloseReason) {
    guard self.connection === connection else { return }
    self.connection = nil
    peerVersions = nil
    if case .failed(let error) = reason, error.isRefused {
      fail(.refused)
    } else {
      fail(.disconnected("\(reason)"))
    }
  }
}

extension PeerChannel.PeerResponse {
  /// Reads the response; records in it stay positions in `frame`.
  public func decode<R: KafkaResponse>(_ type: R.Type) -> Result<R, PeerError> {
    var reader = ByteReader(RawSpan(_unsafeBytes: UnsafeRawBufferPointer(frame)))
    do throws(ByteError) {
      try reader.skip(start)
      return .success(try R(from: &reader, version: version))
    } catch {
      return .failure(.malformed("\(R.apiKey.name): \(error)"))
    }
  }
}
