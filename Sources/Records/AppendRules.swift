import Compression

/// Who wants records appended, which decides how far they are trusted.
public enum AppendOrigin: Sendable {
  /// A Produce request: one batch, offsets from 0, no control records, checked in full.
  case client
  /// A coordinator of this broker: its own state, and transaction markers.
  case coordinator
  /// A leader's bytes, copied by a follower.
  case replication
}

/// A topic's rules for records that a leader appends; from its configuration.
public struct AppendRules: Sendable {
  /// `compression.type`; nil is `producer`: as the records come.
  public var compressor: Compressor?
  /// Compacted topics know records by their keys.
  public var requiresKeys = false
  public var timestampType = TimestampType.createTime
  /// `message.timestamp.before.max.ms`; `.max` is no limit.
  public var timestampBeforeMaxMs = Int64.max
  /// `message.timestamp.after.max.ms`; `.max` is no limit.
  public var timestampAfterMaxMs = Int64.max
  /// `max.message.bytes`: the limit for a whole batch as it is stored.
  public var maxMessageBytes = 1_048_588

  public init() {}

  /// Whether every record has to be looked at, not only the batch's header.
  var concernsRecords: Bool { requiresKeys || limitsTimestamps }

  var limitsTimestamps: Bool {
    timestampType == .createTime && (timestampBeforeMaxMs != .max || timestampAfterMaxMs != .max)
  }
}

/// A record that broke a rule; `index` counts the records of its batch (KIP-467).
public struct RecordFault: Equatable, Sendable {
  public var index: Int32
  public var message: String
  public init(index: Int32, message: String) {
    self.index = index
    self.message = message
  }
}

/// Why a leader refuses records. Each case has one error code on the wire.
public enum AppendRefusal: Error, Equatable, Sendable {
  /// CORRUPT_MESSAGE (2)
  case corruptMessage(String)
  /// MESSAGE_TOO_LARGE (10)
  case messageTooLarge(size: Int, limit: Int)
  /// INVALID_TIMESTAMP (32)
  case invalidTimestamp(String, faults: [RecordFault])
  /// UNSUPPORTED_FOR_MESSAGE_FORMAT (43)
  case unsupportedForMessageFormat(String)
  /// UNSUPPORTED_COMPRESSION_TYPE (76)
  case unsupportedCompressionType(CompressionError)
  /// INVALID_RECORD (87)
  case invalidRecord(String, faults: [RecordFault])

  /// What to tell a client whose bytes failed as records.
  public init(_ error: RecordError) {
    switch error {
    case .corrupt(let reason): self = .corruptMessage(reason)
    case .invalid(let reason): self = .invalidRecord(reason, faults: [])
    case .unknownMagic(let magic): self = .invalidRecord("message format \(magic)", faults: [])
    case .compression(let error):
      switch error {
      case .unknownCodec, .libraryMissing: self = .unsupportedCompressionType(error)
      case .corrupt, .tooLarge, .failed: self = .corruptMessage(error.description)
      }
    }
  }
}
