/// The rate of new connections at work (KIP-612): asked by every listener's acceptor.
import Metadata
import Platform
import Quotas
import Settings
import Synchronization
import Transport
import Values

final class ConnectionGate: Sendable {
  private let rates: Mutex<ConnectionRates>
  /// Whether there is any limit: without one a connection costs a load.
  private let limiting = Atomic<Bool>(false)

  init(_ config: BrokerConfig) {
    rates = Mutex(
      ConnectionRates(
        count: config.clientQuotas.sampleCount, widthMs: config.clientQuotas.sampleMs))
    take(config)
  }

  /// Takes over the limits of the broker and its listeners.
  func take(_ config: BrokerConfig) {
    change { rates in
      rates.protectedListener = config.network.interBrokerListenerName
      rates.brokerLimit = config.network.maxConnectionRate.map(Double.init)
      rates.listenerLimits = config.network.maxConnectionRates.mapValues(Double.init)
    }
  }

  /// Takes over the limits of addresses.
  func take(_ image: ClientQuotasImage) { change { $0.take(image) } }

  private func change(_ body: (inout ConnectionRates) -> Void) {
    let isLimiting = rates.withLock { rates in
      body(&rates)
      return rates.isLimiting
    }
    limiting.store(isLimiting, ordering: .releasing)
  }

  func admit(_ address: IPAddress, to listener: String, at now: Instant) -> Admission {
    guard limiting.load(ordering: .relaxed) else { return .serve }
    let verdict = rates.withLock {
      $0.connected(from: address.description, to: listener, at: now)
    }
    return switch verdict {
    case .serve: .serve
    case .wait(let milliseconds): .wait(ms: milliseconds)
    case .turnAway(let milliseconds): .turnAway(afterMs: milliseconds)
    }
  }
}
