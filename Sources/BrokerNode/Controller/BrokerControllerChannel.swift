/// Requests to the broker that is the controller of a ZooKeeper-mode cluster.
///
/// It is found through the metadata; a request goes out once and reports failure, and
/// callers with something to insist on (ISR changes, shutdown) repeat it.
import KafkaMessages
import KafkaProtocol
import KafkaTransport
import Platform
import Telemetry
import Transport
import Values

final class BrokerControllerChannel: ControllerChannel, @unchecked Sendable {  // confined to `loop`
  let loop: EventLoop
  private let services: BrokerServices
  private var channel: PeerChannel?
  private var target: (id: BrokerID, host: String, port: UInt16)?
  private static let log = Log("controller-channel")

  init(services: BrokerServices, loop: EventLoop) {
    self.services = services
    self.loop = loop
  }

  func call<R: KafkaRequest>(
    _ request: R, versions: ClosedRange<Int16>,
    _ completion: @escaping @Sendable (Result<R.Response, PeerError>) -> Void
  ) {
    loop.execute { [self] in
      guard let channel = currentChannel() else {
        completion(.failure(.disconnected("no controller is known")))
        return
      }
      // Brokers of a ZooKeeper-mode cluster never ask each other for versions.
      channel.call(request, version: versions.upperBound, completion)
    }
  }

  private func currentChannel() -> PeerChannel? {
    let id = services.metadata.controllerID
    let listener = services.config.network.interBrokerListenerName
    guard id != .none, let endpoint = services.metadata.broker(id)?.endpoint(listener) else {
      return nil
    }
    if let target, target == (id, endpoint.host, endpoint.port), let channel { return channel }
    channel?.close()
    target = (id, endpoint.host, endpoint.port)
    let made = PeerChannel(
      to: endpoint.host, port: endpoint.port, on: loop,
      clientID: "\(services.brokerID.rawValue)", name: "controller \(id.rawValue)",
      timeoutMs: services.config.replication.controllerSocketTimeoutMs,
      limits: services.peerLimits())
    channel = made
    return made
  }

  func close() {
    loop.execute { [self] in
      channel?.close()
      channel = nil
      target = nil
    }
  }
}
