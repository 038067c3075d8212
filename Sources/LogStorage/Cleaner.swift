import Values

/// What one cleaning did.
public struct CleanerResult: Equatable, Sendable {
  public var bytesRead = 0
  public var bytesWritten = 0
  public var recordsRead = 0
  public var recordsKept = 0
  /// Everything below it has been cleaned.
  public var cleanedUpTo: Offset = 0
}

/// Which logs are being cleaned, and must not be touched meanwhile.
struct CleanerState {
  private(set) var busy: Set<TopicPartition> = []
  mutating func begin(_ partition: TopicPartition) -> Bool { busy.insert(partition).inserted }
  mutating func end(_ partition: TopicPartition) { busy.remove(partition) }
  mutating func forget(_ partition: TopicPartition) { busy.remove(partition) }
}
