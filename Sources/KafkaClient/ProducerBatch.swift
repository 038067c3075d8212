import Bytes
import KafkaProtocol
import Records
import Values

/// Told how a record fared, on the client's loop.
public typealias DeliveryReport = @Sendable (Result<RecordMetadata, ClientError>) -> Void

/// A batch on its way: filled under the accumulator's lock, then the sender's alone.
final class ProducerBatch: @unchecked Sendable {  // see above
  let partition: TopicPartition
  let createdAt: Instant
  /// Bytes counted against `buffer.memory`.
  private(set) var reserved = 0
  private(set) var recordCount: Int32 = 0
  private var builder: BatchBuilder?
  private var reports: [(index: Int32, timestamp: Int64, report: DeliveryReport)] = []

  // The sender's.
  /// The packed bytes, once the batch has been sent for the first time.
  private(set) var bytes: [UInt8] = []
  private(set) var baseSequence: Int32 = -1
  var attempts = 0
  /// It was sent, and no answer has proved that it was not appended.
  var mayBeInLog = false

  init(_ partition: TopicPartition, _ options: BatchOptions, capacity: Int, at now: Instant) {
    self.partition = partition
    createdAt = now
    builder = BatchBuilder(options, reserving: capacity)
  }

  var size: Int { bytes.isEmpty ? builder?.sizeUncompressed ?? 0 : bytes.count }
  /// Whether it has been given a sequence and may be in the log already.
  var isSequenced: Bool { !bytes.isEmpty }

  func append(_ record: ProducerRecord, timestamp: Int64, _ report: DeliveryReport?) {
    if record.headers.isEmpty {
      appendPlain(record, timestamp)
    } else {
      builder?.append(
        timestamp: timestamp, key: record.key, value: record.value,
        headers: record.headers.map { (name: $0.name, value: $0.value) })
    }
    if let report { reports.append((recordCount, timestamp, report)) }
    recordCount += 1
    reserved += record.sizeBound
  }

  /// The common case, which allocates nothing.
  private func appendPlain(_ record: ProducerRecord, _ timestamp: Int64) {
    Self.withRaw(record.key) { key in
      Self.withRaw(record.value) { value in
        builder?.append(timestamp: timestamp, key: key, value: value)
      }
    }
  }

  private static func withRaw(_ bytes: [UInt8]?, _ body: (UnsafeRawBufferPointer?) -> Void) {
    guard let bytes else { return body(nil) }
    bytes.withUnsafeBytes { body($0) }
  }

  /// Packs the batch for sending, once; it keeps its sequence however often it is sent.
  func seal(producerID: Int64, epoch: Int16, sequence: Int32) throws(ClientError) {
    guard bytes.isEmpty else { return }
    baseSequence = sequence
    builder?.setProducer(id: producerID, epoch: epoch, baseSequence: sequence)
    var output = ByteWriter(reserving: builder?.sizeUncompressed ?? 64)
    do {
      try builder?.finish(into: &output)
    } catch { throw .records(error) }
    bytes = output.array()
  }

  /// Forgets the sequence: the producer has got a new identity, and the batch is not in the log.
  func unseal() {
    bytes = []
    baseSequence = -1
  }

  // MARK: Splitting

  /// Two batches with a half of the records each, sealed with the sequences that the records have
  /// already: for a broker that finds the batch too large. Nil for a single record.
  func split(producerID: Int64, epoch: Int16) throws(ClientError) -> [ProducerBatch]? {
    guard recordCount > 1, let options = builder?.options else { return nil }
    let middle = recordCount / 2
    let halves = [
      ProducerBatch(partition, options, capacity: bytes.count, at: createdAt),
      ProducerBatch(partition, options, capacity: bytes.count, at: createdAt),
    ]
    try copyRecords(to: halves, middle: middle)
    for entry in take() {
      let index = entry.index < middle ? entry.index : entry.index - middle
      halves[entry.index < middle ? 0 : 1].reports.append((index, entry.timestamp, entry.report))
    }
    let sequences =
      baseSequence < 0
      ? [-1, -1] : [baseSequence, BatchHeader.sequence(baseSequence, plus: middle)]
    for (half, sequence) in zip(halves, sequences) {
      half.attempts = attempts
      half.mayBeInLog = mayBeInLog
      try half.seal(producerID: producerID, epoch: epoch, sequence: sequence)
    }
    halves[0].reserved = reserved / 2
    halves[1].reserved = reserved - reserved / 2
    return halves
  }

  private func copyRecords(to halves: [ProducerBatch], middle: Int32) throws(ClientError) {
    let failure: RecordError? = bytes.withUnsafeBytes { raw in
      do throws(RecordError) {
        var scratch = ByteWriter(reserving: 64)
        var records = try RecordBatch(raw).records(scratch: &scratch)
        while let record = try records.next() {
          let half = halves[record.offset < Int64(middle) ? 0 : 1]
          half.builder?.append(record, offset: Int64(half.recordCount))
          half.recordCount += 1
        }
        return nil
      } catch { return error }
    }
    if let failure { throw .records(failure) }
  }

  // MARK: Outcomes

  func succeed(baseOffset: Int64, logAppendTime: Int64) {
    let finished = take()
    for entry in finished {
      entry.report(
        .success(
          RecordMetadata(
            topic: partition.topic, partition: partition.partition,
            offset: baseOffset < 0 ? -1 : baseOffset + Int64(entry.index),
            timestamp: logAppendTime >= 0 ? logAppendTime : entry.timestamp)))
    }
  }

  func fail(_ error: ClientError) {
    for entry in take() { entry.report(.failure(error)) }
  }

  private func take() -> [(index: Int32, timestamp: Int64, report: DeliveryReport)] {
    let finished = reports
    reports = []
    builder = nil
    bytes = []
    return finished
  }
}
