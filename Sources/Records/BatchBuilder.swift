import Bytes
import CPlatform
import Compression

/// What a batch says about all of its records.
public struct BatchOptions: Sendable {
  /// The message format: 2, or 0 and 1 for readers that know no newer.
  public var magic: Int8 = 2
  public var compressor = Compressor.none
  public var timestampType = TimestampType.createTime
  /// The one timestamp of a batch of type `logAppendTime`.
  public var logAppendTime = BatchHeader.noTimestamp
  public var baseOffset: Int64 = 0
  public var partitionLeaderEpoch: Int32 = -1
  public var producerID = BatchHeader.noProducerID
  public var producerEpoch: Int16 = -1
  public var baseSequence = BatchHeader.noSequence
  public var isTransactional = false
  public var isControl = false
  /// Set by compaction: until when tombstones and markers of the batch are kept.
  public var deleteHorizonMs: Int64?
  /// Set by compaction: the last offset of the batch that this one is left of, so that it covers
  /// the same offsets and sequences.
  public var lastOffset: Int64?

  public init() {}
}

/// Builds one batch, record by record. One builder can build many batches, keeping its memory.
///
/// For formats 0 and 1 it builds a message set: a wrapper if compressed, else plain messages.
public struct BatchBuilder: ~Copyable {
  public private(set) var options: BatchOptions
  public private(set) var recordCount: Int32 = 0
  private var body: ByteWriter
  private var baseTimestamp = BatchHeader.noTimestamp
  public private(set) var maxTimestamp = BatchHeader.noTimestamp
  public private(set) var lastOffset: Int64

  public init(_ options: BatchOptions = BatchOptions(), reserving capacity: Int = 1024) {
    self.options = options
    body = ByteWriter(reserving: capacity)
    lastOffset = options.baseOffset - 1
  }

  /// Begins a new batch, forgetting one that was not finished.
  public mutating func reset(_ options: BatchOptions) {
    self.options = options
    recordCount = 0
    body.removeAll()
    baseTimestamp = BatchHeader.noTimestamp
    maxTimestamp = BatchHeader.noTimestamp
    lastOffset = options.baseOffset - 1
  }

  public var isEmpty: Bool { recordCount == 0 }

  /// Gives the batch its place in a producer's sequence, which is known only when it is sent.
  public mutating func setProducer(id: Int64, epoch: Int16, baseSequence: Int32) {
    options.producerID = id
    options.producerEpoch = epoch
    options.baseSequence = baseSequence
  }

  /// Bytes of the batch if it were finished now and not compressed.
  public var sizeUncompressed: Int {
    body.count + (options.magic == 2 ? BatchHeader.sizeV2 : 0)
  }

  /// Appends a record behind the last one, at `offset` if the offsets have gaps.
  ///
  /// - Precondition: `offset` is above the last one and within 2^31 of the base offset.
  public mutating func append(
    offset: Int64? = nil, timestamp: Int64, key: UnsafeRawBufferPointer?,
    value: UnsafeRawBufferPointer?, headerCount: Int = 0,
    headerBytes: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0)
  ) {
    let offset = offset ?? lastOffset + 1
    precondition(offset > lastOffset && offset - options.baseOffset <= Int64(Int32.max))
    if recordCount == 0 { baseTimestamp = options.deleteHorizonMs ?? timestamp }
    maxTimestamp = max(maxTimestamp, timestamp)
    lastOffset = offset
    recordCount += 1
    guard options.magic == 2 else {
      return appendLegacy(offset: offset, timestamp: timestamp, key: key, value: value)
    }
    let timeDelta = timestamp &- baseTimestamp
    let offsetDelta = Int32(offset - options.baseOffset)
    let size =
      1 + Varint.size(timeDelta) + Varint.size(Int64(offsetDelta))
      + Varint.fieldSize(key) + Varint.fieldSize(value) + Varint.size(Int64(headerCount))
      + headerBytes.count
    body.writeVarint(Int32(size))
    body.writeInt8(0)
    body.writeVarlong(timeDelta)
    body.writeVarint(offsetDelta)
    writeField(key)
    writeField(value)
    body.writeVarint(Int32(headerCount))
    body.writeBytes(headerBytes)
  }

  /// Appends a record with headers given one by one.
  public mutating func append(
    offset: Int64? = nil, timestamp: Int64, key: [UInt8]?, value: [UInt8]?,
    headers: [(name: String, value: [UInt8]?)] = []
  ) {
    var encoded = ByteWriter(reserving: 64)
    for header in headers {
      encoded.writeVarint(Int32(header.name.utf8.count))
      encoded.writeText(header.name)
      encoded.writeVarint(header.value.map { Int32($0.count) } ?? -1)
      if let value = header.value { encoded.writeBytes(value) }
    }
    withRaw(key) { key in
      withRaw(value) { value in
        encoded.withUnsafeBytes { headerBytes in
          append(
            offset: offset, timestamp: timestamp, key: key, value: value,
            headerCount: headers.count, headerBytes: headerBytes)
        }
      }
    }
  }

  /// Appends a copy of a record, at its own offset or behind the last one.
  public mutating func append(_ record: RecordView, offset: Int64? = nil) {
    append(
      offset: offset, timestamp: record.timestamp, key: record.key, value: record.value,
      headerCount: record.headerCount, headerBytes: record.headerBytes)
  }

  private mutating func appendLegacy(
    offset: Int64, timestamp: Int64, key: UnsafeRawBufferPointer?, value: UnsafeRawBufferPointer?
  ) {
    // In a compressed wrapper of format 1 the inner offsets count from 0.
    let isInner = options.compressor.type != .none
    let stored = isInner && options.magic == 1 ? offset - options.baseOffset : offset
    let type = options.timestampType
    let time = type == .logAppendTime ? options.logAppendTime : timestamp
    LegacyMessage.write(
      magic: options.magic, offset: stored, timestamp: time, attributes: legacyAttributes(.none),
      key: key, value: value, to: &body)
  }

  private func legacyAttributes(_ codec: CompressionType) -> UInt8 {
    let stamped = options.magic == 1 && options.timestampType == .logAppendTime
    return codec.rawValue | (stamped ? UInt8(BatchHeader.Attribute.logAppendTime) : 0)
  }

  private mutating func writeField(_ field: UnsafeRawBufferPointer?) {
    body.writeVarint(field.map { Int32($0.count) } ?? -1)
    if let field { body.writeBytes(field) }
  }

  /// Appends the finished batch to `output`; the builder then holds the same records still, and is
  /// made ready for others by `reset`.
  public mutating func finish(into output: inout ByteWriter) throws(RecordError) {
    guard options.magic == 2 else { return try finishLegacy(into: &output) }
    let start = output.count
    let stamped = options.timestampType == .logAppendTime
    output.writeInt64(options.baseOffset)
    output.writeInt32(0)
    output.writeInt32(options.partitionLeaderEpoch)
    output.writeInt8(2)
    output.writeUInt32(0)
    output.writeUInt16(attributes)
    output.writeInt32(Int32(max((options.lastOffset ?? lastOffset) - options.baseOffset, 0)))
    output.writeInt64(baseTimestamp)
    output.writeInt64(stamped ? options.logAppendTime : maxTimestamp)
    output.writeInt64(options.producerID)
    output.writeInt16(options.producerEpoch)
    output.writeInt32(options.baseSequence)
    output.writeInt32(recordCount)
    try pack(into: &output)
    output.patchInt32(
      Int32(output.count - start - BatchHeader.logOverhead), at: start + BatchHeader.Position.length
    )
    output.withUnsafeMutableBytes {
      BatchPatch.updateChecksum(of: UnsafeMutableRawBufferPointer(rebasing: $0[start...]))
    }
  }

  /// Appends a batch without records, which keeps what `header` says of its producer, its offsets
  /// and its time: what compaction leaves of a producer's last batch.
  public static func writeEmpty(
    like header: BatchHeader, into output: inout ByteWriter
  ) throws(RecordError) {
    var options = BatchOptions()
    options.baseOffset = header.baseOffset
    options.lastOffset = header.lastOffset
    options.partitionLeaderEpoch = header.partitionLeaderEpoch
    options.timestampType = header.timestampType
    options.logAppendTime = header.maxTimestamp
    options.producerID = header.producerID
    options.producerEpoch = header.producerEpoch
    options.baseSequence = header.baseSequence
    options.isTransactional = header.isTransactional
    options.isControl = header.isControl
    var builder = BatchBuilder(options, reserving: 64)
    builder.maxTimestamp = header.maxTimestamp
    try builder.finish(into: &output)
  }

  private var attributes: UInt16 {
    typealias Attribute = BatchHeader.Attribute
    var bits = UInt16(options.compressor.type.rawValue)
    if options.timestampType == .logAppendTime { bits |= Attribute.logAppendTime }
    if options.isTransactional { bits |= Attribute.transactional }
    if options.isControl { bits |= Attribute.control }
    if options.deleteHorizonMs != nil { bits |= Attribute.deleteHorizon }
    return bits
  }

  private mutating func finishLegacy(into output: inout ByteWriter) throws(RecordError) {
    guard options.compressor.type != .none else {
      body.withUnsafeBytes { output.writeBytes($0) }
      return
    }
    var packed = ByteWriter(reserving: body.count / 2)
    try pack(into: &packed)
    let stamped = options.timestampType == .logAppendTime
    packed.withUnsafeBytes {
      LegacyMessage.write(
        magic: options.magic, offset: lastOffset,
        timestamp: stamped ? options.logAppendTime : maxTimestamp,
        attributes: legacyAttributes(options.compressor.type), key: nil, value: $0, to: &output)
    }
  }

  private func pack(into output: inout ByteWriter) throws(RecordError) {
    let compressor = options.compressor
    let magic = options.magic
    do {
      try body.withUnsafeBytes { (bytes) throws(CompressionError) in
        try compressor.compress(bytes, magic: magic, into: &output)
      }
    } catch { throw .compression(error) }
  }
}

/// Calls `body` with the array's bytes; nil stays nil, an empty array stays empty.
private func withRaw(_ bytes: [UInt8]?, _ body: (UnsafeRawBufferPointer?) -> Void) {
  guard let bytes else { return body(nil) }
  bytes.withUnsafeBytes { body($0) }
}

/// Sizes of zigzag-coded integers.
enum Varint {
  static func size(_ value: Int64) -> Int {
    let bits = UInt64(bitPattern: (value << 1) ^ (value >> 63))
    return max(1, (64 - bits.leadingZeroBitCount + 6) / 7)
  }

  static func fieldSize(_ field: UnsafeRawBufferPointer?) -> Int {
    guard let field else { return 1 }
    return size(Int64(field.count)) + field.count
  }
}
