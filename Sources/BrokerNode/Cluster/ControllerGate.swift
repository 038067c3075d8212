/// Lets only controllers through that the cluster has had.
///
/// A controller's epoch rises by one with each election, and a broker follows whoever has the
/// highest. A Kafka broker takes any epoch at its word: a single request that claims an epoch far
/// above the real one makes it ignore its real controller for ever after. Here an epoch that is
/// higher than any seen is first looked for in the store, which no requester can write to by asking
/// a broker; what it does not know is refused with STALE_CONTROLLER_EPOCH and changes nothing.
import KafkaProtocol
import Synchronization
import Telemetry
import Values

final class ControllerGate: Sendable {
  /// The highest epoch that the store has confirmed.
  private let confirmed = Mutex(ControllerEpoch(-1))
  private static let log = Log("controller-gate")

  /// Calls `body` with whether a controller of this epoch is real: at once when one was confirmed
  /// that is as new, else from the thread on which the store answers. Whether it is still in office
  /// is for the caller to see.
  func admit(
    _ epoch: ControllerEpoch, _ services: BrokerServices,
    _ body: @escaping @Sendable (Bool) -> Void
  ) {
    if epoch <= confirmed.withLock({ $0 }) { return body(true) }
    guard let membership = services.membership else { return body(true) }
    membership.confirmController(epoch) { [self] isReal in
      if isReal {
        confirmed.withLock { $0 = max($0, epoch) }
      } else {
        Self.log.warn(
          "refused a request of a controller that the cluster has not had",
          ["epoch": epoch.rawValue])
      }
      body(isReal)
    }
  }
}
