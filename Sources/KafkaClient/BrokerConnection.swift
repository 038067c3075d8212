import Bytes
import Containers
import KafkaMessages
import KafkaProtocol
import Platform
import Telemetry
import Transport
import Values

/// A connection to one broker: finds out which versions it serves, pipelines requests, and gives
/// every answer to the request that it belongs to. Confined to the client's loop.
///
/// `connecting → negotiating → ready → closed`; requests that come before `ready` wait.
final class BrokerConnection: FrameHandler {
  enum State { case connecting, negotiating, ready, closed }

  let loop: EventLoop
  let node: ClusterMetadata.Node
  private(set) var state = State.connecting
  /// The versions that the broker has listed.
  private(set) var served: [ApiKey: ClosedRange<Int16>] = [:]
  /// Its features, as ApiVersions gave them.
  private(set) var apiVersions = ApiVersionsResponse()

  private let clientID: String
  private let limits: ConnectionLimits
  private var connection: Connection?
  private var waiting: [Call] = []
  private var inFlight = RingQueue<Call>()
  private var nextCorrelationID: Int32 = 0
  /// Told once, when the connection is gone.
  var onClose: ((BrokerConnection, ClientError) -> Void)?
  var onReady: ((BrokerConnection) -> Void)?

  init(
    _ node: ClusterMetadata.Node, clientID: String, limits: ConnectionLimits, on loop: EventLoop
  ) {
    self.node = node
    self.clientID = clientID
    self.limits = limits
    self.loop = loop
  }

  var isOpen: Bool { state != .closed }
  /// Requests that are not answered yet.
  var load: Int { waiting.count + inFlight.count }
  private var name: String { "\(node.host):\(node.port)" }

  // MARK: Connecting

  /// Begins to connect. Names are looked up on a thread of their own, because that blocks.
  func start() {
    guard let port = UInt16(exactly: node.port) else {
      closeLater(.disconnected("\(name): no such port"))
      return
    }
    let host = node.host == "localhost" ? "127.0.0.1" : node.host
    if IPAddress(host) != nil {
      resolved(Result { () throws(Hosts.ResolutionError) in try Hosts.resolve(host, port: port) })
      return
    }
    let me = Confined(self)
    let loop = loop
    _ = try? Thread(name: "resolve") {
      let found = Result { () throws(Hosts.ResolutionError) in
        try Hosts.resolve(host, port: port)
      }
      loop.execute { me.value.resolved(found) }
    }
  }

  private func resolved(_ found: Result<[SocketAddress], Hosts.ResolutionError>) {
    guard state == .connecting else { return }
    switch found {
    case .failure(let error): closeLater(.disconnected("\(error)"))
    case .success(let addresses):
      guard let address = addresses.first else {
        closeLater(.disconnected("\(name): no address"))
        return
      }
      connection = Connection.connect(to: address, on: loop, .frames(self), limits: limits)
    }
  }

  func opened(_ connection: Connection) {
    state = .negotiating
    negotiate(version: 3)
  }

  /// Asks for the versions that the broker serves (KIP-35, KIP-511).
  private func negotiate(version: Int16) {
    let request = ApiVersionsRequest {
      $0.clientSoftwareName = "jackdaw"
      $0.clientSoftwareVersion = "3.9"
    }
    let call = TypedCall(request, maxVersion: version, timeoutMs: limits.connectTimeoutMs) {
      [weak self] result in
      self?.negotiated(result)
    }
    call.version = version
    write(call)
  }

  private func negotiated(_ result: Result<ApiVersionsResponse, ClientError>) {
    switch result {
    case .failure(let error): close(error)
    case .success(let response):
      let code = ErrorCode(response.errorCode)
      guard code == .none else { return close(ClientError(code)) }
      apiVersions = response
      for api in response.apiKeys where api.minVersion <= api.maxVersion {
        if let key = ApiKey(rawValue: api.apiKey) { served[key] = api.minVersion...api.maxVersion }
      }
      state = .ready
      onReady?(self)
      let calls = waiting
      waiting = []
      for call in calls { dispatch(call) }
    }
  }

  // MARK: Requests

  /// Sends a request when the connection is ready; it fails when the connection does.
  func send(_ call: Call) {
    guard state != .closed else { return call.fail(.disconnected(name)) }
    call.timer = loop.schedule(afterMs: call.timeoutMs) { [weak self, weak call] in
      guard let self, let call else { return }
      self.expired(call)
    }
    if state == .ready { dispatch(call) } else { waiting.append(call) }
  }

  /// The version to use: the newest that both sides know.
  func version(of apiKey: ApiKey, from oldest: Int16, to newest: Int16) -> Int16? {
    guard let served = served[apiKey] else { return nil }
    let version = min(newest, served.upperBound)
    return version >= max(oldest, served.lowerBound) ? version : nil
  }

  private func dispatch(_ call: Call) {
    guard let version = version(of: call.apiKey, from: call.oldestVersion, to: call.maxVersion)
    else {
      loop.cancel(call.timer)
      call.fail(.unsupported(call.apiKey))
      return
    }
    call.version = version
    write(call)
  }

  private func write(_ call: Call) {
    guard let connection else { return call.fail(.disconnected(name)) }
    call.correlationID = nextCorrelationID
    nextCorrelationID = nextCorrelationID == .max ? 0 : nextCorrelationID + 1
    let header = RequestHeader(
      apiKey: call.apiKey, apiVersion: call.version, correlationID: call.correlationID,
      clientID: clientID)
    let mark = connection.output.beginFrame()
    header.write(to: &connection.output)
    if call.isAnswered { inFlight.append(call) } else { loop.cancel(call.timer) }
    call.writeBody(to: &connection.output)
    connection.output.endFrame(mark)
  }

  private func expired(_ call: Call) {
    guard isOpen else { return }
    // Answers come in order: one that does not come holds up all the others.
    close(.timedOut("\(call.apiKey.name) to \(name) after \(call.timeoutMs) ms"))
  }

  // MARK: Answers

  func received(
    frame: UnsafeMutableRawBufferPointer, on connection: Connection
  ) throws(CloseReason) {
    let bytes = UnsafeRawBufferPointer(frame)
    guard let call = inFlight.popFirst() else { throw .malformed("an answer to no request") }
    var reader = ByteReader(bytes.bytes)
    let position: Int
    do {
      let version = call.apiKey.responseHeaderVersion(call.version)
      let header = try ResponseHeader(from: &reader, version: version)
      guard header.correlationID == call.correlationID else {
        throw CloseReason.malformed("correlation id \(header.correlationID)")
      }
      position = reader.position
    } catch let reason as CloseReason {
      inFlight.prepend(call)
      throw reason
    } catch {
      inFlight.prepend(call)
      throw .malformed("header of an answer to \(call.apiKey.name)")
    }
    loop.cancel(call.timer)
    if state == .negotiating, call.version > 0, isRefusedVersion(bytes, at: position) {
      // A server that does not know the version answers in version 0 and says so.
      negotiate(version: 0)
      return
    }
    call.complete(bytes, from: position)
  }

  private func isRefusedVersion(_ frame: UnsafeRawBufferPointer, at position: Int) -> Bool {
    var reader = ByteReader(frame.bytes)
    reader.position = position
    return (try? reader.readInt16()) == ErrorCode.unsupportedVersion.rawValue
  }

  // MARK: Ending

  func closed(_ connection: Connection, because reason: CloseReason) {
    finish(.disconnected("\(name): \(reason)"))
  }

  /// Ends the connection; everything that is not answered fails with `error`.
  func close(_ error: ClientError) {
    guard isOpen else { return }
    let connection = connection
    finish(error)
    connection?.close(.local("\(error)"))
  }

  private func closeLater(_ error: ClientError) {
    let me = Confined(self)
    loop.execute { me.value.finish(error) }
  }

  private func finish(_ error: ClientError) {
    guard isOpen else { return }
    state = .closed
    connection = nil
    var calls = waiting
    waiting = []
    while let call = inFlight.popFirst() { calls.append(call) }
    onClose?(self, error)
    onClose = nil
    onReady = nil
    for call in calls {
      loop.cancel(call.timer)
      call.fail(error)
    }
  }
}

/// Carries something that belongs to a loop through another thread and back, untouched.
typealias Confined = LoopConfined
