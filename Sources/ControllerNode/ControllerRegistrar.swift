/// Registers this controller with the active one, so that others can find it and see which features
/// it supports (KIP-919). Repeated until the committed metadata has the registration.
import KafkaMessages
import KafkaProtocol
import KafkaTransport
import Metadata
import MetadataLog
import Platform
import Raft
import Telemetry
import Values

/// Confined to `loop`.
final class ControllerRegistrar {
  private let driver: RaftDriver
  private let loop: EventLoop
  private let view: SharedView
  private let request: ControllerRegistrationRequest
  private var channel: PeerChannel?
  private var isAsking = false
  private var isStopped = false
  private var backoffMs: Int64 = 100
  private static let log = Log("ControllerRegistrationManager")

  init(
    nodeID: BrokerID, incarnationID: Uuid, endpoints: [Metadata.Endpoint],
    features: [SupportedFeature], driver: RaftDriver, loop: EventLoop, view: SharedView
  ) {
    self.driver = driver
    self.loop = loop
    self.view = view
    request = ControllerRegistrationRequest {
      $0.controllerID = nodeID.rawValue
      $0.incarnationID = incarnationID
      $0.listeners = endpoints.map { endpoint in
        ControllerRegistrationRequest.Listener {
          $0.name = endpoint.listener
          $0.host = endpoint.host
          $0.port = endpoint.port
          $0.securityProtocol = endpoint.securityProtocol.rawValue
        }
      }
      $0.features = features.map { feature in
        ControllerRegistrationRequest.Feature {
          $0.name = feature.name
          $0.minSupportedVersion = feature.minimum
          $0.maxSupportedVersion = feature.maximum
        }
      }
    }
  }

  func stop() {
    isStopped = true
    channel?.close()
    channel = nil
  }

  /// Looks whether there is something to do; cheap when there is not.
  func check() {
    guard !isAsking, !isStopped else { return }
    let image = view.current.image
    guard image.metadataVersion.hasControllerRegistration, !isRegistered(image) else { return }
    guard let channel = currentChannel() else { return }
    isAsking = true
    channel.call(request, versions: 0...0) { [weak self] in self?.take($0) }
  }

  private func isRegistered(_ image: MetadataImage) -> Bool {
    image.controllers.contains {
      $0.id.rawValue == request.controllerID && $0.incarnationID == request.incarnationID
    }
  }

  private func currentChannel() -> PeerChannel? {
    let leader = driver.leader
    guard leader.id != nil, let host = leader.host else { return nil }
    if let channel, channel.host == host, channel.port == leader.port { return channel }
    channel?.close()
    let made = PeerChannel(
      to: host, port: leader.port, on: loop, clientID: "\(request.controllerID)",
      name: "active controller", timeoutMs: 10_000, policy: .negotiated)
    channel = made
    return made
  }

  private func take(_ result: Result<ControllerRegistrationResponse, PeerError>) {
    guard !isStopped else { return }
    switch result {
    case .success(let response) where response.errorCode == ErrorCode.none.rawValue:
      Self.log.info("registered with the active controller")
      backoffMs = 100
    case .success(let response):
      Self.log.debug("registration refused: \(ErrorCode(response.errorCode))")
      channel?.close()
      channel = nil
    case .failure(let error):
      Self.log.debug("registration failed: \(error)")
      channel?.close()
      channel = nil
    }
    // The commit may come a moment after the answer; asking again then does no harm.
    loop.schedule(afterMs: backoffMs) { [weak self] in
      self?.isAsking = false
      self?.check()
    }
    backoffMs = min(backoffMs * 2, 10_000)
  }
}
