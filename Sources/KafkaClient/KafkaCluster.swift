import KafkaMessages
import KafkaProtocol
import Platform
import Synchronization
import Telemetry
import Transport
import Values

/// Connections to a cluster, and what is known of it. Producers, consumers and the admin client
/// stand on this; it can be used alone to send any request.
///
/// Everything lives on one event loop with a thread of its own. Brokers are connected to when
/// something is sent to them, and again after a pause that grows with every failure.
public final class KafkaCluster: @unchecked Sendable {  // mutable state: confined to `loop`
  /// Whom a request is for.
  public enum Target: Hashable, Sendable {
    /// Whichever node is at hand.
    case any
    case node(Int32)
    /// The active controller, as metadata names it.
    case controller
  }

  public let loop: EventLoop
  public let config: ClientConfig
  /// Where this client's own tasks run; nil: wherever the system likes.
  let executor: (any TaskExecutor)?
  let requestTimeoutMs: Int64
  let retryBackoffMs: Int64
  let retryBackoffMaxMs: Int64

  /// Nodes to begin with, under negative ids.
  let bootstrap: [ClusterMetadata.Node]
  /// Begun with `bootstrap.controllers`: the nodes are those of a KRaft quorum (KIP-919).
  public let isOfControllers: Bool
  private var connections: [Int32: BrokerConnection] = [:]
  private var backoffs: [Int32: Backoff] = [:]
  private let limits: ConnectionLimits
  private var random = SystemRandom()
  var isClosed = false
  /// What waits for time to pass, by number; resumed early when the client is closed.
  var pauses: [Int: CheckedContinuation<Void, Never>] = [:]
  var pauseCount = 0
  /// Set before the loop ends: what comes later would never be run.
  let isEnding = Atomic<Bool>(false)

  // Metadata; see KafkaCluster+Metadata.swift.
  let snapshot = Mutex(ClusterMetadata())
  var topicsOfInterest: Set<String> = []
  var isUpdating = false
  var updateAgain = false
  var metadataListeners: [(ClusterMetadata) -> Void] = []

  private struct Backoff {
    var failures = 0
    var until = Instant.zero
    var lastError = ClientError.closed
  }

  /// Starts the loop; connects to nothing yet.
  ///
  /// - Parameter executor: runs the tasks that the client makes for itself. With an
  ///   `EventLoopExecutor`, and callers whose tasks prefer it too, nothing of the client depends on
  ///   how the system schedules tasks.
  public init(
    _ config: ClientConfig, executor: (any TaskExecutor)? = nil
  ) throws(ClientError) {
    self.config = config
    self.executor = executor
    var nodes: [ClusterMetadata.Node] = []
    let servers = config.list("bootstrap.servers")
    let list = servers.isEmpty ? config.list("bootstrap.controllers") : servers
    for entry in list { nodes.append(try Self.node(entry, id: -1 - Int32(nodes.count))) }
    guard !nodes.isEmpty else { throw .configuration("bootstrap.servers: none given") }
    isOfControllers = servers.isEmpty
    bootstrap = nodes
    requestTimeoutMs = config.integer("request.timeout.ms")
    retryBackoffMs = config.integer("retry.backoff.ms")
    retryBackoffMaxMs = config.integer("retry.backoff.max.ms")
    var limits = ConnectionLimits()
    limits.maxFrameBytes = Int(Int32.max)
    limits.idleTimeoutMs = max(0, config.integer("connections.max.idle.ms"))
    limits.connectTimeoutMs = config.integer("socket.connection.setup.timeout.ms")
    limits.sendBufferBytes = Int32(clamping: config.integer("send.buffer.bytes"))
    limits.receiveBufferBytes = Int32(clamping: config.integer("receive.buffer.bytes"))
    self.limits = limits
    do {
      loop = try EventLoop(name: "kafka-client")
    } catch {
      throw .configuration("cannot start an event loop: \(error)")
    }
    startRefreshing()
  }

  /// `host:port`, a v6 host in brackets, perhaps behind `PROTOCOL://`.
  private static func node(_ entry: String, id: Int32) throws(ClientError) -> ClusterMetadata.Node {
    var text = entry[...]
    if let scheme = text.firstRange(of: "://") { text = text[scheme.upperBound...] }
    guard let colon = text.lastIndex(of: ":"), let port = Int32(text[text.index(after: colon)...]),
      (1...65535).contains(port)
    else { throw .configuration("bootstrap.servers=\(entry): not host:port") }
    var host = text[..<colon]
    if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
    return ClusterMetadata.Node(id: id, host: host.isEmpty ? "localhost" : String(host), port: port)
  }

  /// The newest metadata that this client has; from any thread.
  public var metadata: ClusterMetadata { snapshot.withLock { $0 } }

  // MARK: Sending

  /// Sends a request and gives the answer to `completion`, on the loop. Not retried.
  /// - Precondition: on `loop`.
  func send<Request: KafkaRequest>(
    _ request: Request, to target: Target, maxVersion: Int16? = nil, timeoutMs: Int64? = nil,
    isAnswered: Bool = true,
    _ completion: @escaping (Result<Request.Response, ClientError>) -> Void
  ) {
    let call = TypedCall(
      request, maxVersion: maxVersion, timeoutMs: timeoutMs ?? requestTimeoutMs,
      isAnswered: isAnswered, completion)
    if isClosed { return call.fail(.closed) }
    switch connection(for: target) {
    case .success(let connection): connection.send(call)
    case .failure(let error): call.fail(error)
    }
  }

  /// Sends a request and waits for the answer. Not retried.
  public func send<Request: KafkaRequest>(
    _ request: Request, to target: Target = .any, maxVersion: Int16? = nil,
    timeoutMs: Int64? = nil
  ) async throws(ClientError) -> Request.Response {
    try await onLoop { [self] completion in
      send(request, to: target, maxVersion: maxVersion, timeoutMs: timeoutMs, completion)
    }
  }

  /// Runs `body` on the loop and waits until it calls its completion.
  func onLoop<Value: Sendable>(
    _ body: @escaping @Sendable (@escaping (Result<Value, ClientError>) -> Void) -> Void
  ) async throws(ClientError) -> Value {
    if isEnding.load(ordering: .acquiring) { throw .closed }
    let result: Result<Value, ClientError> = await withCheckedContinuation { continuation in
      loop.execute { body { continuation.resume(returning: $0) } }
    }
    return try result.get()
  }

  /// Runs `body` on the loop and waits for what it returns.
  func perform<Value: Sendable>(
    _ body: @escaping @Sendable () throws(ClientError) -> Value
  ) async throws(ClientError) -> Value {
    try await onLoop { completion in
      do throws(ClientError) {
        completion(.success(try body()))
      } catch {
        completion(.failure(error))
      }
    }
  }

  /// The versions and features that a node has listed, connecting to it if need be.
  public func apiVersions(
    of target: Target = .any
  ) async throws(ClientError) -> ApiVersionsResponse {
    let request = ApiVersionsRequest {
      $0.clientSoftwareName = "jackdaw"
      $0.clientSoftwareVersion = "3.9"
    }
    return try await send(request, to: target)
  }

  // MARK: Connections

  private func connection(for target: Target) -> Result<BrokerConnection, ClientError> {
    switch target {
    case .any: return anyConnection()
    case .controller:
      let id = metadata.controllerID
      return id < 0 ? .failure(ClientError(.notController)) : connection(to: id)
    case .node(let id): return connection(to: id)
    }
  }

  private func node(_ id: Int32) -> ClusterMetadata.Node? {
    if id < 0 { return bootstrap.first { $0.id == id } }
    return snapshot.withLock { $0.nodes[id] }
  }

  private func connection(to id: Int32) -> Result<BrokerConnection, ClientError> {
    guard let node = node(id) else { return .failure(.unknownNode(id)) }
    if let open = connections[id], open.isOpen {
      // The node may have come back under another address.
      if open.node.host == node.host, open.node.port == node.port { return .success(open) }
      open.close(.disconnected("\(open.node.host):\(open.node.port) has moved"))
    }
    if let backoff = backoffs[id], backoff.until > loop.now { return .failure(backoff.lastError) }
    let connection = BrokerConnection(
      node, clientID: config.text("client.id"), limits: limits, on: loop)
    connections[id] = connection
    connection.onReady = { [weak self] connection in self?.backoffs[connection.node.id] = nil }
    connection.onClose = { [weak self] connection, error in self?.closed(connection, error) }
    connection.start()
    return .success(connection)
  }

  private func closed(_ connection: BrokerConnection, _ error: ClientError) {
    let id = connection.node.id
    if connections[id] === connection { connections[id] = nil }
    var backoff = backoffs[id] ?? Backoff()
    let base = config.integer("reconnect.backoff.ms")
    let limit = max(base, config.integer("reconnect.backoff.max.ms"))
    let wait = min(limit, base << Int64(min(backoff.failures, 16)))
    backoff.failures += 1
    backoff.until = loop.now.advanced(milliseconds: wait)
    backoff.lastError = error
    backoffs[id] = backoff
    if !isClosed { requestUpdate() }
  }

  /// The ready node with the least to do; else one that is connecting; else one to connect to.
  private func anyConnection() -> Result<BrokerConnection, ClientError> {
    let open = connections.values.filter { $0.isOpen }
    let ready = open.filter { $0.state == .ready }
    let candidates = ready.isEmpty ? open : ready
    if let best = candidates.min(by: { ($0.load, $0.node.id) < ($1.load, $1.node.id) }) {
      return .success(best)
    }
    let known = metadata.nodes.keys.sorted().shuffled(using: &random)
    let ids = known + bootstrap.map(\.id).shuffled(using: &random)
    var last = ClientError.disconnected("no broker is reachable")
    for id in ids {
      switch connection(to: id) {
      case .success(let connection): return .success(connection)
      case .failure(let error): last = error
      }
    }
    return .failure(last)
  }

  /// Closes every connection and ends the loop; nothing can be sent afterwards.
  public func close() async {
    if isEnding.exchange(true, ordering: .acquiringAndReleasing) { return }
    await loop.run { [self] in
      isClosed = true
      metadataListeners = []
      for connection in Array(connections.values) { connection.close(.closed) }
      connections = [:]
      let paused = pauses
      pauses = [:]
      for continuation in paused.values { continuation.resume() }
    }
    // What was on its way to the loop still runs; a moment is enough for all of it.
    loop.execute { [loop] in loop.schedule(afterMs: 100) { loop.stop() } }
  }
}
