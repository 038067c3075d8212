/// A partition of `__transaction_state` as a shard sees it.
import Bytes
import KafkaProtocol
import Records
import Transactions
import Values

struct TransactionLog: Sendable {
  let log: CoordinatorLog

  /// Appends records as one batch, uncompressed as Kafka's.
  func append(
    _ records: [TransactionRecord], on loop: BrokerLoop
  ) throws(PartitionFailure) -> CoordinatorLog.Appended {
    var builder = BatchBuilder()
    for record in records {
      let bytes = record.encoded()
      builder.append(timestamp: loop.wallNow.milliseconds, key: bytes.key, value: bytes.value)
    }
    return try log.append(&builder, on: loop)
  }

  /// Reads every record there is; for threads that may block.
  /// - Returns: why it could not be read to its end, or nil.
  func load(into loader: inout TransactionLoader) -> String? {
    log.scan { (bytes, start, scratch) throws(RecordError) in
      var next = start
      var batches = BatchIterator(bytes)
      while let batch = try batches.next() {
        next = batch.header.nextOffset
        if batch.header.lastOffset < start || batch.header.isControl { continue }
        var records = try batch.records(scratch: &scratch)
        while let record = try records.next() {
          guard record.offset >= start, let key = record.key else { continue }
          let keySpan = RawSpan(_unsafeBytes: key)
          if let value = record.value {
            loader.load(key: keySpan, value: RawSpan(_unsafeBytes: value))
          } else {
            loader.load(key: keySpan, value: nil)
          }
        }
      }
      return next
    }
  }
}
