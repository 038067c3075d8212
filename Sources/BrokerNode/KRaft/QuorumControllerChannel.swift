/// Requests to the active controller of the quorum.
///
/// Where it is, the metadata log's client knows. A request is repeated until it is answered by an
/// active controller or its time is up: on NOT_CONTROLLER, on a broken connection, and while no
/// leader is known. Versions are negotiated on every connection.
import KafkaMessages
import KafkaProtocol
import KafkaTransport
import Platform
import Synchronization
import Telemetry
import Values

/// Where the leader of the metadata log listens.
struct ControllerEndpoint: Equatable, Sendable {
  var id: BrokerID
  var host: String
  var port: UInt16
}

final class QuorumControllerChannel: ControllerChannel {
  let loop: EventLoop
  private let clientID: String
  private let timeoutMs: Int64
  private let leader: @Sendable () -> ControllerEndpoint?
  private let line = Unchecked(Line())
  private let served = Mutex<PeerVersions?>(nil)
  private static let retryMs: Int64 = 50
  private static let log = Log("controller-channel")

  /// The connection that is used now. Confined to `loop`.
  private final class Line {
    var channel: PeerChannel?
    var target: ControllerEndpoint?
    var isClosed = false
  }

  /// - Parameters:
  ///   - timeoutMs: after which a request is given up.
  ///   - leader: asked for each try, on the loop.
  init(
    clientID: String, timeoutMs: Int64, on loop: EventLoop,
    leader: @escaping @Sendable () -> ControllerEndpoint?
  ) {
    self.clientID = clientID
    self.timeoutMs = timeoutMs
    self.loop = loop
    self.leader = leader
  }

  /// What the controller that was last connected serves; nil before the first answer. From any
  /// thread.
  var controllerVersions: PeerVersions? { served.withLock { $0 } }

  func call<R: KafkaRequest>(
    _ request: R, versions: ClosedRange<Int16>,
    _ completion: @escaping @Sendable (Result<R.Response, PeerError>) -> Void
  ) {
    loop.execute { [self] in
      let deadline = loop.now.advanced(milliseconds: timeoutMs)
      attempt(request, versions, until: deadline, completion)
    }
  }

  private func attempt<R: KafkaRequest>(
    _ request: R, _ versions: ClosedRange<Int16>, until deadline: Instant,
    _ completion: @escaping @Sendable (Result<R.Response, PeerError>) -> Void
  ) {
    if line.value.isClosed { return completion(.failure(.disconnected("closed"))) }
    guard let channel = currentChannel() else {
      return retry(request, versions, until: deadline, .disconnected("no leader"), completion)
    }
    channel.call(request, versions: versions) { [self] result in
      if let known = channel.peerVersions { served.withLock { $0 = known } }
      switch result {
      case .success(let response) where Self.isNotController(response):
        retry(
          request, versions, until: deadline, .disconnected("not the active controller"),
          completion)
      case .failure(.disconnected(let why)):
        retry(request, versions, until: deadline, .disconnected(why), completion)
      default: completion(result)
      }
    }
  }

  /// The same again a little later: by then another may be known as leader.
  private func retry<R: KafkaRequest>(
    _ request: R, _ versions: ClosedRange<Int16>, until deadline: Instant, _ why: PeerError,
    _ completion: @escaping @Sendable (Result<R.Response, PeerError>) -> Void
  ) {
    if line.value.isClosed || loop.now >= deadline { return completion(.failure(why)) }
    loop.schedule(afterMs: Self.retryMs) { [self] in
      attempt(request, versions, until: deadline, completion)
    }
  }

  private func currentChannel() -> PeerChannel? {
    guard let found = leader() else { return nil }
    let line = line.value
    if line.target == found, let channel = line.channel { return channel }
    Self.log.info("controller", ["id": found.id.rawValue, "at": "\(found.host):\(found.port)"])
    let made = PeerChannel(
      to: found.host, port: found.port, on: loop, clientID: clientID,
      name: "controller \(found.id.rawValue)", timeoutMs: timeoutMs, policy: .negotiated)
    let old = line.channel
    line.channel = made
    line.target = found
    // A closed channel fails what is under way, which then comes here again.
    old?.close()
    return made
  }

  /// Another controller leads: what the old one has not answered is asked of the new one.
  func leaderChanged() {
    loop.execute { [self] in
      if !line.value.isClosed, line.value.channel != nil { _ = currentChannel() }
    }
  }

  func close() {
    loop.execute { [self] in
      line.value.isClosed = true
      line.value.channel?.close()
      line.value.channel = nil
    }
  }

  /// Whether an inactive controller has answered.
  private static func isNotController(_ response: some KafkaResponse) -> Bool {
    let code: Int16? =
      switch response {
      case let response as BrokerRegistrationResponse: response.errorCode
      case let response as BrokerHeartbeatResponse: response.errorCode
      case let response as AlterPartitionResponse: response.errorCode
      case let response as AllocateProducerIdsResponse: response.errorCode
      case let response as AssignReplicasToDirsResponse: response.errorCode
      case let response as EnvelopeResponse: response.errorCode
      case let response as CreateTopicsResponse:
        response.topics.first { $0.errorCode == ErrorCode.notController.rawValue }?.errorCode
      default: nil
      }
    return code == ErrorCode.notController.rawValue
  }
}
