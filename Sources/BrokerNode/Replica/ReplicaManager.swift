import Metadata
import Values

final class ReplicaManager: Sendable {
  func metadataChanged(_ change: MetadataCache.Change, on loop: BrokerLoop) {}
  func configChanged(_ resource: ConfigResource) {}
}
