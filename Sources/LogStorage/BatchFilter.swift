import Bytes
import Compression
import Records
import Values

/// Decides what of each batch stays when a compacted log is cleaned, and writes it.
struct BatchFilter: ~Copyable {
  /// What is known of active producers: their last batches stay, if only as empty ones, because
  /// they hold the sequence and the epoch.
  struct LastBatch {
    /// Nil: the last thing of this producer was a marker.
    var dataOffset: Offset?
    var epoch: Int16
  }

  let producers: [Int64: LastBatch]
  let deleteRetentionMs: Int64
  let nowMs: Int64
  /// Tombstones of old message formats stay until this time has passed since their segment was
  /// written; they have no horizon of their own.
  let keepsOldTombstones: Bool
  var transactions: CleanerTransactions
  private var scratch = ByteWriter()
  private var markerScratch = ByteWriter(reserving: 64)
  private(set) var recordsRead = 0
  private(set) var recordsKept = 0

  init(
    producers: [Int64: LastBatch], deleteRetentionMs: Int64, nowMs: Int64,
    keepsOldTombstones: Bool, transactions: CleanerTransactions
  ) {
    self.producers = producers
    self.deleteRetentionMs = deleteRetentionMs
    self.nowMs = nowMs
    self.keepsOldTombstones = keepsOldTombstones
    self.transactions = transactions
  }

  /// Appends to `output` what stays of `batch`.
  mutating func pass(
    _ batch: RecordBatch, _ keys: borrowing KeyOffsets, into output: inout ByteWriter
  ) throws {
    let header = batch.header
    let isSpent =
      header.isControl
      ? try transactions.passControl(batch, scratch: &markerScratch)
      : transactions.passData(header)
    // A marker whose transaction is gone stays for as long as a tombstone would.
    let isDiscarded =
      header.isControl ? isSpent && (header.deleteHorizonMs.map { $0 <= nowMs } ?? false) : isSpent
    if isDiscarded {
      recordsRead += Int(max(header.recordCount, 1))
      if isLastOfProducer(header) { try BatchBuilder.writeEmpty(like: header, into: &output) }
      return
    }
    let isMarkerOfNothing = header.isControl && isSpent
    try keepRecords(of: batch, keys, isMarkerOfNothing: isMarkerOfNothing, into: &output)
  }

  /// Whether the log would forget the producer's sequence or epoch with this batch.
  private func isLastOfProducer(_ header: BatchHeader) -> Bool {
    guard header.hasProducerID, let last = producers[header.producerID] else { return false }
    if let offset = last.dataOffset { return header.lastOffset == offset }
    return header.isControl && header.producerEpoch == last.epoch
  }

  /// Keeps a batch's bytes as they are where it can: rebuilding costs a compression, and changes
  /// the bytes that replicas compare.
  private mutating func keepRecords(
    of batch: RecordBatch, _ keys: borrowing KeyOffsets, isMarkerOfNothing: Bool,
    into output: inout ByteWriter
  ) throws {
    let header = batch.header
    var total = 0
    var kept: [RecordView] = []
    var hasTombstone = false
    var records = try batch.records(scratch: &scratch)
    while let record = try records.next() {
      total += 1
      guard header.isControl || stays(record, of: header, keys) else { continue }
      if record.value == nil { hasTombstone = true }
      kept.append(record)
    }
    recordsRead += total
    recordsKept += kept.count
    guard !kept.isEmpty else {
      if isLastOfProducer(header) { try BatchBuilder.writeEmpty(like: header, into: &output) }
      return
    }
    let needsHorizon =
      header.magic == 2 && !header.hasDeleteHorizon && (hasTombstone || isMarkerOfNothing)
    if kept.count == total, !needsHorizon {
      output.writeBytes(batch.bytes)
      return
    }
    let horizon = needsHorizon ? nowMs.adding(deleteRetentionMs) : header.deleteHorizonMs
    try Self.rebuild(header, kept, horizon: horizon, into: &output)
  }

  /// A record stays if it is its key's last, and a tombstone until its horizon has passed.
  private func stays(
    _ record: RecordView, of header: BatchHeader, _ keys: borrowing KeyOffsets
  ) -> Bool {
    // Nothing is known of keys behind the part that was looked at.
    if record.offset > keys.latestOffset { return true }
    // Records without key cannot be compacted; they should not be here at all.
    guard let key = record.key, record.offset >= keys.offset(of: key) else { return false }
    if record.value != nil { return true }
    guard header.magic == 2 else { return keepsOldTombstones }
    return header.deleteHorizonMs.map { nowMs < $0 } ?? true
  }

  /// Writes the records that are left under the old header: offsets, sequences and epoch of a batch
  /// outlive its records.
  private static func rebuild(
    _ header: BatchHeader, _ records: [RecordView], horizon: Int64?, into output: inout ByteWriter
  ) throws {
    var options = BatchOptions()
    options.magic = header.magic
    options.compressor = Compressor(header.compression ?? .none)
    options.timestampType = header.timestampType
    options.logAppendTime = header.maxTimestamp
    options.baseOffset = header.magic == 2 ? header.baseOffset : records[0].offset
    options.lastOffset = header.magic == 2 ? header.lastOffset : nil
    options.partitionLeaderEpoch = header.partitionLeaderEpoch
    options.producerID = header.producerID
    options.producerEpoch = header.producerEpoch
    options.baseSequence = header.baseSequence
    options.isTransactional = header.isTransactional
    options.isControl = header.isControl
    options.deleteHorizonMs = horizon
    // Inner offsets of old messages are whatever was stored.
    guard options.baseOffset >= 0 else { throw LogError.corrupt("offset \(options.baseOffset)") }
    var builder = BatchBuilder(options, reserving: 4096)
    for record in records {
      guard record.offset > builder.lastOffset, record.offset <= header.lastOffset,
        record.offset - options.baseOffset <= Offset(Int32.max)
      else {
        throw LogError.corrupt("offset \(record.offset) out of order in a batch")
      }
      builder.append(record, offset: record.offset)
    }
    try builder.finish(into: &output)
  }
}
