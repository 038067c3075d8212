/// The metadata log as a broker sees it: an observer of the controllers' quorum.
import KafkaRecords
import Metadata
import Values

/// What the log tells. Called in the order of the log, from one thread at a time.
protocol MetadataReceiver: AnyObject, Sendable {
  /// Records were committed.
  func committed(_ records: [MetadataRecord], lastOffset: Int64)
  /// A snapshot takes the place of all that was told before.
  func loaded(_ image: MetadataImage, lastOffset: Int64)
  /// Another controller leads, or none is known.
  func leaderChanged()
  /// The level of `kraft.version`.
  func kraftVersionChanged(_ level: Int16)
}

protocol MetadataFeed: AnyObject, Sendable {
  /// Begins to fetch. Throws if the log in the directory cannot be used.
  func start(_ receiver: any MetadataReceiver) throws(StartupError)
  /// Where the active controller listens; nil while none is known. From any thread.
  var leader: ControllerEndpoint? { get }
  /// Ends; blocks until nothing is told any more.
  func stop()
}
