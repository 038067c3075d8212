/// A partition of `__consumer_offsets` as a shard sees it: appended to, waited for, and read once.
import Bytes
import Compression
import Groups
import KafkaProtocol
import LogStorage
import Platform
import Records
import Replication
import Values

struct GroupLog: Sendable {
  let partition: Partition
  /// The term in which this broker leads; appends in another one fail.
  let epoch: LeaderEpoch
  private let services: BrokerServices

  /// Where an append lies.
  struct Appended {
    var baseOffset: Offset
    /// The offset after the last record.
    var endOffset: Offset
  }

  init(partition: Partition, epoch: LeaderEpoch, services: BrokerServices) {
    self.partition = partition
    self.epoch = epoch
    self.services = services
  }

  // MARK: Appending

  /// Appends records as one batch.
  func append(
    _ records: [GroupRecord], transaction: TransactionalProducer?, on loop: BrokerLoop
  ) throws(PartitionFailure) -> Appended {
    var batch = try build(records, transaction, at: loop.wallNow)
    var effects: [PartitionReplica.Effect] = []
    let appended: Partition.Appended = try batch.withMutableBytes {
      bytes throws(PartitionFailure) in
      try partition.append(
        bytes, acks: -1, origin: .coordinator, epoch: epoch, now: loop.now, wallNow: loop.wallNow,
        into: &effects)
    }
    services.replicas.appended(to: partition, appended, effects, on: loop)
    return Appended(
      baseOffset: appended.result.baseOffset, endOffset: appended.result.lastOffset + 1)
  }

  private func build(
    _ records: [GroupRecord], _ transaction: TransactionalProducer?, at time: WallTime
  ) throws(PartitionFailure) -> ByteBox {
    let config = services.config
    var options = BatchOptions()
    let codec = UInt8(clamping: config.groups.offsetsTopicCompressionCodec)
    if let type = CompressionType(rawValue: codec) { options.compressor = Compressor(type) }
    if let transaction {
      options.producerID = transaction.id.rawValue
      options.producerEpoch = transaction.epoch
      options.isTransactional = true
    }
    let versions = GroupCoordinator.recordVersions(config.identity.interBrokerProtocolVersion)
    var builder = BatchBuilder(options)
    for record in records {
      let bytes = record.encoded(versions)
      builder.append(timestamp: time.milliseconds, key: bytes.key, value: bytes.value)
    }
    var output = ByteWriter(reserving: builder.sizeUncompressed + 64)
    do throws(RecordError) {
      try builder.finish(into: &output)
    } catch {
      throw PartitionFailure(.unknownServerError, "\(error)")
    }
    return ByteBox(bytes: output.array())
  }

  /// How an append stands; nil while in-sync replicas lack it.
  func outcome(upTo endOffset: Offset) -> Result<Void, PartitionFailure>? {
    partition.replicationOutcome(upTo: endOffset, epoch: epoch)
  }

  // MARK: Loading

  private static let readBytes = 5 << 20

  /// Reads every record there is; for threads that may block.
  /// - Returns: why it could not be read to its end, or nil.
  func load(into loader: inout GroupLoader) -> String? {
    guard let log = partition.log else { return "it has no log" }
    var offset = log.logStartOffset
    let end = log.logEndOffset
    var scratch = ByteWriter()
    do {
      while offset < end {
        let slice = try log.read(
          from: offset, maxBytes: Self.readBytes, upTo: .logEndOffset, minOneMessage: true)
        guard let region = slice.region, region.count > 0 else { break }
        let bytes = try region.file.read(at: region.position, count: region.count)
        let next = try bytes.withUnsafeBytes {
          try Self.load($0, from: offset, into: &loader, scratch: &scratch)
        }
        // A read that ends inside its first batch would never end.
        guard next > offset else { return "no whole batch at offset \(offset)" }
        offset = next
      }
    } catch {
      return "\(error)"
    }
    return nil
  }

  /// Takes in the batches of one read.
  /// - Returns: the offset after the last whole one.
  static func load(
    _ bytes: UnsafeRawBufferPointer, from start: Offset, into loader: inout GroupLoader,
    scratch: inout ByteWriter
  ) throws(RecordError) -> Offset {
    var next = start
    var batches = BatchIterator(bytes)
    while let batch = try batches.next() {
      let header = batch.header
      next = header.nextOffset
      if header.lastOffset < start { continue }
      var records = try batch.records(scratch: &scratch)
      if header.isControl {
        if let record = try records.next(), let marker = try EndTransactionMarker(record) {
          loader.endTransaction(
            of: ProducerID(header.producerID), isCommitted: marker.isCommit)
        }
        continue
      }
      let producer = header.isTransactional ? ProducerID(header.producerID) : nil
      while let record = try records.next() {
        guard record.offset >= start, let key = record.key else { continue }
        let keySpan = RawSpan(_unsafeBytes: key)
        if let value = record.value {
          loader.load(
            key: keySpan, value: RawSpan(_unsafeBytes: value), offset: header.baseOffset,
            producer: producer)
        } else {
          loader.load(key: keySpan, value: nil, offset: header.baseOffset, producer: producer)
        }
      }
    }
    return next
  }
}

/// Bytes that are changed in place: appending patches offsets into them.
private struct ByteBox {
  var bytes: [UInt8]

  mutating func withMutableBytes<R, E: Error>(
    _ body: (UnsafeMutableRawBufferPointer) throws(E) -> R
  ) throws(E) -> R {
    var outcome: Result<R, E>?
    bytes.withUnsafeMutableBytes { buffer in
      do throws(E) {
        outcome = .success(try body(buffer))
      } catch {
        outcome = .failure(error)
      }
    }
    guard let outcome else { preconditionFailure("the closure is always called") }
    return try outcome.get()
  }
}
