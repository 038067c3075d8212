import Bytes
import Records
import Values

/// Follows transactions through the batches of a log that is being cleaned: data of aborted ones
/// can go at once; a marker can go when nothing of its transaction is left.
struct CleanerTransactions {
  private struct Aborted {
    var transaction: AbortedTransaction
    /// A batch of it is still in the log.
    var hasBatches = false
  }

  /// Not yet reached, by first offset descending.
  private var ahead: [AbortedTransaction]
  private var aborted: [Int64: Aborted] = [:]
  private var committed: Set<Int64> = []
  /// Aborted transactions of which something is left: they go into the cleaned segment's index.
  private(set) var kept: [AbortedTransaction] = []

  init(_ transactions: [AbortedTransaction]) {
    ahead = transactions.sorted { $0.firstOffset > $1.firstOffset }
  }

  mutating func takeKept() -> [AbortedTransaction] {
    defer { kept = [] }
    return kept
  }

  private mutating func reach(_ offset: Offset) {
    while let next = ahead.last, next.firstOffset <= offset {
      ahead.removeLast()
      if aborted[next.producerID] == nil {
        aborted[next.producerID] = Aborted(transaction: next)
      }
    }
  }

  /// Passes a batch of data.
  /// - Returns: true when it is of an aborted transaction.
  mutating func passData(_ header: BatchHeader) -> Bool {
    reach(header.lastOffset)
    guard header.isTransactional else { return false }
    if aborted[header.producerID] != nil {
      aborted[header.producerID]?.hasBatches = true
      return true
    }
    committed.insert(header.producerID)
    return false
  }

  /// Passes a control batch.
  /// - Returns: true when nothing of its transaction is left.
  mutating func passControl(
    _ batch: RecordBatch, scratch: inout ByteWriter
  ) throws(RecordError) -> Bool {
    reach(batch.header.lastOffset)
    var records = try batch.records(scratch: &scratch)
    // One without records has been cleaned before, and only kept for its producer.
    guard let record = try records.next() else { return true }
    switch ControlRecordType(key: record.key) {
    case .abort:
      guard let ended = aborted.removeValue(forKey: batch.header.producerID), ended.hasBatches
      else {
        return true
      }
      kept.append(ended.transaction)
      return false
    case .commit: return committed.remove(batch.header.producerID) == nil
    default: return false
    }
  }
}
