/// Lines to the other brokers for what coordinators and leaders tell each other of transactions.
import KafkaTransport
import Platform
import Values

/// Confined to one loop.
final class BrokerPeers {
  private let services: BrokerServices
  private let loop: EventLoop
  private let clientID: String
  private let policy: VersionPolicy
  private var channels: [BrokerID: PeerChannel] = [:]

  init(services: BrokerServices, loop: EventLoop, clientID: String, policy: VersionPolicy) {
    self.services = services
    self.loop = loop
    self.clientID = clientID
    self.policy = policy
  }

  /// The line to a broker at its present address; nil while it has none.
  func channel(to id: BrokerID) -> PeerChannel? {
    let listener = services.config.network.interBrokerListenerName
    guard let endpoint = services.metadata.broker(id)?.endpoint(listener) else {
      channels.removeValue(forKey: id)?.close()
      return nil
    }
    if let known = channels[id] {
      if known.host == endpoint.host, known.port == endpoint.port { return known }
      known.close()
    }
    let made = PeerChannel(
      to: endpoint.host, port: endpoint.port, on: loop, clientID: clientID,
      name: "broker \(id.rawValue)", timeoutMs: services.config.network.requestTimeoutMs,
      limits: services.peerLimits(), policy: policy)
    channels[id] = made
    return made
  }
}
