import Bytes
import Compression

/// Turns stored batches into an older message format, for fetches by clients that know no newer.
public enum RecordConverter {
  /// Appends the batches of `bytes` in format `magic` (0 or 1) to `output`, as far as whole batches
  /// are there.
  ///
  /// Control batches, headers and what else the old format lacks are left out. Records below
  /// `firstOffset` are left out of uncompressed batches, as old clients expect. Throws
  /// `compression(.unknownCodec)` for zstd, which old clients cannot read. Nothing is appended when
  /// no record is left.
  /// - Returns: how many records were converted.
  @discardableResult
  public static func downConvert(
    _ bytes: UnsafeRawBufferPointer, to magic: Int8, firstOffset: Int64,
    into output: inout ByteWriter
  ) throws(RecordError) -> Int {
    var batches = BatchIterator(bytes)
    var scratch = ByteWriter()
    var converted = 0
    while let batch = try batches.next() {
      if batch.header.magic <= magic {
        output.writeBytes(batch.bytes)
      } else if !batch.header.isControl {
        guard batch.header.compression != .zstd else {
          throw .compression(.unknownCodec(CompressionType.zstd.rawValue))
        }
        converted += try downConvert(
          batch, to: magic, firstOffset: firstOffset, scratch: &scratch, into: &output)
      }
    }
    return converted
  }

  private static func downConvert(
    _ batch: RecordBatch, to magic: Int8, firstOffset: Int64, scratch: inout ByteWriter,
    into output: inout ByteWriter
  ) throws(RecordError) -> Int {
    let header = batch.header
    var records = try batch.records(scratch: &scratch)
    var options = BatchOptions()
    options.magic = magic
    options.compressor = Compressor(header.compression ?? .none)
    options.timestampType = magic == 0 ? .createTime : header.timestampType
    options.logAppendTime = header.maxTimestamp
    var builder: BatchBuilder?
    while let record = try records.next() {
      guard header.isCompressed || record.offset >= firstOffset else { continue }
      if builder == nil {
        options.baseOffset = record.offset
        builder = BatchBuilder(options, reserving: batch.bytes.count)
      }
      guard record.offset > (builder?.lastOffset ?? .max),
        record.offset - options.baseOffset <= Int64(Int32.max)
      else { throw .invalid("offset \(record.offset) out of order") }
      builder?.append(record, offset: record.offset)
    }
    guard var finished = builder.take() else { return 0 }
    try finished.finish(into: &output)
    return Int(finished.recordCount)
  }
}
