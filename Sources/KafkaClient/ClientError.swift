import Bytes
import KafkaProtocol
import Records
import Values

/// Why something asked of a cluster did not come about.
public enum ClientError: Error, Equatable, Sendable, CustomStringConvertible {
  /// A broker answered with an error code, perhaps with a sentence of its own.
  case broker(ErrorCode, String?)
  /// The connection broke or could not be made.
  case disconnected(String)
  /// No answer within the time that was given.
  case timedOut(String)
  /// The broker serves no version of the API that this client speaks.
  case unsupported(ApiKey)
  /// A node id that the metadata does not have.
  case unknownNode(Int32)
  /// The answer is not what the protocol says it must be.
  case malformed(ApiKey, ByteError)
  /// A configuration that cannot be used; names the key.
  case configuration(String)
  /// Batches that cannot be packed or unpacked.
  case records(RecordError)
  /// A record above `max.request.size`.
  case recordTooLarge(bytes: Int, limit: Int)
  /// `buffer.memory` is used up.
  case bufferFull
  /// The partition has no committed offset and `auto.offset.reset` is `none`, or the position is
  /// outside the log.
  case noOffset(TopicPartition)
  /// The client has been closed.
  case closed
  /// Used in a way that its state does not allow.
  case misuse(String)

  public init(_ code: ErrorCode, _ message: String? = nil) { self = .broker(code, message) }

  /// The code that a broker has answered with; nil for errors of this side.
  public var code: ErrorCode? {
    if case .broker(let code, _) = self { return code }
    return nil
  }

  /// Whether the same may succeed when tried again.
  public var isRetriable: Bool {
    switch self {
    case .broker(let code, _): code.isRetriable
    case .disconnected, .timedOut, .unknownNode: true
    default: false
    }
  }

  /// Whether another node should be asked, or this one only after new metadata.
  var wantsMetadata: Bool {
    switch self {
    case .disconnected, .unknownNode: return true
    case .broker(let code, _):
      let stale: [ErrorCode] = [
        .notLeaderOrFollower, .unknownTopicOrPartition, .leaderNotAvailable, .fencedLeaderEpoch,
        .unknownLeaderEpoch, .kafkaStorageError, .notController, .replicaNotAvailable,
        .listenerNotFound, .unknownTopicID, .inconsistentTopicID, .brokerNotAvailable,
      ]
      return stale.contains(code)
    default: return false
    }
  }

  public var description: String {
    switch self {
    case .broker(let code, let message): "\(code.name): \(message ?? code.message)"
    case .disconnected(let reason): "disconnected: \(reason)"
    case .timedOut(let what): "timed out: \(what)"
    case .unsupported(let api): "the broker serves no version of \(api.name) that is known here"
    case .unknownNode(let id): "no node \(id) in the cluster's metadata"
    case .malformed(let api, let error): "malformed answer to \(api.name): \(error)"
    case .configuration(let what): what
    case .records(let error): "\(error)"
    case .recordTooLarge(let bytes, let limit): "a record of \(bytes) bytes exceeds \(limit)"
    case .bufferFull: "buffer.memory is used up"
    case .noOffset(let partition): "no offset to begin with for \(partition)"
    case .closed: "the client is closed"
    case .misuse(let what): what
    }
  }
}
