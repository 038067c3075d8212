/// What happens to logs, for the operator.
import LogStorage
import Settings
import Synchronization
import Telemetry

enum LogEvents {
  private static let log = Log("logs")

  static func report(_ event: LogEvent) {
    switch event {
    case .loaded(let partition, let result):
      guard result.recoveredSegments > 0 || result.truncatedBytes > 0 else { return }
      log.info(
        "log recovered",
        [
          "partition": partition, "segments": result.recoveredSegments,
          "truncatedBytes": result.truncatedBytes,
        ])
    case .directoryFailed(let path, let error):
      log.error("log directory offline: \(error)", ["path": path])
    case .loadFailed(let path, let error): log.error("log not loaded: \(error)", ["path": path])
    case .segmentsDeleted(let partition, let result):
      log.info(
        "old segments deleted",
        [
          "partition": partition, "segments": result.deletedSegments,
          "bytes": result.deletedBytes, "start": result.logStartOffset,
        ])
    case .cleaningFailed(let partition, let error):
      log.warn("log not cleaned: \(error)", ["partition": partition])
    case .cleaned(let partition, _): log.debug("log cleaned", ["partition": partition])
    }
  }
}

/// From the log manager to the services, which are made after it.
final class ServicesLink: Sendable {
  private let services = Mutex<BrokerServices?>(nil)

  func attach(_ services: BrokerServices) { self.services.withLock { $0 = services } }

  func logConfig(_ topic: String) -> LogConfig? {
    guard let services = services.withLock({ $0 }) else { return nil }
    return services.logConfig(services.topicConfig(topic))
  }

  /// Replicas in the directory are lost; the controller is told, and asks which.
  func directoryFailed() {
    guard let services = services.withLock({ $0 }) else { return }
    services.replicas.markLostReplicas()
    services.membership?.reportFailedDirectory()
  }
}
