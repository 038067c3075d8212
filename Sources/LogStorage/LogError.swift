import Platform
import Records
import Values

/// Why a log did not do what it was asked. Each case maps to one error code on the wire.
public enum LogError: Error, Equatable, Sendable {
  /// The records themselves were refused; see `AppendRefusal` for the codes.
  case refused(AppendRefusal)
  /// RECORD_LIST_TOO_LARGE (18): the batches do not fit into a segment.
  case recordListTooLarge(size: Int, limit: Int)
  /// OFFSET_OUT_OF_RANGE (1)
  case offsetOutOfRange(requested: Offset, start: Offset, end: Offset)
  /// OUT_OF_ORDER_SEQUENCE_NUMBER (45)
  case outOfOrderSequence(producer: Int64, expected: Int32, found: Int32)
  /// INVALID_PRODUCER_EPOCH (47)
  case invalidProducerEpoch(producer: Int64, current: Int16, found: Int16)
  /// INVALID_TXN_STATE (48)
  case invalidTransactionState(producer: Int64)
  /// TRANSACTION_COORDINATOR_FENCED (52)
  case coordinatorFenced(producer: Int64, current: Int32, found: Int32)
  /// A follower's bytes do not continue its log: the fetcher has to look where they diverge.
  case unexpectedOffset(Offset, end: Offset)
  /// CORRUPT_MESSAGE (2): stored or replicated bytes that are not batches.
  case corrupt(String)
  /// KAFKA_STORAGE_ERROR (56): the log's directory must be taken offline.
  case logDirectoryFailed(SystemError)
  /// The log was cut while it was being cleaned; the cleaning is void.
  case changedUnderCleaner
  /// KAFKA_STORAGE_ERROR (56): the log was closed or deleted.
  case closed

  /// Any error of this module's parts, as callers see it.
  init(_ error: any Error) {
    switch error {
    case let error as LogError: self = error
    case let error as SystemError: self = .logDirectoryFailed(error)
    case let error as AppendRefusal: self = .refused(error)
    case let error as RecordError: self = .corrupt(error.description)
    default: self = .corrupt("\(error)")
    }
  }

  /// Runs `body`; what it throws becomes a `LogError`.
  @inline(__always)
  static func mapping<R>(_ body: () throws -> R) throws(LogError) -> R {
    do { return try body() } catch { throw LogError(error) }
  }
}
