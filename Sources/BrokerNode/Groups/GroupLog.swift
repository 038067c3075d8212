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
  let log: CoordinatorLog
  var partition: Partition { log.partition }
  private var services: BrokerServices { log.services }

  init(partition: Partition, epoch: LeaderEpoch, services: BrokerServices) {
    log = CoordinatorLog(partition: partition, epoch: epoch, services: services)
  }

  // MARK: Appending

  /// Appends records as one batch.
  /// - Parameter verification: for offsets in a transaction, the question that was answered.
  func append(
    _ records: [GroupRecord], transaction: TransactionalProducer?, verification: UInt64?,
    on loop: BrokerLoop
  ) throws(PartitionFailure) -> CoordinatorLog.Appended {
    var batch = build(records, transaction, at: loop.wallNow)
    let role = transaction.flatMap { producer in
      services.currentConfig.producers.isVerificationEnabled
        ? TransactionRole.data(producer.id, epoch: producer.epoch, verification: verification) : nil
    }
    return try log.append(&batch, role: role, on: loop)
  }

  private func build(
    _ records: [GroupRecord], _ transaction: TransactionalProducer?, at time: WallTime
  ) -> BatchBuilder {
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
    return builder
  }

  // MARK: Loading

  /// Reads every record there is; for threads that may block.
  /// - Returns: why it could not be read to its end, or nil.
  func load(into loader: inout GroupLoader) -> String? {
    log.scan { (bytes, offset, scratch) throws(RecordError) in
      try Self.load(bytes, from: offset, into: &loader, scratch: &scratch)
    }
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
