/// The APIs of transactions, for the broker's table.
import KafkaProtocol
import Values

enum TransactionApis {
  static let all: [ApiEntry] = [
    ApiEntry(InitProducerIDHandler.self),
    ApiEntry(AddPartitionsToTxnHandler.self),
    ApiEntry(AddOffsetsToTxnHandler.self),
    ApiEntry(EndTxnHandler.self),
    ApiEntry(WriteTxnMarkersHandler.self),
    ApiEntry(TxnOffsetCommitHandler.self),
    ApiEntry(DescribeTransactionsHandler.self),
    ApiEntry(ListTransactionsHandler.self),
  ]

  /// Clients before `since` know a fenced producer by its epoch only.
  static func told(_ error: ErrorCode, version: Int16, fencedSince since: Int16) -> ErrorCode {
    error == .producerFenced && version < since ? .invalidProducerEpoch : error
  }
}
