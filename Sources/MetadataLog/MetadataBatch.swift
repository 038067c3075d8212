/// One batch of the metadata log or of a snapshot, read: what it holds, and where it lies.
import Bytes
import KafkaProtocol
import KafkaRecords
import Metadata
import Records
import Values

/// What one control record of the metadata log says.
public enum MetadataControl: Sendable {
  case leaderChange(LeaderChangeMessage)
  case snapshotHeader(SnapshotHeaderRecord)
  case snapshotFooter(SnapshotFooterRecord)
  case kraftVersion(KRaftVersionRecord)
  case voters(VotersRecord)
  /// A type of a later version, which readers skip.
  case unknown(Int16)
}

public struct MetadataBatch: Sendable {
  public enum Content: Sendable {
    case records([VersionedRecord])
    case control([MetadataControl])
  }

  public var baseOffset: Offset
  public var lastOffset: Offset
  public var epoch: Int32
  /// When the leader appended it, in milliseconds since 1970.
  public var timestamp: Int64
  public var sizeInBytes: Int
  public var content: Content

  /// Of a control batch: none.
  public var records: [MetadataRecord] {
    guard case .records(let records) = content else { return [] }
    return records.map(\.record)
  }

  public var controls: [MetadataControl] {
    guard case .control(let controls) = content else { return [] }
    return controls
  }

  /// Reads a batch whose checksum has been verified.
  public init(_ batch: RecordBatch) throws(RecordError) {
    let header = batch.header
    baseOffset = header.baseOffset
    lastOffset = header.lastOffset
    epoch = header.partitionLeaderEpoch
    timestamp = header.maxTimestamp
    sizeInBytes = header.sizeInBytes
    var scratch = ByteWriter(reserving: 64)
    var iterator = try batch.records(scratch: &scratch)
    var controls: [MetadataControl] = []
    var records: [VersionedRecord] = []
    while let record = try iterator.next() {
      do throws(ByteError) {
        if header.isControl {
          controls.append(try Self.control(record))
        } else {
          records.append(try Self.data(record))
        }
      } catch {
        throw .invalid("metadata record at offset \(record.offset): \(error)")
      }
    }
    content = header.isControl ? .control(controls) : .records(records)
  }

  /// All batches in the bytes, checksums verified. Throws for anything behind the last of them.
  public static func read(_ bytes: UnsafeRawBufferPointer) throws(RecordError) -> [MetadataBatch] {
    var batches: [MetadataBatch] = []
    var iterator = BatchIterator(bytes)
    while let batch = try iterator.next() {
      try batch.validate()
      batches.append(try MetadataBatch(batch))
    }
    guard iterator.remaining == 0 else { throw .corrupt("an incomplete batch at the end") }
    return batches
  }

  private static func data(_ record: RecordView) throws(ByteError) -> VersionedRecord {
    guard let value = record.value else { throw .unexpectedNull }
    var reader = ByteReader(RawSpan(_unsafeBytes: value))
    let (read, version) = try MetadataRecord.read(from: &reader)
    guard reader.isAtEnd else { throw .invalidLength(Int64(reader.remaining)) }
    return VersionedRecord(read, version: version)
  }

  private static func control(_ record: RecordView) throws(ByteError) -> MetadataControl {
    guard let key = record.key, let value = record.value else { throw .unexpectedNull }
    var keyReader = ByteReader(RawSpan(_unsafeBytes: key))
    let type = try ControlRecordKey(from: &keyReader)
    var reader = ByteReader(RawSpan(_unsafeBytes: value))
    switch type.kind {
    case .leaderChange: return .leaderChange(try .init(from: &reader, version: 0))
    case .snapshotHeader: return .snapshotHeader(try .init(from: &reader, version: 0))
    case .snapshotFooter: return .snapshotFooter(try .init(from: &reader, version: 0))
    case .kraftVersion: return .kraftVersion(try .init(from: &reader, version: 0))
    case .kraftVoters: return .voters(try .init(from: &reader, version: 0))
    case .abort, .commit, nil: return .unknown(type.type)
    }
  }
}

// MARK: Writing

extension MetadataBatch {
  /// Where a batch goes and what is written into its header.
  public struct Place: Sendable {
    public var baseOffset: Offset
    public var epoch: Int32
    public var timestamp: Int64

    public init(baseOffset: Offset, epoch: Int32, timestamp: Int64) {
      self.baseOffset = baseOffset
      self.epoch = epoch
      self.timestamp = timestamp
    }
  }

  /// One batch of records, without compression: Kafka writes none into this log.
  public static func encode(_ records: some Sequence<VersionedRecord>, at place: Place) -> [UInt8] {
    build(place, isControl: false) { builder in
      for entry in records {
        var value = ByteWriter(reserving: 64)
        entry.record.write(to: &value, version: entry.version)
        builder.append(timestamp: place.timestamp, key: nil, value: value.array())
      }
    }
  }

  /// One control batch.
  public static func encode(control: [MetadataControl], at place: Place) -> [UInt8] {
    build(place, isControl: true) { builder in
      for entry in control {
        guard let (kind, value) = entry.encoded else { continue }
        var key = ByteWriter(reserving: 4)
        ControlRecordKey(kind).write(to: &key)
        builder.append(timestamp: place.timestamp, key: key.array(), value: value)
      }
    }
  }

  /// Bytes that a record takes in a batch, at most.
  public static func sizeBound(_ record: VersionedRecord) -> Int {
    var value = ByteWriter(reserving: 64)
    record.record.write(to: &value, version: record.version)
    // Length, attributes, deltas, key and header count, as varints.
    return value.count + 32
  }

  private static func build(
    _ place: Place, isControl: Bool, _ body: (inout BatchBuilder) -> Void
  ) -> [UInt8] {
    var options = BatchOptions()
    options.baseOffset = place.baseOffset
    options.partitionLeaderEpoch = place.epoch
    options.isControl = isControl
    var builder = BatchBuilder(options)
    body(&builder)
    var output = ByteWriter(reserving: builder.sizeUncompressed)
    do {
      try builder.finish(into: &output)
    } catch {
      // Only compression can fail, and there is none.
      preconditionFailure("a batch without compression: \(error)")
    }
    return output.array()
  }
}

extension MetadataControl {
  fileprivate var encoded: (ControlRecordKey.Kind, [UInt8])? {
    func bytes(_ message: some KafkaMessage) -> [UInt8] {
      var writer = ByteWriter(reserving: 64)
      message.write(to: &writer, version: 0)
      return writer.array()
    }
    switch self {
    case .leaderChange(let message): return (.leaderChange, bytes(message))
    case .snapshotHeader(let message): return (.snapshotHeader, bytes(message))
    case .snapshotFooter(let message): return (.snapshotFooter, bytes(message))
    case .kraftVersion(let message): return (.kraftVersion, bytes(message))
    case .voters(let message): return (.kraftVoters, bytes(message))
    case .unknown: return nil
    }
  }
}
