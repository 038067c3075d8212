/// Requests to the active controller, wherever it is.
///
/// In ZooKeeper mode the controller is a broker (`Controller/BrokerControllerChannel`), in KRaft
/// mode one of the quorum (`KRaft/QuorumControllerChannel`).
import KafkaMessages
import KafkaProtocol
import KafkaTransport
import Platform

protocol ControllerChannel: AnyObject, Sendable {
  /// Sends from any thread; `completion` runs on the channel's loop, once.
  ///
  /// - Parameter versions: the highest that the controller serves is used; where versions are
  ///   agreed and not asked for, the upper bound.
  func call<R: KafkaRequest>(
    _ request: R, versions: ClosedRange<Int16>,
    _ completion: @escaping @Sendable (Result<R.Response, PeerError>) -> Void)

  /// Ends the connection; what is outstanding fails.
  func close()
}
