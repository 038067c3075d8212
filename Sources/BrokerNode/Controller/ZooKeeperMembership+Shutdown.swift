/// Controlled shutdown: the controller moves leaders away while this broker still serves, so that
/// nobody has to wait for a session to expire.
import KafkaMessages
import KafkaProtocol
import KafkaTransport
import Platform
import Synchronization
import Values

extension ZooKeeperMembership {
  /// Asks until nothing is led here any more, as often as
  /// `controlled.shutdown.max.retries` allows.
  func handOver() {
    guard let services = startedServices else { return }
    let identity = services.config.identity
    for attempt in 0...max(0, identity.controlledShutdownMaxRetries) {
      switch askToLeave(services) {
      case .success(let remaining) where remaining.isEmpty: return
      case .success(let remaining):
        Self.log.info("controlled shutdown not complete", ["remaining": remaining.count])
      case .failure(let error):
        Self.log.info("controlled shutdown failed: \(error)", ["attempt": attempt])
      }
      // Short at first: usually the controller has only just begun to move the leaders.
      let waitMs = attempt == 0 ? 200 : identity.controlledShutdownRetryBackoffMs
      let pause = min(waitMs, identity.controlledShutdownRetryBackoffMs)
      Thread.sleep(ms: pause)
    }
  }

  private func askToLeave(
    _ services: BrokerServices
  ) -> Result<[TopicPartition], PeerError> {
    var request = ControlledShutdownRequest()
    request.brokerID = services.brokerID.rawValue
    request.brokerEpoch = services.brokerEpoch.rawValue
    let box = Answer()
    services.controllerChannel.call(request, versions: 3...3) { box.fill($0) }
    return box.wait(seconds: 30).flatMap { response in
      guard response.errorCode == 0 else {
        return .failure(.disconnected("\(ErrorCode(response.errorCode))"))
      }
      return .success(
        response.remainingPartitions.map { TopicPartition($0.topicName, $0.partitionIndex) })
    }
  }

  /// An answer that one thread waits for and another gives.
  private final class Answer: Sendable {
    private let value = Mutex<Result<ControlledShutdownResponse, PeerError>?>(nil)
    private let semaphore = Semaphore()

    func fill(_ result: Result<ControlledShutdownResponse, PeerError>) {
      value.withLock { $0 = result }
      semaphore.signal()
    }

    func wait(seconds: Int) -> Result<ControlledShutdownResponse, PeerError> {
      _ = semaphore.wait(ms: Int64(seconds) * 1_000)
      return value.withLock { $0 } ?? .failure(.timedOut)
    }
  }
}
