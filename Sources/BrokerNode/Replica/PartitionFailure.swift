/// Why something about one partition was refused, as the wire says it.
import KafkaProtocol
import LogStorage
import Records
import Replication
import Values

struct PartitionFailure: Error {
  var code: ErrorCode
  var message: String?
  /// Records that are at fault, by their index in the batch (KIP-467).
  var records: [RecordFault] = []
  /// The log's own error, when the disk failed.
  var cause: LogError?

  init(_ code: ErrorCode, _ message: String? = nil, records: [RecordFault] = []) {
    self.code = code
    self.message = message
    self.records = records
  }

  init(_ refusal: ReplicaRefusal) {
    switch refusal {
    case .notLeaderOrFollower, .staleBrokerEpoch: code = .notLeaderOrFollower
    case .fencedLeaderEpoch: code = .fencedLeaderEpoch
    case .unknownLeaderEpoch: code = .unknownLeaderEpoch
    case .notEnoughReplicas: code = .notEnoughReplicas
    case .notEnoughReplicasAfterAppend: code = .notEnoughReplicasAfterAppend
    }
  }

  init(_ error: LogError) {
    switch error {
    case .refused(let refusal): self.init(refusal)
    case .recordListTooLarge(let size, let limit):
      self.init(.recordListTooLarge, "\(size) bytes do not fit into a segment of \(limit)")
    case .offsetOutOfRange: self.init(.offsetOutOfRange)
    case .outOfOrderSequence(let producer, let expected, let found):
      self.init(
        .outOfOrderSequenceNumber,
        "Out of order sequence number for producer \(producer): \(found), expected \(expected)")
    case .invalidProducerEpoch(let producer, let current, let found):
      self.init(
        .invalidProducerEpoch,
        "Epoch of producer \(producer) is \(found), which is smaller than the last seen \(current)")
    case .invalidTransactionState: self.init(.invalidTxnState)
    case .coordinatorFenced: self.init(.transactionCoordinatorFenced)
    case .unexpectedOffset, .corrupt: self.init(.corruptMessage, "\(error)")
    case .logDirectoryFailed, .changedUnderCleaner, .closed:
      self.init(.kafkaStorageError)
      cause = error
    }
  }
}

extension PartitionFailure {
  init(_ refusal: AppendRefusal) {
    switch refusal {
    case .corruptMessage(let why): self.init(.corruptMessage, why)
    case .messageTooLarge(let size, let limit):
      self.init(
        .messageTooLarge,
        "The record batch size in the append is \(size) bytes which exceeds the maximum configured "
          + "value of \(limit).")
    case .invalidTimestamp(let why, let faults):
      self.init(.invalidTimestamp, why, records: faults)
    case .unsupportedForMessageFormat(let why): self.init(.unsupportedForMessageFormat, why)
    case .unsupportedCompressionType(let error):
      self.init(.unsupportedCompressionType, "\(error)")
    case .invalidRecord(let why, let faults): self.init(.invalidRecord, why, records: faults)
    }
  }
}
