import Bytes
import Compression
import Values

/// Records that a leader may append: the caller's bytes, changed in place where the rules demand
/// it, or rebuilt ones. Offsets and leader epoch are assigned afterwards, under the log's lock.
public struct ValidatedRecords: ~Copyable {
  /// Set when the bytes could not stay as they were: older format, other codec.
  public var rebuilt: ByteWriter?
  /// Offsets that the records take.
  public var offsetCount: Int64
  /// The bytes of the batches, without a cut-off rest.
  public var size: Int
  public var maxTimestamp: Int64
  /// The leader's time if the topic wants it, else -1; goes into the Produce response.
  public var logAppendTime: Int64
  /// The header of the first batch, before offsets are assigned.
  public var header: BatchHeader

  /// Hands out the batches to append: those of `bytes`, where they lie, or the rebuilt ones.
  /// - Precondition: `bytes` are what was validated.
  public consuming func withBatches<R, E: Error>(
    of bytes: UnsafeMutableRawBufferPointer,
    _ body: (UnsafeMutableRawBufferPointer) throws(E) -> R
  ) throws(E) -> R {
    let size = size
    guard var rebuilt = rebuilt.take() else {
      return try body(UnsafeMutableRawBufferPointer(rebasing: bytes[..<size]))
    }
    return try rebuilt.withUnsafeMutableBytes(body)
  }
}

/// What a leader does with records before it appends them.
public struct RecordValidator {
  let rules: AppendRules
  let origin: AppendOrigin
  let now: Int64

  public init(_ rules: AppendRules, origin: AppendOrigin, now: WallTime) {
    self.rules = rules
    self.origin = origin
    self.now = now.milliseconds
  }

  /// Checks every batch, and brings the records into the form in which the topic stores them.
  ///
  /// The checksum and the header are always checked; records only when a rule concerns them or when
  /// they have to be rebuilt. Of a client only one batch v2, or one compressed wrapper, is taken.
  public func validate(
    _ bytes: UnsafeMutableRawBufferPointer
  ) throws(AppendRefusal) -> ValidatedRecords {
    var batches = BatchIterator(UnsafeRawBufferPointer(bytes))
    guard let first = try nextBatch(&batches) else {
      throw .invalidRecord("no batch in \(bytes.count) bytes", faults: [])
    }
    try check(first, like: first)
    if first.header.magic < 2 { return try convert(first, bytes) }
    // Only another codec makes the broker touch the records: levels are the producer's business.
    let target = rules.compressor?.type ?? first.header.compression
    if target != first.header.compression, !first.header.isControl {
      guard try nextBatch(&batches) == nil else { throw Self.moreThanOne }
      var result = ValidatedRecords(
        rebuilt: nil, offsetCount: 0, size: 0, maxTimestamp: BatchHeader.noTimestamp,
        logAppendTime: -1, header: first.header)
      try rebuild([first], from: first.header, into: &result)
      return result
    }
    return try validateInPlace(first, bytes)
  }

  private static let moreThanOne = AppendRefusal.invalidRecord("more than one batch", faults: [])

  /// The next batch; what cannot be a batch at all is refused.
  private func nextBatch(_ batches: inout BatchIterator) throws(AppendRefusal) -> RecordBatch? {
    do { return try batches.next() } catch { throw AppendRefusal(error) }
  }

  /// The bytes stay where they are; at most timestamp type, largest timestamp and checksum change.
  private func validateInPlace(
    _ first: RecordBatch, _ bytes: UnsafeMutableRawBufferPointer
  ) throws(AppendRefusal) -> ValidatedRecords {
    var result = ValidatedRecords(
      rebuilt: nil, offsetCount: 0, size: 0, maxTimestamp: BatchHeader.noTimestamp,
      logAppendTime: rules.timestampType == .logAppendTime ? now : -1, header: first.header)
    var batches = BatchIterator(UnsafeRawBufferPointer(bytes))
    while let batch = try nextBatch(&batches) {
      if result.size > 0 {
        guard origin != .client else { throw Self.moreThanOne }
        try check(batch, like: first)
      }
      let start = result.size
      result.size = batches.position
      result.offsetCount += Int64(batch.header.lastOffsetDelta) + 1
      let time = try settleTimestamps(of: batch)
      result.maxTimestamp = max(result.maxTimestamp, time)
      BatchPatch.setMaxTimestamp(
        time, type: rules.timestampType,
        in: UnsafeMutableRawBufferPointer(rebasing: bytes[start..<result.size]))
    }
    return result
  }

  /// The batch's largest timestamp by the topic's rules, having checked its records against them.
  private func settleTimestamps(of batch: RecordBatch) throws(AppendRefusal) -> Int64 {
    let concerned = rules.concernsRecords && !batch.header.isControl
    guard concerned else {
      return rules.timestampType == .logAppendTime ? now : batch.header.maxTimestamp
    }
    var scratch = ByteWriter()
    var check = RecordCheck(rules: rules, now: now)
    do {
      var records = try batch.records(scratch: &scratch)
      while let record = try records.next() { check.look(at: record) }
    } catch { throw AppendRefusal(error) }
    try check.finish()
    return rules.timestampType == .logAppendTime ? now : check.maxTimestamp
  }

  // MARK: Batches

  /// What every batch must satisfy, whoever sends it.
  private func check(_ batch: RecordBatch, like first: RecordBatch) throws(AppendRefusal) {
    do { try batch.validate() } catch { throw AppendRefusal(error) }
    let header = batch.header
    guard header.sizeInBytes <= rules.maxMessageBytes || origin != .client else {
      throw .messageTooLarge(size: header.sizeInBytes, limit: rules.maxMessageBytes)
    }
    guard header.magic == first.header.magic else {
      throw .invalidRecord("formats \(first.header.magic) and \(header.magic) mixed", faults: [])
    }
    if header.magic == 2 { try checkClaims(header) }
    guard rules.timestampType == .logAppendTime || header.timestampType == .createTime else {
      throw .invalidTimestamp("producers must not set the type LogAppendTime", faults: [])
    }
  }

  /// What the header of a batch v2 says must be possible; of clients, more is asked.
  private func checkClaims(_ header: BatchHeader) throws(AppendRefusal) {
    guard header.lastOffsetDelta >= 0, header.recordCount > 0 else {
      throw .invalidRecord("\(header.recordCount) records", faults: [])
    }
    guard origin == .client else { return }
    guard header.baseOffset == 0 else {
      throw .invalidRecord("base offset \(header.baseOffset) instead of 0", faults: [])
    }
    guard header.lastOffsetDelta == header.recordCount - 1 else {
      throw .invalidRecord(
        "\(header.recordCount) records up to offset \(header.lastOffsetDelta)", faults: [])
    }
    guard !header.isControl else {
      throw .invalidRecord("clients must not write control records", faults: [])
    }
    guard !header.hasProducerID || header.baseSequence >= 0 else {
      throw .invalidRecord(
        "sequence \(header.baseSequence) of producer \(header.producerID)", faults: [])
    }
    guard header.hasProducerID || !header.isTransactional else {
      throw .invalidRecord("a transactional batch without producer id", faults: [])
    }
  }
}

extension RecordValidator {
  /// Old messages become one batch v2, as every later client reads it.
  private func convert(
    _ first: RecordBatch, _ bytes: UnsafeMutableRawBufferPointer
  ) throws(AppendRefusal) -> ValidatedRecords {
    var sources: [RecordBatch] = []
    var batches = BatchIterator(UnsafeRawBufferPointer(bytes))
    var codec = CompressionType.none
    while let message = try nextBatch(&batches) {
      try check(message, like: first)
      sources.append(message)
      codec = message.header.compression ?? .none
      guard codec == .none || sources.count == 1 else { throw Self.moreThanOne }
    }
    guard sources.count == 1 || !first.header.isCompressed else { throw Self.moreThanOne }
    var header = first.header
    header.attributes = header.attributes & ~BatchHeader.Attribute.codec | UInt16(codec.rawValue)
    var result = ValidatedRecords(
      rebuilt: nil, offsetCount: 0, size: 0, maxTimestamp: BatchHeader.noTimestamp,
      logAppendTime: -1, header: first.header)
    try rebuild(sources, from: header, into: &result)
    return result
  }

  /// Writes the records of all sources into one new batch with offsets from 0.
  private func rebuild(
    _ sources: [RecordBatch], from header: BatchHeader, into result: inout ValidatedRecords
  ) throws(AppendRefusal) {
    var options = BatchOptions()
    options.compressor = rules.compressor ?? Compressor(header.compression ?? .none)
    options.timestampType = rules.timestampType
    options.logAppendTime = rules.timestampType == .logAppendTime ? now : -1
    options.producerID = header.producerID
    options.producerEpoch = header.producerEpoch
    options.baseSequence = header.baseSequence
    options.isTransactional = header.isTransactional
    options.isControl = header.isControl
    var builder = BatchBuilder(options, reserving: sources.reduce(0) { $0 + $1.bytes.count })
    var scratch = ByteWriter()
    var check = RecordCheck(rules: rules, now: now)
    var output = ByteWriter()
    do {
      for source in sources {
        var records = try source.records(scratch: &scratch)
        while let record = try records.next() {
          check.look(at: record)
          if check.faults.isEmpty { builder.append(record) }
        }
      }
      try check.finish()
      guard builder.recordCount > 0 else { throw RecordError.invalid("no records") }
      try builder.finish(into: &output)
      result.header = try output.withUnsafeBytes { (raw) throws(RecordError) in
        try BatchHeader(raw)
      }
    } catch let error as RecordError {
      throw AppendRefusal(error)
    } catch let error as AppendRefusal {
      throw error
    } catch {
      throw .corruptMessage("\(error)")
    }
    guard output.count <= rules.maxMessageBytes else {
      throw .messageTooLarge(size: output.count, limit: rules.maxMessageBytes)
    }
    result.offsetCount = Int64(builder.recordCount)
    result.size = output.count
    result.maxTimestamp = result.header.maxTimestamp
    result.logAppendTime = options.logAppendTime
    result.rebuilt = consume output
  }

  /// Gives batches v2 their offsets, one behind the other from `baseOffset` on, and their epoch.
  ///
  /// - Precondition: `bytes` are batches that `validate` has accepted or built.
  public static func assignOffsets(
    _ bytes: UnsafeMutableRawBufferPointer, from baseOffset: Int64, leaderEpoch: Int32
  ) {
    var offset = baseOffset
    var position = 0
    while position + BatchHeader.sizeV2 <= bytes.count {
      let batch = UnsafeMutableRawBufferPointer(rebasing: bytes[position...])
      let length = Int32(
        bigEndian: batch.loadUnaligned(fromByteOffset: BatchHeader.Position.length, as: Int32.self))
      let delta = Int32(
        bigEndian: batch.loadUnaligned(
          fromByteOffset: BatchHeader.Position.lastOffsetDelta, as: Int32.self))
      BatchPatch.setBaseOffset(offset, in: batch)
      BatchPatch.setPartitionLeaderEpoch(leaderEpoch, in: batch)
      offset += Int64(delta) + 1
      position += Int(length) + BatchHeader.logOverhead
    }
  }
}

/// Looks at records one by one, and remembers those that break the topic's rules.
struct RecordCheck {
  let rules: AppendRules
  let now: Int64
  private(set) var maxTimestamp = BatchHeader.noTimestamp
  private(set) var faults: [RecordFault] = []
  private var hasInvalidTimestamp = false
  private var index: Int32 = 0
  /// More faults than this are not told one by one: they help nobody, and answers stay small.
  private static let mostFaults = 100

  init(rules: AppendRules, now: Int64) {
    self.rules = rules
    self.now = now
  }

  /// Checks one record; the first hundred faults are remembered.
  mutating func look(at record: RecordView) {
    defer { index &+= 1 }
    maxTimestamp = max(maxTimestamp, record.timestamp)
    if rules.requiresKeys, record.key == nil {
      note("a compacted topic takes no record without key")
    } else if rules.limitsTimestamps, record.timestamp != BatchHeader.noTimestamp,
      isOutOfRange(record.timestamp)
    {
      hasInvalidTimestamp = true
      note("timestamp \(record.timestamp) is out of range")
    }
  }

  /// Too old or too far ahead, by the leader's clock.
  private func isOutOfRange(_ timestamp: Int64) -> Bool {
    let (age, overflow) = now.subtractingReportingOverflow(timestamp)
    if overflow { return true }
    return age > rules.timestampBeforeMaxMs || -age > rules.timestampAfterMaxMs
  }

  private mutating func note(_ message: String) {
    if faults.count < Self.mostFaults { faults.append(RecordFault(index: index, message: message)) }
  }

  /// Throws if any record broke a rule.
  func finish() throws(AppendRefusal) {
    guard let first = faults.first else { return }
    // As in Kafka: one record with an invalid timestamp decides the code for all of them.
    if hasInvalidTimestamp { throw .invalidTimestamp(first.message, faults: faults) }
    throw .invalidRecord(first.message, faults: faults)
  }
}
